"""The record of an unfinished study, and another machine that continues from it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sttreid.runner import record
from sttreid.runner.cells import Cell
from sttreid.runner.executors import LocalExecutor
from sttreid.runner.graph import Graph, read_graph
from sttreid.runner.reproduce import Runner
from tests.runner.pipelines import dvc, pipeline, ran

HISTORY = "step\ttrain_rank1\tvalidation_rank1\n1\t\t\n2\t0.9\t0.5\n3\t\t\n"
RANK1 = {"campus": {"rank1": 0.5, "mAP": 0.25, "queries": 3}}
RESULTS = {"variants": {"a": {"moments": {"trained": RANK1}}}}
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
    record.write_record(run, folder, COMMIT)
    assert not folder.exists(), "nothing has run yet"
    (run / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    cells = {name: Cell(name) for name in stages if "dropped" not in name}
    cells["evaluate@ablation-0"] = Cell("evaluate@ablation-0", frozenset({"ablate@a-0", "ablate@b-0"}))

    def found(*changed: str) -> dict[str, Any]:
        monkeypatch.setattr(record, "read_graph", lambda *_, **__: Graph(cells, frozenset(changed)))
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
    assert (folder / "artifacts" / "history" / "ablation" / "0" / "a-0" / "trained.tsv").exists()
    assert found("ablate@b-0").keys() == cells.keys() - {"ablate@b-0", "evaluate@ablation-0"}
    assert not (folder / "artifacts" / "history").exists(), "without its evaluation, a training runs again"


def study(folder: Path) -> Path:
    """Two seeds; each has a start, two trainings with a model and a history, and an evaluation."""
    seeds, variant, seed = {"seed": [0, 1]}, "${item.variant}", "${item.seed}"
    start, models = f"artifacts/backbones/{seed}", f"artifacts/models/ablation/{seed}"
    results = f"artifacts/results/ablation/{seed}.json"
    run = pipeline(
        folder,
        {
            "backbone": {"matrix": seeds, **_stage(f"backbone@{seed}", ["code.txt"], {start: "code.txt"})},
            "ablate": {
                "matrix": {"variant": ["a", "b"], **seeds},
                **_stage(
                    f"ablate@{variant}-{seed}",
                    [start],
                    {
                        f"{models}/{variant}": "code.txt",
                        f"artifacts/history/ablation/{seed}/{variant}.tsv": "history.tsv",
                    },
                ),
            },
            "evaluate": {
                "matrix": {"group": ["ablation"], **seeds},
                **_stage(f"evaluate@ablation-{seed}", [models], {results: "results.json"}),
            },
            "claims": _stage("claims", ["artifacts/results", "artifacts/history"], {"out.txt": "code.txt"}),
        },
    )
    for name, text in {"code.txt": "1", "history.tsv": HISTORY, "results.json": json.dumps(RESULTS)}.items():
        (run / name).write_text(text)
    return run


def _stage(name: str, deps: list[str], outs: dict[str, str]) -> dict[str, Any]:
    """A stage that writes its name to ``times.txt`` and copies files to its outputs."""
    lines = [f"mkdir -p $(dirname {path}) && cp {source} {path}" for path, source in outs.items()]
    return {"cmd": " && ".join([f"echo {name} >> times.txt", *lines]), "deps": deps, "outs": list(outs)}


def continued(folder: Path, tmp_path: Path, name: str) -> Path:
    """The study on another machine, which has the record alone."""
    run = study(tmp_path / name)
    assert record.restore(folder, run) == COMMIT
    return run


def test_another_machine_continues_after_the_evaluated_seeds(tmp_path: Path, runner: Runner) -> None:
    run, folder = study(tmp_path / "first"), tmp_path / "record"
    runner.reproduce(run, ["evaluate@ablation-0", "ablate@a-1"], allow_missing=True)
    record.write_record(run, folder, COMMIT)
    shutil.rmtree(run)

    run = continued(folder, tmp_path, "second")
    assert not (run / "artifacts" / "models").exists()
    runner.reproduce(run, ["claims"], allow_missing=True)
    cells = ["backbone@1", "ablate@a-1", "ablate@b-1", "evaluate@ablation-1", "claims"]
    assert sorted(ran(run)) == sorted(cells), "no cell of seed 0, and the model that was lost once more"
    assert (run / "out.txt").read_text() == "1"
    assert not runner.reproduce(run, ["claims"], allow_missing=True)

    record.write_record(run, folder, COMMIT)
    evaluated = json.loads((folder / record.CELLS).read_text())["cells"]
    assert {"ablate@a-0", "ablate@b-1", "evaluate@ablation-0", "evaluate@ablation-1"} <= evaluated.keys()
    run = continued(folder, tmp_path, "third")
    runner.reproduce(run, ["claims"], allow_missing=True)
    assert ran(run) == ["claims"]
    assert "changed" not in dvc(run, "status", "claims")


def test_a_record_of_other_code_restores_nothing(tmp_path: Path, runner: Runner) -> None:
    run, folder = study(tmp_path / "first"), tmp_path / "record"
    runner.reproduce(run, ["claims"], allow_missing=True)
    record.write_record(run, folder, COMMIT)
    run = continued(folder, tmp_path, "second")
    (run / "code.txt").write_text("2")
    runner.reproduce(run, ["evaluate@ablation-0"], allow_missing=True)
    assert sorted(ran(run)) == ["ablate@a-0", "ablate@b-0", "backbone@0", "evaluate@ablation-0"]


def test_a_record_does_not_replace_what_a_run_has(tmp_path: Path, runner: Runner) -> None:
    first, second, folder = study(tmp_path / "first"), study(tmp_path / "second"), tmp_path / "record"
    runner.reproduce(first, ["evaluate@ablation-0"])
    record.write_record(first, folder, COMMIT)
    runner.reproduce(second, ["ablate@a-1"])
    before = (second / "dvc.lock").read_bytes()
    assert record.restore(tmp_path / "missing", second) is None
    assert record.restore(folder, second) == COMMIT
    assert (second / "dvc.lock").read_bytes() == before
    assert "evaluate@ablation-0" in read_graph(second, allow_missing=True).changed
