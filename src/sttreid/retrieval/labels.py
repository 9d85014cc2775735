"""Who a tracklet shows, and who may be matched with whom: the exclusion, apart from any score.

For every query the gallery falls into matches (the same person before another camera), what the protocol
takes away, and wrong answers (all the rest). Matches are few and are listed; wrong answers are only counted.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sttreid.retrieval.protocol import Protocol
from sttreid.runtime.errors import InputError

LARGEST = np.iinfo(np.int64).max

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Labels:
    """What is known about the tracklets of one side, one entry a tracklet (never one a frame).

    Attributes:
        identity: int64 [N].
        camera: int64 [N].
        query: bool [N], of a gallery: these tracklets also ask. Only protocols that take queries out of the
            gallery look at it.
        distractor: bool [N]: people whom no query asks for. A number such as 0 does not tell: it is a
            distractor in MARS and a real person in LS-VID.
        junk: bool [N], of a gallery: bad tracklets, which no protocol ranks. Whatever asks, asks.
    """

    identity: Integers
    camera: Integers
    query: Mask
    distractor: Mask
    junk: Mask

    def __init__(
        self,
        identity: ArrayLike,
        camera: ArrayLike,
        query: ArrayLike | None = None,
        distractor: ArrayLike | None = None,
        junk: ArrayLike | None = None,
    ) -> None:
        """Everything is copied: later changes of the given arrays change no label.

        Args:
            identity: [N] whole numbers that fit 64 bits with a sign.
            camera: [N] the same.
            query: [N] bool, as all flags; None: false everywhere.
            distractor: [N].
            junk: [N].

        Raises:
            InputError: identities or cameras are no such numbers (the sentence names the row), flags are not
                bool, or a length differs.
        """
        numbers = {"identity": _numbers("identity", identity), "camera": _numbers("camera", camera)}
        count = len(numbers["identity"])
        flags = {
            name: np.zeros(count, bool) if mask is None else _flags(name, mask)
            for name, mask in (("query", query), ("distractor", distractor), ("junk", junk))
        }
        for name, values in {**numbers, **flags}.items():
            if values.shape != (count,):
                raise InputError(
                    f"{name} must have one entry a tracklet, as the {count} identities have, got the shape "
                    f"{values.shape}"
                )
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        """N."""
        return len(self.identity)

    def take(self, rows: NDArray[np.integer]) -> "Labels":
        """The labels of some tracklets, in this order."""
        names = ("identity", "camera", "query", "distractor", "junk")
        return Labels(*(getattr(self, name)[rows] for name in names))


def _numbers(name: str, values: ArrayLike) -> Integers:
    array = np.asarray(values)
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"{name} must be whole numbers, got {array.dtype}")
    if array.dtype == np.uint64 and (large := array > LARGEST).any():  # they would come out negative
        row = int(large.argmax())
        raise InputError(f"{name}: row {row} must be at most {LARGEST}, got {array.flat[row]}")
    return np.array(array, np.int64)


def _flags(name: str, values: ArrayLike) -> Mask:
    """Numbers are refused: a list of rows (5, 9) would read as true everywhere."""
    array = np.asarray(values)
    if array.size and array.dtype != np.bool_:
        raise InputError(f"{name} must be bool, one entry a tracklet, got {array.dtype}")
    return np.array(array, np.bool_)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Which tracklets a protocol lets a query meet. Lists run query by query.

    Attributes:
        answers: [A] rows of the gallery that answer at all, ascending; all other numbers here count these.
        left_out: how many rows of the gallery the protocol takes away from everybody, junk apart.
        junk: how many rows are junk.
        distractors: how many answers are distractors.
        kin: [K] answers of the query's identity, in any camera: never wrong answers.
        kin_query: [K] the query that each belongs to, ascending.
        matching: bool [K]: the pair is a match; a pair of kin that is none is excluded.
        same_camera: the protocol also excludes strangers before the query's own camera.
        query_camera: [Q].
        answer_camera: [A].
        wrong: [Q] number of wrong answers.
    """

    answers: Integers
    left_out: int
    junk: int
    distractors: int
    kin: Integers
    kin_query: Integers
    matching: Mask
    same_camera: bool
    query_camera: Integers
    answer_camera: Integers
    wrong: Integers

    @property
    def matches(self) -> Integers:
        """[Q] number of matches."""
        return np.bincount(self.kin_query[self.matching], minlength=len(self.query_camera))


def pair(query: Labels, gallery: Labels, protocol: Protocol) -> Pairs:
    """Apply a protocol's gallery and exclusion; memory is O(Q + G + pairs of one identity).

    Raises:
        InputError: nobody asks, nobody answers, or a query asks for a distractor.
    """
    asked = np.isin(query.identity, gallery.identity[gallery.distractor])
    if asked.any():
        row = int(asked.argmax())
        raise InputError(f"query {row}: its identity {query.identity[row]} must not be that of a distractor")
    kept = ~gallery.junk
    if "queries" in protocol.gallery:
        kept &= ~gallery.query
    if "distractors" in protocol.gallery:
        kept &= ~gallery.distractor
    answers = np.flatnonzero(kept)
    if not len(query) or not len(answers):
        rule = "must have at least 1 query and 1 gallery tracklet that answers"
        raise InputError(f"protocol {protocol.name}: {rule}, got {len(query)} and {len(answers)}")
    identity, camera = gallery.identity[answers], gallery.camera[answers]
    kin, kin_query = _kin(query.identity, identity)
    other = query.camera[kin_query] != camera[kin]
    same_camera = protocol.excluded == "same camera"
    wrong = len(answers) - np.bincount(kin_query, minlength=len(query))
    if same_camera:
        wrong -= _count(camera, query.camera) - np.bincount(kin_query[~other], minlength=len(query))
    return Pairs(
        answers=answers,
        left_out=int((~kept & ~gallery.junk).sum()),
        junk=int(gallery.junk.sum()),
        distractors=int(gallery.distractor[answers].sum()),
        kin=kin,
        kin_query=kin_query,
        matching=other,
        same_camera=same_camera,
        query_camera=query.camera,
        answer_camera=camera,
        wrong=wrong,
    )


def _kin(asked: Integers, there: Integers) -> tuple[Integers, Integers]:
    """For each query the places in ``there`` that hold its identity, ascending; and the query of each."""
    order = np.argsort(there, kind="stable")
    ordered = there[order]
    start, end = (np.searchsorted(ordered, asked, side=side) for side in ("left", "right"))
    lengths = end - start
    owner = np.repeat(np.arange(len(asked)), lengths)
    within = np.arange(len(owner)) - (np.cumsum(lengths) - lengths)[owner]
    return order[start[owner] + within], owner


def _count(values: Integers, wanted: Integers) -> Integers:
    """How often each wanted number stands among the values."""
    ordered = np.sort(values)
    return np.searchsorted(ordered, wanted, side="right") - np.searchsorted(ordered, wanted, side="left")
