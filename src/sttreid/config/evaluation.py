"""Section ``evaluate``: how features are compared."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from sttreid.config.bounds import Count

CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)

Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


@dataclass(frozen=True, config=CONFIG)
class Rerank:
    """Re-ranking by k-reciprocal encoding; it changes the protocol's name."""

    enabled: bool
    k1: Count
    k2: Count
    weight: Share


@dataclass(frozen=True, config=CONFIG)
class Evaluate:
    """How features are compared.

    Attributes:
        protocol: of all targets; None: each target's own.
        flip: whether a feature is the mean of those of the clips and of their mirror images.
        rerank: whether and how distances are re-ranked.
    """

    protocol: Name | None
    flip: bool
    rerank: Rerank

    def of(self, protocol: str) -> "ResolvedEvaluate":
        """The same for one target, which uses ``protocol`` by default."""
        return ResolvedEvaluate(self.protocol or protocol, self.rerank)


@dataclass(frozen=True, config=CONFIG)
class ResolvedEvaluate:
    """How features are compared on one target, with the name of its protocol."""

    protocol: Name
    rerank: Rerank
