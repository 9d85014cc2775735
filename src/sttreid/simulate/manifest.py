"""manifest.json: the contents of a folder of camera videos, its recipe, and the checksum of every file.

The keys on disk belong to FORMAT and never change, because the pinned sets hold them. Where a field has
another name in this version, _ON_DISK translates it. Fields that came later are left out at their default.
"""

import hashlib
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import pandas as pd
import pyarrow as pa

from sttreid.config.domain import Domain, Scale
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, write_json
from sttreid.simulate.kernels import source_digest
from sttreid.simulate.plan import splits
from sttreid.simulate.tracks import MAX_FRAME_GAP

FORMAT: Final = "sttreid-cameras/1"
MANIFEST: Final = "manifest.json"
TRUTH: Final = "truth.parquet"
TRACKS: Final = "tracks.csv"
CODE: Final = "simulator"  # key of a recipe
_LATER: Final = {"first_identity": 1, "same_people_as": None}  # fields of later versions, and their defaults
_ON_DISK: Final = {"min_frames": "shortest", "max_frames": "longest", "look_alikes": "twins"}  # field -> key


def recipe(name: str, domain: Domain, scale: Scale, version: str | None) -> dict[str, Any]:
    """Everything that determines the bytes of a rendering, as JSON content: equal recipes give equal files.

    CODE changes with every source file of this package and with the packages that write the files, even if
    the rendered bytes stay equal. The manifest therefore does not hold it. ``version`` names a frozen
    benchmark.
    """
    code = [source_digest(), *(package.__version__ for package in (av, np, pd, pa))]
    content = {"name": name, "scale": scale_on_disk(scale), "domain": domain_on_disk(domain), CODE: code}
    return content if version is None else content | {"version": version}


def scale_on_disk(scale: Scale) -> dict[str, Any]:
    """A scale as the manifest holds it; fields of subclasses are left out."""
    return _without_defaults({_key(field.name): getattr(scale, field.name) for field in fields(Scale)})


def domain_on_disk(domain: Domain) -> dict[str, Any]:
    """A domain as the manifest holds it."""
    content = _without_defaults(asdict(domain))
    return content | {"clothing": {_key(name): value for name, value in content["clothing"].items()}}


def _without_defaults(content: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in _LATER or value != _LATER[key]}


def _key(field: str) -> str:
    return _ON_DISK.get(field, field)


def write_manifest(
    folder: Path, recipe_content: dict[str, Any], scale: Scale, frames: dict[int, int]
) -> None:
    """Describe the finished files of a folder; ``frames`` holds the number of frames of each camera."""
    cameras = {
        f"c{camera}": {
            "frames": count,
            "sha256_video": _sha256(folder / f"c{camera}.mp4"),
            "sha256_tracks": _sha256(folder / f"c{camera}.txt"),
        }
        for camera, count in frames.items()
    }
    content = {key: value for key, value in recipe_content.items() if key != CODE} | {
        "format": FORMAT,
        "gap": MAX_FRAME_GAP,
        "cameras": cameras,
        "tables": {name: _sha256(folder / name) for name in (TRUTH, TRACKS)},
        "splits": splits(scale),
    }
    write_json(folder / MANIFEST, content)


def differences(folder: Path, manifest: Path) -> list[str]:
    """One sentence per file of a folder that differs from a manifest; empty if all are equal.

    The manifest is the folder's own, or that of another rendering of the same data set.

    Raises:
        InputError: the manifest is missing, or is not a manifest of the simulator.
    """
    expected = checksums(manifest)
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    sentences = [f"{folder / name}: is missing" for name in sorted(set(expected) - names)]
    for name in sorted(set(expected) & names):
        checksum = _sha256(folder / name)
        if checksum != expected[name]:
            sentences.append(f"{folder / name}: the checksum must be {expected[name]}, got {checksum}")
    surplus = sorted(names - set(expected) - {MANIFEST})
    sentences += [f"{folder / name}: is not in the manifest" for name in surplus]
    return sentences + ([] if manifest == folder / MANIFEST else _differing_keys(folder / MANIFEST, manifest))


def _differing_keys(path: Path, other: Path) -> list[str]:
    """One sentence per key that differs between two manifests.

    Cameras and tables are left out: they repeat the checksums of the files.
    """
    if not path.exists():
        return [f"{path}: is missing"]
    checksums(path)  # checks its form
    content, expected = read_json(path), read_json(other)
    keys = sorted({*content, *expected} - {"cameras", "tables"})
    return [
        f"{path}: the value of {key!r} must equal that in {other}"
        for key in keys
        if content.get(key) != expected.get(key)
    ]


def checksums(manifest: Path) -> dict[str, str]:
    """File name -> SHA-256 of every file that a manifest describes.

    Raises:
        InputError: the manifest cannot be read, or lacks a checksum.
    """
    content = read_json(manifest)
    try:
        files: dict[str, str] = dict(content["tables"])
        for camera, entry in content["cameras"].items():
            files |= {f"{camera}.mp4": entry["sha256_video"], f"{camera}.txt": entry["sha256_tracks"]}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{manifest}: must be a manifest of the simulator, with all checksums") from error
    return files


def _sha256(path: Path) -> str:
    """The checksum of a file; empty for a folder, and for what cannot be read."""
    if not path.is_file():  # a device has no end
        return ""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
