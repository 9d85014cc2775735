"""The difference of a number between two runs -> a verdict: would another seed do as much?

A difference has two sources of chance. One is the test identities: both runs are tested on the same queries,
so a paired interval over identities covers it. The other is training: with another seed, the same parameters
give other weights. One seed each says nothing about it; it comes from the published spread of the default run
over n seeds, with standard deviation sd. The difference of two runs with a and b seeds then has the standard
deviation sd * sqrt(1 / a + 1 / b), which is sqrt(2) * sd with one seed each, and 95 % of all such differences
lie within t(0.975, n - 1) times that, the margin. A difference within the margin is what another seed does.
Two runs with the same seed count as runs with different ones: a changed parameter changes all weights.

Two runs with equally many seeds, at least 2, need no published spread: the report's own test over seeds and
identities (:mod:`sttreid.analysis.effects`) decides, with equal seeds paired, and others in their order.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
from scipy import stats

from sttreid.analysis import effects, uncertainty
from sttreid.analysis.results import Cell, Scores
from sttreid.analysis.spread import Publication
from sttreid.analysis.uncertainty import LEVEL, Sample
from sttreid.retrieval.metrics import HEADLINE

SETTINGS: Final = ("in_domain", "cross_domain", "direct_transfer")
NORMAL: Final = 2.8  # standard errors that a difference needs for it, if sd is known: 1.96 + 0.84


class Verdict(StrEnum):
    """What a difference is."""

    IDENTICAL = "identical"  # every person has the same result
    WITHIN = "within"  # what another seed does
    OUTSIDE = "outside"
    DIFFERENT = "different"  # by the test over seeds and identities
    NOT_DIFFERENT = "not different"  # that test shows no difference
    UNKNOWN = "unknown"  # no spread over seeds is known


@dataclass(frozen=True)
class Row:
    """The difference B - A of one number; all numbers are fractions.

    Attributes:
        setting: one of ``SETTINGS``.
        variant: of the ablation; None: the default run.
        metric: name of a headline metric.
        a: its value in run A, the mean over seeds.
        b: the same in run B.
        low: lower end of the 95 % confidence interval of B - A; None: their queries differ.
        high: upper end.
        p: of the test over seeds and identities, which the interval then covers; None: it covers identities
            alone.
        sd: published standard deviation over seeds; None: none is published.
        margin: a smaller difference is what another seed does; None: not known, or not needed.
        verdict: on the difference.
        detectable: the smallest difference that matters, or the one found if it is larger.
        seeds_needed: of each run, to detect it in 80 % of all studies; None: not known, or not needed.
        protocol: of the targets; None: all targets of the runs have the same.
    """

    setting: str
    variant: str | None
    metric: str
    a: float
    b: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    sd: float | None = None
    margin: float | None = None
    verdict: Verdict = Verdict.UNKNOWN
    detectable: float | None = None
    seeds_needed: int | None = None
    protocol: str | None = None

    @property
    def difference(self) -> float:
        """B - A."""
        return self.b - self.a


@dataclass(frozen=True)
class Judge:
    """Computes rows.

    Attributes:
        publication: the spread over seeds; None: none is published.
        min_effect: the smallest difference that matters, a fraction.
        paired: whether both runs have the same queries.
    """

    publication: Publication | None
    min_effect: float
    paired: bool = True

    def rows(self, a: Scores, b: Scores, variant: str | None = None, source: str = "") -> Iterator[Row]:
        """Every setting that both runs have and every headline metric.

        Args:
            a: scores of the run that is subtracted.
            b: scores of the other run.
            variant: of the ablation; None: the default run.
            source: data set that the variant is trained on.
        """
        for setting in SETTINGS:
            theirs, ours = (_ordered(scores.cells(setting, variant)) for scores in (a, b))
            for metric in (metric.name for metric in HEADLINE if ours and theirs):
                first = [a.samples[cell, metric] for cell in theirs]
                second = [_in_order_of(b.samples[cell, metric], b.seeds, a.seeds) for cell in ours]
                row = Row(setting, variant, metric, _value(first), _value(second))
                found = self._published(row, {t: b.protocol_names[t] for _, t in ours}, source)
                spread = found if a.protocol_names == b.protocol_names else _sd([])
                yield self._judged(row, first, second, spread)

    def _judged(self, row: Row, a: Sequence[Sample], b: Sequence[Sample], spread: tuple[float, int]) -> Row:
        """With interval and verdict; ``spread``: sd (NaN if unknown) and number of published seeds."""
        sd, published = spread
        row = replace(row, sd=sd if np.isfinite(sd) else None)
        counts = len(a[0].sums), len(b[0].sums)
        if self.paired:
            if counts[0] == counts[1] and all(map(_same, a, b)):
                return replace(row, low=0.0, high=0.0, verdict=Verdict.IDENTICAL)
            if counts[0] == counts[1] > 1:
                return self._tested(row, a, b)
            over = uncertainty.difference([_mean(each) for each in b], [_mean(each) for each in a])
            row = replace(row, low=over.low, high=over.high)
        if row.sd is None:
            return row
        margin = _quantile(published - 1) * row.sd * (1 / counts[0] + 1 / counts[1]) ** 0.5
        if abs(row.difference) > margin:
            return replace(row, margin=margin, verdict=Verdict.OUTSIDE)
        return self._planned(replace(row, margin=margin, verdict=Verdict.WITHIN), row.sd)

    def _tested(self, row: Row, a: Sequence[Sample], b: Sequence[Sample]) -> Row:
        """By the test over seeds and identities."""
        ours, theirs = effects.mean_over_datasets(b), effects.mean_over_datasets(a)
        effect = effects.difference(ours, theirs).effect()
        p = 0.0 if effect.p is None else effect.p  # None: neither seeds nor identities vary
        row = replace(row, low=effect.low, high=effect.high, p=p)
        if p < 1 - LEVEL:
            return replace(row, verdict=Verdict.DIFFERENT)
        own = float(np.mean([np.var(side.seeds, ddof=1) for side in (ours, theirs)])) ** 0.5
        return self._planned(replace(row, verdict=Verdict.NOT_DIFFERENT), own if row.sd is None else row.sd)

    def _planned(self, row: Row, sd: float) -> Row:
        """With the number of seeds that would detect a difference."""
        detectable = max(self.min_effect, abs(row.difference))
        if not detectable:  # no number of seeds detects a difference of 0
            return row
        return replace(row, detectable=detectable, seeds_needed=seeds_to_detect(detectable, sd))

    def _published(self, row: Row, protocols: Mapping[str, str], source: str) -> tuple[float, int]:
        """Published sd over targets (target -> protocol), and the number of its seeds; NaN and 0 without.

        For a variant it is that of the default run's model of the same source.
        """
        if self.publication is None:
            return np.nan, 0
        if row.variant is None:
            spread = self.publication.of_targets(row.setting, protocols).get(row.metric)
            return _sd([]) if spread is None else _sd(list(spread.values.values()))
        numbers = self.publication.numbers.get(row.metric, {})
        cells = [f"{source}->{target}" for target in protocols]
        tested = {target: name for cell in cells for target, name in self.publication.tested_on(cell).items()}
        if tested != protocols or not numbers.keys() >= set(cells):
            return _sd([])
        by_seed = [numbers[cell].values for cell in cells]
        return _sd([float(np.mean([values[seed] for values in by_seed])) for seed in by_seed[0]])


def seeds_to_detect(difference: float, sd: float) -> int:
    """Seeds of each run with which a two-sided t-test at 5 % detects a difference in 80 % of all studies.

    Args:
        difference: of the means over seeds, not 0.
        sd: standard deviation over seeds, of both runs alike.
    """
    if sd == 0:
        return 2
    ratio = abs(difference) / sd
    count = max(2, int(2 * (NORMAL / ratio) ** 2))  # an unknown sd needs a little more
    while power(ratio, count) < effects.POWER:
        count += 1
    return count


def power(ratio: float, count: int) -> float:
    """Power of the two-sided t-test at 5 % for a difference of ``ratio`` sd with ``count`` seeds each."""
    freedom, shift = 2 * (count - 1), ratio * (count / 2) ** 0.5
    bound = _quantile(freedom)
    return float(stats.nct.sf(bound, freedom, shift) + stats.nct.cdf(-bound, freedom, shift))


def _quantile(freedom: int) -> float:
    """Of Student's t, two-sided."""
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom))


def _sd(values: Sequence[float]) -> tuple[float, int]:
    """Sample standard deviation over seeds and the number of seeds; NaN and 0 with fewer than 2."""
    return (float(np.std(values, ddof=1)), len(values)) if len(values) > 1 else (np.nan, 0)


def _value(samples: Sequence[Sample]) -> float:
    return float(np.mean([each.value for each in samples]))


def _ordered(cells: Sequence[Cell]) -> list[Cell]:
    """By target, then by model: in the same order for both runs."""
    return sorted(cells, key=lambda cell: cell[::-1])


def _in_order_of(sample: Sample, own: Sequence[int], seeds: Sequence[int]) -> Sample:
    """A sample of the seeds ``own`` in the order of ``seeds``, if these are the same."""
    if sorted(own) != sorted(seeds):
        return sample
    return replace(sample, sums=sample.sums[[list(own).index(seed) for seed in seeds]])


def _mean(sample: Sample) -> Sample:
    """The mean over seeds as one seed."""
    return replace(sample, sums=sample.sums.mean(axis=0, keepdims=True))


def _same(ours: Sample, theirs: Sample) -> bool:
    return np.array_equal(ours.sums, theirs.sums)
