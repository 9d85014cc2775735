"""manifest.json: what a folder of camera videos holds."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Final

from sttreid.domain import Scale
from sttreid.files import write_json
from sttreid.simulate.plan import splits

FORMAT: Final = "sttreid-cameras/1"


def write_manifest(folder: Path, name: str, scale: Scale, frames: dict[int, int]) -> None:
    """Describes the finished videos and tracks of a folder; `frames` counts each camera's frames."""
    cameras = {
        f"c{camera}": {
            "frames": count,
            "sha256_video": _sha256(folder / f"c{camera}.mp4"),
            "sha256_tracks": _sha256(folder / f"c{camera}.txt"),
        }
        for camera, count in frames.items()
    }
    content = {
        "format": FORMAT,
        "name": name,
        "scale": asdict(scale),
        "cameras": cameras,
        "splits": splits(scale),
    }
    write_json(folder / "manifest.json", content)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
