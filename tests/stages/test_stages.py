"""Every stage by its real main, tiny, in a folder of its own: twice, and with broken inputs."""

import hashlib
import importlib
import itertools
import json
import shutil
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml

from bench import power
from sttreid.analysis import metrics_files
from sttreid.config import paths
from sttreid.config.domain import load_domain
from sttreid.config.params import load
from sttreid.config.study import BESIDE
from sttreid.config.variants import merge
from sttreid.embedding import embed_tracklets
from sttreid.model.weights import restore
from sttreid.report.tables import TEXT
from sttreid.runner.record import publish_seeds
from sttreid.runtime import live
from sttreid.runtime.live import Live
from sttreid.simulate.dataset import render
from sttreid.stages.command import run
from sttreid.tracklets.store import open_store
from sttreid.tracklets.subset import training_subset
from tests.tiny import CLAIMS, ROOT, parameters
from tests.training.test_validation import naive

SEED = "0"
TARGETS = ("campus", "winter", "station")
VARIANTS = ("vanilla", "constrained", "cnn")
ORDER = [
    ("simulate",),
    *(("decode", name) for name in ("unreal", *TARGETS)),
    ("compare",),
    ("pretrain", SEED),
    *(("finetune", name, SEED) for name in TARGETS),
    ("resolve",),
    *(("ablate", variant, SEED) for variant in VARIANTS),
    ("evaluate", "cross_domain", SEED),
    ("evaluate", "ablation", SEED),
    ("cross_domain",),
    ("visualise",),
    ("claims",),
    ("report",),
]


def call(stage: str, *words: str) -> None:
    run(importlib.import_module(f"sttreid.stages.{stage}").main, list(words))


def digests(folder: Path) -> dict[str, str]:
    """Of everything but the scratch folder, where logs and post-mortems lie."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    kept = [path for path in files if path.relative_to(folder).parts[0] != ".scratch"]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in kept}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny parameters and three tiny target sets; no stage has run."""
    folder = tmp_path_factory.mktemp("project")
    content = parameters({"visualise.variants": ["vanilla", "full"]})  # full: the default run's model
    content["ablation"]["variants"] = {name: content["ablation"]["variants"][name] for name in VARIANTS}
    (folder / "params.yaml").write_text(yaml.safe_dump(content | {"claims": CLAIMS}))
    shutil.copytree(ROOT / "domains", folder / "domains")
    params = load(folder / "params.yaml")
    for target in TARGETS:
        scale = replace(params.simulate, distractors=2)
        render(target, load_domain(target, folder / "domains"), scale, folder / "data" / target, workers=1)
    return folder


@pytest.fixture(scope="module")
def finished(project: Path) -> Path:
    """The same folder after all stages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        for words in ORDER:
            call(*words)
    return project


@pytest.fixture
def workplace(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished folder, to break things in."""
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def test_a_second_run_gives_the_same_bytes(workplace: Path) -> None:
    before = digests(workplace)
    shutil.rmtree(workplace / "artifacts")
    shutil.rmtree(workplace / "metrics")
    for words in ORDER:
        call(*words)
    after = digests(workplace)
    assert after == before
    assert len([name for name in after if name.endswith(".pt")]) == 4 + len(VARIANTS)


def test_rendered_sets_know_from_which_side_people_are_seen(finished: Path) -> None:
    for name in ("unreal", *TARGETS):
        views = pd.read_parquet(finished / "artifacts" / "views" / f"{name}.parquet")
        store = open_store(finished / paths.tracklets(name))
        assert views["tracklet"].tolist() == store.tracklets["tracklet"].tolist()
        assert views["orientation"].between(-180, 180).all()
        assert views["turn"].notna().sum() == store.tracklets["query"].sum() > 0


def test_what_trains_or_tests_records_its_machine_apart_from_its_results(finished: Path) -> None:
    records = {path.stem for path in (finished / "artifacts" / "machines").iterdir()}
    recording = [words for words in ORDER if words[0] in ("pretrain", "finetune", "ablate", "evaluate")]
    assert records == {"-".join(words) for words in recording}
    for words in recording:
        record = json.loads((finished / paths.machine(*words)).read_text())
        assert record["packages"]["torch"] == torch.__version__
        assert record["threads"] == 1
        assert record["processor"] in (finished / "metrics" / "report.md").read_text()


