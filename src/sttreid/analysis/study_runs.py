"""Results of several variants and seeds, tested on all targets, and the quantities that are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from sttreid.analysis.effects import Quantity, difference, mean_over_datasets
from sttreid.analysis.settings import means_of, targets_by_protocol
from sttreid.analysis.uncertainty import Sample, sample
from sttreid.retrieval.metrics import METRICS, counted
from sttreid.runtime.errors import InputError

IN_DOMAIN, CROSS_DOMAIN, DIRECT_TRANSFER = "in_domain", "cross_domain", "direct_transfer"
TRAINED, PRETRAINED, UNTRAINED = "trained", "pretrained", "untrained"  # moments at which a network is tested
THIRDS: Final = ("lowest", "middle", "highest")
PROPERTIES: Final = ("visibility", "length", "viewpoint_change")  # columns of a query that make subgroups
MIN_IDENTITIES: Final = 5  # of a target in a subgroup; with fewer the target is left out of it


Queries = Mapping[str, pd.DataFrame]  # target -> per-query results


@dataclass(frozen=True, eq=False)
class Run:
    """One variant with one seed.

    Attributes:
        variant: its name; ``NAME-pretrained`` and ``NAME-untrained`` for a network before its training on the
            source.
        seed: of initialisation, batches and pre-training.
        pretrain_steps: steps on the synthetic set.
        steps: steps on the source; 0 for a network before its training on the source.
        train_rank1: rank-1 (0 to 1) on training identities of the source; None without training on it.
        queries: target -> per-query results.
        history: of the training on the source, with step, train_rank1 and validation_rank1, which are empty
            between evaluations; None without training on it.
    """

    variant: str
    seed: int
    pretrain_steps: int
    steps: int
    train_rank1: float | None
    queries: Queries
    history: pd.DataFrame | None


@dataclass(frozen=True)
class Subgroup:
    """A third of each target's queries by one property; equal values are never separated.

    Attributes:
        column: one of ``PROPERTIES``.
        third: one of ``THIRDS``.
        ranges: target -> smallest and largest value of its queries; only targets with such queries.
        protocol: of these targets; None: all targets of the study have the same.
    """

    column: str
    third: str
    ranges: Mapping[str, tuple[float, float]]
    protocol: str | None = None

    @property
    def span(self) -> tuple[float, float]:
        """Smallest and largest value over all targets."""
        return min(low for low, _ in self.ranges.values()), max(high for _, high in self.ranges.values())


@dataclass(frozen=True, eq=False)
class StudyRuns:
    """All runs.

    Attributes:
        variants: name -> its runs, all variants in the same order of seeds.
        source: target of the domain that all variants are trained on: their in-domain test.
        targets: data sets that are tested on.
        min_train_rank1: rank-1 on training identities (0 to 1) below which a variant is underfit.
        protocols: target -> name of its evaluation protocol.
        trained_on: data set that all variants are trained on, if it is not the source itself.
    """

    variants: Mapping[str, Sequence[Run]]
    source: str
    targets: Sequence[str]
    min_train_rank1: float
    protocols: Mapping[str, str]
    trained_on: str = ""

    @property
    def seeds(self) -> list[int]:
        """Of all variants."""
        return [run.seed for run in self._first]

    @property
    def in_domain(self) -> list[str]:
        """The source, if it is a target."""
        return [target for target in self.targets if target == self.source]

    @property
    def cross_domain(self) -> list[str]:
        """Targets that no variant is trained on."""
        return [target for target in self.targets if target != self.source]

    def means(self, setting: str, targets: Sequence[str]) -> dict[str, list[str]]:
        """Name of each mean over some targets -> those of one protocol (:func:`settings.means_of`)."""
        return means_of(setting, targets, self.protocols)

    @property
    def query_counts(self) -> dict[str, int]:
        """Target -> number of its queries that count."""
        return {target: len(counted(self._first[0].queries[target])) for target in self.targets}

    @property
    def _first(self) -> Sequence[Run]:
        return next(iter(self.variants.values()))

    def trained(self) -> list[str]:
        """Variants that are trained on the source."""
        return [name for name, runs in self.variants.items() if runs[0].history is not None]

    def lowest_train_rank1(self, variant: str) -> float | None:
        """The lowest rank-1 on training identities over the seeds; None without training on the source."""
        rates = [run.train_rank1 for run in self.variants[variant] if run.train_rank1 is not None]
        return min(rates) if rates else None

    def underfit(self, variant: str) -> bool:
        """Whether the variant is trained on the source and misses ``min_train_rank1`` with any seed."""
        lowest = self.lowest_train_rank1(variant)
        return lowest is not None and lowest < self.min_train_rank1

    def samples(self, variant: str, targets: Sequence[str], metric: str) -> list[Sample]:
        """The per-query results for resampling, one sample for each target."""
        runs = self.variants[variant]
        return [sample(target, [run.queries[target] for run in runs], metric) for target in targets]

    def accuracy(self, variant: str, targets: Sequence[str], metric: str) -> Quantity:
        """A metric (0 to 1), the mean over targets."""
        return mean_over_datasets(self.samples(variant, targets, metric))

    def train_rank1(self, variant: str) -> Quantity:
        """Rank-1 on training identities (NaN without training); no test identities are involved."""
        return Quantity(np.array([run.train_rank1 for run in self.variants[variant]], float))

    def validation_rank1(self, variant: str) -> Quantity:
        """Rank-1 on validation identities at the end of training; no test identities are involved."""
        measured = self.measurements(variant, "validation_rank1")
        return Quantity(np.array([values.iloc[-1] for values in measured], float))

    def train_test_gap(self, variant: str) -> Quantity:
        """Rank-1 on training identities minus rank-1 on the source's test."""
        return difference(self.train_rank1(variant), self.accuracy(variant, self.in_domain, "rank1"))

    def measurements(self, variant: str, column: str) -> list["pd.Series[float]"]:
        """Step -> value of a history column where it was measured, one series for each seed."""
        histories = [run.history for run in self.variants[variant] if run.history is not None]
        return [
            history.set_index("step")[column].dropna() if column in history else pd.Series(dtype=float)
            for history in histories
        ]

    def subgroups(self) -> list[Subgroup]:
        """Thirds of every target's queries by each property that they have, for each protocol."""
        parts = targets_by_protocol(self.targets, self.protocols)
        several = len(parts) > 1
        return [
            Subgroup(name, third, ranges, protocol if several else None)
            for name in PROPERTIES
            for protocol, targets in parts.items()
            for third, ranges in self._ranges(name, targets).items()
        ]

    def _ranges(self, column: str, targets: Sequence[str]) -> dict[str, dict[str, tuple[float, float]]]:
        """Third -> target -> smallest and largest value of a property."""
        ranges: dict[str, dict[str, tuple[float, float]]] = {}
        for target in targets:
            queries = counted(self._first[0].queries[target])
            values = queries[column].dropna() if column in queries else pd.Series(dtype=float)
            for third, group in values.groupby(_thirds(values)):
                if queries.loc[group.index, "identity"].nunique() >= MIN_IDENTITIES:
                    ranges.setdefault(str(third), {})[target] = float(group.min()), float(group.max())
        return {third: ranges[third] for third in THIRDS if third in ranges}

    def restricted(self, group: Subgroup) -> "StudyRuns":
        """The same runs, tested on the queries of a subgroup and the targets that have some."""
        variants = {
            name: [replace(run, queries=_restricted(run.queries, group)) for run in runs]
            for name, runs in self.variants.items()
        }
        return replace(self, variants=variants, targets=list(group.ranges))


