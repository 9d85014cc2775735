"""What the paper (arXiv 2103.16469) claims, with its numbers and where they were read."""

from dataclasses import dataclass

from sttreid.report.tables import LATER, SUMMARY


@dataclass(frozen=True)
class Question:
    """One of the paper's questions.

    Attributes:
        claim: its answer.
        number: what it reports, on its own data.
        source: where that number was read.
        gap: the claim is about over-fitting, so the gap between training and test is looked at as well.
        across: the claim is stronger across domains, so the two effects are compared as well.
        speed: the claim is about a start, so steps to an accuracy are looked at as well.
    """

    claim: str
    number: str
    source: str
    gap: bool = False
    across: bool = False
    speed: bool = False


QUESTIONS = {
    "RQ1": Question(
        "constrained transformers with the global branch beat the CNN and the vanilla transformer, most of"
        " all across domains",
        "MARS 86.3 mAP / 88.7 R-1, LS-VID 78.0 / 87.5, iLIDS-VID R-1 87.5; of the two baselines not known",
        LATER,
        across=True,
    ),
    "RQ2": Question(
        "constraints on attention reduce over-fitting",
        "spatial constraint, MARS → DukeMTMC-VideoReID: R-1 50.6 → 60.5",
        SUMMARY,
        gap=True,
    ),
    "RQ3": Question(
        "the global branch complements the spatial and temporal transformers",
        "DukeMTMC-VideoReID: R-1 about +3.9",
        SUMMARY,
    ),
    "RQ4": Question(
        "synthetic pre-training improves initialisation and generalisation",
        "direct transfer gains on all three sets; numbers not known",
        SUMMARY,
        speed=True,
    ),
}
