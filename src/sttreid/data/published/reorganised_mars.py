"""The reorganised MARS that circulates since "Exploit the Unknown Gradually", which is refused.

It has the folders of the older DukeMTMC-VideoReID and MARS's file names::

    {train,query,gallery}_split/0001/0001/0001C1T0001F001.jpg

Its lists and indices are gone, the queries are not in the gallery and junk is left out, so that no official
result of MARS can be computed on it.
"""

import re
from itertools import islice
from pathlib import Path
from typing import Final

from sttreid.data.folder_listing import image_names, subfolders
from sttreid.runtime.errors import InputError

SIDES: Final = ("train_split", "query_split", "gallery_split")
_NAME: Final = re.compile(r"(?:00-1|\d{4})C\d+T\d+F\d+\.jpg", re.ASCII | re.IGNORECASE)
_PROBED: Final = 50  # folders of tracklets


def check_not_reorganised(folder: Path) -> None:
    """Raise InputError if a folder, or its only subfolder with these folders, is the reorganised MARS."""
    for root in (folder, *(subfolders(folder) if folder.is_dir() else ())):
        if all((root / side).is_dir() for side in SIDES) and (name := _first_image(root)) is not None:
            raise InputError(
                f"{root}: MARS must have bbox_train, bbox_test and info, but this is the reorganised copy"
                f" ({', '.join(SIDES)}, with MARS's names such as {name}): its lists are gone, its gallery"
                " lacks the queries and the junk, so no official result can be computed; use the original"
            )


def _first_image(root: Path) -> str | None:
    """An image with a name of MARS."""
    tracklets = (tracklet for one in subfolders(root / SIDES[0]) for tracklet in subfolders(one))
    for tracklet in islice(tracklets, _PROBED):
        for name in image_names(tracklet):
            return name if _NAME.fullmatch(name) else None
    return None