def study(
    runs: Sequence[Run],
    source: str,
    targets: Sequence[str],
    min_train_rank1: float,
    protocols: Mapping[str, str],
    trained_on: str = "",
) -> StudyRuns:
    """Group runs by variant; arguments as :class:`StudyRuns`.

    Raises:
        InputError: there is no run, or variants were run with different seeds.
    """
    if not runs:
        raise InputError("a study needs the results of at least 1 variant, got 0")
    variants: dict[str, list[Run]] = {}
    for run in runs:
        variants.setdefault(run.variant, []).append(run)
    first = [run.seed for run in variants[runs[0].variant]]
    for name, group in variants.items():
        if (seeds := [run.seed for run in group]) != first:
            rule = f"variant {name} must have the seeds {first}, as {runs[0].variant} has"
            raise InputError(f"results of the ablation: {rule}, got {seeds}")
    return StudyRuns(variants, source, targets, min_train_rank1, protocols, trained_on)


def runs_of(
    variant: str, seed: int, pretrain_steps: int, moments: Queries, history: pd.DataFrame
) -> list[Run]:
    """A variant with one seed, and the same network before its training where that was tested.

    Args:
        variant: its name.
        seed: its seed.
        pretrain_steps: steps on the synthetic set.
        moments: trained, pretrained, untrained -> per-query results, with the column target.
        history: of the training on the source.

    Raises:
        InputError: the history is empty, or there are no results of the trained network.
    """
    if history.empty or TRAINED not in moments:
        rule = "must have a training history of at least 1 row and results of the trained network"
        raise InputError(f"{variant} with seed {seed}: {rule}, got {len(history)} rows and {[*moments]}")
    train_rank1 = float(history["train_rank1"].dropna().iloc[-1])
    queries = {moment: dict(iter(table.groupby("target"))) for moment, table in moments.items()}
    steps = int(history["step"].iloc[-1])
    runs = [Run(variant, seed, pretrain_steps, steps, train_rank1, queries[TRAINED], history)]
    for moment, number in ((PRETRAINED, pretrain_steps), (UNTRAINED, 0)):
        if moment in queries:
            runs.append(Run(f"{variant}-{moment}", seed, number, 0, None, queries[moment], None))
    return runs


