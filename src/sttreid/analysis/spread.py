"""The published spread of the default run's numbers over seeds (study ``seeds``)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Spread:
    """Of one number over seeds.

    Attributes:
        mean: fraction, 0 to 1.
        sd: sample standard deviation over seeds (n - 1).
        values: seed -> value.
    """

    mean: float
    sd: float
    values: dict[int, float]


@dataclass(frozen=True)
class Publication:
    """Of the study ``seeds``.

    Attributes:
        commit: of the code that trained.
        numerics: "portable" or "native".
        params: all parameters.
        numbers: metric -> setting, or cell "source->target" -> its spread.
    """

    commit: str
    numerics: str
    params: dict[str, Any]
    numbers: dict[str, dict[str, Spread]]


def published(root: Path) -> Publication | None:  # noqa: ARG001
    """The newest publication in metrics/seeds; None: there is none."""
    return None
