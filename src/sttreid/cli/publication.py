"""Publish a trained model of the pipeline: safetensors and a card in models/, listed in dvc.yaml.

dvc.lock is the witness: a file gets a card only if dvc.lock lists it and its results, both unchanged. A
published model never changes; a retrained one gets a new version.
"""

import hashlib
import re
import subprocess
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

import pandas as pd
import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo

from sttreid.analysis.result_files import read_queries, read_result
from sttreid.analysis.uncertainty import interval, sample
from sttreid.catalogue import shelf
from sttreid.catalogue.card import Card, Score, Training, TrainingSet, Weights
from sttreid.config import paths
from sttreid.config.conversion import read_yaml
from sttreid.model.weight_files import SAFETENSORS
from sttreid.model.weights import read_architecture, restore, save
from sttreid.retrieval.metrics import HEADLINE
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, write_text

LOCK: Final = "dvc.lock"
MODELS: Final = f"{paths.ARTIFACTS}/models/"
STORES: Final = f"{paths.ARTIFACTS}/tracklets/"
CONFIGS: Final = f"{paths.ARTIFACTS}/configs/"
CODE: Final = ("src", "params.yaml", "domains", LOCK)
NAME: Final = re.compile(r"[a-z][a-z0-9-]*-v[1-9][0-9]*")
LARGEST: Final = 15_000_000  # bytes of a published file: every clone carries it
LABELS: Final = ("person-reid", "video", "spatiotemporal-transformer")
DIGITS: Final = 4  # of a fraction

Stages = Mapping[str, Mapping[str, Any]]  # of dvc.lock


def publish(root: Path, name: str, model: str, description: str) -> Card:
    """Write models/NAME.safetensors and models/NAME.json, list them in dvc.yaml and push them to the remote.

    Args:
        root: of the checkout.
        name: of the published model; ends with -v and a number.
        model: path from the root of a model that dvc.lock lists.
        description: one sentence.

    Raises:
        InputError: the name breaks the rule or is taken; the model or its results are not those of dvc.lock;
            code or parameters are not committed; the file is too large; or DVC fails. Then nothing is left
            behind.
    """
    _check_name(root, name)
    stages: Stages = (read_yaml(root / LOCK) or {}).get("stages") or {}
    training = _training(root, stages, PurePosixPath(model).as_posix())
    scores = tuple(_scores(root, stages, training))
    target = root / shelf.FOLDER / f"{name}{SAFETENSORS}"
    written = (target, target.with_suffix(".json"), target.with_name(f"{target.name}.dvc"))
    ignored = target.with_name(".gitignore")  # DVC adds the weights to it
    with _all_or_nothing(root / shelf.PIPELINE, ignored, *written):
        card = Card(
            name=name,
            description=description,
            published=datetime.now(UTC).date().isoformat(),
            weights=_weights(root / training.model, target),
            training=training,
            scores=scores,
        )
        card.write(target.with_suffix(".json"))
        path = target.relative_to(root).as_posix()
        entry = {"path": path, "type": shelf.TYPE, "desc": description, "labels": list(LABELS)}
        _list(root / shelf.PIPELINE, name, entry)
        _track(root, target)
    return card


def _check_name(root: Path, name: str) -> None:
    if not NAME.fullmatch(name):
        rule = "a published model's name must be lower-case words with hyphens that end with a version, -v1"
        raise InputError(f"{rule}, got {name!r}")
    taken = {
        *shelf.published(root),
        *(path.name.partition(".")[0] for path in (root / shelf.FOLDER).glob("*")),
    }
    if name in taken:
        raise InputError(f"{root / shelf.FOLDER}: {name} is published and never changes: give a new version")


def _training(root: Path, stages: Stages, model: str) -> Training:
    """What dvc.lock says about a model's training.

    Raises:
        InputError: as :func:`publish`.
    """
    if not model.startswith(MODELS):
        raise InputError(f"{root}: the model must be a path below {MODELS}, got {model!r}")
    _check_committed(root)
    md5 = _check_locked(root, stages, model)
    sets: dict[str, TrainingSet] = {}
    params: dict[str, Any] = {}
    for stage, content in _ancestors(stages, model):
        params[stage] = dict(content.get("params", {}).get("params.yaml", {}))
        for dep in content.get("deps", []):
            if dep["path"].startswith(STORES):
                name = dep["path"].removeprefix(STORES)
                sets[name] = TrainingSet(name, dep["md5"])
            elif dep["path"].startswith(CONFIGS):
                params[stage] |= read_json(root / dep["path"])
    lock = _md5(root / LOCK)
    return Training(model, md5, tuple(sets.values()), params, _git(root, "rev-parse", "HEAD"), lock)


