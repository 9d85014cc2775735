"""Published data sets as params.yaml names them: which reader, with which options."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from sttreid.config.datasets import OPTIONS, Dataset
from sttreid.data.readers.duke_video import read_duke_video
from sttreid.data.readers.ilids_vid import read_ilids_vid
from sttreid.data.readers.ls_vid import read_ls_vid
from sttreid.data.readers.mars import read_mars
from sttreid.data.readers.prid2011 import read_prid2011
from sttreid.data.readers.tracklets import Tracklets
from sttreid.data.readers.unreal_person import read_unreal_person

READERS: Final[dict[str, Callable[..., Tracklets]]] = {
    "mars": read_mars,
    "duke_video": read_duke_video,
    "ls_vid": read_ls_vid,
    "ilids_vid": read_ilids_vid,
    "prid2011": read_prid2011,
    "unreal_person": read_unreal_person,
}


def read_published(dataset: Dataset, folder: Path, strict: bool, scratch: Path | None = None) -> Tracklets:
    """Read a published set that lies in a folder.

    Args:
        dataset: its reader and its options.
        folder: of the set.
        strict: whether a count that is off is an error.
        scratch: the folder on whose disk names and numbers of the pictures lie meanwhile; None is the
            system's for temporary files.

    Raises:
        InputError: as its reader; ``strict``, and a count is off.
    """
    options = {name: getattr(dataset, name) for name in OPTIONS.get(dataset.reader, ())}
    return READERS[dataset.reader](folder, strict=strict, scratch=scratch, **options)
