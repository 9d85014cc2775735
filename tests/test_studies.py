"""The studies in experiments/ and their publications; two run through the command, in a clone."""

import hashlib
import importlib
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import chdir, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from sttreid.analysis import spread
from sttreid.cli.commands import main
from sttreid.config.conversion import read_yaml
from sttreid.config.domain import load_benchmark
from sttreid.config.experiments import check_study, merged, study_names
from sttreid.config.params import Params, build
from sttreid.runtime.provenance import Machine, Provenance
from sttreid.tracklets.store import write_store
from tests.test_house import MODULES, PIPELINE, covers, is_package, keys, needed
from tests.tiny import CLAIMS, ROOT

NAMES = study_names(ROOT)
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "experiments" / "pipeline.yaml").read_text())["stages"]
SHARED = (
    "resolve",
    "pretrain",
    "finetune",
    "ablate",
    "evaluate",
    "claims",
)  # stages of the default run as well
ANALYSES = ("claims", "curves", "tuning", "seeds")
RENDERING: dict[str, Any] = yaml.safe_load((ROOT / "experiments" / "sets_pipeline.yaml").read_text())[
    "stages"
]
# they take many hours, and are published when they end
UNFINISHED = {
    "sets",
    "large-curves",
    "large-synthetic",
    "large-winter",
    "readings",
}
HOME = "${study.home}/"
PUBLICATIONS = sorted(ROOT.glob("metrics/**/provenance.json"))


def params_of(name: str) -> dict[str, Any]:
    path = ROOT / "experiments" / name / "params.yaml"
    return merged(ROOT, read_yaml(path), path)


def code(stage: dict[str, Any]) -> list[str]:
    return [dep for dep in stage["deps"] if dep.startswith("src/")]


def test_the_studies_are_overrides_of_at_most_300_lines_together() -> None:
    assert {"claims", "curves", "scaling", "seeds", "tuning"} <= set(NAMES)
    texts = [(ROOT / "experiments" / name / "params.yaml").read_text() for name in NAMES]
    assert sum(len(text.splitlines()) for text in texts) <= 300


@pytest.mark.parametrize("name", NAMES)
def test_a_study_passes_its_check(name: str) -> None:
    assert not check_study(ROOT, name)
    params = build(params_of(name), Path(name))
    assert params.study is not None
    assert params.ablation.reference is None or params.study.analysis in ("seeds", "sets")
    assert not {"size", "nfiles"} & set(keys(params_of(name)))


@pytest.mark.parametrize("name", NAMES)
def test_a_study_has_at_most_60_stages(name: str) -> None:
    params = params_of(name)
    if params["study"]["analysis"] == "sets":
        assert len(params["rendered"]) + len(params["datasets"]) < 60
        return
    models = len(params["ablation"]["variants"]) or 1 + len(params["targets"])
    assert models * len(params["seeds"]) + len(params["seeds"]) + 2 <= 60


def test_the_study_of_seeds_trains_the_default_run_with_more_seeds() -> None:
    default, params = read_yaml(ROOT / "params.yaml"), params_of("seeds")
    assert set(default["seeds"]) < set(params["seeds"])
    assert params["ablation"]["variants"] == {}
    changed = {name for name in default if params[name] != default[name]}
    assert changed == {"seeds", "ablation"}
    differences = {key for key, value in default["ablation"].items() if params["ablation"][key] != value}
    assert differences == {"variants"}


def test_the_search_trains_the_variants_of_the_claims_on_other_seeds() -> None:
    search, claims = params_of("tuning"), params_of("claims")
    assert set(search["study"]["variants"]) < set(claims["study"]["variants"])
    assert not set(search["seeds"]) & set(claims["seeds"])


@pytest.mark.parametrize("name", SHARED)
def test_a_stage_of_the_default_run_is_the_same_in_studies(name: str) -> None:
    default, stage = PIPELINE["stages"][name], STAGES[name]
    assert stage["cmd"] == default["cmd"]
    assert code(stage) == code(default)
    assert stage["outs"] == default["outs"] or name == "claims"
    assert stage.get("params") == default.get("params") or name == "claims"
    if name != "claims":
        assert [dep.removeprefix(HOME) for dep in stage["deps"] if "backbones" not in dep] == default["deps"]