def _ancestors(stages: Stages, output: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The training stages behind a model, the first one first."""
    for name, stage in stages.items():
        if output in {out["path"] for out in stage.get("outs", [])}:
            for dep in stage.get("deps", []):
                if dep["path"].startswith(MODELS):
                    yield from _ancestors(stages, dep["path"])
            yield name, stage


def _scores(root: Path, stages: Stages, training: Training) -> Iterator[Score]:
    """The model's results on every target, from the pipeline's evaluation."""
    _, _, group, seed, *rest = PurePosixPath(training.model).parts
    table, numbers = (f"{paths.ARTIFACTS}/results/{group}/{seed}{suffix}" for suffix in (".parquet", ".json"))
    for path in (table, numbers):
        _check_locked(root, stages, path)
    protocols = read_result(root / numbers)["protocol"]
    seen = {each.name for each in training.sets}
    kind: Literal["sources", "variants"] = "sources" if len(rest) == 1 else "variants"
    rows = _rows(read_queries(root / table, kind), rest)
    if rows.empty:
        raise InputError(f"{root / table}: holds no results of {training.model}")
    for target, queries in rows.groupby("target", sort=True, observed=True):
        for metric in HEADLINE:
            reduced = sample(str(target), [queries], metric.name)
            found = interval([reduced])
            yield Score(
                dataset=str(target),
                protocol=protocols[target]["name"],
                metric=metric.name,
                value=round(found.value, DIGITS),
                low=round(found.low, DIGITS),
                high=round(found.high, DIGITS),
                queries=int(reduced.counts.sum()),
                identities=len(reduced.identities),
                seen=target in seen,
            )


def _rows(table: pd.DataFrame, file: list[str]) -> pd.DataFrame:
    """The rows of a model: SOURCE.pt of the default run, or VARIANT/MOMENT.pt of the ablation."""
    moment = PurePosixPath(file[-1]).stem
    if len(file) == 1:
        return table[table["source"] == moment]
    return table[(table["variant"] == file[0]) & (table["moment"] == moment)]


def _weights(model: Path, target: Path) -> Weights:
    """Write the safetensors file; it holds the same tensors."""
    network = restore(model)
    save(network, read_architecture(model).model, target)
    content = target.read_bytes()
    if len(content) > LARGEST:
        raise InputError(f"{model}: a published model must have at most {LARGEST} bytes, got {len(content)}")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Weights(target.name, hashlib.sha256(content).hexdigest(), len(content), parameters)


def _list(path: Path, name: str, entry: dict[str, Any]) -> None:
    """Append an artifact to dvc.yaml, whose last section is ``artifacts``; DVC would rewrite the whole file.

    Raises:
        InputError: another section follows.
    """
    before = read_yaml(path)
    heading = "" if "artifacts" in before else "\nartifacts:\n"
    if not heading and list(before)[-1] != "artifacts":
        raise InputError(f"{path}: artifacts must be the last section, got {list(before)[-1]}")
    block = yaml.safe_dump({name: entry}, sort_keys=False, width=1000, default_flow_style=None)
    text = path.read_text(encoding="utf-8").rstrip("\n") + "\n" + heading + textwrap.indent(block, "  ")
    write_text(path, text)


def _track(root: Path, target: Path) -> None:
    """Add the weights to DVC and push them to the remote inside the repository."""
    try:
        with Repo(str(root)) as repo:
            repo.add(str(target))
            repo.push([f"{target}.dvc"])
    except DvcException as error:
        raise InputError(f"{target}: {error}") from error


@contextmanager
def _all_or_nothing(*written: Path) -> Iterator[None]:
    """After an error, files are as before: restored, or removed where there was none."""
    before = {path: path.read_bytes() for path in written if path.exists()}
    try:
        yield
    except BaseException:
        for path in written:
            if path in before:
                path.write_bytes(before[path])
            else:
                path.unlink(missing_ok=True)
        raise


def _check_locked(root: Path, stages: Stages, path: str) -> str:
    """The MD5 of an output, after a check that dvc.lock lists it and the file has it.

    Raises:
        InputError: it does not, or the file has not.
    """
    outs = {out["path"]: out.get("md5") for stage in stages.values() for out in stage.get("outs", [])}
    if path not in outs:
        raise InputError(f"{root / LOCK}: must list {path}; the pipeline has not made it")
    try:
        found = _md5(root / path)
    except OSError as error:
        raise InputError(
            f"{root / path}: cannot be read ({error.strerror}); `dvc checkout` fetches it"
        ) from error
    if found != outs[path]:
        raise InputError(f"{root / path}: must have the MD5 of {LOCK}, {outs[path]}, got {found}")
    return found


def _check_committed(root: Path) -> None:
    changed = _git(root, "status", "--porcelain", "--", *CODE)
    if changed:
        raise InputError(
            f"{root}: code, parameters and {LOCK} must be committed, got {changed.splitlines()[0]}"
        )


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{root}: must be a git repository with a commit ({done.stderr.strip()})")
    return done.stdout.strip()


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
