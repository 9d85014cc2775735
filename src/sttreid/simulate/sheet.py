"""`python -m sttreid.simulate.sheet FOLDER OUT.jpg`: a contact sheet, identities x cameras x times."""

import argparse
import io
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import av
from PIL import Image

from sttreid.errors import InputError
from sttreid.files import write_bytes

CELL: Final = (48, 96)  # width and height of a crop, pixels
_CAMERAS: Final = 3  # of an identity
_TIMES: Final = 4  # of a camera
_BLOCKS: Final = 2  # identities beside each other
_GAP: Final = 4  # pixels between cameras
_LARGEST: Final = 300_000  # bytes of the file

Crop = Image.Image
Place = tuple[int, int, tuple[float, float, float, float]]  # identity, time, box


def sheet(folder: Path, identities: list[int]) -> Image.Image:
    """Crops of a rendered folder: one row an identity, up to three cameras, four times in each."""
    crops: dict[int, dict[str, dict[int, Crop]]] = defaultdict(lambda: defaultdict(dict))
    for camera in _cameras(folder):
        wanted = _chosen(folder / f"{camera}.txt", identities)
        for identity, time, crop in _crops(folder / f"{camera}.mp4", wanted):
            crops[identity][camera][time] = crop
    width, height = CELL
    block = _CAMERAS * (_TIMES * width + _GAP) + 3 * _GAP
    rows = -(-len(identities) // _BLOCKS)
    page = Image.new("RGB", (_BLOCKS * block - 4 * _GAP, rows * height), "white")
    for number, identity in enumerate(identities):
        left, top = number // rows * block, number % rows * height
        for column, camera in enumerate(sorted(crops[identity])[:_CAMERAS]):
            for time, crop in crops[identity][camera].items():
                page.paste(crop, (left + column * (_TIMES * width + _GAP) + time * width, top))
    return page


def write_sheet(folder: Path, path: Path, count: int) -> None:
    """Writes the sheet of the first `count` test identities as a JPEG of at most 300 kB.

    Raises:
        InputError: the folder holds no camera videos.
    """
    page = sheet(folder, _manifest(folder)["splits"]["test"][:count])
    for quality in range(90, 20, -5):
        encoded = io.BytesIO()
        page.save(encoded, "JPEG", quality=quality)
        if encoded.tell() <= _LARGEST:
            break
    write_bytes(path, encoded.getvalue())


def _manifest(folder: Path) -> dict[str, dict[str, list[int]]]:
    path = folder / "manifest.json"
    try:
        content: dict[str, dict[str, list[int]]] = json.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: cannot be read, so {folder} is no folder of camera videos") from error
    return content


def _cameras(folder: Path) -> list[str]:
    return sorted(_manifest(folder)["cameras"])


def _chosen(tracks: Path, identities: list[int]) -> dict[int, list[Place]]:
    """Frame from 1 -> crops wanted: for each identity, frames spread evenly over its walk."""
    lines = [line.split(",") for line in tracks.read_text().splitlines()]
    wanted: dict[int, list[Place]] = defaultdict(list)
    for identity in identities:
        own = [line for line in lines if int(line[1]) == identity]
        for time in range(_TIMES if own else 0):
            line = own[time * (len(own) - 1) // (_TIMES - 1)]
            left, top, width, height = map(float, line[2:6])
            wanted[int(line[0])].append((identity, time, (left, top, left + width, top + height)))
    return wanted


def _crops(video: Path, wanted: dict[int, list[Place]]) -> Iterator[tuple[int, int, Crop]]:
    with av.open(str(video)) as container:
        for number, frame in enumerate(container.decode(video=0), start=1):
            for identity, time, box in wanted.get(number, []):
                picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
                yield identity, time, picture.resize(CELL, Image.Resampling.BILINEAR, box)


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m sttreid.simulate.sheet", description=__doc__)
    parser.add_argument("folder", type=Path, help="a rendered folder with its manifest.json")
    parser.add_argument("picture", type=Path, help="the JPEG to write")
    parser.add_argument("--identities", type=int, default=24, help="how many (default: %(default)s)")
    given = parser.parse_args(arguments)
    write_sheet(given.folder, given.picture, given.identities)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