def protocol_names(results: Sequence[Mapping[str, Any]], targets: Sequence[str]) -> dict[str, str]:
    """Target -> name of the protocol that all results follow.

    Args:
        results: contents of ablation and cross-domain results.
        targets: data sets that they are tested on.

    Raises:
        InputError: a result follows another protocol, or counts other queries or gallery tracklets.
    """
    metrics, first = {each.name for each in METRICS}, dict[str, dict[str, Any]]()
    for result in results:
        models = list(result.get("sources", {}).values())
        models += [m for each in result.get("variants", {}).values() for m in each["moments"].values()]
        for target, model in ((target, model) for target in targets for model in models):
            counts = {name: value for name, value in model[target].items() if name not in metrics}
            got = {"protocol": result["protocol"][target], **counts}
            expected = first.setdefault(target, got)
            for name in (name for name in expected if got.get(name) != expected[name]):
                rule = f"{name} of {target} must be the same in all results, {expected[name]}"
                raise InputError(f"results of seed {result['seed']}: {rule}, got {got.get(name)}")
    return {target: expected["protocol"]["name"] for target, expected in first.items()}


def attention_entropy(study: StudyRuns) -> pd.DataFrame:
    """Entropy of the temporal token's attention (nats) in training, of the variants that have one.

    Returns:
        variant, moment (first, half, last: the evaluation nearest to it), step, entropy (mean over seeds) and
        seeds (the entropy of each seed).
    """
    rows = []
    for variant in study.trained():
        measured = study.measurements(variant, "attention_entropy")
        if not all(map(len, measured)):
            continue
        table = pd.concat(measured, axis=1)
        for moment, share in (("first", 0.0), ("half", 0.5), ("last", 1.0)):
            step = table.index[np.abs(table.index - share * table.index[-1]).argmin()]
            rows.append((variant, moment, int(step), float(table.loc[step].mean()), table.loc[step].tolist()))
    return pd.DataFrame(rows, columns=["variant", "moment", "step", "entropy", "seeds"])


def _thirds(values: "pd.Series[float]") -> "pd.Series[str]":
    """Each value's third, by the mean rank of equal values."""
    share = (values.rank() - 0.5) / max(len(values), 1)
    return (len(THIRDS) * share).astype(int).map(dict(enumerate(THIRDS)))


def _restricted(queries: Queries, group: Subgroup) -> dict[str, pd.DataFrame]:
    return {
        target: queries[target][queries[target][group.column].between(*ends)]
        for target, ends in group.ranges.items()
    }
