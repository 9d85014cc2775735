"""Data sets with one folder per tracklet: image names of one pattern, sorted by a number in them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from sttreid.data.folder_listing import check_utf8, image_names
from sttreid.data.published.disk_buffer import DiskBuffer, blocks, folder_blocks
from sttreid.data.published.file_names import Ints, find_differing, parse_names, tracklet_index
from sttreid.runtime.errors import InputError

Listing = tuple[str, pa.Array]  # a folder relative to the root, and its image names, string


@dataclass(frozen=True, eq=False)
class TrackletFolders:
    """T tracklets, each in a separate folder; their images are read block by block.

    Attributes:
        root: the folder that ``folders`` are relative to.
        folders: of the tracklets, in the given order; none is empty, [T].
        starts: index of each tracklet's first image in the buffer, int64 [T].
        lengths: images of each tracklet, int64 [T].
        buffer: names of the images and the numbers in them, those of a tracklet in order.
        empty: folders without images.
    """

    root: Path
    folders: list[str]
    starts: Ints
    lengths: Ints
    buffer: DiskBuffer
    empty: list[str]

    def _blocks(self, field: str) -> Iterator[tuple[slice, Ints, Ints]]:
        """Some tracklets, their lengths and a number of their images."""
        for block in blocks(self.lengths):
            lengths = self.lengths[block]
            yield block, lengths, self.buffer.numbers(field, self.starts[block], lengths)

    def shared_number(self, field: str) -> Ints:
        """The number that all images of a tracklet share, int64 [T]; InputError if they differ."""
        numbers = self.first_number(field)
        self.check_number(field, numbers)
        return numbers

    def first_number(self, field: str) -> Ints:
        """A number of each tracklet's first image, int64 [T]."""
        return self.buffer.numbers(field, self.starts, np.ones_like(self.starts))

    def check_number(self, field: str, expected: Ints) -> None:
        """Raise InputError, naming the image, unless every image has its tracklet's number, [T]."""
        for block, lengths, numbers in self._blocks(field):
            wrong = find_differing(numbers, lengths, expected[block])
            if len(wrong):
                row = block.start + int(tracklet_index(lengths)[wrong[0]])
                raise InputError(
                    f"{self._path(block, int(wrong[0]))}: all images of this tracklet must have the"
                    f" {field} {expected[row]}, got {numbers[wrong[0]]}"
                )

    def check_distinct(self, field: str) -> None:
        """Raise InputError, naming the image, if two images of a tracklet have the same number.

        The images must be sorted by it.
        """
        for block, lengths, numbers in self._blocks(field):
            repeated = np.diff(numbers, prepend=-1) == 0
            repeated[np.cumsum(lengths) - lengths] = False
            if repeated.any():
                index = int(np.argmax(repeated))
                other = self._path(block, index - 1).name
                raise InputError(
                    f"{self._path(block, index)}: no two images of a tracklet must have the same {field},"
                    f" got that of {other}"
                )

    def count_skipped(self, field: str) -> Ints:
        """Count of missing numbers between a tracklet's first and last image, int64 [T]."""
        counts = np.zeros(len(self.lengths), np.int64)
        for block, lengths, numbers in self._blocks(field):
            steps = np.diff(numbers, prepend=0) - 1
            steps[np.cumsum(lengths) - lengths] = 0
            counts[block] = np.bincount(tracklet_index(lengths), np.maximum(steps, 0), len(lengths))
        return counts

    def _path(self, block: slice, index: int) -> Path:
        """The path of an image by its index in a block of tracklets."""
        row = int(tracklet_index(self.lengths[block])[index])
        name: str = self.buffer.names(self.starts[block], self.lengths[block])[index].as_py()
        return Path(self.root, self.folders[block.start + row], name)


def list_images(root: Path, folders: Sequence[Path]) -> Iterator[Listing]:
    """Every folder, relative to the root, with its image names; memory holds the names of one folder.

    Raises:
        InputError: a folder cannot be listed, or its name is not UTF-8.
    """
    for folder in folders:
        check_utf8(folder.parent, folder.name)
    for folder in folders:
        yield folder.relative_to(root).as_posix(), pa.array(list(image_names(folder)), pa.string())


def append_sorted(
    buffer: DiskBuffer, root: Path, listings: Iterable[Listing], pattern: str, example: str, order: str
) -> tuple[list[str], Ints]:
    """Append tracklets to the buffer, the images of each sorted by a number in their names.

    Args:
        buffer: has the groups of the pattern as fields.
        root: that the folders are relative to.
        listings: folder and image names of each tracklet, in no order.
        pattern: of an image name; every group is a whole number.
        example: a name that fits.
        order: the group that the images of a tracklet are sorted by.

    Returns:
        Folder and number of images of each tracklet.

    Raises:
        InputError: an image has another name.
    """
    folders: list[str] = []
    counts: list[int] = []
    for block in folder_blocks(listings):
        lengths = [len(names) for _, names in block]
        _append(buffer, root, block, np.array(lengths), pattern, example, order)
        folders += [folder for folder, _ in block]
        counts += lengths
    return folders, np.array(counts, np.int64)


def _append(
    buffer: DiskBuffer,
    root: Path,
    block: list[Listing],
    lengths: Ints,
    pattern: str,
    example: str,
    order: str,
) -> None:
    names = pa.concat_arrays([folder_names for _, folder_names in block])
    tracklet = tracklet_index(lengths)
    fields = parse_names(names, pattern, lambda index: root / block[tracklet[index]][0], example)
    sort = np.lexsort((fields[order], tracklet))
    buffer.append(names.take(pa.array(sort)), {name: field[sort] for name, field in fields.items()})


def read_tracklet_folders(
    buffer: DiskBuffer, root: Path, folders: Sequence[Path], pattern: str, example: str, order: str
) -> TrackletFolders:
    """The tracklets in some folders below the root.

    Args:
        buffer: to which their images are appended; has the groups of the pattern as fields.
        root: of the data set.
        folders: one per tracklet.
        pattern: of an image name; every group is a whole number.
        example: a name that fits.
        order: the group that the images of a tracklet are sorted by.

    Raises:
        InputError: a folder cannot be listed, or an image has another name.
    """
    start = len(buffer)
    names, lengths = append_sorted(buffer, root, list_images(root, folders), pattern, example, order)
    filled = [name for name, length in zip(names, lengths, strict=True) if length]
    empty = [name for name, length in zip(names, lengths, strict=True) if not length]
    lengths = lengths[lengths > 0]
    return TrackletFolders(root, filled, start + np.cumsum(lengths) - lengths, lengths, buffer, empty)
