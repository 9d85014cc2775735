"""The published models of a checkout: ``artifacts`` of dvc.yaml, found by name, fetched from the DVC remote.

dvc.yaml lists the models from the oldest to the newest. DVC's pointer, ``models/NAME.safetensors.dvc``, gives
the MD5 of the weights. The remote's objects lie inside the repository: neither DVC nor a network is needed.
"""

import hashlib
from pathlib import Path
from typing import Any, Final

from sttreid.config.conversion import read_yaml
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_bytes

FOLDER: Final = "models"
OBJECTS: Final = Path("data-store", "files", "md5")  # of the remote in .dvc/config
PIPELINE: Final = "dvc.yaml"
TYPE: Final = "model"  # of an artifact


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
        InputError: dvc.yaml cannot be read.
    """
    artifacts: dict[str, Any] = (read_yaml(root / PIPELINE) or {}).get("artifacts") or {}
    return {name: Path(each["path"]) for name, each in artifacts.items() if each.get("type") == TYPE}


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
    pointer = path.with_name(f"{path.name}.dvc")
    md5 = str(read_yaml(pointer)["outs"][0]["md5"])
    try:
        content = (root / OBJECTS / md5[:2] / md5[2:]).read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: is not there; `dvc pull {pointer.relative_to(root)}` fetches it"
        ) from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise InputError(
            f"{root / OBJECTS}: the object {md5} is damaged; `git checkout data-store` restores it"
        )
    write_bytes(path, content)
    return path
