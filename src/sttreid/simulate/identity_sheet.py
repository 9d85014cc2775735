"""Contact sheet of the identities of a rendered data set: identities x cameras x times."""

import io
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import av
from PIL import Image

from sttreid.runtime.documents import read_text
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, write_bytes
from sttreid.simulate.manifest import MANIFEST, checksums

CELL: Final = (48, 96)  # width and height of a crop, pixels
_CAMERAS: Final = 3  # per identity
_TIMES: Final = 4  # per camera
_BLOCKS: Final = 2  # identities per row
_GAP: Final = 4  # pixels between cameras
_MAX_BYTES: Final = 300_000  # of the file

Crop = Image.Image
WantedCrop = tuple[int, int, tuple[float, float, float, float]]  # identity, time, box


def draw_identities(folder: Path, identities: list[int]) -> Image.Image:
    """Crops of a rendered folder: per identity up to three cameras, four times each."""
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


def write_identity_sheet(folder: Path, path: Path, count: int) -> None:
    """Write the sheet of the first ``count`` test identities as a JPEG of at most 300 kB.

    Raises:
        InputError: the folder has no manifest, a file of it cannot be read, or the sheet would be too large.
    """
    page = draw_identities(folder, _test_identities(folder)[:count])
    for quality in range(90, 20, -5):
        encoded = io.BytesIO()
        page.save(encoded, "JPEG", quality=quality)
        if encoded.tell() <= _MAX_BYTES:
            break
    else:
        raise InputError(f"{path}: a sheet must fit into {_MAX_BYTES} bytes; choose fewer identities")
    write_bytes(path, encoded.getvalue())


def _cameras(folder: Path) -> list[str]:
    names = [Path(name).stem for name in checksums(folder / MANIFEST) if name.endswith(".mp4")]
    for name in names:
        if not re.fullmatch(r"c\d{1,9}", name, re.ASCII):
            raise InputError(f"{folder / MANIFEST}: a camera must be named like c1, got {name!r:.100}")
    return sorted(names)


def _test_identities(folder: Path) -> list[int]:
    path = folder / MANIFEST
    splits = content.get("splits") if isinstance(content := read_json(path), dict) else None
    found = splits.get("test") if isinstance(splits, dict) else None
    if not isinstance(found, list) or not all(type(one) is int for one in found):
        raise InputError(f"{path}: splits.test must be a list of identities, got {found!r:.100}")
    return found


def _chosen(tracks: Path, identities: list[int]) -> dict[int, list[WantedCrop]]:
    """Frame (from 1) -> its crops: for each identity, frames at even distances over its track."""
    lines = [_numbers(f"{tracks}:{n}", line) for n, line in enumerate(read_text(tracks).splitlines(), 1)]
    wanted: dict[int, list[WantedCrop]] = defaultdict(list)
    for identity in identities:
        track = [line for line in lines if line[1] == identity]
        for time in range(_TIMES if track else 0):
            line = track[time * (len(track) - 1) // (_TIMES - 1)]
            left, top, width, height = line[2:]
            wanted[int(line[0])].append((identity, time, (left, top, left + width, top + height)))
    return wanted


def _numbers(where: str, line: str) -> tuple[float, ...]:
    """Frame, identity and box of a line."""
    try:
        numbers = tuple(map(float, line.split(",")[:6]))
    except ValueError:
        numbers = ()
    if len(numbers) < 6 or not all(map(math.isfinite, numbers)) or min(numbers[4:]) <= 0:
        raise InputError(f"{where}: a line must hold frame, identity and a box, got {line!r:.100}")
    return numbers


def _crops(video: Path, wanted: dict[int, list[WantedCrop]]) -> Iterator[tuple[int, int, Crop]]:
    try:
        with av.open(str(video)) as container:
            for number, frame in enumerate(container.decode(video=0), start=1):
                for identity, time, box in wanted.get(number, []):
                    image = Image.fromarray(frame.to_ndarray(format="rgb24"))
                    left, top = max(box[0], 0.0), max(box[1], 0.0)
                    seen = (left, top, min(box[2], image.width), min(box[3], image.height))
                    if seen[0] < seen[2] and seen[1] < seen[3]:
                        yield identity, time, image.resize(CELL, Image.Resampling.BILINEAR, seen)
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{video}: the video cannot be decoded ({reason})") from error
