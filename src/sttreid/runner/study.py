"""Run a study of experiments/ and publish its results.

The study runs in experiments/NAME/run. The folder is a separate DVC repository: git ignores it, and DVC
refuses stages in a folder that git ignores. It has a copy of the code of one commit, so that edits during the
run change no result. An interrupted study resumes.
"""

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml

from sttreid.config.conversion import parse, read_yaml
from sttreid.config.experiments import CLAIMS, EXPERIMENTS, check_study, merged, overrides_path
from sttreid.config.params import PARAMS
from sttreid.runner.graph import read_graph
from sttreid.runner.remotes import copy_remote
from sttreid.runner.reproduce import Runner
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, write_json, write_text
from sttreid.runtime.provenance import Machine, Provenance, checksums, locked_outputs

PIPELINE = EXPERIMENTS / "pipeline.yaml"
CODE = Path("src") / "sttreid"
CONFIG = "[core]\n    no_scm = True\n    analytics = false\n    check_update = false\n"  # as the checkout's
PUBLICATION, PAGES = "publication", "report"  # git ignores the pages, which have megabytes
MACHINES, MODELS = "artifacts/machines", "artifacts/models"  # of a run


def run_study(root: Path, name: str, runner: Runner) -> Path:
    """Check, run and publish a study.

    Args:
        root: of a checkout.
        name: of the study.
        runner: of its cells.

    Returns:
        The publication's folder.

    Raises:
        InputError: the study is invalid, has uncommitted changes or is already published.
        StageError: a stage failed.
    """
    path = overrides_path(root, name)
    for note in check_study(root, name):
        print(note)
    commit = _clean_commit(root, path.relative_to(root))
    target = root / "metrics" / name / commit[:10]
    if target.exists():
        raise InputError(
            f"{target.relative_to(root)}: is published already; a publication is never overwritten"
        )
    params = merged(root, read_yaml(path), path.relative_to(root))
    run, analysis = path.parent / "run", params["study"]["analysis"]
    _build(root, run, params)
    if runner.remote is not None:
        copy_remote(root, run, runner.remote)
    runner.reproduce(root, ["decode"])
    environment = {"STTREID_HOME": str(root.resolve()), "PYTHONPATH": str(run.resolve() / "src")}
    runner.reproduce(run, [analysis], environment)
    _publish(root, run, target, commit, params, read_graph(run).needed([analysis]))
    return target


def _clean_commit(root: Path, path: Path) -> str:
    """The commit of the working tree's code and parameters.

    Raises:
        InputError: some of them have uncommitted changes.
    """
    sources = [CODE.parent, PARAMS, PIPELINE, path, EXPERIMENTS / CLAIMS / PARAMS]
    changes = _git(root, "status", "--porcelain", "--", *map(str, sources)).decode().splitlines()
    if changes:
        raise InputError(
            f"{changes[0][3:]}: has uncommitted changes; a publication names the commit of its code"
        )
    return _git(root, "rev-parse", "HEAD").decode().strip()


def _build(root: Path, run: Path, params: dict[str, Any]) -> None:
    """Write parameters, pipeline and code into the run's folder; results of earlier runs stay."""
    run.mkdir(exist_ok=True)
    if not (run / ".dvc").exists():
        subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], cwd=run, check=True)
        write_text(run / ".dvc" / "config", CONFIG)
    shutil.copy(root / ".dvcignore", run / ".dvcignore")
    shutil.rmtree(run / "src", ignore_errors=True)
    with tarfile.open(fileobj=BytesIO(_git(root, "archive", "HEAD", CODE.as_posix()))) as archive:
        archive.extractall(run, filter="data")
    shutil.copy(root / PIPELINE, run / "dvc.yaml")
    write_text(run / PARAMS, yaml.safe_dump(params, sort_keys=False))


def _publish(
    root: Path, run: Path, target: Path, commit: str, params: dict[str, Any], cells: Iterable[str]
) -> None:
    """Publish the results and provenance.json atomically; ``cells`` led to them."""
    lock = read_yaml(root / "dvc.lock")["stages"]
    stores = {
        Path(out["path"]).name: out["md5"]
        for name, stage in lock.items()
        for out in stage["outs"]
        if name.startswith("decode@") and out["path"].startswith("artifacts/tracklets/")
    }
    used = [params["simulate"]["domain"], *params["targets"]]
    ran = read_yaml(run / "dvc.lock")["stages"]
    stages = {name: ran[name] for name in cells}
    records = [run / MACHINES / name for name in locked_outputs(stages, MACHINES)]
    machines = [parse(Machine, read_json(path), str(path)) for path in records]
    temporary = target.with_name(f".{target.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(run / PUBLICATION, temporary)
    files = [path for path in temporary.rglob("*") if path.is_file() and PAGES not in path.parts]
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
        remarks=[],
        models=locked_outputs(stages, MODELS),
    )
    write_json(temporary / "provenance.json", asdict(provenance))
    temporary.rename(target)


def _git(root: Path, *words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=root, capture_output=True, check=True).stdout
