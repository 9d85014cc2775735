"""Official counts of a complete copy of a data set, compared with those of a local copy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sttreid.runtime.errors import InputError


@dataclass(frozen=True)
class CountCheck:
    """One count of a data set.

    Attributes:
        what: what is counted, in words.
        expected: the count of an official copy.
        actual: the count of this copy.
        note: where to look, for example the first file that is missing; may be empty.
    """

    what: str
    expected: int
    actual: int
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether this copy has the official count."""
        return self.actual == self.expected

    def __str__(self) -> str:
        if self.passed:
            return f"{self.what}: {self.actual:,}"
        difference = abs(self.actual - self.expected)
        verdict = f"{difference:,} too {'many' if self.actual > self.expected else 'few'}"
        note = f"; {self.note}" if self.note else ""
        return f"{self.what}: must be {self.expected:,}, got {self.actual:,} ({verdict}{note})"


def compare_counts(expected: Mapping[str, int], actual: Mapping[str, int]) -> tuple[CountCheck, ...]:
    """One check per expected count, in that order; KeyError if ``actual`` lacks one."""
    return tuple(CountCheck(what, number, int(actual[what])) for what, number in expected.items())


def expect_none(what: str, violations: Iterable[object]) -> CountCheck:
    """A check that a rule has no violations; its note names the first one."""
    count, note = 0, ""
    for violation in violations:
        note = note or f"the first is {violation}"
        count += 1
    return CountCheck(what, 0, count, note)


def require(root: Path, checks: Iterable[CountCheck]) -> None:
    """Raise InputError, with one line per failed check, if a check fails."""
    failed = [str(check) for check in checks if not check.passed]
    if failed:
        raise InputError(*(f"{root}: {sentence}" for sentence in failed))


def unmatched_queries(queries: pd.DataFrame, gallery: pd.DataFrame) -> pd.DataFrame:
    """The queries without a gallery tracklet of the same identity in another camera.

    Args:
        queries: columns identity, camera.
        gallery: columns identity, camera.
    """
    cameras = gallery.groupby("identity")["camera"].agg(["min", "max"])
    seen = cameras.reindex(queries["identity"]).set_index(queries.index)
    matched = (seen["min"] < queries["camera"]) | (seen["max"] > queries["camera"])  # not seen: NaN, False
    return queries[~matched]
