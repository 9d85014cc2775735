"""What an unfinished study has found: a folder that git keeps until the study is published.

Another machine continues from it: it restores the seeds that were evaluated, without their models and without
what no analysis reads of their histories.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from sttreid.config.publications import SEEDS
from sttreid.runner.graph import Graph, read_graph
from sttreid.runner.workplace import is_pipeline_lock
from sttreid.runtime.documents import parse_yaml
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, read_table, replace_folder, write_json, write_table, write_text
from sttreid.runtime.provenance import locked_outputs

ARTIFACTS = "artifacts"
UNFINISHED = "unfinished"  # folder beside the publications of a study
CELLS, LOCK = "cells.json", "cells.lock"  # in it; the second is the part of dvc.lock that these cells have
MODELS, MACHINES, HISTORIES = "artifacts/models", "artifacts/machines", "artifacts/history"  # of a run
KEPT = (MACHINES, HISTORIES, "artifacts/results")  # of evaluated cells; a model has megabytes
MEASURED = "validation_rank1"  # column of a history whose rows a study reads
COLUMNS = (  # of a published per-query table: those that statistics read, without distances and neighbours
    *("query", "identity", "first_hit", "ap", "inp", "length", "visibility"),
    *("target", "variant", "moment", "seed"),
)
TRAININGS = ("ablate@", "pretrain@", "finetune@")  # cells with a history


def write_record(run: Path, folder: Path, commit: str) -> None:
    """Write what the finished cells of a run found, in place of an earlier record.

    Raises:
        InputError: as :func:`sttreid.runner.graph.read_graph`.
    """
    graph = read_graph(run, allow_missing=True)
    if not graph.locked:
        return
    lock = parse_yaml(graph.locked, run / "dvc.lock")  # not the file: another cell may end now
    cells = finished_cells(run, lock["stages"], graph)
    stages = {name: lock["stages"][name] for name in cells}  # in the order of their names
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    found = {name: numbers for name, numbers in cells.items() if numbers}
    write_json(temporary / CELLS, {"commit": commit, "cells": found})
    for name in sorted(graph.needed(filter(_evaluates, cells))):
        for out in stages[name]["outs"]:
            if out["path"].startswith(KEPT) and (run / out["path"]).exists():
                _copy(run / out["path"], temporary / out["path"])
                if out["path"].startswith(HISTORIES):
                    _shorten(temporary / out["path"])
                    out |= _checksum(temporary / out["path"])
    write_text(temporary / LOCK, yaml.safe_dump({**lock, "stages": stages}, sort_keys=False))
    replace_folder(folder, temporary)


def restore(folder: Path, run: Path) -> str | None:
    """Give a run the seeds that a record has evaluated and the run has not, or not with its present code.

    The run's own cells of such a seed are replaced, and their models removed: they stay in DVC's cache.

    Returns:
        The commit whose code and parameters the record belongs to; None: there is no record.

    Raises:
        InputError: the record is damaged; or as :func:`sttreid.runner.graph.read_graph`.
    """
    old = folder.with_name(f".{folder.name}.old")
    if old.exists() and not folder.exists():  # a run was killed while it replaced the record
        old.rename(folder)
    recorded = _read_lock(folder / LOCK)
    if not recorded:
        return None
    graph = read_graph(run, allow_missing=True)
    own = parse_yaml(graph.locked, run / "dvc.lock") if graph.locked else {**recorded, "stages": {}}
    stages = {name: stage for name, stage in recorded.get("stages", {}).items() if _is_whole(folder, stage)}
    lacking = {name for name in graph.cells if name not in own["stages"]} | graph.stale()
    taken: dict[str, Any] = {}
    for cell in filter(_evaluates, graph.cells):
        needed = graph.needed([cell])
        if cell in lacking and needed <= stages.keys() and stages[cell] != own["stages"].get(cell):
            print(f"{folder}: {cell} is taken from it", flush=True)
            taken |= {name: stages[name] for name in needed}
    for stage in taken.values():
        for out in stage.get("outs", []):
            _take(folder / out["path"], run / out["path"])
    if taken:
        content = {**own, "stages": {**own["stages"], **taken}}
        write_text(run / "dvc.lock", yaml.safe_dump(content, sort_keys=False))
    return _commit(folder / CELLS)


def discard(folder: Path, commit: str | None = None) -> bool:
    """Remove the record of a published study; a kill leaves all of it, or nothing that is read.

    Args:
        folder: of the record.
        commit: whose record is removed; None: that of any.

    Returns:
        Whether there was one.

    Raises:
        InputError: its commit cannot be read.
    """
    if not folder.exists() or commit not in (None, _commit(folder / CELLS)):
        return False
    temporary = folder.with_name(f".{folder.name}.partial")
    for left in (temporary, folder.with_name(f".{folder.name}.old")):  # restore would take the second
        shutil.rmtree(left, ignore_errors=True)
    folder.rename(temporary)
    shutil.rmtree(temporary, ignore_errors=True)
    return True


def publish_seeds(run: Path, stages: Mapping[str, Any], folder: Path) -> None:
    """Write what the cells of a study of claims found to its publication, for readers and other studies.

    Args:
        run: the study's folder.
        stages: of its dvc.lock, those of the cells.
        folder: of the publication (:mod:`sttreid.analysis.publications`).

    Raises:
        InputError: a per-query table cannot be read.
    """
    for out in (Path(out["path"]) for stage in stages.values() for out in stage["outs"]):
        if not out.is_relative_to(ARTIFACTS) or out.relative_to(ARTIFACTS).parts[0] not in SEEDS:
            continue
        target = folder / out.relative_to(ARTIFACTS)
        if out.suffix == ".parquet":
            table = read_table(run / out)
            write_table(target, table[[name for name in COLUMNS if name in table]])
            continue
        _copy(run / out, target)
        if out.as_posix().startswith(HISTORIES):
            _shorten(target)


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
    for cell in sorted((stages.keys() & graph.cells.keys()) - graph.stale()):
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


def _evaluates(cell: str) -> bool:
    return cell.startswith(("evaluate@", "measure@"))


def _read_lock(path: Path) -> dict[str, Any]:
    """Empty if there is none."""
    if not path.exists():
        return {}
    content = path.read_bytes()
    if not is_pipeline_lock(content):
        rule = "must be as dvc.lock; restore it from git, or remove its folder to train every seed again"
        raise InputError(f"{path}: {rule}")
    lock: dict[str, Any] = parse_yaml(content, path)
    for out in (out for stage in lock.get("stages", {}).values() for out in stage.get("outs", [])):
        if Path(out["path"]).is_absolute() or ".." in Path(out["path"]).parts:
            raise InputError(f"{path}: outputs must lie in the study's folder, got {out['path']}")
    return lock


def _commit(path: Path) -> str:
    content = read_json(path)
    commit = content.get("commit") if isinstance(content, dict) else None
    if not isinstance(commit, str):
        raise InputError(f"{path}: must have a commit, got {commit!r:.100}")
    return commit


def _is_whole(folder: Path, stage: dict[str, Any]) -> bool:
    """Whether a record has every file of a cell that it keeps, as it was written."""
    kept = {folder / out["path"]: out["md5"] for out in stage.get("outs", []) if out["path"].startswith(KEPT)}
    return all(path.exists() and _checksum(path)["md5"] == md5 for path, md5 in kept.items())


def _take(source: Path, target: Path) -> None:
    """Copy an output, or remove one that a record does not have: a part of a seed's models is out of date."""
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    if source.exists():
        _copy(source, target)
    else:
        with suppress(OSError):  # of a folder with other files; DVC compares an empty one
            os.removedirs(target.parent)


def _shorten(history: Path) -> None:
    """Keep the measured rows of a history, or of those in a folder, and the last; analyses read these."""
    for path in history.iterdir() if history.is_dir() else [history]:
        header, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
        place = header.rstrip("\n").split("\t").index(MEASURED)
        measured = [row for row in rows[:-1] if row.rstrip("\n").split("\t")[place]]
        write_text(path, "".join([header, *measured, *rows[-1:]]))


def _checksum(path: Path) -> dict[str, Any]:
    """MD5 and size of a file or folder as in dvc.lock."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    sums = [hashlib.md5(file.read_bytes()).hexdigest() for file in files]
    size = sum(file.stat().st_size for file in files)
    if not path.is_dir():
        return {"md5": sums[0], "size": size}
    entries = [{"md5": each, "relpath": file.name} for each, file in zip(sums, files, strict=True)]
    listed = hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest()
    return {"md5": f"{listed}.dir", "size": size, "nfiles": len(files)}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy(source, target)
