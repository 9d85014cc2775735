"""Section ``visualise``: what the report shows of the networks."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from sttreid.config.bounds import LARGEST, Count, Seed, Side

CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)

Positive = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


@dataclass(frozen=True, config=CONFIG)
class Visualise:
    """What the report shows of the networks of the first seed.

    Attributes:
        variants: the two ablation variants whose attention is compared.
        tracklets: number of tracklets whose attention is shown.
        failures: ranked lists per target of queries whose first answer is wrong, the lowest average precision
            first.
        samples: ranked lists per target of queries whose first answer is correct, evenly spaced in average
            precision.
        top_k: gallery tracklets in a ranked list.
        frames: frames of a film strip in a ranked list.
        height: of a frame of a film strip, in pixels.
        points: tracklets of each data set in the feature map, all those of the drawn identities.
        perplexity: of the feature map's t-SNE.
        seed: of the drawn points and of t-SNE.
    """

    variants: Annotated[list[Name], Field(min_length=2, max_length=2)]
    tracklets: Count
    failures: Count
    samples: Count
    top_k: Count
    frames: Count
    height: Side
    points: Annotated[int, Field(ge=4, le=LARGEST)]
    perplexity: Positive
    seed: Seed
