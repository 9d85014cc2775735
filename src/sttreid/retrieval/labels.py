"""Identities and cameras of both sides -> which gallery entries a protocol ranks for a query.

For each query, the gallery consists of matches (same identity, other camera), entries that the protocol
excludes, and negatives (all others). Matches are few and are listed; negatives are only counted.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sttreid.retrieval.given import unmasked
from sttreid.retrieval.protocol import Protocol
from sttreid.runtime.errors import InputError

LARGEST: Final = np.iinfo(np.int64).max
LEFT_OUT: Final = {"query": "queries", "distractor": "distractors"}  # flag -> its word in Protocol.gallery
JUNK: Final = -1  # identity of junk in MARS and Market-1501

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of the queries or of the gallery, one entry per tracklet (not per frame).

    Attributes:
        identity: int64 [N].
        camera: int64 [N].
        query: bool [N], of a gallery: this entry is also a query. Only protocols whose gallery excludes
            queries use this flag.
        distractor: bool [N]: an identity that is never a query. It is a flag because a number such as 0 is
            ambiguous: a distractor in MARS, an identity in LS-VID.
        junk: bool [N], of a gallery: never ranked by any protocol. The flag is ignored for queries.
        given: names of the flags that were given; the others are False for all.
    """

    identity: Integers
    camera: Integers
    query: Mask
    distractor: Mask
    junk: Mask
    given: frozenset[str]

    def __init__(
        self,
        identity: ArrayLike,
        camera: ArrayLike,
        query: ArrayLike | None = None,
        distractor: ArrayLike | None = None,
        junk: ArrayLike | None = None,
    ) -> None:
        """Copy the arrays, so that later changes of them do not change labels.

        Args:
            identity: [N] integers that fit 64 bits with a sign.
            camera: [N] likewise.
            query: [N] bool, as all flags; None: False for all.
            distractor: [N].
            junk: [N].

        Raises:
            InputError: identities or cameras are not such integers (the message names the row), flags are not
                bool, or a length differs.
        """
        columns = {"identity": _integers("identity", identity), "camera": _integers("camera", camera)}
        count = len(columns["identity"])
        told = {"query": query, "distractor": distractor, "junk": junk}
        flags = {
            name: np.zeros(count, bool) if values is None else _flags(name, values)
            for name, values in told.items()
        }
        given = frozenset(name for name, values in told.items() if values is not None)
        object.__setattr__(self, "given", given)
        for name, values in {**columns, **flags}.items():
            if values.shape != (count,):
                raise InputError(
                    f"{name} must have one entry per tracklet, as the {count} identities have, "
                    f"got the shape {values.shape}"
                )
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        """N."""
        return len(self.identity)

    def take(self, rows: NDArray[np.integer]) -> "Labels":
        """The labels of these rows, in this order."""
        flags = {name: getattr(self, name)[rows] for name in self.given}
        return Labels(self.identity[rows], self.camera[rows], **flags)


def _integers(name: str, values: ArrayLike) -> Integers:
    array = unmasked(name, values)
    if array.size and array.dtype.kind not in "iu":  # a span of time is an integer to NumPy
        raise InputError(f"{name} must be integers, got {array.dtype}")
    if array.dtype.kind == "u" and (large := array > LARGEST).any():  # they would become negative
        row = int(large.argmax())
        raise InputError(f"{name}: row {row} must be at most {LARGEST}, got {array.flat[row]}")
    return np.array(array, np.int64)


def _flags(name: str, values: ArrayLike) -> Mask:
    """Integers are refused: a list of rows (5, 9) would become True for all."""
    array = unmasked(name, values)
    if array.size and array.dtype != np.bool_:
        raise InputError(f"{name} must be bool, one entry per tracklet, got {array.dtype}")
    return np.array(array, np.bool_)