def test_metrics_name_protocol_and_counts(finished: Path) -> None:
    metrics = json.loads((finished / "metrics" / "cross_domain.json").read_text())
    assert metrics["protocol"] == dict.fromkeys(TARGETS, "embedded")
    tried = json.loads((finished / "metrics" / "ablation.json").read_text())
    assert tried["protocol"] == metrics["protocol"]
    for count in ("queries", "unmatched", "gallery", "distractors", "left_out", "junk"):
        assert set(metrics[count]) == set(TARGETS)
    assert {"in_domain", "cross_domain", "direct_transfer", "untrained", "histogram"} <= set(metrics["rank1"])
    ablation = json.loads((finished / "metrics" / "ablation.json").read_text())
    assert set(VARIANTS) <= set(ablation)
    assert set(ablation["full"]) == set(ablation["cnn"])


def test_the_queries_of_an_evaluation_are_those_of_its_means(finished: Path) -> None:
    content = json.loads((finished / paths.result("cross_domain", 0)).read_text())
    queries = pd.read_parquet(finished / paths.queries("cross_domain", 0))
    cells = {(source, target) for source, targets in content["sources"].items() for target in targets}
    groups = dict(iter(queries.groupby(["source", "target"])))
    assert set(groups) == cells
    assert set(queries["seed"]) == {0}
    for source, target in cells:
        rows, numbers = groups[source, target], content["sources"][source][target]
        counted = rows[rows["ap"].notna()]
        assert len(counted) == numbers["queries"]
        assert len(rows) - len(counted) == numbers["unmatched"]
        assert counted["ap"].mean() == pytest.approx(numbers["mAP"], abs=1e-12)
        assert counted["inp"].mean() == pytest.approx(numbers["mINP"], abs=1e-12)
        for rank in (1, 5, 10, 20):
            share = counted["first_hit"].between(1, rank).mean()
            assert share == pytest.approx(numbers[f"rank{rank}"], abs=1e-12)


def test_the_power_is_measured_on_every_query_of_every_target(workplace: Path) -> None:
    table = power.train(load(workplace / "params.yaml"), 0, pretrain=2, finetune=1)
    queries = json.loads((workplace / "metrics" / "cross_domain.json").read_text())["queries"]
    assert table.groupby(["target", "model"]).size().to_dict() == {
        (target, model): queries[target] for target in TARGETS for model in power.MODELS
    }
    assert set(table["hit"]) <= {0, 1}


def test_the_reference_is_the_fine_tuned_model(finished: Path) -> None:
    metrics = json.loads((finished / "metrics" / "cross_domain.json").read_text())
    ablation = json.loads((finished / "metrics" / "ablation.json").read_text())
    assert ablation["full"]["rank1_in_domain"] == metrics["rank1"]["campus"]["campus"]


def test_one_seed_answers_no_question(finished: Path) -> None:
    content = json.loads((finished / "metrics" / "claims.json").read_text())
    assert content["seeds"] == 1
    cells = [
        cell for name in content["contrasts"].values() for cell in name.values() if isinstance(cell, dict)
    ]
    findings = [finding for cell in cells for finding in cell.values()]
    assert {finding["verdict"] for finding in findings} == {"inconclusive", "exploratory"}
    assert not [finding for finding in findings if "p" in finding]
    matrix = json.loads((finished / "metrics" / "cross_domain.json").read_text())["rank1"]
    transfer = content["contrasts"]["transfer-untrained"]["direct_transfer"]["rank1"]
    assert transfer["ours"] == pytest.approx(matrix["direct_transfer"], abs=1e-4)
    assert transfer["theirs"] == pytest.approx(matrix["untrained"], abs=1e-4)