@pytest.mark.parametrize("name", [*ANALYSES, "measure"])
def test_an_analysis_declares_the_code_and_the_sections_that_it_reads(name: str) -> None:
    paths = {MODULES[module] for module in needed(f"sttreid.stages.{name}") if not is_package(module)}
    assert not [path for path in paths if not any(covers(dep, path) for dep in code(STAGES[name]))]
    assert not [dep for dep in code(STAGES[name]) if not any(covers(dep, path) for path in paths)]
    main = importlib.import_module(f"sttreid.stages.{name}").main
    sections = set(inspect.signature(main).parameters) & {field.name for field in fields(Params)}
    declared = [key for key in STAGES[name]["params"] if isinstance(key, str)]  # the whole file is a mapping
    assert {key.split(".")[0] for key in declared} == sections


def test_a_search_depends_on_no_test() -> None:
    upstream, queue = set(), ["tuning"]
    outputs = {out: name for name, stage in STAGES.items() for out in stage["outs"]}
    while queue:
        name = queue.pop()
        upstream.add(name)
        deps = [dep.split("$")[0].rstrip("/") for dep in STAGES[name]["deps"] if not dep.startswith(HOME)]
        queue += [stage for out, stage in outputs.items() if any(out.startswith(dep) for dep in deps)]
    assert upstream == {"resolve", "pretrain_backbone", "ablate", "tuning"}


@pytest.mark.parametrize("name", ["render", "sets"])
def test_a_stage_of_the_sets_declares_the_code_that_it_reads(name: str) -> None:
    stage = RENDERING[name].get("do", RENDERING[name])
    paths = {MODULES[module] for module in needed(f"sttreid.stages.{name}") if not is_package(module)}
    assert not [path for path in paths if not any(covers(dep, path) for dep in code(stage))]
    assert not [dep for dep in code(stage) if not any(covers(dep, path) for path in paths)]


def test_sets_are_decoded_as_in_the_default_run() -> None:
    default, stage = PIPELINE["stages"]["decode"]["do"], RENDERING["decode"]["do"]
    for key in ("cmd", "deps", "params"):
        assert stage[key] == default[key]


def test_nobody_of_a_pinned_set_is_learned() -> None:
    params = build(params_of("large"), Path("large"))
    pinned = load_benchmark(ROOT / "domains")
    for name, scale in params.rendered.items():
        if scale["domain"] in pinned.domains:
            assert scale["first_identity"] > pinned.identities, name


def test_every_study_of_today_has_a_publication() -> None:
    published = {path.parent.relative_to(ROOT / "metrics").parts[0] for path in PUBLICATIONS}
    assert published >= set(NAMES) - UNFINISHED


