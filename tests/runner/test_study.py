"""One runner for each study; the order of its cells; what a publication holds."""

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from dvc.repo import Repo

from sttreid.runner import beside, study
from sttreid.runner import record as recording
from sttreid.runner.cells import Cell
from sttreid.runner.executors import LocalExecutor
from sttreid.runner.graph import Graph
from sttreid.runner.reproduce import Runner
from sttreid.runner.workplace import alone, hold
from sttreid.runtime.errors import InputError, StageError
from sttreid.runtime.files import write_json, write_table, write_text
from sttreid.runtime.provenance import Provenance, checksums
from tests.analysis.studies import queries

STUDY: dict[str, Any] = {
    "study": {"analysis": "claims", "sets": "sets"},
    "simulate": {"domain": "unreal"},
    "targets": ["campus"],
    "ablation": {"source": "campus"},
    "compute": {"threads": 1},
    "seeds": [0],
}


@pytest.fixture
def runner() -> Iterator[Runner]:
    executor = LocalExecutor(1)
    yield Runner(executor, 1)
    executor.close()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two commits with a study and that of its sets, whose parameters are taken as valid."""
    files = {"src/sttreid/a.py": "1", "domains/a.yaml": "", ".dvcignore": "", "params.yaml": "{}"}
    files |= {f"experiments/{name}/params.yaml": "{}" for name in ("mine", "sets", "claims")}
    files |= {
        f"experiments/{name}.yaml": "stages: {ablate: {deps: []}}" for name in ("pipeline", "sets_pipeline")
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / ".gitignore").write_text("/experiments/*/run/\n/metrics/\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    monkeypatch.setattr(study, "check_study", lambda *_: [])
    monkeypatch.setattr(study, "merged", lambda *_: STUDY)
    monkeypatch.setattr(study, "_pipeline", lambda *_: "stages: {}")
    return tmp_path


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, check=True)


def run_folder(checkout: Path, name: str) -> Path:
    """A study's folder as it is while its code, "0", runs."""
    run = checkout / "experiments" / name / "run"
    for folder in ("src", ".dvc"):
        (run / folder).mkdir(parents=True)
    (run / "src" / "a.py").write_text("0")
    return run


@pytest.mark.parametrize("name", ["mine", "sets"])
def test_a_study_that_runs_keeps_its_code_and_its_record(checkout: Path, runner: Runner, name: str) -> None:
    run = run_folder(checkout, name)
    if name == "sets":
        (run_folder(checkout, "mine") / "src" / "a.py").unlink()
    with alone(run / study.LOCK, run), pytest.raises(InputError, match=f"{name}/run: one runner at a time"):
        study.run_study(checkout, "mine", runner)
    assert (run / "src" / "a.py").read_text() == "0"
    assert not list((checkout / "metrics").rglob("*.json"))


def test_code_is_not_replaced_under_cells_of_another_runner(checkout: Path, runner: Runner) -> None:
    run = run_folder(checkout, "mine")
    with hold(run), pytest.raises(InputError, match="one runner at a time"):
        study.run_study(checkout, "mine", runner)
    assert (run / "src" / "a.py").read_text() == "0"


