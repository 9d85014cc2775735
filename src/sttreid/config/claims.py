"""Section ``claims``: which variants are compared, and when a claim counts as supported."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)

Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


@dataclass(frozen=True, config=CONFIG)
class Contrast:
    """Two variants of the ablation that are compared for one of the paper's claims.

    Attributes:
        question: the paper's research question that the contrast belongs to.
        ours: variant that the claim favours; ``NAME-pretrained`` and ``NAME-untrained`` are the network of a
            pre-trained variant before its training on the source.
        theirs: the other variant.
        confirmatory: the variants differ only in what the question is about, so the contrast gets a verdict.
            An exploratory contrast gets none.
    """

    question: Literal["RQ1", "RQ2", "RQ3", "RQ4"]
    ours: Name
    theirs: Name
    confirmatory: bool


@dataclass(frozen=True, config=CONFIG)
class Claims:
    """Rules of the verdicts.

    Attributes:
        min_seeds: with fewer seeds every verdict is "inconclusive".
        alpha: level of the tests after Holm's correction.
        min_effect: smallest gain of interest, a fraction; a claim is not supported if its confidence interval
            lies below.
        target_rank1: rank-1 on validation identities (0 to 1) at which the count of training steps stops.
        contrasts: name -> what is compared.
    """

    min_seeds: Annotated[int, Field(ge=2)]
    alpha: Annotated[float, Field(gt=0, lt=1)]
    min_effect: Share
    target_rank1: Share
    contrasts: dict[Name, Contrast]