@pytest.mark.parametrize("path", PUBLICATIONS, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_a_publication_says_where_it_comes_from_and_is_as_it_was_published(path: Path) -> None:
    folder, content = path.parent, json.loads(path.read_text())
    provenance = Provenance(**content | {"machines": [Machine(**entry) for entry in content["machines"]]})
    assert re.fullmatch("[0-9a-f]{40}", provenance.commit)
    assert not provenance.uncommitted_changes
    assert provenance.study == folder.relative_to(ROOT / "metrics").parts[0]
    assert folder.name in (provenance.study, provenance.commit[:10])
    assert provenance.machines
    assert all(entry.packages["torch"] and entry.numeric_path for entry in provenance.machines)
    assert provenance.threads == provenance.params["compute"]["threads"]
    assert set(provenance.tracklets) >= {
        provenance.params["simulate"]["domain"],
        *provenance.params["targets"],
    }
    assert provenance.files
    for name, checksum in provenance.files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == checksum, name


@pytest.mark.parametrize("path", PUBLICATIONS, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_tables_of_a_publication_agree_with_its_metrics(path: Path) -> None:
    folder, compared = path.parent, 0
    if (folder / "curves.json").exists():
        curves = json.loads((folder / "curves.json").read_text())["curves"]
        for row in pd.read_csv(folder / "plots" / "curves.tsv", sep="\t").to_dict("records"):
            name = row.get("variant", row.get("arm"))
            value = curves[name][row["setting"]][str(row["identities"])]["value"]
            assert value == pytest.approx(row["value"], abs=1e-3)
            compared += 1
    if (folder / "claims.json").exists():
        contrasts = json.loads((folder / "claims.json").read_text())["contrasts"]
        for row in pd.read_csv(folder / "plots" / "claims.tsv", sep="\t").to_dict("records"):
            numbers = contrasts[row["contrast"]][row["setting"]][row["measure"]]
            assert numbers["verdict"] == row["verdict"]
            assert numbers["effect"] == pytest.approx(row["effect"], abs=1e-3)
            compared += 1
    if (folder / "tuning.json").exists():
        content = json.loads((folder / "tuning.json").read_text())
        chosen = [
            trials[trials["chosen"]] for trials in content.get("variants", content.get("arms")).values()
        ]
        rows = sorted((100 * trial["validation_rank1"], 100 * trial["train_rank1"]) for trial in chosen)
        bold = re.findall(r"\*\*([\d.]+) / ([\d.]+)\*\*", (folder / "tuning.md").read_text())
        assert np.allclose(sorted((float(left), float(right)) for left, right in bold), rows, atol=0.06)
        compared += len(rows)
    if (folder / "seeds.json").exists():
        numbers = json.loads((folder / "seeds.json").read_text())["numbers"]
        table = pd.read_csv(folder / "plots" / "seeds.tsv", sep="\t")
        for (metric, number), rows in table.groupby(["metric", "name"]):
            published = numbers[metric][number]
            assert {str(seed) for seed in rows["seed"]} == set(published["values"])
            assert rows["value"].mean() == pytest.approx(published["mean"], abs=1e-5)
            assert rows["value"].std() == pytest.approx(published["sd"], abs=1e-5)
            compared += 1
    if (folder / "sets.json").exists():
        for store in json.loads((folder / "sets.json").read_text()).values():
            splits = store["splits"].values()
            assert store["frames"] > sum(split["tracklets"] for split in splits)
            assert all(split["tracklets"] >= split["identities"] > 0 for split in splits)
            compared += 1
    assert compared > 3


ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
    "DVC_NO_ANALYTICS": "1",
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@localhost",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@localhost",
}
FORKS: dict[str, str] = {}
TOOL = ["python", "-m", "sttreid", "run-study"]
TRAINED = ("ablate@", "pretrain@")  # stages that train from random weights
PREPARED = """
stages:
  decode:
    foreach: ${datasets}
    do:
      cmd:
        - cp -r prepared/tracklets artifacts/tracklets/${key}
        - cp prepared/views.parquet artifacts/views/${key}.parquet
      deps: [prepared]
      outs:
        - artifacts/tracklets/${key}
        - artifacts/views/${key}.parquet
"""


@pytest.fixture(scope="module", autouse=True)
def _forks(programs: str) -> None:
    """Studies load their libraries once; those that are killed do not."""
    FORKS["PATH"] = f"{programs}{os.pathsep}{ENVIRONMENT['PATH']}"


def call(folder: Path, *words: str, succeeds: bool = True) -> str:
    environment = ENVIRONMENT | FORKS | {"PYTHONPATH": str(folder / "src")}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == succeeds, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code in a repository with a small tracklet store and two studies; nothing has run."""
    folder = tmp_path_factory.mktemp("studies") / "checkout"
    names = call(
        ROOT,
        "git",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "src",
        "experiments",
        "domains",
    )
    for name in [".dvcignore", ".gitignore", *filter(None, names.split("\0"))]:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    (folder / "bench").mkdir()  # every checkout has it
    (folder / "params.yaml").write_bytes((ROOT / "tests" / "tiny.yaml").read_bytes())
    study = {
        "study": {"analysis": "claims", "variants": ["full", "cnn"], "trials": {}},
        "ablation": {"reference": None, "variants": {"full": {}}},
        "claims": CLAIMS,
    }
    (folder / "experiments" / "claims" / "params.yaml").write_text(yaml.safe_dump(study))
    seeds = {"study": {"analysis": "seeds"}, "seeds": [0, 1], "targets": ["campus"]}
    (folder / "experiments" / "seeds" / "params.yaml").write_text(yaml.safe_dump(seeds))
    (folder / "dvc.yaml").write_text(PREPARED)
    _prepare(folder / "prepared")
    for part in ("tracklets", "views"):
        (folder / "artifacts" / part).mkdir(parents=True)
    call(folder, "git", "init", "-q", ".")
    call(folder, "dvc", "init", "-q")
    (folder / ".dvc" / "config").write_text((ROOT / ".dvc" / "config").read_text())
    call(folder, "git", "add", "-A")
    call(folder, "git", "commit", "-q", "-m", "start")
    return folder


def _prepare(folder: Path) -> None:
    """A store of 14 identities, each with a tracklet of two frames in each of two cameras, and its views."""
    generator = np.random.default_rng(0)
    splits = ["train"] * 6 + ["validation"] * 2 + ["test"] * 6
    rows = [
        (2 * identity + camera, identity, camera, frame, split, 1.0)
        for identity, split in enumerate(splits)
        for camera in (0, 1)
        for frame in (1, 2)
    ]
    index = pd.DataFrame(rows, columns=["tracklet", "identity", "camera", "frame", "split", "visibility"])
    crops = generator.integers(0, 256, (len(index), 64, 32, 3), dtype=np.uint8)
    write_store(folder / "tracklets", index, enumerate(crops), 64, 32)
    views = pd.DataFrame({"tracklet": index["tracklet"].unique(), "orientation": np.nan, "turn": np.nan})
    views.to_parquet(folder / "views.parquet", index=False)


def refusal(checkout: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The sentence with which `sttreid run-study` refuses to run, in this process."""
    with chdir(checkout), pytest.raises(SystemExit) as end:
        main(["run-study", *words])
    assert end.value.code
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "(?i)missing argument 'name'"),
        (["claims", "x"], "(?i)unexpected extra argument"),
        (["claim"], "experiments/claim: no such study, there are claims, .*mean 'claims'"),
        ([".."], r"experiments/\.\.: no such study"),
    ],
)
def test_an_unknown_study_does_not_run(
    checkout: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert re.search(sentence, refusal(checkout, capsys, *words))


def test_uncommitted_code_is_not_published(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkout / "params.yaml"
    before = path.read_text()
    path.write_text(before + "# a remark\n")
    message = refusal(checkout, capsys, "claims")
    path.write_text(before)
    assert "error: params.yaml: has uncommitted changes" in message


def test_a_study_resumes_and_publishes_next_to_earlier_publications(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = checkout / "experiments" / "claims" / "run"
    _kill_after_the_first_model(checkout, "claims")
    before = _trained(run)
    assert before
    record = checkout / "metrics" / "claims" / "unfinished"
    cells = json.loads((record / "cells.json").read_text())["cells"]
    assert len([name for name in cells if name.startswith("ablate@")]) == len(before)
    assert all(0 <= cell["train_rank1"] <= 1 and cell["models"] for cell in cells.values())
    call(checkout, *TOOL, "claims")
    assert not record.exists()
    assert before.items() <= _trained(run).items()
    first = _publication(checkout)
    assert not call(checkout, "git", "status", "--porcelain", "--", "experiments", "dvc.yaml", "params.yaml")
    assert "experiments" not in call(checkout, "dvc", "status")
    assert "is published already" in refusal(checkout, capsys, "claims")

    before = _trained(run)
    call(checkout, "git", "add", "-A")
    call(checkout, "git", "commit", "-q", "-m", "publish")
    call(checkout, *TOOL, "claims")
    assert _trained(run) == before, "the same code and parameters train nothing again"
    second = _publication(checkout)
    assert {first, second} == {path for path in first.parent.iterdir() if (path / "provenance.json").exists()}
    assert (first / "claims.json").read_bytes() == (second / "claims.json").read_bytes()


def test_the_study_of_seeds_resumes_and_publishes_the_spread_of_the_default_models(checkout: Path) -> None:
    run = checkout / "experiments" / "seeds" / "run"
    _kill_after_the_first_model(checkout, "seeds")
    before = _trained(run)
    assert before
    output = call(checkout, *TOOL, "seeds")
    assert before.items() <= _trained(run).items()
    done = [line.partition(":")[0] for line in output.splitlines() if line.endswith(": done")]
    trained_before = {f"pretrain@{seed}" for seed in (0, 1)} - set(done)
    assert trained_before, "it ran before the kill, and runs no second time"
    for seed in (0, 1):
        order = [f"pretrain@{seed}", f"finetune@campus-{seed}", f"evaluate@cross_domain-{seed}", "seeds"]
        assert sorted(order, key=lambda stage: done.index(stage) if stage in done else -1) == order
    assert not [stage for stage in done if "ablat" in stage]
    published = spread.published(checkout)
    assert published is not None
    assert published.commit == call(checkout, "git", "rev-parse", "HEAD").strip()
    assert set(published.numbers["rank1"]["unreal->campus"].values) == {0, 1}
    names = [f"cross_domain/{seed}/{name}.pt" for seed in (0, 1) for name in ("campus", "unreal")]
    assert list(published.models) == names
    for name, checksum in published.models.items():
        weights = (run / "artifacts" / "models" / name).read_bytes()
        assert hashlib.md5(weights).hexdigest() == checksum


def _publication(checkout: Path) -> Path:
    """The publication of the present commit, after its checks."""
    commit = call(checkout, "git", "rev-parse", "HEAD").strip()
    folder = checkout / "metrics" / "claims" / commit[:10]
    provenance = json.loads((folder / "provenance.json").read_text())
    assert (provenance["commit"], provenance["study"]) == (commit, "claims")
    seeds = {"results/ablation/0.parquet", "results/ablation/0.json", "history/ablation/0/cnn/trained.tsv"}
    assert set(provenance["files"]) >= {"claims.json", "claims.md", "plots/claims.tsv", *seeds}
    assert not [name for name in provenance["files"] if name.startswith("report/")]
    assert provenance["params"]["ablation"]["variants"]["full"] == {}
    (recorded,) = provenance["machines"]
    assert (recorded["threads"], recorded["numerics"] in ("native", "portable")) == (1, True)
    assert provenance["models"].keys() >= {"ablation/0/full", "ablation/0/cnn"}
    assert (folder / "report" / "claims.html").exists()
    return folder


def _trained(run: Path) -> dict[str, int]:
    """Weights that were trained from random ones and are in dvc.lock -> time of their last change."""
    stages = yaml.safe_load((run / "dvc.lock").read_text())["stages"]
    outs = [
        out["path"]
        for name, stage in stages.items()
        if name.startswith(TRAINED)
        for out in stage["outs"]
        if out["path"].startswith("artifacts/models/")
    ]
    weights = [run / out if out.endswith(".pt") else run / out / "trained.pt" for out in outs]
    return {str(path): path.stat().st_mtime_ns for path in weights}


def _kill_after_the_first_model(checkout: Path, name: str) -> None:
    environment = ENVIRONMENT | {"PYTHONPATH": str(checkout / "src")}
    lock = checkout / "experiments" / name / "run" / "dvc.lock"
    started = subprocess.Popen(
        [*TOOL, name],
        cwd=checkout,
        env=environment,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_IGN
        ),  # as a shell does for background jobs
    )
    with started as running:
        while running.poll() is None and not (lock.exists() and any(map(lock.read_text().count, TRAINED))):
            time.sleep(0.1)
        running.send_signal(signal.SIGTERM)
    assert running.returncode == 130
    assert not _processes(checkout), "the processes of an interrupted study must end with it"


def _processes(folder: Path) -> list[int]:
    """Processes that still work below a folder after half a minute."""
    working: list[int] = []
    for _ in range(300):
        working = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if folder in (process / "cwd").readlink().parents:
                    working.append(int(process.name))
        if not working:
            break
        time.sleep(0.1)
    return working
