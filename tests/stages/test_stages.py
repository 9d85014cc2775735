"""Every stage by its real main, tiny, in a folder of its own: twice, and with broken inputs."""

import hashlib
import importlib
import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from bench import power
from sttreid.config import paths
from sttreid.config.params import load, run
from sttreid.simulate.dataset import render
from sttreid.tracklets.store import open_store
from tests.tiny import parameters, profile

SEED = "0"
TARGETS = ("campus", "winter", "station")
VARIANTS = ("vanilla", "full", "cnn")
ORDER = [
    ("simulate",),
    *(("decode", name) for name in ("unreal", *TARGETS)),
    ("compare",),
    ("pretrain", SEED),
    *(("finetune", name, SEED) for name in TARGETS),
    ("evaluate", SEED),
    ("cross_domain",),
    ("configs",),
    *(("ablate", variant, SEED) for variant in VARIANTS),
    ("picture",),
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
    values = profile("smoke") | {
        "pretrain.steps": 3,
        "pretrain.warmup": 1,
        "finetune.steps": 2,
        "finetune.warmup": 1,
        "ablation.scratch.steps": 2,
        "ablation.scratch.warmup": 1,
        "pretrain.eval_every": 3,
        "picture.right": "full",  # for which the fine-tuned model stands
    }
    content = parameters(values)
    content["ablation"]["variants"] = {name: content["ablation"]["variants"][name] for name in VARIANTS}
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    params = load(folder / "params.yaml")
    for target in TARGETS:
        scale = replace(params.simulate, distractors=2)
        render(target, params.domains[target], scale, folder / "data" / target, workers=1)
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
    content = json.loads((finished / paths.cross_result(0)).read_text())
    queries = pd.read_parquet(finished / paths.cross_queries(0))
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


def test_the_full_arm_is_the_fine_tuned_model(finished: Path) -> None:
    cell = json.loads((finished / "artifacts/results/ablation/full-0.json").read_text())
    assert cell["reuses"]
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
    assert {finding["verdict"] for finding in findings} == {"inconclusive", "not judged"}
    assert not [finding for finding in findings if "p" in finding]
    matrix = json.loads((finished / "metrics" / "cross_domain.json").read_text())["rank1"]
    transfer = content["contrasts"]["transfer-untrained"]["direct_transfer"]["rank1"]
    assert transfer["ours"] == matrix["direct_transfer"]
    assert transfer["theirs"] == matrix["untrained"]


@pytest.fixture
def asked(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of two arms and two seeds beside a finished default run; its stages have run."""
    folder = workplace / "experiments" / "mine"
    folder.mkdir(parents=True)
    content = yaml.safe_load((workplace / "params.yaml").read_text())
    arms = {name: content["ablation"]["variants"][name] for name in ("full", "cnn")}
    own = {"ablation": content["ablation"] | {"reuse": False, "variants": arms}, "seeds": [0, 1]}
    (folder / "params.yaml").write_text(yaml.safe_dump(own))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("STTREID_HOME", "../..")
    call("configs")
    for arm, seed in itertools.product(arms, ("0", "1")):
        call("ablate", arm, seed)
    return folder


def test_a_study_lies_apart_and_reads_the_default_run(workplace: Path, asked: Path) -> None:
    before = {name: digest for name, digest in digests(workplace).items() if "experiments" not in name}
    call("claims")
    after = {name: digest for name, digest in digests(workplace).items() if "experiments" not in name}
    new = {"claims.json", "claims.md", "plots/claims.tsv", "plots/convergence.tsv", "report/claims.html"}
    assert set(after) - set(before) == {f"metrics/mine/{name}" for name in new}
    assert {name: after[name] for name in before} == before
    content = json.loads((workplace / "metrics/mine/claims.json").read_text())
    assert content["seeds"] == 2
    assert set(content["arms"]) == {"full", "full-pretrained", "full-untrained", "cnn"}
    assert content["contrasts"]["full-cnn"]["in_domain"]["rank1"]["p"] >= 0
    assert content["contrasts"]["global-cnn"]["in_domain"]["rank1"]["reason"] == "global not run"


def test_a_study_of_fewer_identities_draws_curves(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over synthetic identities; its points differ, and the last one is that of all identities."""
    folder = workplace / "experiments" / "more"
    folder.mkdir(parents=True)
    content = yaml.safe_load((workplace / "params.yaml").read_text())
    trials = {"all": {"pretrain": {"identities": 0}}, "few": {"pretrain": {"identities": 4}}}
    own = {"reuse": False, "variants": {"full": {}}, "trials": trials}
    params = {"ablation": content["ablation"] | own, "seeds": [0, 1]}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("STTREID_HOME", "../..")
    call("configs")
    for trial, seed in itertools.product(trials, ("0", "1")):
        call("ablate", f"full-{trial}", seed)
    call("curves")
    results = json.loads((workplace / "metrics/more/curves.json").read_text())
    known = open_store(paths.tracklets("unreal")).of_split("train")["identity"].nunique()
    assert results["seeds"] == 2
    for quantity in ("in_domain", "cross_domain", "direct_transfer", "gap", "training", "validation"):
        assert list(results["curves"]["full"][quantity]) == ["4", str(known), "a doubling"]
    whole = json.loads(paths.cell_result("full-all", 0).read_text())
    few = json.loads(paths.cell_result("full-few", 0).read_text())
    default = json.loads((workplace / paths.cross_result(0)).read_text())["sources"]
    assert whole["before"]["pretrained"] == default["unreal"]
    assert few["before"]["pretrained"] != default["unreal"]
    assert {path.name for path in (workplace / "metrics/more").iterdir()} == {
        "curves.json",
        "curves.md",
        "plots",
        "report",
    }


def test_fewer_identities_than_a_batch_stop_training(workplace: Path) -> None:
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["pretrain"]["identities"] = 2
    Path("params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(SystemExit, match=r"must hold at least the batch's 4 identities, got 2"):
        call("pretrain", SEED)
    content["pretrain"]["identities"] = 1000
    Path("params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(SystemExit, match=r"identities to train on must be at most the \d+ of the training"):
        call("pretrain", SEED)


def test_a_study_with_fewer_seeds_asks_those(workplace: Path, asked: Path) -> None:
    content = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump(content | {"seeds": [1]}))
    call("claims")
    page = (workplace / "metrics/mine/claims.md").read_text()
    assert "with 1 of 5 seeds (1): 5 are needed for any verdict (docs/experiments.md)." in page


def test_an_arm_of_a_study_is_the_model_of_the_default_run(workplace: Path, asked: Path) -> None:
    """The same seed and configuration: what a study trains by itself scores as the three stages do."""
    cell = json.loads((asked / paths.cell_result("full", 0)).read_text())
    matrix = json.loads((workplace / paths.cross_result(0)).read_text())["sources"]
    assert not cell["reuses"]
    assert cell["targets"] == matrix["campus"]
    assert cell["before"]["pretrained"] == matrix["unreal"]
    assert 0 <= cell["start"]["train_rank1"] <= 1
    moments = (
        pd.read_parquet(asked / paths.cell_queries("full", 0)).groupby(["moment", "target"])["ap"].mean()
    )
    assert moments["pretrained", "winter"] == pytest.approx(matrix["unreal"]["winter"]["mAP"])


def test_a_search_does_not_see_the_test(workplace: Path, asked: Path) -> None:
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["ablation"] |= {"tested": False, "trials": {"slow": {"finetune": {"lr": 0.0001}}}}
    content["ablation"]["variants"].pop("full")
    content["seeds"] = [0]
    Path("params.yaml").write_text(yaml.safe_dump(content))
    call("configs")
    call("ablate", "cnn-slow", "0")
    assert json.loads(paths.cell_result("cnn-slow", 0).read_text())["targets"] == {}
    assert pd.read_parquet(paths.cell_queries("cnn-slow", 0)).empty


def test_curves_of_cells_that_are_no_more_go_away(workplace: Path) -> None:
    folder = workplace / "metrics" / "plots" / "training"
    before = digests(folder)
    (folder / "ablation-former-0.tsv").write_text("step\n1\n")
    call("report")
    assert digests(folder) == before


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
    path = workplace / "artifacts/models/0/winter.pt"
    path.write_bytes(path.read_bytes()[:5000])
    assert "winter.pt" in fails("evaluate", "0")


def test_queries_of_another_run_stop_the_average(workplace: Path) -> None:
    path = paths.cross_queries(0)
    queries = pd.read_parquet(path)
    queries["ap"] = queries["ap"].where(queries["source"] != "winter", queries["ap"] / 2)
    queries.to_parquet(path, index=False)
    message = fails("cross_domain")
    assert "per-query results: the mean mAP of winter on" in message
    assert "as the results say" in message


def test_cut_queries_stop_the_average(workplace: Path) -> None:
    path = paths.cross_queries(0)
    path.write_bytes(path.read_bytes()[:-100])
    assert f"{path}: must be a Parquet table" in fails("cross_domain")


def test_the_page_shows_what_the_pictures_hold(finished: Path) -> None:
    page = (finished / "metrics/report/index.html").read_text()
    lists = pd.read_parquet(finished / paths.picture("lists"))
    assert page.count('<figure class="ranked">') == lists.groupby(["dataset", "kind", "query"]).ngroups
    strips = pd.read_parquet(finished / paths.picture("strips"))
    assert page.count('<svg class="clip"') == (strips["kind"] == "clip").sum()
    frames = pd.read_parquet(finished / paths.picture("frames"))
    assert set(frames["variant"]) == {"vanilla", "full"}


def test_lists_find_what_the_evaluation_found(finished: Path) -> None:
    lists = pd.read_parquet(finished / paths.picture("lists"))
    queries = pd.read_parquet(finished / paths.cross_queries(0))
    own = queries[queries["source"] == queries["target"]].set_index(["target", "query"])
    for (dataset, _, query), rows in lists.groupby(["dataset", "kind", "query"]):
        first = own.loc[(dataset, query)]
        assert rows.loc[rows["right"], "rank"].min() == first["first_hit"]
        best = rows[rows["rank"] == first["first_hit"]].iloc[0]
        assert best["distance"] == pytest.approx(first["best_match_distance"], abs=1e-6)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("left", "cnn", "the variant cnn must have model.stt"),
        ("right", "none", "picture.right must be one of cnn, full, vanilla, got 'none'"),
    ],
)
def test_pictures_need_variants_with_transformers(workplace: Path, key: str, value: str, words: str) -> None:
    content = yaml.safe_load((workplace / "params.yaml").read_text())
    content["picture"][key] = value
    (workplace / "params.yaml").write_text(yaml.safe_dump(content))
    assert words in fails("picture")


def test_pictures_need_clips_of_one_length(workplace: Path) -> None:
    content = torch.load(paths.cell_model("vanilla", 0), weights_only=True)
    content["frames"] = 3
    content["state"]["temporal.positions"] = torch.zeros(1, 3, content["model"]["width"])
    torch.save(content, paths.cell_model("vanilla", 0))
    assert "vanilla and full must have the same clip.frames, got [2, 3]" in fails("picture")


def test_diverged_training_names_step_and_term(workplace: Path) -> None:
    content = yaml.safe_load((workplace / "params.yaml").read_text())
    content["pretrain"] |= {"lr": 1e30, "backbone_lr": 1e30, "warmup": 0, "max_grad_norm": 1e30}
    (workplace / "params.yaml").write_text(yaml.safe_dump(content))
    message = fails("pretrain", "0")
    assert "training step" in message
    assert "the clips' tracklets are " in message
    (path,) = Path(".scratch/pretrain-0").glob("post-mortem-step-*-rank-0.pt")
    assert str(path) in message


def test_a_finished_stage_leaves_its_log_and_no_checkpoint(finished: Path) -> None:
    for name in ("pretrain-0", "finetune-campus-0", "ablate-cnn-0"):
        assert [path.name for path in (finished / ".scratch" / name).iterdir()] == ["log.tsv"]


def test_a_stage_that_cannot_write_its_outputs_does_not_train_again(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digests(workplace)
    module = importlib.import_module("sttreid.stages.pretrain")
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_text", lambda *_: (_ for _ in ()).throw(OSError(28, "no space left")))
        with pytest.raises(OSError, match="no space left"):
            call("pretrain", SEED)
    call("pretrain", SEED)
    assert "pretrain 0: 0 steps after 3 that were kept" in capsys.readouterr().err
    assert digests(workplace) == before


def test_a_cell_is_not_pre_trained_again(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = workplace / "artifacts/configs/cnn-0.json"
    cell = json.loads(path.read_text())
    cell["pretrain"] = yaml.safe_load((workplace / "params.yaml").read_text())["pretrain"]
    path.write_text(json.dumps(cell))
    module = importlib.import_module("sttreid.stages.ablate")
    with monkeypatch.context() as patch:
        patch.setattr(module, "transfer", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            call("ablate", "cnn", SEED)
    call("ablate", "cnn", SEED)
    said = capsys.readouterr().err
    assert said.count("ablate cnn 0: 3 steps, ") == 1
    assert said.count("ablate cnn 0: 0 steps after 3 that were kept") == 1
    assert not list(Path(".scratch/ablate-cnn-0").glob("*/"))
