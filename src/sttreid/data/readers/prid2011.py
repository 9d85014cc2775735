"""PRID2011 (Hirzer et al., Person Re-Identification by Descriptive and Discriminative Classification, 2011).

::

    prid_2011/multi_shot/cam_a/person_0001/0001.png              the level prid_2011 may be missing
    splits_prid2011.json                                         [{"train": ["person_0001"], "test": [...]}]

The first 200 persons of both cameras are the same people. The ten splits, of the 178 persons whose sequences
are long enough, are not part of the release; they are those that came with iLIDS-VID, as lists of folder
names.
"""

import re
from pathlib import Path
from typing import Any, Final

from sttreid.data.readers.checks import Check
from sttreid.data.readers.folders import first_of, locate, subfolders
from sttreid.data.readers.names import groups
from sttreid.data.readers.pairs import check_index, read_pairs, split_counts
from sttreid.data.readers.spool import Spool
from sttreid.data.readers.tracklets import Tracklets, assemble
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json

PICTURE: Final = r"^(?P<frame>\d{1,18})(?i:\.png)$"
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
_PERSON: Final = re.compile(r"person_[0-9]{1,9}")


def read_prid2011(
    folder: Path, split: int = 1, strict: bool = False, scratch: Path | None = None
) -> Tracklets:
    """Read PRID2011; ``folder`` holds ``prid_2011`` or ``multi_shot``, or is the one above it.

    Args:
        folder: of the data set.
        split: one of the splits, 1 to 10.
        strict: whether a count that is off is an error.
        scratch: the folder on whose disk the pictures' names and numbers lie meanwhile, as in :class:`Spool`.

    Raises:
        InputError: it is no PRID2011; the splits are missing, cannot be read or name a person twice or one
            whose folder is missing; there is no such split; a picture is misnamed; ``strict``, and a count
            is off.
    """
    root = locate(folder, "prid2011")
    sequences = first_of(root, SEQUENCES, "the pictures")
    path = first_of(root, SPLITS, "the splits")
    splits = _splits(path)
    check_index(path, split, len(splits))
    cameras = [sequences / "cam_a", sequences / "cam_b"]
    chosen = splits[split - 1]
    spool = Spool(groups(PICTURE), scratch)
    parts, found = read_pairs(spool, root, cameras, chosen["train"], chosen["test"], PICTURE, EXAMPLE)
    persons = {person for halves in splits for half in halves.values() for person in half}
    seen = [len(subfolders(camera)) for camera in cameras]
    checks = (
        Check("persons of camera a", 385, seen[0]),
        Check("persons of camera b", 749, seen[1]),
        Check("official splits", 10, len(splits)),
        Check("persons in all splits", 178, len(persons)),
    )
    return assemble(
        f"PRID2011, split {split}", root, parts, spool, OFFICIAL, split_counts, (*found, *checks), strict
    )


def _splits(path: Path) -> list[dict[str, list[str]]]:
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise InputError(f"{path}: must be a list of splits, got {str(content)[:40]!r}")
    return [_split(f"{path}: split {number}", entry) for number, entry in enumerate(content, 1)]


def _split(where: str, entry: Any) -> dict[str, list[str]]:
    halves = {}
    for half in ("train", "test"):
        persons = entry.get(half) if isinstance(entry, dict) else None
        if not isinstance(persons, list) or not persons:
            raise InputError(f"{where}: {half!r} must be a list of persons, got {persons!r}")
        for person in persons:
            if not isinstance(person, str) or not _PERSON.fullmatch(person):
                raise InputError(f"{where}: a person must be named like person_0001, got {person!r}")
        halves[half] = persons
    everyone = halves["train"] + halves["test"]
    if len(set(everyone)) < len(everyone):
        twice = next(person for person in everyone if everyone.count(person) > 1)
        raise InputError(f"{where}: a person must stand in it once, got {twice} again")
    return halves
