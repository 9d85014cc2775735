"""manifest.json: what a folder of camera videos holds, how it was made, and the checksum of every file."""

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
from sttreid.simulate.tracks import GAP

FORMAT: Final = "sttreid-cameras/1"
MANIFEST: Final = "manifest.json"
TRUTH: Final = "truth.parquet"
TRACKS: Final = "tracks.csv"
CODE: Final = "simulator"  # key of a recipe


def recipe(name: str, domain: Domain, scale: Scale, version: str | None) -> dict[str, Any]:
    """All that decides a rendering's bytes, as JSON content: two equal recipes give equal files.

    CODE changes with any source file of this package and with the packages that write the files, also where
    that changes no byte of a rendering, so it does not stand in the manifest; `version` names a frozen
    benchmark.
    """
    size = {field.name: getattr(scale, field.name) for field in fields(Scale)}
    code = [source_digest(), *(package.__version__ for package in (av, np, pd, pa))]
    content = {"name": name, "scale": size, "domain": asdict(domain), CODE: code}
    return content if version is None else content | {"version": version}


def write_manifest(folder: Path, made_by: dict[str, Any], scale: Scale, frames: dict[int, int]) -> None:
    """Describes the finished files of a folder; `frames` counts each camera's frames."""
    cameras = {
        f"c{camera}": {
            "frames": count,
            "sha256_video": _sha256(folder / f"c{camera}.mp4"),
            "sha256_tracks": _sha256(folder / f"c{camera}.txt"),
        }
        for camera, count in frames.items()
    }
    content = {key: value for key, value in made_by.items() if key != CODE} | {
        "format": FORMAT,
        "gap": GAP,
        "cameras": cameras,
        "tables": {name: _sha256(folder / name) for name in (TRUTH, TRACKS)},
        "splits": splits(scale),
    }
    write_json(folder / MANIFEST, content)


def differences(folder: Path, manifest: Path) -> list[str]:
    """Sentences about the files of a folder that are not those of a manifest; none if all are equal.

    The manifest may be the folder's own, or that of another rendering of the same data set.

    Raises:
        InputError: the manifest is missing or is none of this simulator.
    """
    expected = checksums(manifest)
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    sentences = [f"{folder / name}: is missing" for name in sorted(set(expected) - found)]
    for name in sorted(set(expected) & found):
        checksum = _sha256(folder / name)
        if checksum != expected[name]:
            sentences.append(f"{folder / name}: the checksum must be {expected[name]}, got {checksum}")
    surplus = sorted(found - set(expected) - {MANIFEST})
    sentences += [f"{folder / name}: is not in the manifest" for name in surplus]
    return sentences + ([] if manifest == folder / MANIFEST else _unlike(folder / MANIFEST, manifest))


def _unlike(own: Path, other: Path) -> list[str]:
    """Which members of two manifests differ; cameras and tables only repeat what the files' checksums say."""
    if not own.exists():
        return [f"{own}: is missing"]
    mine, theirs = read_json(own), read_json(other)
    keys = sorted({*mine, *theirs} - {"cameras", "tables"})
    return [f"{own}: {key!r} must be that of {other}" for key in keys if mine.get(key) != theirs.get(key)]


def checksums(manifest: Path) -> dict[str, str]:
    """File name -> SHA-256, of all files that a manifest describes."""
    content = read_json(manifest)
    try:
        files: dict[str, str] = dict(content["tables"])
        for camera, entry in content["cameras"].items():
            files |= {f"{camera}.mp4": entry["sha256_video"], f"{camera}.txt": entry["sha256_tracks"]}
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{manifest}: must be a manifest of the simulator, with all checksums") from error
    return files


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
