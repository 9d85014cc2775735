"""What the paper's questions compare, and when an answer counts: sections of params.yaml."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)

Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


@dataclass(frozen=True, config=CONFIG)
class Contrast:
    """Two arms of the ablation that one of the paper's questions compares.

    Attributes:
        question: of the paper.
        ours: variant that the claim favours; ``NAME-pretrained`` and ``NAME-untrained`` are a pre-trained
            variant's network before its training on the source.
        theirs: the other one.
        judged: the two differ in what the question asks about and in nothing else, so a verdict is due.
    """

    question: Literal["RQ1", "RQ2", "RQ3", "RQ4"]
    ours: Name
    theirs: Name
    judged: bool


@dataclass(frozen=True, config=CONFIG)
class Claims:
    """When a claim of the paper counts as supported.

    Attributes:
        seeds_needed: with fewer every verdict is "inconclusive".
        alpha: level of the tests, after Holm's correction.
        relevant: a gain that surely stays below this (a fraction) does not support a claim.
        reached: rank-1 on validation identities (0 to 1) to which steps are counted.
        contrasts: name -> what is compared.
    """

    seeds_needed: Annotated[int, Field(ge=2)]
    alpha: Annotated[float, Field(gt=0, lt=1)]
    relevant: Share
    reached: Share
    contrasts: dict[Name, Contrast]
