"""What an unfinished study has found: a folder that git keeps until the study is published.

Another machine continues from it: it restores the seeds that were evaluated, without their models.
"""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from sttreid.config.conversion import read_yaml
from sttreid.runner.graph import Graph, read_graph
from sttreid.runtime.files import read_json, replace_folder, write_json, write_text
from sttreid.runtime.provenance import locked_outputs

UNFINISHED = "unfinished"  # folder beside the publications of a study
CELLS, LOCK = "cells.json", "cells.lock"  # in it; the second is the part of dvc.lock that these cells have
MODELS, MACHINES = "artifacts/models", "artifacts/machines"  # of a run
KEPT = (MACHINES, "artifacts/history", "artifacts/results")  # of evaluated cells; a model has megabytes
TRAININGS = ("ablate@", "pretrain@", "finetune@")  # cells with a history


def write_record(run: Path, folder: Path, commit: str) -> None:
    """Write what the finished cells of a run found, in place of an earlier record.

    Raises:
        InputError: as :func:`sttreid.runner.graph.read_graph`.
    """
    path = run / "dvc.lock"
    if not path.exists():
        return
    lock, graph = read_yaml(path), read_graph(run, allow_missing=True)
    cells = finished_cells(run, lock["stages"], graph)
    stages = {name: stage for name, stage in lock["stages"].items() if name in cells}
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    found = {name: numbers for name, numbers in cells.items() if numbers}
    write_json(temporary / CELLS, {"commit": commit, "cells": found})
    write_text(temporary / LOCK, yaml.safe_dump({**lock, "stages": stages}, sort_keys=False))
    for name in sorted(graph.needed(cell for cell in cells if cell.startswith("evaluate@"))):
        for out in stages[name]["outs"]:
            if out["path"].startswith(KEPT):
                _copy(run / out["path"], temporary / out["path"])
    replace_folder(folder, temporary)


def restore(folder: Path, run: Path) -> str | None:
    """Copy a record, if there is one, into a run that has no cells yet; returns its commit."""
    if not (folder / LOCK).exists():
        return None
    if not (run / "dvc.lock").exists():
        for path in KEPT:
            if (folder / path).exists():
                _copy(folder / path, run / path)
        _copy(folder / LOCK, run / "dvc.lock")
    return str(read_json(folder / CELLS)["commit"])


def finished_cells(run: Path, stages: dict[str, Any], graph: Graph) -> dict[str, dict[str, Any]]:
    """What the finished cells of a run found.

    Cells that are out of date are left out: other code, parameters or data made them.

    Args:
        run: its folder.
        stages: of its dvc.lock.
        graph: of its pipeline.

    Returns:
        Cell -> of a training: MD5 of its weights, and the last row of its history with rank-1 on training and
        validation identities; of an evaluation: variant -> moment -> target, or model -> target -> rank1 and
        mAP; of others, and of those whose files are missing: nothing.
    """
    found: dict[str, dict[str, Any]] = {}
    for cell in sorted((stages.keys() & graph.cells.keys()) - graph.outdated()):
        outs = [run / out["path"] for out in stages[cell]["outs"]]
        found[cell] = {}
        if cell.startswith(TRAININGS):
            table = next(out for out in outs if "history" in out.parts)
            table = table / "trained.tsv" if table.is_dir() else table
            if table.exists():
                last = _last_evaluated(table)
                found[cell] = {"models": locked_outputs({cell: stages[cell]}, MODELS), **last}
        elif cell.startswith("evaluate@"):
            path = next(out for out in outs if out.suffix == ".json" and "results" in out.parts)
            content = read_json(path) if path.exists() else {}
            found[cell] = {name: _headlines(targets) for name, targets in content.get("sources", {}).items()}
            for variant, each in content.get("variants", {}).items():
                found[cell][variant] = {
                    moment: _headlines(targets) for moment, targets in each["moments"].items()
                }
    return found


def _last_evaluated(table: Path) -> dict[str, float]:
    names = ["train_rank1", "validation_rank1"]
    last = pd.read_csv(table, sep="\t").dropna(subset=names).iloc[-1]
    return {name: round(float(last[name]), 4) for name in ["step", *names]}


def _headlines(targets: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {target: {name: round(by[name], 4) for name in ("rank1", "mAP")} for target, by in targets.items()}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy(source, target)