def test_a_study_that_another_run_has_just_published_does_not_run(
    checkout: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not there when this run looked first, and the other run has let go of the folder since."""

    @contextmanager
    def after_the_other(lock: Path, folder: Path) -> Iterator[None]:
        done = ("git", "rev-parse", "HEAD")
        commit = subprocess.run(done, cwd=checkout, capture_output=True, text=True, check=True).stdout
        (checkout / "metrics" / "mine" / commit[:10]).mkdir(parents=True)
        yield

    run = run_folder(checkout, "mine")
    monkeypatch.setattr(study, "alone", after_the_other)
    with pytest.raises(InputError, match=r"metrics/mine/.*is published already"):
        study.run_study(checkout, "mine", runner)
    assert (run / "src" / "a.py").read_text() == "0"


@pytest.mark.parametrize("name", ["mine", "sets", "claims", "base", "base-of-base"])
def test_a_study_of_changed_parameters_has_no_commit(checkout: Path, runner: Runner, name: str) -> None:
    bases = {"mine": "{study: {base: base}}", "base": "{study: {base: base-of-base}}", "base-of-base": "{}"}
    for study_name, text in bases.items():
        path = checkout / "experiments" / study_name / "params.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "bases")
    with (checkout / "experiments" / name / "params.yaml").open("a") as file:
        file.write("# changed\n")
    with pytest.raises(InputError, match=f"experiments/{name}/params.yaml: has uncommitted changes"):
        study.run_study(checkout, "mine", runner)


def test_each_cell_that_ends_is_recorded_although_a_later_one_fails(
    checkout: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_folder(checkout, "mine")
    run_folder(checkout, "sets")
    monkeypatch.setattr(study, "read_graph", lambda *_, **__: Graph({"claims": Cell("claims")}, frozenset()))
    recorded: list[Path] = []
    monkeypatch.setattr(study, "write_record", lambda *words: recorded.append(words[1]))

    def fail(run: Path, home: Path, targets: list[str], runner: Runner, finished: Any = None) -> None:
        if run.parent.name == "mine":
            assert targets == ["claims"]
            assert (run / "src" / "sttreid" / "a.py").read_text() == "1"
            finished("ablate@a-0")
            raise StageError("ablate@b-0: failed")

    monkeypatch.setattr(study, "_reproduce", fail)
    with pytest.raises(StageError, match="failed"):
        study.run_study(checkout, "mine", runner)
    assert set(recorded) == {checkout / "metrics" / "mine" / study.UNFINISHED}


def test_a_record_that_cannot_be_written_stops_no_study(
    checkout: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell that trains beside it writes and renames files that DVC is about to read."""
    run_folder(checkout, "mine")
    run_folder(checkout, "sets")
    monkeypatch.setattr(study, "read_graph", lambda *_, **__: Graph({"claims": Cell("claims")}, frozenset()))
    tried, ended = [], []

    def write(*_: object) -> None:
        tried.append(len(ended))
        if ended == ["ablate@a-0"]:
            raise FileNotFoundError("trained.pt.tmp")

    def reproduce(run: Path, home: Path, targets: list[str], runner: Runner, finished: Any = None) -> None:
        for name in ("ablate@a-0", "ablate@b-0") if finished else ():
            ended.append(name)
            finished(name)
        if finished:
            raise StageError("evaluate@ablation-0: failed")

    monkeypatch.setattr(study, "write_record", write)
    monkeypatch.setattr(study, "_reproduce", reproduce)
    with pytest.raises(StageError, match="evaluate@ablation-0"):
        study.run_study(checkout, "mine", runner)
    assert tried == [1, 2, 2], "after each cell, and at the end"


@pytest.mark.parametrize("ended", [[], ["ablate@a-0"]])
def test_a_run_that_is_stopped_before_its_first_cell_ends_leaves_the_record_of_another_commit(
    checkout: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch, ended: list[str]
) -> None:
    """It says with which commit the seeds of the record continue: somebody stops it to do so."""
    run_folder(checkout, "mine")
    run_folder(checkout, "sets")
    monkeypatch.setattr(study, "read_graph", lambda *_, **__: Graph({"claims": Cell("claims")}, frozenset()))
    monkeypatch.setattr(study, "restore", lambda *_: "b" * 40)
    written: list[object] = []
    monkeypatch.setattr(study, "write_record", lambda *words: written.append(words))

    def stop(run: Path, home: Path, targets: list[str], runner: Runner, finished: Any = None) -> None:
        if finished:
            for name in ended:
                finished(name)
            raise KeyboardInterrupt

    monkeypatch.setattr(study, "_reproduce", stop)
    with pytest.raises(KeyboardInterrupt):
        study.run_study(checkout, "mine", runner)
    assert bool(written) == bool(ended)


def test_stores_that_have_been_removed_are_made_again(
    checkout: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[set[str]] = []

    def reproduce(run: Path, home: Path, targets: list[str], runner: Runner, finished: Any = None) -> None:
        cells = {"render@a": (), "decode@a": ("render@a",), "sets": ("decode@a",)}
        graph = Graph(
            {name: Cell(name, frozenset(after)) for name, after in cells.items()},
            frozenset(),
            missing=frozenset({"render@a", "decode@a"}),
            lacks={"decode@a": frozenset({"render@a"}), "sets": frozenset({"decode@a"})},
        )
        made.append(graph.outdated(targets))

    monkeypatch.setattr(study, "_reproduce", reproduce)
    study._make_sets(
        checkout, checkout, checkout / "experiments" / "mine" / "run", STUDY, "HEAD", runner, ExitStack()
    )
    assert made == [{"render@a", "decode@a"}]


def test_stores_that_a_study_reads_are_not_replaced_by_those_of_another(
    checkout: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that ends after it would be recorded as one on the new store."""
    run_folder(checkout, "sets")
    changed, made = set[str](), []

    def graph(*_: object, **__: object) -> Graph:
        sets = Cell("sets", frozenset({"decode@a"}))
        return Graph({"decode@a": Cell("decode@a"), "sets": sets}, frozenset(changed))

    monkeypatch.setattr(study, "read_graph", graph)
    monkeypatch.setattr(study, "_reproduce", lambda *words: made.append(words))

    def make(held: ExitStack) -> None:
        run = checkout / "experiments" / "mine" / "run"
        study._make_sets(checkout, checkout, run, STUDY, "HEAD", runner, held)

    with ExitStack() as first, ExitStack() as second:
        make(first)
        make(second)
        assert len(made) == 1, "both read what is up to date"
        changed.add("decode@a")
        with pytest.raises(InputError, match=r"sets/run: must stay .* got changes of decode@a, sets"):
            make(second)
    with ExitStack() as third:
        make(third)
    assert len(made) == 2


def test_stores_of_other_parameters_are_not_those_of_an_older_commit(checkout: Path, runner: Runner) -> None:
    """The default run makes them with its present parameters."""
    content = {name: STUDY[name] for name in ("simulate", "targets", "ablation")}
    content |= {"study": {"analysis": "claims"}, "decode": {"height": 64}}
    (checkout / "params.yaml").write_text(yaml.safe_dump({**content, "decode": {"height": 128}}))
    run = checkout / "experiments" / "mine" / "run"
    rule = r"experiments/mine/params\.yaml: decode\.height must be that of params\.yaml, 128, .*; got 64"
    with pytest.raises(InputError, match=rule):
        study._make_sets(checkout, checkout, run, content, "HEAD", runner, ExitStack())


def out(run: Path, path: str, text: str = "") -> dict[str, str]:
    (run / path).parent.mkdir(parents=True, exist_ok=True)
    (run / path).write_text(text)
    return {"path": path, "md5": "1"}


def test_an_older_commit_runs_with_its_own_code_and_parameters(
    checkout: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [checkout / "src" / "sttreid" / "a.py", checkout / "experiments" / "mine" / "params.yaml"]
    for path, text in zip(files, ("2", "{seeds: [2]}"), strict=True):
        path.write_text(text)
    git(checkout, "commit", "-q", "-a", "-m", "second")
    files[0].write_text("uncommitted")
    read: list[str] = []

    def merged(source: Path, *_: object) -> dict[str, Any]:
        read.append((source / "experiments" / "mine" / "params.yaml").read_text())
        return STUDY

    def stop(run: Path, *_: object) -> None:
        if run.parent.name == "mine":
            raise StageError((run / "src" / "sttreid" / "a.py").read_text())

    monkeypatch.setattr(study, "merged", merged)
    monkeypatch.setattr(study, "_reproduce", stop)
    monkeypatch.setattr(study, "read_graph", lambda *_, **__: Graph({"claims": Cell("claims")}, frozenset()))
    with pytest.raises(InputError, match=r"src/sttreid/a\.py: has uncommitted changes"):
        study.run_study(checkout, "mine", runner)
    for revision, number in (("HEAD~1", "1"), ("HEAD", "2")):
        read.clear()
        with pytest.raises(StageError, match=number):
            study.run_study(checkout, "mine", runner, revision)
        assert set(read) == {"{}" if number == "1" else "{seeds: [2]}"}
    with pytest.raises(InputError, match=r"--commit: .*'missing'"):
        study.run_study(checkout, "mine", runner, "missing")
    git(checkout, "rm", "-r", "-q", "domains")
    git(checkout, "commit", "-q", "-m", "third")
    with pytest.raises(InputError, match=r"--commit: HEAD must have .*domains"):
        study.run_study(checkout, "mine", runner, "HEAD")


def test_a_seed_is_evaluated_before_the_next_one_begins() -> None:
    cells = {f"evaluate@{group}-{seed}": () for group in ("ablation", "cross_domain") for seed in (1, 0)}
    cells |= {f"measure@{seed}": () for seed in (1, 0)}
    claims = Cell("claims", frozenset({"evaluate@ablation-1", "evaluate@ablation-0"}))
    curves = Cell("curves", claims.after | {"measure@0", "measure@1"})
    graph = Graph({**{name: Cell(name) for name in cells}, "claims": claims, "curves": curves}, frozenset())
    assert study._seed_by_seed(graph, [1, 0], "curves")[:3] == [
        "evaluate@ablation-1",
        "measure@1",
        "evaluate@ablation-0",
    ]
    assert study._seed_by_seed(graph, [1, 0], "claims") == [
        "evaluate@ablation-1",
        "evaluate@ablation-0",
        "claims",
    ]


def test_a_publication_holds_what_its_analysis_wrote(tmp_path: Path) -> None:
    """A study that was a search before it had contrasts has the page of the search in its folder."""
    root = tmp_path / study.PAGES  # a checkout may lie in a folder of that name
    run, target = root / "mine" / "run", root / "metrics" / "mine" / "abc"
    outs = [
        out(run, f"publication/{name}", name) for name in ("claims.json", "report/claims.html", "plots/a.tsv")
    ]
    out(run, "publication/tuning.json")
    machine = {"python": "3", "packages": {}, "processor": "p", "capability": "c", "numeric_path": "n"}
    recorded = out(run, "artifacts/machines/ablate-a-0.json", json.dumps(machine | {"device": None}))
    history = "artifacts/history/ablation/0/a"
    out(run, f"{history}/trained.tsv", "step\tvalidation_rank1\n1\t\n2\t0.5\n3\t\n4\t\n")
    trained = {"outs": [recorded, {"path": history, "md5": "1"}]}
    result = out(run, "artifacts/results/ablation/0.json", "{}")
    rows = {"path": "artifacts/results/ablation/0.parquet", "md5": "1"}
    write_table(run / rows["path"], queries("home", 0.5, 0).assign(variant="a", moment="trained", seed=0))
    stages = {
        "claims": {"outs": outs},
        "ablate@a-0": trained,
        "evaluate@ablation-0": {"outs": [result, rows]},
    }
    cells = [*stages]
    stores = [{"path": f"artifacts/tracklets/{name}", "md5": name} for name in ("campus", "street", "unreal")]
    stages |= {f"decode@{each['md5']}": {"outs": [each]} for each in stores}
    (run / "dvc.lock").write_text(yaml.safe_dump({"stages": stages}))
    target.parent.mkdir(parents=True)
    params = STUDY | {"start": {"dataset": "street"}}
    study._publish(run, run, target, "a" * 40, params, cells, ["a remark"])
    files = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    seeds = {f"results/ablation/0.{kind}" for kind in ("json", "parquet")} | {
        "history/ablation/0/a/trained.tsv"
    }
    assert files == {"provenance.json", "claims.json", "report/claims.html", "plots/a.tsv", *seeds}
    record = json.loads((target / "provenance.json").read_text())
    assert set(record["files"]) == {"claims.json", "plots/a.tsv", *seeds}
    assert record["remarks"] == ["a remark"]
    assert record["tracklets"] == {name: name for name in ("campus", "street", "unreal")}, "the start's too"
    table = pd.read_csv(target / "history/ablation/0/a/trained.tsv", sep="\t")
    assert table["step"].tolist() == [2, 4], "where it was measured, and the end"


def test_variants_of_another_study_are_laid_beside_a_run(
    checkout: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read at the end, after hours: without them nothing runs."""
    params = {**STUDY, "study": {**STUDY["study"], "beside": {"study": "other", "variants": ["a"]}}}
    monkeypatch.setattr(study, "merged", lambda *_: params)
    monkeypatch.setattr(beside, "build", lambda *_: None)
    checked: list[dict[str, Any]] = []
    monkeypatch.setattr(beside, "check_published", lambda _, theirs, *__: checked.append(theirs))
    monkeypatch.setattr(study, "_make_sets", lambda *_: pytest.fail("cells ran"))
    with pytest.raises(InputError, match=r"study\.beside must be published first: .* other"):
        study.run_study(checkout, "mine", runner)
    folder = checkout / "metrics" / "other" / "abc"
    write_text(folder / "results" / "ablation" / "0.json", "{}")
    files = checksums(folder, folder.rglob("*.json"))
    stores = {"campus": "1", "unreal": "2"}
    origin = Provenance("other", "a" * 40, False, "2026-01-01", 1, [], {"seeds": [0]}, stores, files, [])
    write_json(folder / "provenance.json", asdict(origin))
    run = checkout / "experiments" / "mine" / "run"
    former = run / "beside" / "former"
    former.mkdir(parents=True)
    remarks = beside.lay_beside(checkout, run, params, Path("params.yaml"))
    assert remarks == ["a: of metrics/other/abc"]
    assert checked == [{"seeds": [0]}]
    assert (run / "beside" / "other" / "results" / "ablation" / "0.json").read_text() == "{}"
    assert not former.exists()
    beside.check_sets_beside(checkout, params, "other", {"campus": "1", "unreal": "of no variant"})
    with pytest.raises(InputError, match=r"other/abc/provenance\.json: .* of campus .* 3, .* got 1"):
        beside.check_sets_beside(checkout, params, "other", {"campus": "3"})
    assert beside.lay_beside(checkout, run, STUDY, Path("params.yaml")) == []
    assert not (run / "beside").exists()


def test_a_full_disk_names_the_folder_of_the_code(
    checkout: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as of a write, which names no file

    monkeypatch.setattr(study.ZipFile, "extractall", full)
    run = run_folder(checkout, "mine")
    with pytest.raises(InputError, match=f"^{run}: cannot be written"):
        study.run_study(checkout, "mine", runner)


@pytest.mark.parametrize("left", [None, [], ["config"]])
def test_a_kill_while_the_run_is_made_leaves_no_run_without_the_shared_cache(
    checkout: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch, left: list[str] | None
) -> None:
    run = checkout / "experiments" / "mine" / "run"
    if left is not None:
        (run / ".dvc").mkdir(parents=True)
    for name in left or []:  # of what DVC makes
        (run / ".dvc" / name).write_text("[core]\n    no_scm = True\n" if name == "config" else "")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "_make_sets", stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            study.run_study(checkout, "mine", runner)
        with Repo(str(run)) as repo:
            assert Path(repo.cache.local.path) == checkout / ".dvc" / "cache" / "files" / "md5"
            assert repo.config["core"]["no_scm"]


@pytest.mark.parametrize("begun", [None, "b" * 40])
def test_a_kill_after_the_publication_leaves_a_record_that_the_next_run_removes(
    checkout: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch, begun: str | None
) -> None:
    record = checkout / "metrics" / "mine" / study.UNFINISHED
    run_folder(checkout, "sets")
    graph = Graph({"claims": Cell("claims")}, frozenset(), locked=b"schema: '2.0'\nstages: {}\n")
    for module in (study, recording):
        monkeypatch.setattr(module, "read_graph", lambda *_, **__: graph)
    monkeypatch.setattr(study, "_reproduce", lambda *_: None)
    monkeypatch.setattr(study, "_publish", lambda *words: words[2].mkdir())
    discard = study.discard

    def killed(folder: Path, commit: str | None = None) -> bool:
        raise KeyboardInterrupt

    if begun is not None:
        write_json(record / recording.CELLS, {"commit": begun, "cells": {}})
        write_text(record / recording.LOCK, "schema: '2.0'\nstages: {}\n")
    monkeypatch.setattr(study, "discard", killed)
    with pytest.raises(KeyboardInterrupt):
        study.run_study(checkout, "mine", runner)
    assert record.exists()
    monkeypatch.setattr(study, "discard", discard)
    target = study.run_study(checkout, "mine", runner)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    for _ in range(2):
        with pytest.raises(InputError, match=r"is published already"):
            study.run_study(checkout, "mine", runner)
        write_json(record / recording.CELLS, {"commit": "c" * 40, "cells": {}})  # of a later run
    assert record.exists()


@pytest.mark.parametrize("moment", [0, 1, 2, 3])
def test_a_kill_while_a_record_is_removed_leaves_none_that_is_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    folder, removals = tmp_path / study.UNFINISHED, 0
    for path in (folder, tmp_path / f".{folder.name}.old"):
        write_json(path / recording.CELLS, {"commit": "a" * 40, "cells": {}})
    remove = shutil.rmtree

    def killed(*words: Any, **options: Any) -> None:
        nonlocal removals
        removals += 1
        if removals == moment:
            raise KeyboardInterrupt
        remove(*words, **options)

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(shutil, "rmtree", killed)
        recording.discard(folder, "a" * 40)
    if folder.exists():
        assert recording.discard(folder, "a" * 40)
    assert not {folder.name, f".{folder.name}.old"} & {path.name for path in tmp_path.iterdir()}
