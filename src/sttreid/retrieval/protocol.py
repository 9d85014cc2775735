"""Named evaluation protocols: what is in the gallery, which pairs are excluded, which average precision.

The mAP of the same features differs by several points between protocols, so every result names its protocol.
"""

from dataclasses import dataclass, fields, replace
from typing import Final, Literal, get_args

from sttreid.runtime.errors import InputError


@dataclass(frozen=True)
class Protocol:
    """One evaluation protocol; :func:`sttreid.retrieval.evaluation.evaluate` follows it.

    Attributes:
        name: its name in params.yaml and in results.
        source: a sentence with the origin of the protocol and its queries.
        gallery: which gallery entries are ranked. ``"all"`` includes queries that are in the gallery. Junk
            (:class:`sttreid.retrieval.labels.Labels`) is never ranked.
        excluded: which gallery entries are ignored for a query: ``"same identity and camera"`` (the query
            itself and other fragments of its track), or all entries of the ``"same camera"``.
        average_precision: ``"non-interpolated"`` is the mean of the precisions at the matches;
            ``"trapezoid"`` is the area under the precision-recall curve with straight lines between ranks,
            starting at recall 0 and precision 1.
        unmatched: a query without a match is left out of all means (``"drop"``) or scores 0 (``"zero"``). All
            metrics are means over the same queries.
        ties: ``"pessimistic"``: of two gallery entries at the same distance, the false positive ranks first.
            An optimistic rule gives a collapsed network, whose distances are all equal, a perfect score.
    """

    name: str
    source: str
    gallery: Literal["all", "without queries", "without distractors", "without queries and distractors"]
    excluded: Literal["same identity and camera", "same camera"]
    average_precision: Literal["non-interpolated", "trapezoid"]
    unmatched: Literal["drop", "zero"]
    ties: Literal["pessimistic"]

    def __post_init__(self) -> None:
        """Raises InputError: a field has a value that the evaluator does not have."""
        for field in fields(self):
            allowed = get_args(field.type)
            value = getattr(self, field.name)
            if allowed and value not in allowed:
                values = ", ".join(repr(word) for word in allowed)
                raise InputError(f"protocol {self.name}: {field.name} must be one of {values}, got {value!r}")


MARS_OFFICIAL: Final = Protocol(
    name="mars-official",
    source=(
        "The evaluation code of MARS (Zheng et al., ECCV 2016): 1,980 query tracklets against all 12,180 test"
        " tracklets, among them the queries themselves and the distractors (identity 0); junk (identity -1)"
        " is ignored."
    ),
    gallery="all",
    excluded="same identity and camera",
    average_precision="trapezoid",
    unmatched="zero",
    ties="pessimistic",
)

LSVID_OFFICIAL: Final = replace(
    MARS_OFFICIAL,
    name="lsvid-official",
    source=(
        "The evaluation code of LS-VID (Li et al., ICCV 2019), as that of MARS: 3,504 query tracklets against"
        " all 11,333 test tracklets. Four queries have no match in another camera; they score 0."
    ),
)

DUKE_OFFICIAL: Final = replace(
    MARS_OFFICIAL,
    name="duke-official",
    source=(
        "The evaluation code of DukeMTMC-VideoReID (Wu et al., CVPR 2018): 702 query tracklets against the"
        " 2,636 of the gallery, which includes the queries and 408 distractors. Its average precision is the"
        " area under the precision-recall curve, which without ties is the trapezoid rule."
    ),
    unmatched="drop",
)

MARKET: Final = Protocol(
    name="market",
    source=(
        "The rule that most Python toolkits call Market-1501: the gallery as it is given, non-interpolated"
        " average precision, queries without a match left out of every mean."
    ),
    gallery="all",
    excluded="same identity and camera",
    average_precision="non-interpolated",
    unmatched="drop",
    ties="pessimistic",
)

EMBEDDED: Final = replace(
    MARKET,
    name="embedded",
    source=(
        "The protocol of this repository's own rendered benchmark; no other data set uses it. Each test"
        " tracklet is a query against all other test tracklets plus distractor identities, which are never"
        " queries."
    ),
)

MINUS_QUERIES: Final = replace(
    MARKET,
    name="minus-queries",
    source=(
        "As several published loaders of MARS and LS-VID do: the queries are removed from the gallery, so"
        " that some queries lose all their matches (140 on MARS), and these are left out."
    ),
    gallery="without queries",
)

NO_DISTRACTORS: Final = replace(
    MARS_OFFICIAL,
    name="no-distractors",
    source="The official rule of MARS on a gallery without distractors: easier, and not comparable with it.",
    gallery="without distractors",
)

MINUS_BOTH: Final = replace(
    MINUS_QUERIES,
    name="minus-queries-no-distractors",
    source=(
        "A gallery without queries and without distractors, as in some published evaluations of MARS: the"
        " easiest."
    ),
    gallery="without queries and distractors",
)

SPLITS: Final = 10  # of iLIDS-VID and PRID2011


def _two_cameras(name: str, data: str, split: int) -> Protocol:
    return Protocol(
        name=f"{name}-{split}",
        source=(
            f"{data}, split {split} of its {SPLITS}: queries are of the first camera, the gallery is of the"
            f" second, with one match per query. A published number is the mean over the {SPLITS} splits,"
            " each with its own training."
        ),
        gallery="all",
        excluded="same camera",
        average_precision="non-interpolated",
        unmatched="zero",
        ties="pessimistic",
    )


PROTOCOLS: Final = (
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
        InputError: there is none; the message lists the names.
    """
    for candidate in PROTOCOLS:
        if candidate.name == name:
            return candidate
    single = [repr(candidate.name) for candidate in PROTOCOLS if not candidate.name[-1].isdigit()]
    names = ", ".join([*single, f"'ilids-1' to 'ilids-{SPLITS}'", f"'prid-1' to 'prid-{SPLITS}'"])
    raise InputError(f"the protocol must be one of {names}, got {name!r}")
