"""Run a study of experiments/ and publish its results.

The study runs in experiments/NAME/run. The folder is a separate DVC repository: git ignores it, and DVC
refuses stages in a folder that git ignores. It has a copy of the code of one commit, so that edits during the
run change no result. An interrupted study resumes, on another machine with the seeds that were evaluated
(:mod:`sttreid.runner.record`).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import yaml

from sttreid.config.consistency import check_stores
from sttreid.config.conversion import parse, read_mapping, read_yaml
from sttreid.config.domain import DOMAINS
from sttreid.config.experiments import CLAIMS, EXPERIMENTS, RUN, check_study, merged, overrides_path
from sttreid.config.params import PARAMS
from sttreid.config.study import BESIDE
from sttreid.runner.beside import check_sets_beside, lay_beside
from sttreid.runner.graph import Graph, read_graph
from sttreid.runner.record import MACHINES, MODELS, UNFINISHED, discard, publish_seeds, restore, write_record
from sttreid.runner.remotes import copy_remote
from sttreid.runner.reproduce import Runner
from sttreid.runner.workplace import alone, hold, is_read, reading
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, write_json, write_text, writing
from sttreid.runtime.provenance import Machine, Provenance, checksums, locked_outputs, locked_stores, machine

PIPELINE = EXPERIMENTS / "pipeline.yaml"
SETS_PIPELINE = EXPERIMENTS / "sets_pipeline.yaml"  # of the analysis sets
START, BACKBONES = "pretrain_backbone", "artifacts/backbones"  # only of a study with a section start
CODE, IGNORED = Path("src") / "sttreid", ".dvcignore"
DATA = "data"
LOCK = "study.lock"  # of a run: one runner at a time replaces its code and publishes its results
READERS = "readers.lock"  # of a run of sets: held by the studies that read its stores
CONFIG = "[core]\n    no_scm = True\n    analytics = false\n    check_update = false\n"  # as the checkout's
CACHE = "[cache]\n    dir = ../../../../.dvc/cache\n"  # studies with equal cells train them once
PUBLICATION, PAGES = "publication", "report"  # git ignores the pages, which have megabytes


def run_study(root: Path, name: str, runner: Runner, revision: str | None = None) -> Path:
    """Check, run and publish a study.

    Args:
        root: of a checkout.
        name: of the study.
        runner: of its cells.
        revision: of git, whose code and parameters run; None: the present ones, which must be committed. The
            runner itself is the present one.

    Returns:
        The publication's folder.

    Raises:
        InputError: the study is invalid, has uncommitted changes, is already published, or runs already; git
            has no such revision.
        StageError: a stage failed.
    """
    with _source(root, name, revision) as (source, commit):
        return _run(root, name, runner, source, commit)


def _run(root: Path, name: str, runner: Runner, source: Path, commit: str) -> Path:
    """Run the study with the code and the parameters in the folder ``source``, those of ``commit``."""
    for note in check_study(source, name):
        print(note)
    path = overrides_path(source, name)
    params = merged(source, read_yaml(path), path.relative_to(source))
    target = root / "metrics" / name / commit[:10]
    record = target.with_name(UNFINISHED)
    if not record.exists():  # else a kill may have come between the publication and its removal
        _check_new(target, root)
    run, analysis = root / EXPERIMENTS / name / RUN, params["study"]["analysis"]
    run.mkdir(parents=True, exist_ok=True)
    # from the first change in the folder until the publication
    with alone(run / LOCK, run), ExitStack() as held:
        if target.exists() and discard(record, commit):
            return target
        _check_new(target, root)  # by a run that has just ended
        _build(root, source, run, params, commit)
        remarks = lay_beside(root, run, params, path.relative_to(source))
        if runner.remote is not None:
            copy_remote(root, run, runner.remote)
        home = _make_sets(root, source, run, params, commit, runner, held)
        if (beside := params["study"].get("beside")) is not None:
            check_sets_beside(root, params, beside["study"], locked_stores(home))
        if (begun := restore(record, run)) not in (None, commit):
            print(
                f"{record.relative_to(root)}: begun at commit {begun}; cells whose code, parameters or data "
                f"have changed run again, and --commit {begun} keeps them"
            )

        ended: list[str] = []

        def keep(cell: str) -> None:
            ended.append(cell)
            write()

        def write() -> None:
            try:
                write_record(run, record, commit)
            except (InputError, OSError) as error:  # another DVC command locks the folder; a full disk
                print(f"{record}: is not written before the next cell ends ({error})", flush=True)

        try:
            _reproduce(run, home, _seed_by_seed(read_graph(run), params["seeds"], analysis), runner, keep)
        except BaseException:
            if ended or begun in (None, commit):  # else the record of another commit, which may be continued
                write()  # the last cells, if they could not be written
            raise
        write()  # of this commit, so that a run after a kill can tell that it has been published
        cells = read_graph(run, allow_missing=True).needed([analysis])
        _publish(home, run, target, commit, params, cells, remarks)
        discard(record)
    return target


def _check_new(target: Path, root: Path) -> None:
    if target.exists():
        rule = "is published already; a publication is never overwritten"
        raise InputError(f"{target.relative_to(root)}: {rule}")


def _seed_by_seed(graph: Graph, seeds: Iterable[int], analysis: str) -> list[str]:
    """Targets in the order in which they start: an evaluated seed survives the loss of the machine."""
    needed = graph.needed([analysis])
    tests = ("evaluate@cross_domain", "evaluate@ablation")
    evaluations = [
        cell for seed in seeds for cell in (*(f"{test}-{seed}" for test in tests), f"measure@{seed}")
    ]
    return [*(cell for cell in evaluations if cell in needed), analysis]


@contextmanager
def _source(root: Path, name: str, revision: str | None) -> Iterator[tuple[Path, str]]:
    """A folder with the code and the parameters of a study, and their commit."""
    if revision is None:
        path = overrides_path(root, name)
        params = merged(root, read_yaml(path), path.relative_to(root))
        names = dict.fromkeys([name, *(sets for sets, _ in _sets_of(root, params))])
        yield root, _clean_commit(root, [file for each in names for file in _parameter_files(root, each)])
        return
    try:
        commit = _git(root, "rev-parse", "--verify", "-q", f"{revision}^{{commit}}").decode().strip()
    except subprocess.CalledProcessError as error:
        raise InputError(f"--commit: must be a revision of git, got {revision!r:.100}") from error
    with TemporaryDirectory(prefix="sttreid-") as folder:
        try:
            _extract(root, commit, [CODE, DOMAINS, PARAMS, EXPERIMENTS, IGNORED], Path(folder))
        except subprocess.CalledProcessError as error:  # such as a commit of before there were studies
            reason = " ".join(error.stderr.decode(errors="replace").split())
            raise InputError(f"--commit: {revision} must have all that a study needs ({reason})") from error
        yield Path(folder), commit


def _parameter_files(source: Path, name: str) -> list[Path]:
    """The parameter files of a study, and of those that it is based on."""
    path = overrides_path(source, name)
    study = read_mapping(path).get("study")
    base = study.get("base") if isinstance(study, dict) else None
    return [path, *([] if base is None else _parameter_files(source, str(base)))]


def _sets_of(source: Path, params: dict[str, Any]) -> list[tuple[str, Path]]:
    """The study whose sets a study uses, if any: its name, and its parameters."""
    sets = params["study"].get("sets")
    return [] if sets is None else [(sets, overrides_path(source, sets))]


def _make_sets(
    root: Path,
    source: Path,
    run: Path,
    params: dict[str, Any],
    commit: str,
    runner: Runner,
    held: ExitStack,
) -> Path:
    """Make the tracklet stores that a study needs; returns the folder that holds them.

    While ``held`` is open, no other study makes other ones there: DVC reads the checksums of what a training
    read after it, and would name those.

    Raises:
        InputError: the study has other parameters of the stores than the default run, which makes them; or
            another study reads them.
    """
    if params["study"]["analysis"] == "sets":
        return run
    for name, path in _sets_of(source, params):
        home = root / EXPERIMENTS / name / RUN
        home.mkdir(parents=True, exist_ok=True)
        with alone(home / LOCK, home):
            own = merged(source, read_yaml(path), path.relative_to(source))
            _build(root, source, home, own, commit)
            targets = ["decode", "sets"]  # the stores, too, if they are missing
            if not is_read(home / READERS):
                _reproduce(home, home, targets, runner)
            elif changed := sorted(read_graph(home, allow_missing=True).outdated(targets)):
                rule = "must stay as it is while a study runs that reads its stores; wait for it, or stop it"
                raise InputError(f"{home}: {rule}; got changes of {', '.join(changed)}")
            held.enter_context(reading(home / READERS))
        return home
    present = read_mapping(root / PARAMS)  # of which a study of another commit may differ
    check_stores(params, present, EXPERIMENTS / run.parent.name / PARAMS, PARAMS)
    runner.reproduce(root, ["decode"])
    return root


def _reproduce(
    run: Path,
    home: Path,
    targets: Iterable[str],
    runner: Runner,
    finished: Callable[[str], None] | None = None,
) -> None:
    environment = {"STTREID_HOME": str(home.resolve()), "PYTHONPATH": str(run.resolve() / "src")}
    runner.reproduce(run, targets, environment, finished, allow_missing=True)


def _clean_commit(root: Path, paths: Iterable[Path]) -> str:
    """The commit of the working tree's code and parameters; ``paths`` are the study's parameter files.

    Raises:
        InputError: some of them have uncommitted changes.
    """
    sources = [CODE.parent, DOMAINS, PARAMS, PIPELINE, SETS_PIPELINE, *paths, EXPERIMENTS / CLAIMS / PARAMS]
    changes = _git(root, "status", "--porcelain", "--", *map(str, sources)).decode().splitlines()
    if changes:
        raise InputError(
            f"{changes[0][3:]}: has uncommitted changes; a publication names the commit of its code"
        )
    return _git(root, "rev-parse", "HEAD").decode().strip()


def _build(root: Path, source: Path, run: Path, params: dict[str, Any], commit: str) -> None:
    """Write parameters, pipeline and code into the run's folder; results of earlier runs stay.

    Raises:
        InputError: cells run there, maybe of a killed runner, which would load the new code.
    """
    if not (run / ".dvc").exists():
        subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], cwd=run, check=True)
    config = run / ".dvc" / "config"
    if not config.exists() or CACHE not in config.read_text(encoding="utf-8"):  # a kill came before it
        write_text(config, CONFIG + CACHE)
    with hold(run):
        shutil.copy(source / IGNORED, run / IGNORED)
        for folder in ("src", DOMAINS):
            shutil.rmtree(run / folder, ignore_errors=True)
        _extract(root, commit, [CODE, DOMAINS], run)
        if not (run / DATA).is_symlink():
            (run / DATA).symlink_to(os.path.relpath(root / DATA, run))  # a study of sets decodes the pinned
        write_text(run / "dvc.yaml", _pipeline(source, params))
        write_text(run / PARAMS, yaml.safe_dump(params, sort_keys=False))


def _extract(root: Path, commit: str, paths: Iterable[Path | str], folder: Path) -> None:
    """Write files of a commit to a folder; InputError if its disk is full."""
    names = [str(path) for path in paths]
    with ZipFile(BytesIO(_git(root, "archive", "--format=zip", commit, *names))) as archive, writing(folder):
        archive.extractall(folder)


def _pipeline(source: Path, params: dict[str, Any]) -> str:
    """The study's dvc.yaml; without a section ``start``, no variant waits for a backbone, and without
    ``study.beside`` no statistics for another study.
    """
    if params["study"]["analysis"] == "sets":
        return (source / SETS_PIPELINE).read_text(encoding="utf-8")
    content = read_yaml(source / PIPELINE)
    if params["study"].get("beside") is None:
        deps = content["stages"]["claims"]["deps"]
        content["stages"]["claims"]["deps"] = [dep for dep in deps if dep != BESIDE]
    if params.get("start") is None:
        del content["stages"][START]
        deps = content["stages"]["ablate"]["deps"]
        content["stages"]["ablate"]["deps"] = [dep for dep in deps if not dep.startswith(BACKBONES)]
    return str(yaml.safe_dump(content, sort_keys=False))


def _publish(
    home: Path,
    run: Path,
    target: Path,
    commit: str,
    params: dict[str, Any],
    cells: Iterable[str],
    remarks: list[str],
) -> None:
    """Publish the results and provenance.json atomically; ``cells`` led to them.

    The stores lie in ``home``.
    """
    stores = locked_stores(home)
    used = [params["simulate"]["domain"], *params["targets"], params["ablation"]["source"]]
    used += [params["start"]["dataset"]] if params.get("start") else []
    used = list(params["datasets"] if params["study"]["analysis"] == "sets" else dict.fromkeys(used))
    ran = read_yaml(run / "dvc.lock")["stages"]
    stages = {name: ran[name] for name in cells}
    records = [run / MACHINES / name for name in locked_outputs(stages, MACHINES)]
    machines = [parse(Machine, read_json(path), str(path)) for path in records] or [machine()]
    temporary = target.with_name(f".{target.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    for out in ran[params["study"]["analysis"]]["outs"]:  # the folder may hold those of a former analysis
        path = temporary / Path(out["path"]).relative_to(PUBLICATION)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(run / out["path"], path)
    if params["study"]["analysis"] == "claims":
        publish_seeds(run, stages, temporary)
    files = [path for path in temporary.rglob("*") if path.is_file()]
    files = [path for path in files if PAGES not in path.relative_to(temporary).parts]
    provenance = Provenance(
        study=run.parent.name,
        commit=commit,
        uncommitted_changes=False,
        published=datetime.now(UTC).isoformat(timespec="seconds"),
        threads=params["compute"]["threads"],
        machines=[each for i, each in enumerate(machines) if each not in machines[:i]],
        params=params,
        tracklets={name: stores[name] for name in used},
        files=checksums(temporary, files),
        remarks=remarks,
        models=locked_outputs(stages, MODELS),
    )
    write_json(temporary / "provenance.json", asdict(provenance))
    temporary.rename(target)


def _git(root: Path, *words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=root, capture_output=True, check=True).stdout
