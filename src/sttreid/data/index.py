"""A small manifest in place of a large folder: `python -m sttreid.data.index NAME [FOLDER]`.

DVC would hash every file of a folder that a stage depends on, and a published set has a million of them. The
stage ``decode`` depends on ``sets/NAME.json`` instead: number, bytes and digest of the files of every part
of the folder, from their relative paths, byte lengths and modification times (whole seconds); what they hold
is not read. The command writes it anew; ``decode`` compares before it reads.

Where the folder lies is a matter of the machine. The environment variable ``STTREID_ROOT_NAME`` says so, or
``sets/local.yaml``, which git ignores: the command with FOLDER puts it there.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from sttreid.config.conversion import hint
from sttreid.config.datasets import Dataset, Validation, variable
from sttreid.config.params import load
from sttreid.data.footage import read_videos
from sttreid.data.published import READERS, read_published
from sttreid.data.readers.folders import check_text
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, write_json, write_text

FORMAT: Final = "sttreid-index/1"
LOCAL: Final = "local.yaml"  # beside the manifests: name -> folder on this machine
_PIECE: Final = 4096  # files whose lines are in memory at once
HERE: Final = "."  # the part of the files that lie in no folder

Identity = tuple[int, int]


def source(name: str, dataset: Dataset) -> Path:
    """The folder of a data set on this machine.

    Raises:
        InputError: it lies elsewhere, and nobody says where, or it is not there, or not as its manifest says.
    """
    if not dataset.elsewhere:
        return dataset.root
    folder = place(name, dataset.root)
    expected = read_manifest(dataset.root, name)
    changed = differing(expected, take(folder))
    if changed:
        raise InputError(
            f"{folder}: must be as {dataset.root} says, but {', '.join(changed)} changed:"
            f" run `python -m sttreid.data.index {name}` if that is meant"
        )
    return folder


def state(name: str, dataset: Dataset, folder: Path) -> dict[str, Any]:
    """What a manifest says, or would say, of a data set that lies in a folder."""
    return read_manifest(dataset.root, name) if dataset.elsewhere else take(folder)


def place(name: str, manifest: Path) -> Path:
    """Where a data set lies on this machine; InputError if nobody says so or it is not there."""
    local = manifest.with_name(LOCAL)
    text = os.environ.get(variable(name)) or _read_local(local).get(name)
    if not text:
        raise InputError(
            f"{manifest}: where {name} lies on this machine must be said by the environment variable"
            f" {variable(name)} or by {local}: run `python -m sttreid.data.index {name} FOLDER`"
        )
    folder = Path(text)
    if not folder.is_dir():  # one that is there may have a dollar sign in its name
        folder = Path(os.path.expandvars(text)).expanduser()
    if not folder.is_dir():
        raise InputError(f"{folder}: the folder of {name} must be there, as {variable(name)} or {local} says")
    return folder


def _read_local(path: Path) -> dict[str, str]:
    try:
        content = yaml.safe_load(path.read_bytes()) or {}
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict) or not all(isinstance(text, str) for text in content.values()):
        raise InputError(f"{path}: must map names of data sets to folders, got {content!r}")
    return content


def remember(name: str, manifest: Path, folder: Path) -> None:
    """Write into the untracked local file where a data set lies."""
    local = manifest.with_name(LOCAL)
    content = _read_local(local) | {name: str(folder.absolute())}
    write_text(local, yaml.safe_dump(content, allow_unicode=True))


def take(folder: Path) -> dict[str, Any]:
    """The manifest's content for a folder; memory holds the names in one folder of it at a time.

    Symbolic links are followed, unless they lead round in a circle; hidden files and links to nothing do not
    count.

    Raises:
        InputError: a folder in it cannot be listed, or holds no file at all; the name of one directly in it
            is no UTF-8.
    """
    parts = {}
    here, below = _listed(folder)
    for name in below:
        check_text(folder, name)  # it stands in the manifest
    inside = ((name, _walk(folder / name, name, (_identity(folder),))) for name in below)
    for part, pieces in ((HERE, _lines(folder, "", here)), *inside):
        digest, files, length = hashlib.sha256(), 0, 0
        for lines in pieces:
            digest.update(b"".join(line for line, _ in lines))
            files, length = files + len(lines), length + sum(count for _, count in lines)
        if files:
            parts[part] = {"files": files, "bytes": length, "digest": digest.hexdigest()}
    if not parts:
        raise InputError(f"{folder}: the folder of a data set must hold at least one file, got none")
    return {"format": FORMAT, "parts": parts}


Lines = list[tuple[bytes, int]]


def _walk(folder: Path, relative: str, above: tuple[Identity, ...]) -> Iterator[Lines]:
    """The lines of a folder, then those of the folders in it, by name."""
    own = _identity(folder)
    if own in above:
        return
    names, below = _listed(folder)
    yield from _lines(folder, f"{relative}/", names)
    for name in below:
        yield from _walk(folder / name, f"{relative}/{name}", (*above, own))


def _identity(folder: Path) -> Identity:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the files in a folder, and those of the folders in it, each sorted."""
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name[0] == ".":
                    continue
                try:
                    (folders if entry.is_dir() else files).append(entry.name)
                except OSError:  # a link round in a circle
                    continue
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be listed ({error.strerror})") from error
    return sorted(files), sorted(folders)


