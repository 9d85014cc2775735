"""Data sets whose folders are the tracklets: their pictures, named by one grammar, in numeric order."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from sttreid.data.readers.folders import check_text, picture_names
from sttreid.data.readers.names import Ints, differing, firsts, owners, parse
from sttreid.errors import InputError


@dataclass(frozen=True, eq=False)
class Listing:
    """Pictures of T folders.

    Attributes:
        folders: relative to the root, with forward slashes, [T].
        lengths: pictures in each, int64 [T].
        files: their names, folder after folder, string [F].
    """

    folders: list[str]
    lengths: Ints
    files: pa.Array


@dataclass(frozen=True, eq=False)
class Tree:
    """T tracklets with F pictures, each in a folder of its own.

    Attributes:
        root: the folder that ``folders`` are relative to.
        folders: of the tracklets, in the order asked for; none is empty, [T].
        lengths: pictures in each, int64 [T].
        files: names, those of a tracklet in order, string [F].
        fields: the numbers in the names, group -> int64 [F].
        empty: folders that hold no picture.
    """

    root: Path
    folders: list[str]
    lengths: Ints
    files: pa.Array
    fields: dict[str, Ints]
    empty: list[str]

    def one(self, field: str) -> Ints:
        """The number that all pictures of a tracklet share, int64 [T]; InputError if they differ."""
        found = firsts(self.fields[field], self.lengths)
        self.must(field, found)
        return found

    def must(self, field: str, expected: Ints) -> None:
        """Raises InputError, naming the picture, unless every picture has its tracklet's number, [T]."""
        wrong = differing(self.fields[field], self.lengths, expected)
        if len(wrong):
            row = int(owners(self.lengths)[wrong[0]])
            place = self.root / self.folders[row] / self.files[int(wrong[0])].as_py()
            raise InputError(
                f"{place}: all pictures of this tracklet must have the {field} {expected[row]},"
                f" got {self.fields[field][wrong[0]]}"
            )

    def must_differ(self, field: str) -> None:
        """Raises InputError, naming the picture, if two of a tracklet, sorted by a number, have the same."""
        again = np.diff(self.fields[field], prepend=-1) == 0
        again[np.cumsum(self.lengths) - self.lengths] = False
        if again.any():
            place = int(np.argmax(again))
            folder = self.root / self.folders[int(owners(self.lengths)[place])]
            earlier, name = (self.files[n].as_py() for n in (place - 1, place))
            rule = f"the pictures of this tracklet must have each a {field} of their own"
            raise InputError(f"{folder / name}: {rule}, got that of {earlier}")

    def skipped(self, field: str) -> Ints:
        """How many numbers between a tracklet's first and last one no picture has, int64 [T]."""
        steps = np.diff(self.fields[field], prepend=0) - 1
        steps[np.cumsum(self.lengths) - self.lengths] = 0
        return np.bincount(owners(self.lengths), np.maximum(steps, 0), len(self.lengths)).astype(np.int64)


def list_pictures(root: Path, folders: Sequence[Path]) -> Listing:
    """The pictures of some folders below the root; InputError if one cannot be listed or is no UTF-8."""
    for folder in folders:
        check_text(folder.parent, folder.name)
    arrays = [pa.array(picture_names(folder), pa.string()) for folder in folders]
    lengths = np.array([len(array) for array in arrays], np.int64)
    files = pa.concat_arrays(arrays) if arrays else pa.array([], pa.string())
    return Listing([folder.relative_to(root).as_posix() for folder in folders], lengths, files)


def read_tree(root: Path, folders: Sequence[Path], pattern: str, example: str, order: str) -> Tree:
    """The tracklets in some folders below the root.

    Args:
        root: of the data set.
        folders: one a tracklet.
        pattern: of a picture's name; every group is a whole number.
        example: a name that fits.
        order: the group that the pictures of a tracklet are sorted by.

    Raises:
        InputError: a folder cannot be listed, or a picture has another name.
    """
    listing = list_pictures(root, folders)
    filled = [name for name, length in zip(listing.folders, listing.lengths, strict=True) if length]
    empty = [name for name, length in zip(listing.folders, listing.lengths, strict=True) if not length]
    lengths = listing.lengths[listing.lengths > 0]
    owner = owners(lengths)
    fields = parse(listing.files, pattern, lambda place: root / filled[owner[place]], example)
    sort = np.lexsort((fields[order], owner))
    files = listing.files.take(pa.array(sort))
    return Tree(root, filled, lengths, files, {name: field[sort] for name, field in fields.items()}, empty)
