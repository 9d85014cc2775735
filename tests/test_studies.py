"""The studies' folders: what holds for dvc.yaml holds for each of theirs, and one runs through DVC itself."""

import importlib
import inspect
import json
import math
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from ruamel.yaml import YAML

from sttreid.config.params import Params, load
from sttreid.config.variants import variants
from sttreid.model.backbone import Backbone
from sttreid.simulate.dataset import render
from tests.test_house import MODULES, STAGES, covers, is_package, keys, needed
from tests.test_pipeline import ENVIRONMENT, call, copy_of_the_tree, ran
from tests.tiny import ROOT, override, profile

STUDIES = sorted(path.parent.name for path in ROOT.glob("experiments/*/dvc.yaml"))
PIPELINES = {name: yaml.safe_load((ROOT / "experiments" / name / "dvc.yaml").read_text()) for name in STUDIES}
PLACES = [(study, stage) for study in STUDIES for stage in PIPELINES[study]["stages"]]
SECTIONS = {field.name for field in fields(Params)}
BASE = "../../params.yaml"


def stage_of(study: str, name: str) -> dict[str, Any]:
    stage: dict[str, Any] = PIPELINES[study]["stages"][name]
    return stage


def own(study: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "experiments" / study / "params.yaml").read_text())
    return content


