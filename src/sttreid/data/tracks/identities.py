"""Identities as trackers name them -> the numbers of the store.

Numbers that the store can hold stay. Otherwise (hashes of 64 bits, text) all identities of the data set are
numbered 1, 2, ... in the order of their numbers, then of their texts; no number passes through a float.
"""

from collections.abc import Iterable, Mapping, Sequence

from sttreid.data.tracks.numbers import whole
from sttreid.data.tracks.reading import Identity
from sttreid.runtime.errors import InputError

SHOWN = 3  # identities in a statement


def read_identity(word: str) -> Identity:
    """The number in a text, or else the text itself, as a line of tracks would give it."""
    value = whole(word.strip())
    return word.strip() if value is None else value


def number_identities(identities: Iterable[Identity], limit: int, where: str) -> dict[Identity, int]:
    """Identity -> number, from 0 to ``limit`` - 1.

    Args:
        identities: of one data set or, if numbers hold in one file only, of that file.
        limit: of the numbers.
        where: file or folder, for errors.

    Raises:
        InputError: there are more identities than numbers.
    """
    ordered = sorted(
        set(identities), key=lambda one: (isinstance(one, str), one if isinstance(one, int) else 0, str(one))
    )
    if all(isinstance(one, int) and 0 <= one < limit for one in ordered):
        return {one: int(one) for one in ordered}
    if len(ordered) >= limit:
        raise InputError(
            f"{where}: the tracks must hold fewer than {limit:,} identities, got {len(ordered):,}"
        )
    return {one: number for number, one in enumerate(ordered, 1)}


def describe_numbering(numbers: Mapping[Identity, int]) -> Sequence[str]:
    """A sentence about identities that were renumbered; none if all kept their numbers."""
    changed = [(one, number) for one, number in numbers.items() if one != number]
    if not changed:
        return ()
    examples = ", ".join(f"{one} is {number}" for one, number in changed[:SHOWN])
    return (
        f"{len(numbers):,} identities are numbered anew in ascending order, because the store cannot hold"
        f" their names: {examples}{', ...' if len(changed) > SHOWN else ''}",
    )
