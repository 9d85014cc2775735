"""Protocols: who asks, who answers, what is left out, and which average precision is meant.

The same features score several points of mAP apart under different protocols, so a result names its own.
"""

from dataclasses import dataclass, fields
from typing import Literal, get_args

from sttreid.errors import InputError


@dataclass(frozen=True)
class Protocol:
    """One evaluation protocol; :func:`sttreid.retrieval.metrics.evaluate` follows it.

    Attributes:
        name: how params.yaml and the results call it.
        source: a sentence that says where the protocol comes from.
        queries: which tracklets ask. ``"test"``: every tracklet of the test split, once.
        gallery: which tracklets answer. ``"test and distractors"``: every tracklet of the test split, the
            queries too, and those of people who are never asked for.
        excluded: what a query never meets. ``"same identity and camera"`` removes the query itself and all
            other fragments of its track as well.
        average_precision: ``"step"`` is the mean of the precisions at the matches; ``"trapezoid"`` is the
            area under the precision-recall curve with straight lines between the ranks, starting at precision
            1.
        unmatched: a query without any match is left out of all means (``"drop"``) or scores 0 (``"zero"``).
        ties: ``"pessimistic"``: of two answers at the same distance, the wrong one ranks first. An optimistic
            rule gives a collapsed network, whose distances are all equal, a perfect score.
    """

    name: str
    source: str
    queries: Literal["test"]
    gallery: Literal["test and distractors"]
    excluded: Literal["same identity and camera"]
    average_precision: Literal["step", "trapezoid"]
    unmatched: Literal["drop", "zero"]
    ties: Literal["pessimistic"]

    def __post_init__(self) -> None:
        """Raises InputError: a field has a value that the evaluator does not know."""
        for field in fields(self):
            allowed = get_args(field.type)
            value = getattr(self, field.name)
            if allowed and value not in allowed:
                known = ", ".join(repr(word) for word in allowed)
                raise InputError(f"protocol {self.name}: {field.name} must be one of {known}, got {value!r}")


EMBEDDED = Protocol(
    name="embedded",
    source=(
        "The protocol of this repository's own rendered benchmark; no other data set uses it. Every test"
        " tracklet asks all others, among them distractors: tracklets of people who are never asked for."
    ),
    queries="test",
    gallery="test and distractors",
    excluded="same identity and camera",
    average_precision="step",
    unmatched="drop",
    ties="pessimistic",
)

PROTOCOLS = (EMBEDDED,)


def protocol(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        InputError: there is none; the sentence lists those that exist.
    """
    for candidate in PROTOCOLS:
        if candidate.name == name:
            return candidate
    known = ", ".join(repr(candidate.name) for candidate in PROTOCOLS)
    raise InputError(f"evaluate.protocol must be one of {known}, got {name!r}")
