"""Manifest of a large folder: a small file for DVC to track instead of the folder.

DVC hashes every file of a folder that a stage depends on, and a published set has a million files. The stage
``decode`` therefore depends on ``sets/NAME.json``, which holds the number, bytes and digest of the files in
each part of the folder. The digest covers relative paths, byte lengths and modification times (whole
seconds), not the content. ``sttreid index`` writes the manifest; ``decode`` compares it with the folder
before it reads.

The path of the folder depends on the machine: the environment variable ``STTREID_ROOT_NAME`` holds it, or
``sets/local.yaml``, which git ignores and which ``sttreid index NAME FOLDER`` writes.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from sttreid.config.conversion import read_yaml
from sttreid.config.datasets import Dataset, root_variable
from sttreid.data.folder_listing import check_utf8, list_folder
from sttreid.runtime.documents import check_path
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, write_text

FORMAT: Final = "sttreid-index/1"
LOCAL: Final = "local.yaml"  # in the folder of the manifests: name -> folder on this machine
FILES_AT_ONCE: Final = 4096
FILES_OF_ROOT: Final = "."  # the part with the files directly in the folder

Lines = list[tuple[bytes, int]]  # line that is hashed, and byte length of its file
Identity = tuple[int, int]  # device and inode


def dataset_folder(name: str, dataset: Dataset) -> Path:
    """The folder of a data set on this machine, compared with its manifest if it has one.

    Raises:
        InputError: the folder of a set with a manifest is not declared, is missing or differs from the
            manifest.
    """
    if not dataset.has_manifest:
        return dataset.root
    folder = local_folder(name, dataset.root)
    changed = changed_parts(read_manifest(dataset.root, name), scan(folder))
    if changed:
        raise InputError(
            f"{folder}: must be as {dataset.root} says, but {', '.join(changed)} changed:"
            f" run `sttreid index {name}` if this is intended"
        )
    return folder


def dataset_manifest(name: str, dataset: Dataset, folder: Path) -> dict[str, Any]:
    """The content of a data set's manifest, or of the manifest that its folder would have."""
    return read_manifest(dataset.root, name) if dataset.has_manifest else scan(folder)


def local_folder(name: str, manifest: Path) -> Path:
    """The folder of a data set on this machine; InputError if it is not declared or is missing."""
    local = manifest.with_name(LOCAL)
    given = os.environ.get(root_variable(name))
    text = given or _read_local(local).get(name)
    if not text:
        raise InputError(
            f"{manifest}: the folder of {name} on this machine must be in the environment variable"
            f" {root_variable(name)} or in {local}: run `sttreid index {name} FOLDER`"
        )
    where = root_variable(name) if given else f"{local}: {name}"
    check_path(where, text)
    folder = Path(text)
    if not folder.is_dir():  # an existing folder may have a dollar sign in its name
        folder = Path(os.path.expanduser(os.path.expandvars(text)))  # noqa: PTH111  (Path's fails at ~nobody)
        check_path(where, folder)
    if not folder.is_dir():
        raise InputError(
            f"{folder}: the folder of {name} must exist, as {root_variable(name)} or {local} names it"
        )
    return folder


def write_local(name: str, manifest: Path, folder: Path) -> None:
    """Add the folder of a data set to the untracked local file."""
    local = manifest.with_name(LOCAL)
    content = _read_local(local) | {name: str(folder.absolute())}
    write_text(local, yaml.safe_dump(content, allow_unicode=True))


def _read_local(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    content = read_yaml(path) or {}
    if not isinstance(content, dict) or not all(isinstance(text, str) for text in content.values()):
        raise InputError(f"{path}: must map names of data sets to folders, got {content!r}")
    return content


def read_manifest(path: Path, name: str) -> dict[str, Any]:
    """A manifest's content; InputError if it is missing or of another format."""
    if not path.exists():
        raise InputError(f"{path}: the manifest is missing: run `sttreid index {name} FOLDER`")
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        value = content.get("format") if isinstance(content, dict) else content
        raise InputError(f"{path}: format must be {FORMAT!r}, got {value!r}")
    if not isinstance(content.get("parts"), dict):
        raise InputError(f"{path}: 'parts' must map folders to their files, got {content.get('parts')!r}")
    return content


def changed_parts(manifest: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The parts of a folder in which two manifests differ."""
    parts, others = manifest["parts"], other["parts"]
    return sorted(name for name in {**parts, **others} if parts.get(name) != others.get(name))


def scan(folder: Path) -> dict[str, Any]:
    """The manifest's content for a folder; memory holds the names of one folder in it at a time.

    Symbolic links are followed, but not into a folder that is above them; hidden files and broken links are
    ignored.

    Raises:
        InputError: a folder in it cannot be listed, or there is no file; the name of a folder directly in it
            is not UTF-8.
    """
    files, subfolders = list_folder(folder)
    for name in subfolders:
        check_utf8(folder, name)  # it is a key of the manifest
    trees = ((name, _walk(folder / name, name, (_identity(folder),))) for name in subfolders)
    parts = {}
    for name, pieces in ((FILES_OF_ROOT, _lines(folder, "", files)), *trees):
        digest, count, length = hashlib.sha256(), 0, 0
        for lines in pieces:
            digest.update(b"".join(line for line, _ in lines))
            count, length = count + len(lines), length + sum(size for _, size in lines)
        if count:
            parts[name] = {"files": count, "bytes": length, "digest": digest.hexdigest()}
    if not parts:
        raise InputError(f"{folder}: the folder of a data set must hold at least one file, got none")
    return {"format": FORMAT, "parts": parts}


def _walk(folder: Path, relative: str, parents: tuple[Identity, ...]) -> Iterator[Lines]:
    """The lines of a folder, then those of the folders in it, by name."""
    identity = _identity(folder)
    if identity in parents:
        return
    files, subfolders = list_folder(folder)
    yield from _lines(folder, f"{relative}/", files)
    for name in subfolders:
        yield from _walk(folder / name, f"{relative}/{name}", (*parents, identity))


def _identity(folder: Path) -> Identity:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _lines(folder: Path, prefix: str, names: list[str]) -> Iterator[Lines]:
    """A line and the byte length of every file, some files at a time."""
    for start in range(0, len(names), FILES_AT_ONCE):
        statuses = ((name, _status(f"{folder}/{name}")) for name in names[start : start + FILES_AT_ONCE])
        yield [
            (
                os.fsencode(f"{prefix}{name}\0{status.st_size}\0{status.st_mtime_ns // 10**9}\n"),
                status.st_size,
            )
            for name, status in statuses
            if status
        ]


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116
    except OSError:  # a broken link
        return None
