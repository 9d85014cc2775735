"""Read a data set with its reader.

The result is either a set of published tracklets or camera videos with their tracks.
"""

from pathlib import Path

from sttreid.config.datasets import Dataset
from sttreid.data.camera_videos import CameraVideos
from sttreid.data.folder_listing import LayoutError, fits, subfolders
from sttreid.data.published.published_set import PublishedSet
from sttreid.data.registry import ReadSettings, find_reader, parse_options, readers
from sttreid.runtime.errors import InputError

DataSource = PublishedSet | CameraVideos


def read_dataset(dataset: Dataset, folder: Path, settings: ReadSettings) -> DataSource:
    """Read a data set from its folder.

    Raises:
        InputError: as its reader; of a folder in another layout, the error names the readers that fit.
    """
    reader = find_reader(dataset.reader)
    try:
        source = reader.read(folder, parse_options(dataset), settings)
    except LayoutError as error:
        raise InputError(f"{error}{_fitting(folder)}") from None
    if not isinstance(source, PublishedSet | CameraVideos):
        raise TypeError(f"the reader {reader.name} must return a data source, got {type(source).__name__}")
    return source


def _fitting(folder: Path) -> str:
    """The readers whose landmarks a folder has, for the end of a sentence."""
    tops = (folder, *subfolders(folder))
    names = [reader.name for reader in readers().values() if any(fits(top, reader.landmarks) for top in tops)]
    return f"; it looks like {' or '.join(names)}" if names else ""
