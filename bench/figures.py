"""What a benchmark measured, in one form: figures, each beside the best alternative of the same run.

A benchmark that docs/performance.md quotes has a function that measures at the document's size; the option
``--json`` prints its figures as the last line of the output.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from statistics import median
from typing import Any, Final, Literal

DIGITS: Final = 4  # significant ones that are kept


@dataclass(frozen=True)
class Target:
    """A limit: of the ratio, or of our own value."""

    of: Literal["ratio", "ours"]
    rule: Literal["at most", "at least"]
    limit: float


@dataclass(frozen=True)
class Figure:
    """One measurement.

    Attributes:
        what: is measured.
        unit: of both values; costs are better small, speeds ("... per CPU-s") large.
        ours: median of the rounds; None: not measured, and `note` says why.
        against: the alternative; empty: there is none.
        alternative: median of its rounds.
        ratio: ours / alternative, the median of the rounds' ratios.
        low: least of the rounds' ratios; without an alternative, of our values.
        high: the greatest.
        rounds: how many.
        target: of the project.
        note: what a reader must know to judge it.
    """

    what: str
    unit: str
    ours: float | None
    against: str = ""
    alternative: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    rounds: int = 0
    target: Target | None = None
    note: str = ""

    @property
    def held(self) -> bool | None:
        """Whether the target is met; None: there is no target, or nothing was measured."""
        if self.target is None:
            return None
        value = self.ratio if self.target.of == "ratio" else self.ours
        if value is None:
            return None
        return value <= self.target.limit if self.target.rule == "at most" else value >= self.target.limit


def compared(
    what: str,
    unit: str,
    ours: Sequence[float],
    against: str,
    alternative: Sequence[float],
    target: Target | None = None,
    note: str = "",
) -> Figure:
    """A figure beside an alternative, whose rounds are used again where ours are more."""
    ratios = [mine / other for mine, other in zip(ours, cycle(alternative), strict=False)]
    low, high = _rounded(min(ratios)), _rounded(max(ratios))
    values = _rounded(median(ours)), against, _rounded(median(alternative)), _rounded(median(ratios))
    return Figure(what, unit, *values, low, high, len(ratios), target, note)


def alone(
    what: str, unit: str, ours: Sequence[float], target: Target | None = None, note: str = ""
) -> Figure:
    """A figure that has no alternative."""
    low, high = _rounded(min(ours)), _rounded(max(ours))
    value = _rounded(median(ours))
    return Figure(what, unit, value, low=low, high=high, rounds=len(ours), target=target, note=note)


def missing(what: str, reason: str, target: Target | None = None) -> Figure:
    """A figure that this machine cannot give."""
    return Figure(what, "", None, target=target, note=reason)


def at_most(limit: float, of: Literal["ratio", "ours"] = "ratio") -> Target:
    return Target(of, "at most", limit)


def at_least(limit: float, of: Literal["ratio", "ours"] = "ratio") -> Target:
    return Target(of, "at least", limit)


def in_words(figure: Figure) -> str:
    """One line."""
    if figure.ours is None:
        return f"{figure.what}: not measured: {figure.note}"
    words = f"{figure.what}: {figure.ours:g} {figure.unit}"
    if figure.ratio is not None:
        words += f", {figure.ratio:g} x {figure.against}"
    if figure.target is not None:
        words += f"; {figure.target.rule} {figure.target.limit:g}: {'held' if figure.held else 'MISSED'}"
    return words


def to_json(figures: Iterable[Figure]) -> list[dict[str, Any]]:
    """Plain values."""
    return [asdict(figure) for figure in figures]


def from_json(content: Iterable[Mapping[str, Any]]) -> tuple[Figure, ...]:
    """The inverse of :func:`to_json`."""
    return tuple(
        Figure(**{**values, "target": Target(**values["target"]) if values["target"] else None})
        for values in content
    )


def command_line(
    name: str, text: str | None, measure: Callable[[], Iterable[Figure]]
) -> argparse.ArgumentParser:
    """The command line of a benchmark that docs/performance.md quotes.

    Args:
        name: of its module in ``bench/``.
        text: the module's docstring.
        measure: gives the figures at the size of the document; ``--json`` prints them alone.
    """

    class Print(argparse.Action):
        def __call__(self, *_: object, **__: object) -> None:
            print(json.dumps(to_json(measure()), allow_nan=False), flush=True)
            parser.exit()

    parser = argparse.ArgumentParser(
        prog=f"python -m bench.{name}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--json",
        action=Print,
        nargs=0,
        help="measure what docs/performance.md quotes, print JSON, stop",
    )
    return parser


def show(figures: Iterable[Figure]) -> None:
    """Print figures as they are measured."""
    for figure in figures:
        print(in_words(figure), flush=True)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
