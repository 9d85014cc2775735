"""PRID2011 (Hirzer et al., Person Re-Identification by Descriptive and Discriminative Classification, 2011).

::

    prid_2011/multi_shot/cam_a/person_0001/0001.png              the level prid_2011 is optional
    splits_prid2011.json                                         [{"train": ["person_0001"], "test": [...]}]

The first 200 identities of both cameras are the same. The ten splits, of the 178 identities with sequences
that are long enough, are not part of the release: they come with iLIDS-VID, as lists of folder names.
"""

import re
from pathlib import Path
from typing import Any, Final

from sttreid.data.folder_listing import first_existing, locate, subfolders
from sttreid.data.published.disk_buffer import DiskBuffer
from sttreid.data.published.file_names import pattern_groups
from sttreid.data.published.official_counts import CountCheck
from sttreid.data.published.published_set import PublishedSet, assemble
from sttreid.data.published.two_cameras import SplitOption, check_split, count_halves, read_halves
from sttreid.data.registry import Reader, ReadSettings
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json

LANDMARKS: Final = (("prid_2011/multi_shot/cam_a",), ("multi_shot/cam_a",))
IMAGE: Final = r"^(?P<frame>\d{1,18})(?i:\.png)$"
EXAMPLE: Final = "0001.png"
SEQUENCES: Final = ("prid_2011/multi_shot", "multi_shot")
SPLITS: Final = ("splits_prid2011.json", "info/splits_prid2011.json", "../splits_prid2011.json")
OFFICIAL: Final = {
    "training identities": 89,
    "test identities": 89,
    "tracklets": 356,
    "queries": 89,
    "gallery tracklets": 89,
}
_FOLDER: Final = re.compile(r"person_[0-9]{1,9}")


def read_prid2011(
    folder: Path, split: int = 1, strict: bool = False, scratch: Path | None = None
) -> PublishedSet:
    """Read PRID2011.

    Args:
        folder: holds ``prid_2011`` or ``multi_shot``, or is its parent.
        split: one of the splits, 1 to 10.
        strict: whether a count that differs from the official one is an error.
        scratch: folder for temporary files, as in :class:`DiskBuffer`.

    Raises:
        InputError: it is not PRID2011; the splits are missing, cannot be read or list an identity twice or
            without a folder; there is no such split; an image is misnamed; ``strict``, and a count differs.
    """
    root = locate(folder, "prid2011", LANDMARKS)
    sequences = first_existing(root, SEQUENCES, "the images")
    path = first_existing(root, SPLITS, "the splits")
    splits = _read_splits(path)
    check_split(path, split, len(splits))
    cameras = [sequences / "cam_a", sequences / "cam_b"]
    halves = splits[split - 1]
    buffer = DiskBuffer(pattern_groups(IMAGE), scratch)
    parts, empty = read_halves(buffer, root, cameras, halves["train"], halves["test"], IMAGE, EXAMPLE)
    identities = {name for halves in splits for half in halves.values() for name in half}
    checks = (
        empty,
        CountCheck("identities of camera a", 385, len(subfolders(cameras[0]))),
        CountCheck("identities of camera b", 749, len(subfolders(cameras[1]))),
        CountCheck("official splits", 10, len(splits)),
        CountCheck("identities in all splits", 178, len(identities)),
    )
    title = f"PRID2011, split {split}"
    return assemble(title, root, parts, buffer, OFFICIAL, count_halves, checks, strict)


def _read(folder: Path, options: SplitOption, settings: ReadSettings) -> PublishedSet:
    return read_prid2011(folder, options.split, settings.strict, settings.scratch)


READER = Reader(
    name="prid2011",
    read=_read,
    protocol="prid-{split}",
    options=SplitOption,
    usual={"split": 1},
    landmarks=LANDMARKS,
)


def _read_splits(path: Path) -> list[dict[str, list[str]]]:
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise InputError(f"{path}: must be a list of splits, got {str(content)[:40]!r}")
    return [_check_halves(f"{path}: split {number}", entry) for number, entry in enumerate(content, 1)]


def _check_halves(where: str, entry: Any) -> dict[str, list[str]]:
    """The folder names of both halves of a split."""
    halves = {}
    for half in ("train", "test"):
        names = entry.get(half) if isinstance(entry, dict) else None
        if not isinstance(names, list) or not names:
            raise InputError(f"{where}: {half!r} must be a list of folder names, got {names!r}")
        for name in names:
            if not isinstance(name, str) or not _FOLDER.fullmatch(name):
                raise InputError(f"{where}: a folder must be named like person_0001, got {name!r}")
        halves[half] = names
    names = halves["train"] + halves["test"]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{where}: an identity must be listed once, got {repeated} twice")
    return halves
