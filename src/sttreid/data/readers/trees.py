"""Data sets whose folders are the tracklets: their pictures, named by one grammar, in numeric order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from sttreid.data.readers.folders import check_text, picture_names
from sttreid.data.readers.names import Ints, differing, owners, parse
from sttreid.data.readers.spool import Spool, batches, blocks
from sttreid.runtime.errors import InputError

Listed = tuple[str, pa.Array]  # a folder relative to the root, and names in it, string


@dataclass(frozen=True, eq=False)
class Tree:
    """T tracklets, each in a folder of its own; what is asked of their pictures is asked block by block.

    Attributes:
        root: the folder that ``folders`` are relative to.
        folders: of the tracklets, in the order asked for; none is empty, [T].
        starts: the place of each one's first picture in the spool, int64 [T].
        lengths: pictures in each, int64 [T].
        spool: names of the pictures and the numbers in them, those of a tracklet in order.
        empty: folders that hold no picture.
    """

    root: Path
    folders: list[str]
    starts: Ints
    lengths: Ints
    spool: Spool
    empty: list[str]

    def _blocks(self, field: str) -> Iterator[tuple[slice, Ints, Ints]]:
        """Tracklets, their lengths and the numbers of their pictures."""
        for own in blocks(self.lengths):
            yield own, self.lengths[own], self.spool.numbers(field, self.starts[own], self.lengths[own])

    def one(self, field: str) -> Ints:
        """The number that all pictures of a tracklet share, int64 [T]; InputError if they differ."""
        found = self.first(field)
        self.must(field, found)
        return found

    def first(self, field: str) -> Ints:
        """The number of each tracklet's first picture, int64 [T]."""
        return self.spool.numbers(field, self.starts, np.ones_like(self.starts))

    def must(self, field: str, expected: Ints) -> None:
        """Raises InputError, naming the picture, unless every picture has its tracklet's number, [T]."""
        for own, lengths, numbers in self._blocks(field):
            wrong = differing(numbers, lengths, expected[own])
            if len(wrong):
                row = own.start + int(owners(lengths)[wrong[0]])
                raise InputError(
                    f"{self._picture(own, int(wrong[0]))}: all pictures of this tracklet must have the"
                    f" {field} {expected[row]}, got {numbers[wrong[0]]}"
                )

    def must_differ(self, field: str) -> None:
        """Raises InputError, naming the picture, if two of a tracklet, sorted by a number, have the same."""
        for own, lengths, numbers in self._blocks(field):
            again = np.diff(numbers, prepend=-1) == 0
            again[np.cumsum(lengths) - lengths] = False
            if again.any():
                place = int(np.argmax(again))
                rule = f"the pictures of this tracklet must have each a {field} of their own"
                earlier = self._picture(own, place - 1).name
                raise InputError(f"{self._picture(own, place)}: {rule}, got that of {earlier}")

    def skipped(self, field: str) -> Ints:
        """How many numbers between a tracklet's first and last one no picture has, int64 [T]."""
        found = np.zeros(len(self.lengths), np.int64)
        for own, lengths, numbers in self._blocks(field):
            steps = np.diff(numbers, prepend=0) - 1
            steps[np.cumsum(lengths) - lengths] = 0
            found[own] = np.bincount(owners(lengths), np.maximum(steps, 0), len(lengths))
        return found

    def _picture(self, own: slice, place: int) -> Path:
        """The path of a picture from its place in a block of tracklets."""
        row = int(owners(self.lengths[own])[place])
        name: str = self.spool.names(self.starts[own], self.lengths[own])[place].as_py()
        return Path(self.root, self.folders[own.start + row], name)


def list_pictures(root: Path, folders: Sequence[Path]) -> Iterator[Listed]:
    """Every folder, relative to the root, with the names of its pictures; memory holds one folder's.

    Raises:
        InputError: a folder cannot be listed, or its name is no UTF-8.
    """
    for folder in folders:
        check_text(folder.parent, folder.name)
    for folder in folders:
        yield folder.relative_to(root).as_posix(), pa.array(list(picture_names(folder)), pa.string())


def append_sorted(
    spool: Spool, root: Path, tracklets: Iterable[Listed], pattern: str, example: str, order: str
) -> tuple[list[str], Ints]:
    """Put tracklets into the spool, the pictures of each by a number in their names.

    Args:
        spool: has the groups of the pattern.
        root: that the folders are relative to.
        tracklets: the folder of each, relative to the root, and the names of its pictures, in no order.
        pattern: of a picture's name; every group is a whole number.
        example: a name that fits.
        order: the group that the pictures of a tracklet are sorted by.

    Returns:
        Folder and number of pictures of each tracklet.

    Raises:
        InputError: a picture has another name.
    """
    folders: list[str] = []
    counts: list[int] = []
    for batch in batches(tracklets):
        lengths = [len(names) for _, names in batch]
        _append(spool, root, batch, np.array(lengths), pattern, example, order)
        folders += [folder for folder, _ in batch]
        counts += lengths
    return folders, np.array(counts, np.int64)


def _append(
    spool: Spool, root: Path, batch: list[Listed], lengths: Ints, pattern: str, example: str, order: str
) -> None:
    names = pa.concat_arrays([own for _, own in batch])
    owner = owners(lengths)
    fields = parse(names, pattern, lambda place: root / batch[owner[place]][0], example)
    sort = np.lexsort((fields[order], owner))
    spool.append(names.take(pa.array(sort)), {name: field[sort] for name, field in fields.items()})


def read_tree(
    spool: Spool, root: Path, folders: Sequence[Path], pattern: str, example: str, order: str
) -> Tree:
    """The tracklets in some folders below the root.

    Args:
        spool: where their pictures go, behind those that are there; it has the groups of the pattern.
        root: of the data set.
        folders: one a tracklet.
        pattern: of a picture's name; every group is a whole number.
        example: a name that fits.
        order: the group that the pictures of a tracklet are sorted by.

    Raises:
        InputError: a folder cannot be listed, or a picture has another name.
    """
    start = len(spool)
    listed, lengths = append_sorted(spool, root, list_pictures(root, folders), pattern, example, order)
    filled = [name for name, length in zip(listed, lengths, strict=True) if length]
    empty = [name for name, length in zip(listed, lengths, strict=True) if not length]
    lengths = lengths[lengths > 0]
    return Tree(root, filled, start + np.cumsum(lengths) - lengths, lengths, spool, empty)
