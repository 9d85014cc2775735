"""Official counts: what a complete copy of a data set holds, and the sentences about a copy that differs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sttreid.runtime.errors import InputError


@dataclass(frozen=True)
class Check:
    """One count of a data set.

    Attributes:
        what: what was counted, in words.
        expected: how many an official copy holds.
        found: how many this copy holds.
        note: where to look, for example the first file that is missing; may be empty.
    """

    what: str
    expected: int
    found: int
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the copy holds what an official one holds."""
        return self.found == self.expected

    def __str__(self) -> str:
        if self.passed:
            return f"{self.what}: {self.found:,}"
        off = abs(self.found - self.expected)
        verdict = f"{off:,} too {'many' if self.found > self.expected else 'few'}"
        note = f"; {self.note}" if self.note else ""
        return f"{self.what}: must be {self.expected:,}, got {self.found:,} ({verdict}{note})"


def compare(expected: Mapping[str, int], found: Mapping[str, int]) -> tuple[Check, ...]:
    """A check for each expected count, in that order; KeyError if one was not taken."""
    return tuple(Check(what, number, int(found[what])) for what, number in expected.items())


def absent(what: str, places: Iterable[object]) -> Check:
    """A check that no place breaks a rule; the first one that does is named."""
    count, first = 0, ""
    for place in places:
        first = first or f"the first is {place}"
        count += 1
    return Check(what, 0, count, first)


def enforce(root: Path, checks: Iterable[Check]) -> None:
    """Raises InputError, one line a count, if a check failed."""
    failed = [str(check) for check in checks if not check.passed]
    if failed:
        raise InputError("\n".join(f"{root}: {sentence}" for sentence in failed))


def unmatched(queries: pd.DataFrame, gallery: pd.DataFrame) -> pd.DataFrame:
    """The queries whose identity no gallery tracklet of another camera has (columns identity, camera)."""
    cameras = gallery.groupby("identity")["camera"].agg(["min", "max"])
    seen = cameras.reindex(queries["identity"]).set_index(queries.index)
    matched = (seen["min"] < queries["camera"]) | (seen["max"] > queries["camera"])  # not seen: NaN, False
    return queries[~matched]
