"""The record of an unfinished study, and another machine that continues from it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from dvc.repo import Repo

from sttreid.runner import record
from sttreid.runner.cells import Cell
from sttreid.runner.executors import LocalExecutor
from sttreid.runner.graph import Graph, read_graph
from sttreid.runner.reproduce import Runner
from sttreid.runtime.errors import InputError
from tests.runner.pipelines import pipeline, ran

HISTORY = "step\ttrain_rank1\tvalidation_rank1\n1\t\t\n2\t0.9\t0.5\n3\t\t\n"
RANK1 = {"campus": {"rank1": 0.5, "mAP": 0.25, "queries": 3}}
RESULTS = {"variants": {"a": {"moments": {"trained": RANK1}}}}
WRITTEN = json.dumps(RESULTS).replace("3", "SEED") + "\n"  # by an evaluation
COMMIT = "a" * 40


@pytest.fixture
def runner() -> Iterator[Runner]:
    executor = LocalExecutor(2)
    yield Runner(executor, 2)
    executor.close()


def out(run: Path, path: str, text: str = "") -> dict[str, str]:
    (run / path).parent.mkdir(parents=True, exist_ok=True)
    (run / path).write_text(text)
    return {"path": path, "md5": "1"}


def test_the_record_lists_the_cells_that_are_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier commit's cells stay in dvc.lock until they run again, those of dropped variants longer."""
    run, folder = tmp_path / "run", tmp_path / "record"
    stages = {}
    for cell in ("a-0", "b-0", "dropped-0"):
        path = f"artifacts/history/ablation/0/{cell}"
        out(run, f"{path}/trained.tsv", HISTORY)
        stages[f"ablate@{cell}"] = {"outs": [{"path": path, "md5": "1"}]}
    stages["pretrain@0"] = {"outs": [out(run, "artifacts/history/cross_domain/0/unreal.tsv", HISTORY)]}
    for group, content in (
        ("ablation", RESULTS),
        ("cross_domain", {"sources": {"unreal": RANK1}}),
    ):
        made = out(run, f"artifacts/results/{group}/0.json", json.dumps(content))
        stages[f"evaluate@{group}-0"] = {"outs": [made]}
    monkeypatch.setattr(record, "read_graph", lambda *_, **__: Graph({}, frozenset()))
    record.write_record(run, folder, COMMIT)
    assert not folder.exists(), "nothing has run yet"
    (run / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    cells = {name: Cell(name) for name in stages if "dropped" not in name}
    cells["evaluate@ablation-0"] = Cell("evaluate@ablation-0", frozenset({"ablate@a-0", "ablate@b-0"}))

    def found(*changed: str) -> dict[str, Any]:
        locked = (run / "dvc.lock").read_bytes()
        graph = Graph(cells, frozenset(changed), locked=locked)
        monkeypatch.setattr(record, "read_graph", lambda *_, **__: graph)
        record.write_record(run, folder, COMMIT)
        content = json.loads((folder / record.CELLS).read_text())
        assert content["commit"] == COMMIT
        assert yaml.safe_load((folder / record.LOCK).read_text())["stages"].keys() == content["cells"].keys()
        return content["cells"]

    all_cells = found()
    assert all_cells.keys() == cells.keys()
    assert all_cells["pretrain@0"] == {"models": {}, "step": 2, "train_rank1": 0.9, "validation_rank1": 0.5}
    tested = {"campus": {"rank1": 0.5, "mAP": 0.25}}
    assert all_cells["evaluate@ablation-0"] == {"a": {"trained": tested}}
    assert all_cells["evaluate@cross_domain-0"] == {"unreal": tested}
    kept = Path("artifacts") / "history" / "ablation" / "0" / "a-0" / "trained.tsv"
    full, short = (pd.read_csv(path / kept, sep="\t") for path in (run, folder))
    assert (len(full), len(short)) == (3, 2)
    for table in (full, short):
        assert table["step"].iloc[-1] == 3
        for name in ("train_rank1", "validation_rank1"):
            assert table.set_index("step")[name].dropna().to_dict() == {2: 0.9 if name[0] == "t" else 0.5}
    assert found("ablate@b-0").keys() == cells.keys() - {"ablate@b-0", "evaluate@ablation-0"}
    assert not (folder / "artifacts" / "history").exists(), "without its evaluation, a training runs again"


def study(folder: Path) -> Path:
    """Two seeds; each has a start, two trainings with a model and a history, and an evaluation.

    All wait for one cell; ``models`` reads what no other analysis reads.
    """
    seeds, variant, seed = {"seed": [0, 1]}, "${item.variant}", "${item.seed}"
    start, models = f"artifacts/backbones/{seed}", f"artifacts/models/ablation/{seed}"
    results, config = f"artifacts/results/ablation/{seed}.json", "artifacts/configs/config.txt"
    trained = {
        f"{models}/{variant}": f"echo {variant}-{seed}",
        f"artifacts/history/ablation/{seed}/{variant}/trained.tsv": "cat history.tsv",
    }
    tested = {results: f"sed s/SEED/{seed}/ results.json"}
    run = pipeline(
        folder,
        {
            "resolve": _stage("resolve", ["params.txt"], {config: "head -n 1 params.txt"}),
            "backbone": {
                "matrix": seeds,
                **_stage(f"backbone@{seed}", ["code.txt"], {start: f"echo {seed}"}),
            },
            "ablate": {
                "matrix": {"variant": ["a", "b"], **seeds},
                **_stage(f"ablate@{variant}-{seed}", [start, config], trained),
            },
            "evaluate": {
                "matrix": {"group": ["ablation"], **seeds},
                **_stage(f"evaluate@ablation-{seed}", [models, "artifacts/configs"], tested),
            },
            "claims": _stage(
                "claims",
                ["artifacts/results", "artifacts/history"],
                {"out.txt": "cat artifacts/results/ablation/*"},
            ),
            "models": _stage("models", ["artifacts/models"], {"models.txt": "echo"}),
        },
    )
    content = {"code.txt": "1", "params.txt": "1\n", "history.tsv": HISTORY, "results.json": WRITTEN}
    for name, text in content.items():
        (run / name).write_text(text)
    return run


def _stage(name: str, deps: list[str], outs: dict[str, str]) -> dict[str, Any]:
    """A stage that writes its name to ``times.txt``, and to its outputs what commands print."""
    lines = [f"mkdir -p $(dirname {path}) && {command} > {path}" for path, command in outs.items()]
    return {
        "cmd": " && ".join([f"echo {name} >> times.txt", *lines]),
        "deps": deps,
        "outs": [path.removesuffix("/trained.tsv") for path in outs],
    }


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of a machine that has evaluated seed 0 and trained one variant of seed 1."""
    path = tmp_path_factory.mktemp("first")
    run = study(path / "run")
    _repro(run, "evaluate@ablation-0", "ablate@a-1")
    record.write_record(run, path / "record", COMMIT)
    shutil.rmtree(run)
    return path / "record"


def _repro(run: Path, *cells: str) -> None:
    """In this process, which takes a second less for each cell."""
    with chdir(run), Repo(str(run)) as repo:
        repo.reproduce(cells)


@pytest.fixture
def folder(first: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first, tmp_path / "record"))


def continued(folder: Path, tmp_path: Path, name: str) -> Path:
    """The study on another machine, which has the record alone."""
    run = study(tmp_path / name)
    assert record.restore(folder, run) == COMMIT
    return run


def test_another_machine_continues_after_the_evaluated_seeds(
    folder: Path, tmp_path: Path, runner: Runner
) -> None:
    run = continued(folder, tmp_path, "second")
    assert not (run / "artifacts" / "models").exists()
    (run / "params.txt").write_text("1\nof no effect")
    runner.reproduce(run, ["claims"], allow_missing=True)
    cells = ["resolve", "backbone@1", "ablate@a-1", "ablate@b-1", "evaluate@ablation-1", "claims"]
    assert sorted(ran(run)) == sorted(cells), "no cell of seed 0, and the model that was lost once more"
    assert (run / "out.txt").read_text() == WRITTEN.replace("SEED", "0") + WRITTEN.replace("SEED", "1")
    assert not runner.reproduce(run, ["claims"], allow_missing=True)

    record.write_record(run, folder, COMMIT)
    evaluated = json.loads((folder / record.CELLS).read_text())["cells"]
    assert {"ablate@a-0", "ablate@b-1", "evaluate@ablation-0", "evaluate@ablation-1"} <= evaluated.keys()
    run = continued(folder, tmp_path, "third")
    (run / "params.txt").write_text("1\nof no effect")
    assert read_graph(run, allow_missing=True).outdated(["claims"]) == {"claims"}


def test_a_record_of_other_code_is_out_of_date(folder: Path, tmp_path: Path) -> None:
    run = continued(folder, tmp_path, "second")
    (run / "code.txt").write_text("2")
    seed = {"backbone@0", "ablate@a-0", "ablate@b-0", "evaluate@ablation-0"}
    assert read_graph(run, allow_missing=True).outdated(["evaluate@ablation-0"]) == seed | {"resolve"}


@pytest.mark.parametrize("path", ["results/ablation/0.json", "history/ablation/0/a/trained.tsv"])
def test_a_file_of_the_record_that_has_changed_is_not_published(
    folder: Path, tmp_path: Path, path: str
) -> None:
    """No cache has it, and DVC compares no file that is not in its cache."""
    changed = folder / "artifacts" / path
    changed.write_text(changed.read_text().replace("0.5", "0.9"))
    run = continued(folder, tmp_path, "second")
    assert "evaluate@ablation-0" in read_graph(run, allow_missing=True).outdated(["claims"])


def test_a_seed_without_all_of_its_files_is_not_taken(folder: Path, tmp_path: Path) -> None:
    (folder / "artifacts" / "history" / "ablation" / "0" / "a" / "trained.tsv").unlink()
    assert not (continued(folder, tmp_path, "second") / "dvc.lock").exists()


def test_a_record_that_a_kill_left_without_its_name_is_read(folder: Path, tmp_path: Path) -> None:
    folder.rename(tmp_path / ".record.old")
    run = continued(folder, tmp_path, "second")
    assert (run / "artifacts" / "results" / "ablation" / "0.json").exists()
    assert (folder / record.CELLS).exists()


def test_a_record_that_git_could_not_merge_is_named(folder: Path, tmp_path: Path) -> None:
    path = folder / record.LOCK
    path.write_text(f"<<<<<<< ours\n{path.read_text()}=======\n>>>>>>> theirs\n")
    with pytest.raises(InputError, match=r"record/cells\.lock: must be"):
        continued(folder, tmp_path, "second")


def test_a_run_with_cells_of_its_own_takes_the_seeds_that_it_lacks(folder: Path, tmp_path: Path) -> None:
    """Its own record would otherwise replace that of the machine that was further."""
    run = study(tmp_path / "second")
    _repro(run, "ablate@a-0", "ablate@a-1")
    record.restore(folder, run)
    graph = read_graph(run, allow_missing=True)
    assert "evaluate@ablation-0" not in graph.outdated(["claims"])
    assert "ablate@a-1" not in graph.outdated(["evaluate@ablation-1"]), "its own"
    record.write_record(run, folder, COMMIT)
    cells = json.loads((folder / record.CELLS).read_text())["cells"]
    assert {"evaluate@ablation-0", "ablate@a-1"} <= cells.keys()

    before = (run / "dvc.lock").read_bytes()
    assert record.restore(folder, run) == COMMIT
    assert (run / "dvc.lock").read_bytes() == before
    assert record.restore(tmp_path / "missing", run) is None