@pytest.fixture(scope="module")
def trained_study(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished folder with a study of two variants and two seeds, trained and tested."""
    workplace = tmp_path_factory.mktemp("study") / "copy"
    shutil.copytree(finished, workplace)
    content = yaml.safe_load((workplace / "params.yaml").read_text())
    variants = {"full": {}, "cnn": content["ablation"]["variants"]["cnn"]}
    section = {"analysis": "claims", "variants": [*variants]}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(start_study(workplace, "mine", content, variants, section))
        patch.setenv("STTREID_HOME", "../..")
        train_and_test(variants)
    return workplace


@pytest.fixture
def study(trained_study: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of that study, in the copy ``workplace``."""
    folder = workplace / "studies" / "mine"
    shutil.copytree(trained_study / "studies" / "mine", folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("STTREID_HOME", "../..")
    return folder


def start_study(workplace: Path, name: str, content: dict, variants: dict, study: dict) -> Path:
    """Write complete parameters, as the tool of the studies does."""
    folder = workplace / "studies" / name
    folder.mkdir(parents=True)
    content["ablation"] |= {"reference": None, "variants": variants}
    content |= {"seeds": [0, 1], "study": {"trials": {}} | study}
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    return folder


def train_and_test(variants: Iterable[str]) -> None:
    call("resolve")
    for variant, seed in itertools.product(variants, ("0", "1")):
        call("ablate", variant, seed)
    for seed in ("0", "1"):
        call("evaluate", "ablation", seed)


def test_a_study_leaves_the_default_run_alone(workplace: Path, study: Path) -> None:
    before = {name: digest for name, digest in digests(workplace).items() if "studies" not in name}
    call("claims")
    assert {name: digest for name, digest in digests(workplace).items() if "studies" not in name} == before
    written = {"claims.json", "claims.md", "plots/claims.tsv", "plots/convergence.tsv", "report/claims.html"}
    assert set(digests(study / "publication")) == written
    content = json.loads((study / "publication/claims.json").read_text())
    assert content["seeds"] == 2
    assert set(content["variants"]) == {"full", "full-pretrained", "full-untrained", "cnn"}
    assert content["contrasts"]["full-cnn"]["in_domain"]["rank1"]["p"] >= 0

    _move_to_another_study(study, "cnn")
    call("claims")
    beside = json.loads((study / "publication/claims.json").read_text())
    assert beside["contrasts"] == content["contrasts"], "as if the study had trained the variant itself"


def _move_to_another_study(study: Path, variant: str) -> None:
    """Take a variant out of a study that has run, and lay it beside, as published by a study ``other``."""
    outs = [{"path": str(path)} for path in paths.ARTIFACTS.glob("results/ablation/*")]
    outs += [{"path": str(path)} for path in paths.ARTIFACTS.glob(f"history/ablation/*/{variant}")]
    publish_seeds(Path(), {"all": {"outs": outs}}, study / BESIDE / "other")
    for out in paths.ARTIFACTS.glob("results/ablation/*.parquet"):
        table = pd.read_parquet(out)
        table[table["variant"] != variant].to_parquet(out, index=False)
    content = yaml.safe_load((study / "params.yaml").read_text())
    del content["ablation"]["variants"][variant]
    content["study"] |= {"beside": {"study": "other", "variants": [variant]}}
    content["study"]["variants"].remove(variant)
    (study / "params.yaml").write_text(yaml.safe_dump(content))


def test_a_study_of_fewer_identities_draws_curves(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over synthetic identities; its points differ, and the last one is that of all identities."""
    content = yaml.safe_load((workplace / "params.yaml").read_text())
    trials = {"all": {"pretrain": {"identities": None}}, "few": {"pretrain": {"identities": 4}}}
    variants = {f"full-{name}": overrides for name, overrides in trials.items()}
    section = {"analysis": "curves", "variants": ["full"], "trials": trials}
    folder = start_study(workplace, "more", content, variants, section)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("STTREID_HOME", "../..")
    train_and_test(variants)
    for seed in ("0", "1"):
        call("measure", seed)
    call("curves")
    results = json.loads((folder / "publication/curves.json").read_text())
    identities = open_store(paths.tracklets("unreal")).of_split("train")["identity"].nunique()
    assert results["seeds"] == 2
    for quantity in ("in_domain", "cross_domain", "direct_transfer"):
        assert list(results["curves"]["full"][quantity])[:2] == ["4", str(identities)]
    tested = json.loads(paths.result("ablation", 0).read_text())["variants"]
    default = json.loads((workplace / paths.result("cross_domain", 0)).read_text())["sources"]
    assert tested["full-all"]["moments"]["pretrained"] == default["unreal"]
    assert tested["full-few"]["moments"]["pretrained"] != default["unreal"]


def test_points_of_a_curve_are_measured_on_the_training_people_that_all_share(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against every pair of tracklets; on all identities, it is what the training itself has measured."""
    content = yaml.safe_load((workplace / "params.yaml").read_text())
    store = open_store(paths.tracklets(content["ablation"]["source"]))
    most = store.of_split("train")["identity"].nunique()
    points = {"few": {"finetune": {"identities": 4}}, "all": {"finetune": {"identities": None}}}
    trained = workplace / paths.model("ablation", 0, "cnn")
    for number, trials in (
        (4, points),
        (most, {"all": points["all"], "more": {"finetune": {"identities": most + 1}}}),
    ):
        cnn = content["ablation"]["variants"]["cnn"]
        variants = {f"cnn-{name}": merge(cnn, overrides) for name, overrides in trials.items()}
        section = {"analysis": "curves", "variants": ["cnn"], "trials": trials}
        folder = start_study(workplace, f"of-{number}", deepcopy(content), variants, section)
        for name in variants:
            copied = folder / paths.model("ablation", 0, name)
            copied.parent.mkdir(parents=True)
            shutil.copy(trained, copied)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("STTREID_HOME", "../..")
        call("measure", "0")
        measured = json.loads((folder / paths.training_accuracies(0)).read_text())
        rows = training_subset(store, number, 0).of_split("train").reset_index()
        features = embed_tracklets(restore(trained), store, rows, 8).double()
        expected = naive(features, rows["identity"].tolist(), rows["camera"].tolist())
        assert measured == dict.fromkeys(variants, pytest.approx(expected))
    history = pd.read_csv(workplace / paths.history("ablation", 0, "cnn"), sep="\t")
    assert measured["cnn-all"] == pytest.approx(history["train_rank1"].iloc[-1])


def test_the_spread_over_seeds_needs_no_ablation(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed 1 has the results of seed 0."""
    content = yaml.safe_load((workplace / "params.yaml").read_text())
    folder = start_study(workplace, "spread", content, {}, {"analysis": "seeds", "variants": []})
    for seed in (0, 1):
        tested = json.loads((workplace / paths.result("cross_domain", 0)).read_text()) | {"seed": seed}
        queries = pd.read_parquet(workplace / paths.queries("cross_domain", 0)).assign(seed=seed)
        (folder / paths.result("cross_domain", seed)).parent.mkdir(parents=True, exist_ok=True)
        (folder / paths.result("cross_domain", seed)).write_text(json.dumps(tested))
        queries.to_parquet(folder / paths.queries("cross_domain", seed), index=False)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("STTREID_HOME", "../..")
    call("seeds")
    assert set(digests(folder / "publication")) == {"seeds.json", "seeds.md", "plots/seeds.tsv"}
    results = json.loads((folder / "publication/seeds.json").read_text())
    default = json.loads((workplace / "metrics/cross_domain.json").read_text())
    for metric in ("rank1", "mAP"):
        spread = results["numbers"][metric]["in_domain"]
        assert spread["mean"] == pytest.approx(default[metric]["in_domain"], abs=1e-4)
        assert (spread["sd"], set(spread["values"])) == (0, {"0", "1"})


def test_fewer_identities_than_a_batch_stop_training(workplace: Path) -> None:
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["pretrain"]["identities"] = 2
    Path("params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(SystemExit, match=r"pretrain\.identities must be at least .* 4, got 2"):
        call("pretrain", SEED)
    content["pretrain"]["identities"] = 1000
    Path("params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(SystemExit, match=r"training identities must be at most the \d+ of"):
        call("pretrain", SEED)


def test_a_study_with_fewer_seeds_uses_those(study: Path) -> None:
    content = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump(content | {"seeds": [1]}))
    call("claims")
    assert json.loads((study / "publication/claims.json").read_text())["seeds"] == 1


def test_a_variant_of_a_study_is_the_model_of_the_default_run(workplace: Path, study: Path) -> None:
    """With the same seed and configuration, a study's model scores as that of the default run."""
    tested = json.loads((study / paths.result("ablation", 0)).read_text())["variants"]["full"]["moments"]
    matrix = json.loads((workplace / paths.result("cross_domain", 0)).read_text())["sources"]
    assert tested["trained"] == matrix["campus"]
    assert tested["pretrained"] == matrix["unreal"]
    queries = pd.read_parquet(study / paths.queries("ablation", 0))
    means = queries[queries["variant"] == "full"].groupby(["moment", "target"])["ap"].mean()
    assert means["pretrained", "winter"] == pytest.approx(matrix["unreal"]["winter"]["mAP"])


def test_a_search_does_not_need_the_test(workplace: Path, study: Path) -> None:
    content = yaml.safe_load(Path("params.yaml").read_text())
    trials = {"slow": {"finetune": {"lr": 0.0001}}, "fast": {"finetune": {"lr": 0.01}}}
    cnn = content["ablation"]["variants"]["cnn"]
    content["ablation"]["variants"] = {f"cnn-{name}": cnn | trial for name, trial in trials.items()}
    content |= {"seeds": [0], "study": {"analysis": "tuning", "variants": ["cnn"], "trials": trials}}
    Path("params.yaml").write_text(yaml.safe_dump(content))
    shutil.rmtree("artifacts")
    call("resolve")
    for trial in trials:
        call("ablate", f"cnn-{trial}", "0")
    call("tuning")
    assert (study / "publication/tuning.json").exists()


def test_training_curves_of_former_variants_are_removed(workplace: Path) -> None:
    plots = workplace / "metrics" / "plots"
    before = digests(plots)
    (plots / "ablation_training" / "former-0.tsv").write_text("step\n1\n")
    call("report")
    (plots / "training" / "former-0.tsv").write_text("step\n1\n")
    call("cross_domain")
    assert digests(plots) == before


def change(folder: Path, **sections: dict[str, object]) -> None:
    """Set values of sections of params.yaml."""
    content = yaml.safe_load((folder / "params.yaml").read_text())
    for section, values in sections.items():
        content[section] |= values
    (folder / "params.yaml").write_text(yaml.safe_dump(content))


def test_what_other_parameters_made_does_not_look_like_a_result(workplace: Path) -> None:
    """An experiment without the ablation: it keeps the variants that the change does not affect."""
    change(workplace, loss={"entropy": 0.1})
    metrics, kept = workplace / "metrics", {"vanilla", "cnn"}
    call("cross_domain")
    assert set(pd.read_csv(metrics / "plots/ablation.tsv", sep="\t")["variant"]) == kept
    content = json.loads((metrics / "ablation.json").read_text())
    assert {name for name in (*VARIANTS, "full") if name in content} == kept
    curves = {path.name for path in (metrics / "plots/ablation_training").iterdir()}
    assert curves == {"vanilla-0.tsv", "cnn-0.tsv"}
    for page in ("report.md", "claims.md"):
        assert (metrics / page).read_text().startswith(metrics_files.NOTICE)
    made_by = json.loads((metrics / "cross_domain.json").read_text())["params"]
    for table in ("cross_domain", "cmc", "training/campus-0"):
        assert set(pd.read_csv(metrics / f"plots/{table}.tsv", sep="\t", dtype=str)["params"]) == {made_by}


def test_the_report_leaves_out_what_other_parameters_made(workplace: Path) -> None:
    """As if the report ran alone after a change; the reference is the default run's model."""
    change(workplace, loss={"entropy": 0.1}, compare={"crops": 299})
    call("report")
    content = json.loads((workplace / "metrics" / "ablation.json").read_text())
    assert {name for name in (*VARIANTS, "full") if name in content} == {"vanilla", "cnn", "full"}
    text = (workplace / "metrics" / "report.md").read_text()
    for names in ("constrained", TEXT["effects"], TEXT["separability"]):
        assert TEXT["left_out"].format(names=names) in text


def test_the_curve_of_a_training_stage_grows_to_the_one_of_the_plots(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, seen = workplace / "metrics" / "plots", []
    for words, path in (
        (("pretrain", SEED), folder / "training/unreal-0.tsv"),
        (("finetune", "campus", SEED), folder / "training/campus-0.tsv"),
        (("ablate", "cnn", SEED), folder / "ablation_training/cnn-0.tsv"),
    ):
        finished = path.read_bytes()
        path.unlink()
        publish = Live.step

        def observed(run: Live, *row: Any, path: Path = path, publish: Any = publish) -> None:
            publish(run, *row)
            seen.append(len(path.read_bytes().splitlines()) - 1)

        with monkeypatch.context() as patch:
            patch.setattr(live, "SECONDS", 0.0)
            patch.setattr(Live, "step", observed)
            call(*words)
        assert path.read_bytes() == finished
    assert seen == [1, 2, 3, 1, 2, 1, 2]  # steps


def test_a_new_variant_prints_what_it_found(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = yaml.safe_load((workplace / "params.yaml").read_text())
    deep = {"deep": {"model": {"temporal_layers": 2}, "pretrain": None}}
    change(workplace, ablation={"variants": content["ablation"]["variants"] | deep})
    call("resolve")
    call("ablate", "deep", SEED)
    call("evaluate", "ablation", SEED)
    call("cross_domain")
    messages = capsys.readouterr().err.splitlines()
    (trained,) = [line for line in messages if line.startswith("ablate deep 0: step 2 of 2: ")]
    history = pd.read_csv(paths.history("ablation", 0, "deep"), sep="\t").iloc[-1]
    assert f"{100 * history['train_rank1']:.1f} on training" in trained
    assert f"{100 * history['validation_rank1']:.1f} on validation" in trained
    (tested,) = [line for line in messages if line.startswith("evaluate ablation 0: deep: ")]
    numbers = json.loads(paths.result("ablation", 0).read_text())["variants"]["deep"]["moments"]["trained"]
    for target in TARGETS:
        assert f"{100 * numbers[target]['rank1']:.1f} on {target}" in tested
    assert (
        len([line for line in messages if line.startswith("evaluate ablation 0: ") and "rank-1" in line]) == 4
    )
    assert len([line for line in messages if line.startswith("cross_domain: rank1_in ")]) == 1


def fails(*words: str) -> str:
    """Run a stage that must end with one sentence and leave all files as they were."""
    before = digests(Path())
    with pytest.raises(SystemExit) as ended:
        call(*words)
    assert digests(Path()) == before
    message = str(ended.value.code)
    assert message.startswith("error: ")
    assert "\n" not in message
    return message


def test_a_missing_video_stops_decode(workplace: Path) -> None:
    (workplace / "data/campus/c1.mp4").unlink()
    assert "c1.mp4" in fails("decode", "campus")


def test_a_track_line_that_does_not_parse_stops_decode(workplace: Path) -> None:
    path = workplace / "data/campus/c1.txt"
    lines = path.read_text().splitlines()
    lines[2] = "7,one,3"
    path.write_text("\n".join(lines) + "\n")
    message = fails("decode", "campus")
    assert "c1.txt" in message


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("loss", {"entropi": 0.1}, "did you mean 'entropy'"),
        ("loss", {"entropy": "abc"}, "loss.entropy"),
        ("clip", {"frames": 0}, "clip.frames"),
    ],
)
def test_bad_parameters_stop_any_stage(
    workplace: Path, key: str, value: dict[str, object], words: str
) -> None:
    content = yaml.safe_load((workplace / "params.yaml").read_text())
    content[key] |= value
    (workplace / "params.yaml").write_text(yaml.safe_dump(content))
    assert words in fails("pretrain", "0")


def test_more_identities_a_batch_than_there_are_stops_training(workplace: Path) -> None:
    content = yaml.safe_load((workplace / "params.yaml").read_text())
    content["batch"]["identities"] = 500
    (workplace / "params.yaml").write_text(yaml.safe_dump(content))
    assert "500" in fails("pretrain", "0")


def test_a_truncated_store_stops_training(workplace: Path) -> None:
    path = workplace / "artifacts/tracklets/unreal/frames.npy"
    path.write_bytes(path.read_bytes()[:-1000])
    assert "frames.npy" in fails("pretrain", "0")


def test_a_damaged_model_stops_evaluation(workplace: Path) -> None:
    path = workplace / "artifacts/models/cross_domain/0/winter.pt"
    path.write_bytes(path.read_bytes()[:5000])
    assert "winter.pt" in fails("evaluate", "cross_domain", "0")


def test_queries_of_another_run_stop_the_average(workplace: Path) -> None:
    path = paths.queries("cross_domain", 0)
    queries = pd.read_parquet(path)
    queries["ap"] = queries["ap"].where(queries["source"] != "winter", queries["ap"] / 2)
    queries.to_parquet(path, index=False)
    assert "cross-domain results: mAP of winter on" in fails("cross_domain")


def test_cut_queries_stop_the_average(workplace: Path) -> None:
    path = paths.queries("cross_domain", 0)
    path.write_bytes(path.read_bytes()[:-100])
    assert f"{path}: must be a Parquet table" in fails("cross_domain")


def test_the_page_shows_what_the_pictures_hold(finished: Path) -> None:
    page = (finished / "metrics/report/index.html").read_text()
    lists = pd.read_parquet(finished / paths.visual("lists"))
    assert page.count('<details class="panel ranked"') == lists.groupby(["dataset", "kind", "query"]).ngroups
    strips = pd.read_parquet(finished / paths.visual("strips"))
    assert page.count('<div class="clip"') == (strips["kind"] == "clip").sum()
    frames = pd.read_parquet(finished / paths.visual("frames"))
    assert set(frames["variant"]) == {"vanilla", "full"}


def test_lists_find_what_the_evaluation_found(finished: Path) -> None:
    lists = pd.read_parquet(finished / paths.visual("lists"))
    queries = pd.read_parquet(finished / paths.queries("cross_domain", 0))
    own = queries[queries["source"] == queries["target"]].set_index(["target", "query"])
    for (dataset, _, query), rows in lists.groupby(["dataset", "kind", "query"]):
        first = own.loc[(dataset, query)]
        assert rows.loc[rows["correct"], "rank"].min() == first["first_hit"]
        best = rows[rows["rank"] == first["first_hit"]].iloc[0]
        assert best["distance"] == pytest.approx(first["best_match_distance"], abs=1e-6)


def test_attention_needs_variants_with_transformers(workplace: Path) -> None:
    content = yaml.safe_load((workplace / "params.yaml").read_text())
    content["visualise"]["variants"] = ["vanilla", "cnn"]
    (workplace / "params.yaml").write_text(yaml.safe_dump(content))
    assert "the variant cnn must have model.stt" in fails("visualise")


def test_attention_needs_clips_of_one_length(workplace: Path) -> None:
    path = paths.model("ablation", 0, "vanilla")
    content = torch.load(path, weights_only=True)
    content["frames"] = 3
    content["state"]["branches.stt.temporal.pos_embed"] = torch.zeros(1, 3, content["model"]["width"])
    torch.save(content, path)
    assert "vanilla and full must have the same clip.frames, got [2, 3]" in fails("visualise")


def test_diverged_training_names_step_and_term(workplace: Path) -> None:
    content = yaml.safe_load((workplace / "params.yaml").read_text())
    content["pretrain"] |= {"lr": 1e30, "backbone_lr": 1e30, "warmup": 0, "max_grad_norm": 1e30}
    (workplace / "params.yaml").write_text(yaml.safe_dump(content))
    message = fails("pretrain", "0")
    assert "training step" in message
    assert "the batch holds the tracklets " in message
    (path,) = Path(".scratch/pretrain-0").glob("post-mortem-step-*-rank-0.pt")
    assert str(path) in message


def test_a_finished_stage_leaves_its_log_and_its_cost_and_no_checkpoint(finished: Path) -> None:
    for name in ("pretrain-0", "finetune-campus-0", "ablate-cnn-0"):
        assert {path.name for path in (finished / ".scratch" / name).iterdir()} == {"cost.json", "log.tsv"}


def test_a_stage_that_cannot_write_its_outputs_does_not_train_again(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digests(workplace)
    module = importlib.import_module("sttreid.stages.pretrain")
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_text", lambda *_: (_ for _ in ()).throw(OSError(28, "no space left")))
        with pytest.raises(SystemExit, match="no space left"):
            call("pretrain", SEED)
    call("pretrain", SEED)
    assert "pretrain 0: 0 steps (resumed after step 3)" in capsys.readouterr().err
    assert digests(workplace) == before


def test_an_interrupted_variant_is_not_pre_trained_again(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = paths.variant_config("cnn", 0)
    variant = json.loads(path.read_text())
    variant["pretrain"] = yaml.safe_load((workplace / "params.yaml").read_text())["pretrain"]
    path.write_text(json.dumps(variant))
    module = importlib.import_module("sttreid.stages.ablate")
    with monkeypatch.context() as patch:
        patch.setattr(module, "transfer", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(SystemExit):
            call("ablate", "cnn", SEED)
    call("ablate", "cnn", SEED)
    messages = capsys.readouterr().err
    assert messages.count("ablate cnn 0: 3 steps, ") == 1
    assert messages.count("ablate cnn 0: 0 steps (resumed after step 3)") == 1
    assert not list(Path(".scratch/ablate-cnn-0").glob("*/"))
