"""Named protocols: what stays in the gallery, what a query never meets, which average precision is meant.

The same features score several points of mAP apart under different protocols, so a result names its own.
"""

from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

from sttreid.runtime.errors import InputError


@dataclass(frozen=True)
class Protocol:
    """One evaluation protocol; :func:`sttreid.retrieval.evaluation.evaluate` follows it.

    Attributes:
        name: how params.yaml and the results call it.
        source: a sentence that says where the protocol comes from, and who asks.
        gallery: which rows of the gallery answer. ``"all"``: the queries too where they stand in it. Junk
            (:class:`sttreid.retrieval.labels.Labels`) never answers.
        excluded: what a query never meets. ``"same identity and camera"`` removes the query itself and all
            other fragments of its track as well; ``"same camera"`` everybody in front of its camera.
        average_precision: ``"step"`` is the mean of the precisions at the matches; ``"trapezoid"`` is the
            area under the precision-recall curve with straight lines between the ranks, starting at recall
            0 and precision 1.
        unmatched: a query without any match is left out of all means (``"drop"``) or scores 0 (``"zero"``).
            All measures have the same denominator.
        ties: ``"pessimistic"``: of two answers at the same distance, the wrong one ranks first. An optimistic
            rule gives a collapsed network, whose distances are all equal, a perfect score.
    """

    name: str
    source: str
    gallery: Literal["all", "without queries", "without distractors", "without queries and distractors"]
    excluded: Literal["same identity and camera", "same camera"]
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


MARS_OFFICIAL = Protocol(
    name="mars-official",
    source=(
        "The evaluation code of MARS (Zheng et al., ECCV 2016): the 1,980 query tracklets ask all 12,180 test"
        " tracklets, among them the queries themselves and the distractors (identity 0); junk (identity -1)"
        " is passed over."
    ),
    gallery="all",
    excluded="same identity and camera",
    average_precision="trapezoid",
    unmatched="zero",
    ties="pessimistic",
)

LSVID_OFFICIAL = replace(
    MARS_OFFICIAL,
    name="lsvid-official",
    source=(
        "The evaluation code of LS-VID (Li et al., ICCV 2019), as that of MARS: the 3,504 query tracklets ask"
        " all 11,333 test tracklets. Four queries have no match in another camera; they score 0."
    ),
)

DUKE_OFFICIAL = replace(
    MARS_OFFICIAL,
    name="duke-official",
    source=(
        "The evaluation code of DukeMTMC-VideoReID (Wu et al., CVPR 2018): 702 query tracklets ask the 2,636"
        " of the gallery, which holds the queries and 408 distractors. Its average precision is the area"
        " under the precision-recall curve, which without ties is the trapezoid rule."
    ),
    unmatched="drop",
)

MARKET = Protocol(
    name="market",
    source=(
        "The rule that most Python toolkits call Market-1501: the gallery as it is given, the mean of the"
        " precisions at the matches, queries without a match left out of every mean."
    ),
    gallery="all",
    excluded="same identity and camera",
    average_precision="step",
    unmatched="drop",
    ties="pessimistic",
)

EMBEDDED = replace(
    MARKET,
    name="embedded",
    source=(
        "The protocol of this repository's own rendered benchmark; no other data set uses it. Every test"
        " tracklet asks all others, among them distractors: tracklets of people who are never asked for."
    ),
)

MINUS_QUERIES = replace(
    MARKET,
    name="minus-queries",
    source=(
        "As several published loaders of MARS and LS-VID do: tracklets that ask do not answer, so that some"
        " queries lose all their matches (140 on MARS), and these are left out."
    ),
    gallery="without queries",
)

NO_DISTRACTORS = replace(
    MARS_OFFICIAL,
    name="no-distractors",
    source="The official rule of MARS on a gallery without distractors: easier, and not comparable with it.",
    gallery="without distractors",
)

MINUS_BOTH = replace(
    MINUS_QUERIES,
    name="minus-queries-no-distractors",
    source="Neither queries nor distractors answer, as in some published evaluations of MARS: the easiest.",
    gallery="without queries and distractors",
)

SPLITS = 10  # of iLIDS-VID and PRID2011


def _two_cameras(name: str, data: str, split: int) -> Protocol:
    return Protocol(
        name=f"{name}-{split}",
        source=(
            f"{data}, split {split} of its {SPLITS}: the first camera asks, the second answers, one match a"
            f" query. A published number is the mean over the {SPLITS} splits, each with its own training."
        ),
        gallery="all",
        excluded="same camera",
        average_precision="step",
        unmatched="zero",
        ties="pessimistic",
    )


PROTOCOLS = (
    EMBEDDED,
    MARS_OFFICIAL,
    LSVID_OFFICIAL,
    DUKE_OFFICIAL,
    MARKET,
    MINUS_QUERIES,
    NO_DISTRACTORS,
    MINUS_BOTH,
    *(_two_cameras("ilids", "iLIDS-VID (Wang et al., ECCV 2014)", split + 1) for split in range(SPLITS)),
    *(_two_cameras("prid", "PRID2011 (Hirzer et al., SCIA 2011)", split + 1) for split in range(SPLITS)),
)


def protocol(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        InputError: there is none; the sentence lists those that exist.
    """
    for candidate in PROTOCOLS:
        if candidate.name == name:
            return candidate
    single = [repr(candidate.name) for candidate in PROTOCOLS if not candidate.name[-1].isdigit()]
    known = ", ".join([*single, f"'ilids-1' to 'ilids-{SPLITS}'", f"'prid-1' to 'prid-{SPLITS}'"])
    raise InputError(f"the protocol must be one of {known}, got {name!r}")
