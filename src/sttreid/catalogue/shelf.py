"""The published models of a checkout: ``artifacts`` of dvc.yaml, found by name, fetched from the DVC remote.

dvc.yaml lists the models from the oldest to the newest. DVC's pointer, ``models/NAME.safetensors.dvc``, gives
the MD5 of the weights. The remote's objects lie inside the repository: neither DVC nor a network is needed.
"""

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from sttreid.config.conversion import parse, read_yaml
from sttreid.runtime.documents import check_path, read_whole
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_bytes

FOLDER: Final = "models"
OBJECTS: Final = Path("data-store", "files", "md5")  # of the remote in .dvc/config
PIPELINE: Final = "dvc.yaml"
TYPE: Final = "model"  # of an artifact


@dataclass(frozen=True)
class _Artifact:
    """An artifact in dvc.yaml; DVC knows further keys."""

    path: str
    type: str | None = None


@dataclass(frozen=True)
class _Pipeline:
    """What is read of dvc.yaml."""

    artifacts: dict[str, _Artifact] | None = None


@dataclass(frozen=True)
class _Output:
    """A file in DVC's pointer."""

    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


@dataclass(frozen=True)
class _Pointer:
    """What is read of a pointer."""

    outs: Annotated[list[_Output], Field(min_length=1)]


def locate(model: Path | str | None, root: Path | None = None) -> Path:
    """The file of a model.

    Args:
        model: a file; or the name of a published model; None: the newest published model.
        root: of the checkout; None: the one that contains the working directory or this package.

    Raises:
        InputError: a published model is asked for, and there is no checkout or no such model in it.
    """
    path = Path(model or "")
    if model is not None and (path.suffix or path.exists() or len(path.parts) > 1):
        return path
    root = root or _checkout()
    if root is None:
        rule = "published models are found in a checkout of sttreid's repository only: give a model's file"
        raise InputError(f"{Path.cwd()}: {rule}, got {str(model)!r}" if model else f"{Path.cwd()}: {rule}")
    models = published(root)
    if not models:
        raise InputError(f"{root / PIPELINE}: lists no published model: give a model's file")
    name = list(models)[-1] if model is None else str(model)
    if name not in models:
        raise InputError(
            f"{root / PIPELINE}: the model must be one of {', '.join(models)}, or a file, got {name!r}"
        )
    return _fetched(root, models[name])


def published(root: Path) -> dict[str, Path]:
    """Name -> path from the root of each published model of a checkout, the newest last.

    Raises:
        InputError: dvc.yaml cannot be read, or a model's path leads out of the checkout.
    """
    path = root / PIPELINE
    content = parse(_Pipeline, read_yaml(path) or {}, str(path))
    found = {name: each for name, each in (content.artifacts or {}).items() if each.type == TYPE}
    for name, each in found.items():
        check_inside(f"{path}: artifacts.{name}.path", each.path)
    return {name: Path(each.path) for name, each in found.items()}


def published_name(model: Path) -> str | None:
    """The name of the published model that a file of the present checkout is; None: it is another file."""
    root = _checkout()
    if root is None:
        return None
    files = {(root / path).resolve(): name for name, path in published(root).items()}
    return files.get(model.resolve())


def warn_if_changed(model: Path) -> None:
    """Warn where a model's file is not the one that DVC's pointer beside it names.

    It is used nevertheless: who trains a model again has such a file until `dvc commit`. A pointer without
    the MD5 of a file is left alone.
    """
    pointer = model.with_name(f"{model.name}.dvc")
    if not (pointer.is_file() and model.is_file()):
        return
    try:
        wanted = parse(_Pointer, read_yaml(pointer), str(pointer)).outs[0].md5
    except InputError:
        return
    with model.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != wanted:
        rule = f"must have the MD5 that {pointer.name} names, {wanted}, got {found}"
        advice = f"`dvc checkout {pointer}` gives it back, `dvc commit {pointer}` names the present one"
        warnings.warn(f"{model}: {rule}; {advice}", stacklevel=4)


def check_inside(where: str, path: str) -> None:
    """Raise InputError unless a path, which ``where`` names, can be that of a file inside of its folder."""
    if not path or "\0" in path or Path(path).is_absolute() or ".." in Path(path).parts:
        raise InputError(f"{where}: must stay inside of its folder, got {path!r:.100}")
    check_path(where, path)


def _checkout() -> Path | None:
    here, package = Path.cwd(), Path(__file__).resolve()
    for folder in (here, *here.parents, *package.parents):
        if (folder / PIPELINE).is_file() and (folder / "src" / "sttreid").is_dir():
            return folder
    return None


def _fetched(root: Path, relative: Path) -> Path:
    """The file of a published model; copied from the remote's objects if it is not there yet."""
    path = root / relative
    if path.is_file():
        return path
    if path.exists():
        raise InputError(f"{path}: must be a file, and is a folder or a device")
    pointer = path.with_name(f"{path.name}.dvc")
    outs = parse(_Pointer, read_yaml(pointer), str(pointer)).outs
    md5 = outs[0].md5
    source = root / OBJECTS / md5[:2] / md5[2:]
    if not source.is_file():
        raise InputError(f"{path}: is not there; `dvc pull {pointer.relative_to(root)}` fetches it")
    content = read_whole(source)
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise InputError(
            f"{root / OBJECTS}: the object {md5} is damaged; `git checkout data-store` restores it"
        )
    write_bytes(path, content)
    return path