def _lines(folder: Path, prefix: str, names: list[str]) -> Iterator[Lines]:
    """A line and the byte length of every file, some files at a time."""
    for start in range(0, len(names), _PIECE):
        found = ((name, _status(f"{folder}/{name}")) for name in names[start : start + _PIECE])
        yield [
            (os.fsencode(f"{prefix}{name}\0{own.st_size}\0{own.st_mtime_ns // 10**9}\n"), own.st_size)
            for name, own in found
            if own
        ]


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116
    except OSError:  # a link to nothing
        return None


def read_manifest(path: Path, name: str) -> dict[str, Any]:
    """A manifest's content; InputError if it is missing or of another format."""
    if not path.exists():
        raise InputError(f"{path}: the manifest is missing: run `python -m sttreid.data.index {name} FOLDER`")
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else content
        raise InputError(f"{path}: format must be {FORMAT!r}, got {found!r}")
    if not isinstance(content.get("parts"), dict):
        raise InputError(f"{path}: 'parts' must map folders to their files, got {content.get('parts')!r}")
    return content


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The parts of a folder that two manifests disagree about."""
    parts = one["parts"], other["parts"]
    return sorted(name for name in {**parts[0], **parts[1]} if parts[0].get(name) != parts[1].get(name))


def _checked(dataset: Dataset, folder: Path, validation: Validation) -> Iterator[str]:
    """Read a set and say what is worth knowing before it is decoded; InputError as its reader."""
    if dataset.reader in READERS:
        published = read_published(dataset, folder, strict=False)
        yield from (f"OFF  {sentence}" for sentence in published.mismatches)
        yield from published.remarks
        return
    found = read_videos(folder, dataset, validation)
    for camera in found.cameras:
        yield f"camera {camera.number}: {camera.video.relative_to(folder)}, {camera.frames:,} frames"
    people = found.detections.groupby("split")["identity"]
    for split, count in people.nunique().items():
        yield f"{split}: {count:,} people, {people.size()[split]:,} boxes"


def main(arguments: list[str] | None = None) -> None:
    """Check a data set and write its manifest; InputError if it has none, or cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m sttreid.data.index", description=__doc__)
    parser.add_argument("name", help="of the data set in params.yaml")
    parser.add_argument(
        "folder", type=Path, nargs="?", help="where it lies; kept in the untracked local file"
    )
    given = parser.parse_args(arguments)
    params = load()
    datasets = params.datasets
    if given.name not in datasets:
        raise InputError(f"params.yaml: datasets has no {given.name!r}{hint(given.name, list(datasets))}")
    dataset = datasets[given.name]
    if not dataset.elsewhere:
        rule = "the root must be a manifest, such as sets/mars.json"
        raise InputError(f"params.yaml: {given.name}: {rule}, got {str(dataset.root)!r}, which DVC hashes")
    if given.folder and not given.folder.is_dir():
        raise InputError(f"{given.folder}: the folder of {given.name} must be there")
    folder = given.folder or place(given.name, dataset.root)
    content = take(folder)
    for sentence in _checked(dataset, folder, params.decode.validation):
        print(sentence)
    if given.folder:
        remember(given.name, dataset.root, folder)
    write_json(dataset.root, content)
    total = {key: sum(part[key] for part in content["parts"].values()) for key in ("files", "bytes")}
    print(f"{dataset.root}: {total['files']:,} files, {total['bytes']:,} bytes in {folder}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