@dataclass(frozen=True, eq=False)
class Candidates:
    """What a protocol ranks for each query. Lists of pairs are ordered by query.

    Attributes:
        rows: [R] gallery rows that are ranked at all, ascending; a column is an index into these.
        left_out: number of gallery rows that the protocol removes for all queries, junk not counted.
        junk: number of junk rows of the gallery.
        distractors: number of ranked rows that are distractors.
        same_column: [K] columns of the query's identity, in any camera: never negatives.
        same_query: [K] the query of each, ascending.
        is_match: bool [K]: the pair is a match; otherwise it is excluded.
        excludes_camera: the protocol also excludes other identities in the query's camera.
        query_camera: [Q].
        gallery_camera: [R].
        negatives: [Q] number of negatives.
    """

    rows: Integers
    left_out: int
    junk: int
    distractors: int
    same_column: Integers
    same_query: Integers
    is_match: Mask
    excludes_camera: bool
    query_camera: Integers
    gallery_camera: Integers
    negatives: Integers

    @property
    def matches(self) -> Integers:
        """[Q] number of matches."""
        return np.bincount(self.same_query[self.is_match], minlength=len(self.query_camera))

    def of_query(self, query: int) -> tuple[Integers, Mask]:
        """The gallery rows that are ranked for a query, ascending, and which of them are matches."""
        first, last = np.searchsorted(self.same_query, [query, query + 1])
        same, is_match = self.same_column[first:last], self.is_match[first:last]
        ranked = np.ones(len(self.rows), np.bool_)
        if self.excludes_camera:
            ranked = self.gallery_camera != self.query_camera[query]
        ranked[same] = is_match
        matches = np.zeros(len(self.rows), np.bool_)
        matches[same] = is_match
        return self.rows[ranked], matches[ranked]


def candidates(query: Labels, gallery: Labels, protocol: Protocol) -> Candidates:
    """Apply a protocol's gallery and exclusion; memory is O(Q + G + pairs of the same identity).

    Raises:
        InputError: there is no query, no gallery entry is ranked, a query has the identity of a distractor,
            or the gallery lacks a flag: of what the protocol leaves out, or of junk where an identity is -1.
    """
    _check_given(gallery, protocol)
    wrong = np.isin(query.identity, gallery.identity[gallery.distractor])
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(f"query {row}: its identity {query.identity[row]} must not be that of a distractor")
    ranked = ~gallery.junk
    if "queries" in protocol.gallery:
        ranked &= ~gallery.query
    if "distractors" in protocol.gallery:
        ranked &= ~gallery.distractor
    rows = np.flatnonzero(ranked)
    if not len(query) or not len(rows):
        rule = "must have at least 1 query and 1 gallery tracklet that is ranked"
        raise InputError(f"protocol {protocol.name}: {rule}, got {len(query)} and {len(rows)}")
    camera = gallery.camera[rows]
    column, owner = _same_identity(query.identity, gallery.identity[rows])
    is_match = query.camera[owner] != camera[column]
    excludes_camera = protocol.excluded == "same camera"
    negatives = len(rows) - np.bincount(owner, minlength=len(query))
    if excludes_camera:
        negatives -= _count(camera, query.camera) - np.bincount(owner[~is_match], minlength=len(query))
    return Candidates(
        rows=rows,
        left_out=int((~ranked & ~gallery.junk).sum()),
        junk=int(gallery.junk.sum()),
        distractors=int(gallery.distractor[rows].sum()),
        same_column=column,
        same_query=owner,
        is_match=is_match,
        excludes_camera=excludes_camera,
        query_camera=query.camera,
        gallery_camera=camera,
        negatives=negatives,
    )


def _check_given(gallery: Labels, protocol: Protocol) -> None:
    """What is to be left out but not flagged would be ranked, under the name of a protocol without it."""
    for flag, word in LEFT_OUT.items():
        if word in protocol.gallery and flag not in gallery.given:
            rule = f"protocol {protocol.name} (gallery {protocol.gallery}) needs labels with the flag {flag}"
            raise InputError(f"gallery: {rule}, got {', '.join(sorted(gallery.given)) or 'no flag'}")
    unknown = (gallery.identity == JUNK) & ~gallery.distractor
    if "junk" not in gallery.given and unknown.any():
        rule = f"the identity {JUNK}, junk in MARS and Market-1501, needs labels with the flag junk"
        raise InputError(f"gallery: {rule} (false for what is ranked), got none at row {unknown.argmax()}")


def _same_identity(query: Integers, gallery: Integers) -> tuple[Integers, Integers]:
    """Pairs of equal identity, query by query: the gallery column of each, ascending, and its query."""
    order = np.argsort(gallery, kind="stable")
    ordered = gallery[order]
    start, end = (np.searchsorted(ordered, query, side=side) for side in ("left", "right"))
    lengths = end - start
    owner = np.repeat(np.arange(len(query)), lengths)
    within = np.arange(len(owner)) - (np.cumsum(lengths) - lengths)[owner]
    return order[start[owner] + within], owner


def _count(values: Integers, wanted: Integers) -> Integers:
    """The number of occurrences of each wanted number among the values."""
    ordered = np.sort(values)
    return np.searchsorted(ordered, wanted, side="right") - np.searchsorted(ordered, wanted, side="left")