def params_of(study: str, monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(ROOT / "experiments" / study)
    monkeypatch.setenv("STTREID_HOME", "../..")
    return load()


def test_the_promised_studies_exist() -> None:
    assert {"claims", "tuning", "scaling", "curves"} <= set(STUDIES)


def test_every_stage_module_is_a_stage_somewhere() -> None:
    found = {name.rsplit(".", 1)[1] for name in MODULES if name.startswith("sttreid.stages.")}
    assert found == set(STAGES) | {stage for _, stage in PLACES}


@pytest.mark.parametrize(("study", "name"), PLACES)
def test_a_stage_runs_its_own_module_in_the_study_s_folder(study: str, name: str) -> None:
    stage = stage_of(study, name)
    assert stage["cmd"].split()[:4] == ["STTREID_HOME=../..", "python", "-m", f"sttreid.stages.{name}"]
    assert "wdir" not in stage
    assert len(stage["desc"]) > 20


@pytest.mark.parametrize(("study", "name"), PLACES)
def test_a_stage_declares_each_section_in_the_file_that_it_is_read_from(study: str, name: str) -> None:
    main = importlib.import_module(f"sttreid.stages.{name}").main
    declared: dict[str, str] = {}
    for entry in stage_of(study, name).get("params", []):
        for file, names in entry.items() if isinstance(entry, dict) else [("params.yaml", [entry])]:
            declared |= {key.split(".")[0]: file for key in names}
    signature = set(inspect.signature(main).parameters) & SECTIONS
    assert declared == {key: "params.yaml" if key in own(study) else BASE for key in signature}


@pytest.mark.parametrize(("study", "name"), PLACES)
def test_a_stage_depends_on_all_code_that_it_imports_and_on_no_other(study: str, name: str) -> None:
    code = {MODULES[module] for module in needed(f"sttreid.stages.{name}") if not is_package(module)}
    deps = stage_of(study, name)["deps"]
    declared = [dep.removeprefix("../../") for dep in deps if dep.startswith("../../src/")]
    assert not [path for path in code if not any(covers(dep, path) for dep in declared)]
    assert not [dep for dep in declared if not any(covers(dep, path) for path in code)]


@pytest.mark.parametrize(("study", "name"), PLACES)
def test_a_study_writes_in_its_folder_and_below_its_metrics(study: str, name: str) -> None:
    outs = [next(iter(out)) if isinstance(out, dict) else out for out in stage_of(study, name)["outs"]]
    assert all(out.startswith(("artifacts/", "../../metrics/${study}/")) for out in outs)
    assert PIPELINES[study]["vars"] == [{"study": study}]


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_has_at_most_60_stage_instances(study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    params = params_of(study, monkeypatch)
    sizes = {
        "variant": len(params.ablation.variants),
        "trial": len(params.ablation.trials),
        "seed": len(params.seeds),
    }
    counts = [
        math.prod(sizes[key] for key in stage.get("matrix", {}))
        for stage in PIPELINES[study]["stages"].values()
    ]
    assert 10 < sum(counts) <= 60


@pytest.mark.parametrize("study", STUDIES)
def test_dvc_looks_at_a_study_only_where_it_was_run(study: str) -> None:
    ignored = f"/experiments/{study}/" in (ROOT / ".dvcignore").read_text().splitlines()
    assert ignored or (ROOT / "experiments" / study / "artifacts").exists()


@pytest.mark.parametrize("study", STUDIES)
def test_the_parameters_of_a_study_are_sections_that_dvc_and_the_loader_read(
    study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(own(study)) <= SECTIONS
    assert not {"size", "nfiles"} & set(keys(own(study)))
    params = params_of(study, monkeypatch)
    assert not params.ablation.reuse
    assert variants(params.ablation)


def test_the_arms_of_the_claims_differ_in_what_the_questions_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    params = params_of("claims", monkeypatch)
    arms = params.ablation.variants
    longer = arms["longer"]["finetune"]["steps"]
    assert longer == params.pretrain.steps + params.finetune.steps
    assert len(params.seeds) >= params.claims.seeds_needed >= 5
    for contrast in params.claims.contrasts.values():
        for arm in (contrast.ours, contrast.theirs):
            assert arm.removesuffix("-pretrained").removesuffix("-untrained") in arms


def test_the_search_has_the_arms_and_the_training_of_the_claims() -> None:
    search, claims = own("tuning"), own("claims")
    assert set(search["ablation"]["variants"]) == set(claims["ablation"]["variants"]) - {"longer"}
    assert not search["ablation"]["tested"]
    for section in ("clip", "augment", "batch", "model", "loss", "compute"):
        assert search[section] == claims[section], section
    assert search["ablation"]["scratch"]["steps"] == claims["ablation"]["scratch"]["steps"]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone for tiny data sets of other names; studies of two arms and a seed; nothing has run."""
    folder = copy_of_the_tree(tmp_path_factory.mktemp("studies"))
    params = load(ROOT / "params.yaml")
    scale = replace(params.simulate, identities=12, cameras=2, shortest=6, longest=8, distractors=2)
    render("mars", params.domains["campus"], scale, folder / "data" / "mars", workers=1)
    for name in ("duke", "synthetic"):
        shutil.copytree(folder / "data" / "mars", folder / "data" / name)
    (folder / "data.dvc").unlink()
    files = [folder / "params.yaml", *(folder / "experiments" / name / "params.yaml" for name in STUDIES)]
    for path in files:
        _shrink(path)
    for name in STUDIES:  # as if none were published yet: they tell of other data
        (folder / "experiments" / name / "dvc.lock").unlink(missing_ok=True)
        shutil.rmtree(folder / "metrics" / name, ignore_errors=True)
    call(folder, "git", "add", "-A")
    call(folder, "git", "commit", "-q", "-m", "other data")
    return folder


def _shrink(path: Path) -> None:
    """Smoke parameters, other data sets, few arms."""
    editor = YAML()
    content = editor.load(path)
    override(content, {key: value for key, value in profile("smoke").items() if key.split(".")[0] in content})
    content["targets"] = ["mars", "duke"]
    content["ablation"]["source"] = "mars"
    if "datasets" in content:
        names = ("synthetic", "mars", "duke")
        content["datasets"] = {name: {"reader": "cameras", "root": f"data/{name}"} for name in names}
        content["domains"]["synthetic"] = content["domains"]["unreal"]
        content["simulate"]["domain"] = "synthetic"
    else:
        arms = content["ablation"]["variants"]
        content["ablation"]["variants"] = {name: arms[name] for name in ("full", "cnn") if name in arms}
        content["seeds"] = [0]
    editor.dump(content, path)


def test_a_study_made_from_another_starts_from_the_weights_that_it_names(clone: Path) -> None:
    """The way to a second table from ImageNet weights, with a network as small as the others here."""
    section = load(clone / "params.yaml").model.backbone
    backbone = Backbone(section.width, (section.layer1, section.layer2, section.layer3), section.last_stride)
    torch.save(backbone.state_dict(), clone / "resnet.pth")
    still = ["lr=1e-12", "backbone_lr=1e-12", "weight_decay=0"]
    words = [f"model.backbone.weights={clone / 'resnet.pth'}", "seeds=[3]"]
    words += [f"ablation.scratch.{word}" for word in still]
    words += [f"ablation.variants.cnn.finetune.{word}" for word in still[:2]]
    told = call(clone, "python", "tools/new_study.py", "claims", "start", *words)
    assert "make study STUDY=start" in told
    assert (clone / ".dvcignore").read_text().splitlines()[-1] == "/experiments/start/"
    study = clone / "experiments" / "start"
    assert "#" in (study / "params.yaml").read_text()  # comments are kept
    call(clone, "sed", "-i", r"\|^/experiments/start/$|d", ".dvcignore")
    call(clone, "dvc", "repro", "-q", "dvc.yaml:decode")
    call(study, "dvc", "repro", "-q", "ablate@cnn-3")
    start = backbone.state_dict()
    trained = torch.load(study / "artifacts" / "models" / "ablation" / "cnn-3.pt")["state"]
    for name, value in start.items():
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked")):
            torch.testing.assert_close(trained[f"backbone.{name}"], value, rtol=0, atol=1e-9)
    shutil.rmtree(study)


REFUSED = {
    "source": (["claim", "mine"], r"experiments/claim: no such study, there are .*claims.*mean 'claims'"),
    "name": (["claims", "Mine"], "Mine: a study's name must be small letters"),
    "taken": (["claims", "tuning"], "experiments/tuning: is there already"),
    "key": (
        ["claims", "mine", "model.widht=3"],
        r"claims/params\.yaml: has no key model\.widht \(did you mean 'width'",
    ),
    "section": (
        ["claims", "mine", "decode.height=3"],
        r"no key decode\.height, its sections are clip, augment",
    ),
    "too deep": (["claims", "mine", "seeds.first=3"], r"has no key seeds\.first"),
    "value": (["claims", "mine", "model.width=x"], r"experiments/mine/params\.yaml: model\.width .* got 'x'"),
    "rule": (
        ["claims", "mine", "ablation.fitted=3"],
        r"experiments/mine/params\.yaml: ablation\.fitted .* got 3",
    ),
    "yaml": (["claims", "mine", "seeds=["], r"seeds=\[: is not valid YAML"),
    "word": (["claims", "mine", "seeds"], "seeds: must be key=value"),
    "empty": (["claims", "mine", "seeds=[]"], r"seeds=\[\]: must not be empty"),
    "arm": (
        ["claims", "mine", "ablation.variants.cnn={model: {gtt: 1}}"],
        r"mine/params\.yaml: ablation\.variants\.cnn: unknown key model\.gtt \(did you mean 'gt'",
    ),
    "points": (
        ["curves", "mine", "ablation.trials.half.finetune.identities=15"],
        r"mine/params\.yaml: ablation\.trials\.half: must name other identities than quarter, got 15",
    ),
    "steps": (
        ["claims", "mine", "claims.contrasts.full-cnn.judged=true", "ablation.scratch.steps=7"],
        r"full-cnn: both arms of a judged comparison must train for as many steps,.* got full \d+, cnn 7",
    ),
    "unlike": (
        ["claims", "mine", "claims.contrasts.transfer-untrained.theirs=cnn"],
        r"transfer-untrained: both arms .* on the source or neither .* got full-pretrained \d+, cnn \d+",
    ),
    "twice": (
        ["claims", "mine", "claims.contrasts.full-cnn.ours=cnn"],
        "two arms, got cnn twice",
    ),
    "no arms": (
        ["claims", "mine", "ablation.variants={}"],
        "variants: must name at least one arm",
    ),
    "trials": (
        ["claims", "mine", "ablation.trials={a: {loss: {margin: 0.1}}}"],
        r"mine/params\.yaml: ablation\.trials must be empty where the stage claims compares arms",
    ),
    "nothing": (["claims"], "usage: "),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_study_that_would_not_run_is_refused_and_leaves_nothing(clone: Path, case: str) -> None:
    words, sentence = REFUSED[case]
    before = sorted((clone / "experiments").rglob("*")), (clone / ".dvcignore").read_text()
    told = call(clone, "python", "tools/new_study.py", *words, ok=False)
    assert re.search(sentence, told), told
    assert "Traceback" not in told
    assert (sorted((clone / "experiments").rglob("*")), (clone / ".dvcignore").read_text()) == before


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_passes_its_own_check(study: str) -> None:
    assert not call(ROOT, "python", "tools/check_study.py", study)


def test_what_makes_a_study_s_answers_void_is_said_before_it_runs(clone: Path) -> None:
    typo = "claims.contrasts.full-cnn.theirs=cmn"
    alone = "claims.contrasts.full-global={question: RQ4, ours: cnn-pretrained, theirs: full, judged: false}"
    told = call(clone, "python", "tools/new_study.py", "claims", "mine", typo, alone)
    assert re.search(
        r"note: .*mine/params.yaml: claims.contrasts.full-cnn: there is no arm cmn \(did you mean", told
    )
    assert "claims.contrasts.full-global: cnn has no synthetic pre-training, so nothing is compared" in told
    assert re.search(r'1 seeds are fewer than claims.seeds_needed, 5: every verdict .* "inconclusive"', told)
    shutil.rmtree(clone / "experiments" / "mine")
    call(clone, "git", "checkout", "-q", ".dvcignore")


def test_the_default_run_s_parameters_are_told_from_the_study_s(clone: Path) -> None:
    path = clone / "params.yaml"
    before = path.read_text()
    path.write_text(before.replace("identities: 12", "identities: -1", 1))
    told = call(clone, "tools/study.sh", "claims", ok=False)
    path.write_text(before)
    assert "error: params.yaml: simulate.identities" in told, told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "must be one study's name: make study STUDY=NAME"),
        (["claims", "x"], "must be one study's name"),
        (["claim"], "experiments/claim: no such study, there are claims, .*mean 'claims'"),
        ([".."], r"experiments/\.\.: no such study"),
    ],
)
def test_a_study_that_is_not_there_does_not_run(clone: Path, words: list[str], sentence: str) -> None:
    told = call(clone, "tools/study.sh", *words, ok=False)
    assert re.search(sentence, told), told
    assert "Traceback" not in told


def test_a_study_goes_on_where_it_was_killed_and_ends_in_metrics_of_its_own(clone: Path) -> None:
    environment = ENVIRONMENT | {"PYTHONPATH": str(clone / "src")}
    study = clone / "experiments" / "claims"
    first = study / "artifacts" / "results" / "ablation" / "full-0.json"
    started = subprocess.Popen(
        ["tools/study.sh", "claims"],
        cwd=clone,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as a script's & does
    )
    with started as running:
        while running.poll() is None and not (study / "dvc.lock").exists():
            time.sleep(0.1)
        while running.poll() is None and "ablate@" not in (study / "dvc.lock").read_text():
            time.sleep(0.1)
        running.send_signal(signal.SIGTERM)
    assert running.returncode != 0
    assert not _left(clone), "what a killed study started must end with it"
    assert first.exists() or (first.parent / "cnn-0.json").exists()
    before = [name for name in yaml.safe_load((study / "dvc.lock").read_text())["stages"] if "@" in name]
    assert before
    output = call(clone, "tools/study.sh", "claims")
    assert ran(output) == ["claims"], output  # the cells have run before it, each by itself
    content = json.loads((clone / "metrics" / "claims" / "claims.json").read_text())
    assert (content["seeds"], content["source"]) == (1, "mars")
    assert set(content["arms"]) == {"full", "full-pretrained", "full-untrained", "cnn"}
    assert not call(clone, "git", "status", "--porcelain", "dvc.yaml", "params.yaml", "metrics/report.md")


def _left(folder: Path) -> list[int]:
    """Processes that still work below a folder, half a minute after they were asked to end."""
    for _ in range(300):
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if folder in (process / "cwd").readlink().parents:
                    found.append(int(process.name))
        if not found:
            break
        time.sleep(0.1)
    return found
