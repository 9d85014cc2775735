"""Results files -> checked scores of every model on every target, with confidence intervals.

Only comparable numbers are averaged: all results of a target follow one protocol and count the same queries,
every seed covers the same models, and means equal those of the per-query results.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sttreid.analysis.settings import targets_by_protocol
from sttreid.analysis.uncertainty import Difference, Interval, Sample, difference, interval, sample
from sttreid.retrieval.metrics import HEADLINE, METRICS, counted
from sttreid.runtime.errors import InputError

Content = Mapping[str, Any]  # of a results file
Cell = tuple[str, str]  # a model and the data set that it is tested on

COUNTS = ("queries", "unmatched", "gallery", "distractors", "left_out", "junk")
BASELINES = ("untrained", "histogram", "equalised")
SETTINGS = ("in_domain", "cross_domain", "direct_transfer", *BASELINES)
DIGITS = 4  # of a fraction in a metrics file
CURVE = 200  # rows of a training curve; more can neither be seen in a plot nor read in a diff
RANKS = 20  # of the CMC


@dataclass(frozen=True, eq=False)
class Scores:
    """Models, each tested on all targets with every seed.

    Attributes:
        protocols: target -> its protocol, as in the results files.
        models: in the order of the tables.
        targets: in the order of the tables.
        seeds: every model has all of them.
        table: a row for each model, target and seed: model, target, seed, setting, metrics and counts.
        queries: per-query results with the columns model, target and seed.
        samples: of each cell and headline metric, ready for resampling.
    """

    protocols: Mapping[str, Content]
    models: Sequence[str]
    targets: Sequence[str]
    seeds: Sequence[int]
    table: pd.DataFrame
    queries: pd.DataFrame
    samples: Mapping[tuple[Cell, str], Sample]

    @property
    def settings(self) -> list[str]:
        """Those of ``SETTINGS`` that occur."""
        return [name for name in SETTINGS if name in set(self.table["setting"])]

    @property
    def counts(self) -> pd.DataFrame:
        """The counts by target; they are the same for every model and seed."""
        return self.table.groupby("target", sort=False)[list(COUNTS)].first()

    @property
    def protocol_names(self) -> dict[str, str]:
        """Target -> name of its protocol."""
        return {target: str(self.protocols[target]["name"]) for target in self.targets}

    def by_protocol(self) -> dict[str, "Scores"]:
        """Protocol -> the scores on its targets, in their order: a mean never mixes protocols."""
        found = targets_by_protocol(self.targets, self.protocol_names)
        return {name: self.on(targets) for name, targets in found.items()}

    def on(self, targets: Sequence[str]) -> "Scores":
        """The scores on some of the targets."""
        if len(targets) == len(self.targets):
            return self
        return replace(
            self,
            protocols={target: self.protocols[target] for target in targets},
            targets=targets,
            table=self.table[self.table["target"].isin(targets)],
            queries=self.queries[self.queries["target"].isin(targets)],
            samples={key: reduced for key, reduced in self.samples.items() if key[0][1] in targets},
        )

    @property
    def identities(self) -> int:
        """Test identities of the target with the fewest."""
        return min(len(reduced.identities) for reduced in self.samples.values())

    def cells(self, setting: str, model: str | None = None) -> list[Cell]:
        """The cells of a setting, of all models or of one."""
        rows = self.table[self.table["setting"] == setting]
        cells = rows[["model", "target"]].drop_duplicates().itertuples(index=False)
        return [(str(name), str(target)) for name, target in cells if model in (None, name)]

    def interval(self, cells: Sequence[Cell], metric: str) -> Interval:
        """The unweighted mean over cells, with its confidence interval over identities and seeds."""
        return interval([self.samples[cell, metric] for cell in cells])

    def difference(self, ours: Sequence[Cell], theirs: Sequence[Cell], metric: str) -> Difference:
        """The paired difference of two means over the same data sets in the same order."""
        first, second = ([self.samples[cell, metric] for cell in cells] for cells in (ours, theirs))
        return difference(first, second)


@dataclass(frozen=True)
class VariantResult:
    """Composition and training of a variant of the ablation.

    Attributes:
        name: of the variant.
        composition: what its network is made of.
        pretrain_steps: 0 without pre-training.
        steps: of the training on the source.
        train_rank1: at its end, on training identities (0 to 1), the mean over seeds.
        validation_rank1: the same on validation identities.
        lowest_train_rank1: on training identities, with the worst seed.
        comparable: whether it fits them with every seed; otherwise it says nothing about generalisation.
    """

    name: str
    composition: Sequence[str]
    pretrain_steps: int
    steps: int
    train_rank1: float
    validation_rank1: float
    lowest_train_rank1: float
    comparable: bool


def cross_domain(
    contents: Sequence[Content], queries: pd.DataFrame, targets: Sequence[str], synthetic: str
) -> Scores:
    """Scores of the models trained on each target, on the synthetic set alone, and of the baselines.

    Args:
        contents: of ``artifacts/results/cross_domain``, one for each seed.
        queries: their per-query results, with the columns source, target and seed.
        targets: data sets that are tested on.
        synthetic: data set of the pre-training.

    Raises:
        InputError: results are missing or do not belong together.
    """
    names = {source: source for source in (*targets, synthetic, *BASELINES)}
    settings = {synthetic: "direct_transfer", **{name: name for name in BASELINES}}
    what = "cross-domain results"
    table = _table(what, contents, names, targets, settings, lambda content, name: content["sources"][name])
    by_model = queries.rename(columns={"source": "model"})
    return _scores(what, contents, table, by_model, contents[0]["protocol"])


def ablation(
    contents: Sequence[Content],
    queries: pd.DataFrame,
    variants: Sequence[str],
    source: str,
    cross_domain: Scores,
    reference: str | None = None,
) -> Scores:
    """Scores of the trained network of each variant.

    Args:
        contents: of ``artifacts/results/ablation``, one for each seed.
        queries: their per-query results, with the columns variant, moment, target and seed.
        variants: their names, in order.
        source: data set that all of them are trained on.
        cross_domain: of the same seeds.
        reference: name of its model of the source as the last variant; None: it is not a variant.

    Raises:
        InputError: results are missing or do not belong together.
    """
    what, sources = "ablation results", dict.fromkeys(variants, source)
    table = _table(what, contents, sources, cross_domain.targets, {}, _trained_numbers)
    trained = queries[queries["moment"] == "trained"].rename(columns={"variant": "model"})
    if reference is not None:
        model, rows = cross_domain.table, cross_domain.queries
        table = pd.concat([table, model[model["model"] == source].assign(model=reference)], ignore_index=True)
        trained = pd.concat([trained, rows[rows["model"] == source].assign(model=reference)])
    return _scores(what, contents, table, trained, cross_domain.protocols)


def variant(
    name: str, made: Content, histories: Sequence[pd.DataFrame], min_train_rank1: float
) -> VariantResult:
    """One variant of the ablation.

    Args:
        name: of the variant.
        made: its composition, pretrain_steps and steps.
        histories: of its training on the source, one for each seed.
        min_train_rank1: rank-1 on training identities (0 to 1) that it must reach with every seed.

    Raises:
        InputError: a history has no validation.
    """
    ends = [history.dropna(subset=["train_rank1", "validation_rank1"]).tail(1) for history in histories]
    if any(end.empty for end in ends):
        raise InputError(f"training history of {name}: must have a row with validation_rank1, got none")
    rank1 = pd.concat(ends)[["train_rank1", "validation_rank1"]]
    lowest = float(rank1["train_rank1"].min())
    steps = int(made["pretrain_steps"]), int(made["steps"])
    means = float(rank1["train_rank1"].mean()), float(rank1["validation_rank1"].mean())
    return VariantResult(name, made["composition"], *steps, *means, lowest, lowest >= min_train_rank1)


def drop(scores: Scores, metric: str, cells: Sequence[Cell] | None = None) -> Difference:
    """The cross-domain drop: the model of each target minus the models of other sets, on the same queries."""
    cells = scores.cells("cross_domain") if cells is None else cells
    return scores.difference([(target, target) for _, target in cells], cells, metric)


def matrix(scores: Scores) -> pd.DataFrame:
    """source, target and all metrics, means over seeds."""
    table = scores.table.rename(columns={"model": "source"}).groupby(["source", "target"], sort=False)
    return table[[metric.name for metric in METRICS]].mean().reset_index()


def column(setting: str, protocol: str, protocols: Sequence[str]) -> str:
    """Name of a mean in a plot table: that of its setting, with the protocol unless it is the first one."""
    return setting if protocol == protocols[0] else f"{setting} {protocol}"


def cmc(scores: Scores) -> pd.DataFrame:
    """Cumulative matching characteristic: rank (1 to 20) and, for each setting, the share of queries with a
    match at that rank or before, the mean over cells and seeds.

    A second protocol has columns of its own, ``SETTING PROTOCOL``.
    """
    ranks = np.arange(1, RANKS + 1)
    groups = counted(scores.queries).groupby(["model", "target"])["first_hit"]
    first = {cell: hits.to_numpy() for cell, hits in groups}
    shares = {cell: ((hits > 0) & (hits <= ranks[:, None])).mean(axis=1) for cell, hits in first.items()}
    parts = scores.by_protocol()
    curves = {
        column(name, protocol, [*parts]): np.mean([shares[c] for c in part.cells(name)], axis=0)
        for protocol, part in parts.items()
        for name in part.settings
    }
    return pd.DataFrame({"rank": ranks, **curves})


def variant_means(scores: Scores) -> pd.DataFrame:
    """A row for each variant with the columns <metric>_<setting>: means over seeds and targets.

    A second protocol of a setting has columns of its own, ``<metric>_<setting> <protocol>``.
    """
    names = [metric.name for metric in METRICS]
    protocols = scores.table["target"].map(scores.protocol_names)
    tables = []
    for setting, rows in scores.table.groupby("setting", sort=False):
        used = [name for name in scores.by_protocol() if name in set(protocols[rows.index])]
        for protocol in used:
            means = rows[protocols[rows.index] == protocol].groupby("model", sort=False)[names].mean()
            tables.append(means.add_suffix(f"_{column(str(setting), protocol, used)}"))
    return pd.concat(tables, axis=1).rename_axis("variant").reset_index()


def training_curve(history: pd.DataFrame) -> pd.DataFrame:
    """A training history in at most 200 rows, each the mean of neighbouring steps and named by the last.

    Args:
        history: a row for each step, ``step`` ascending; other columns are empty where nothing was measured.
    """
    groups = np.arange(len(history)) * min(CURVE, len(history)) // max(len(history), 1)
    means = history.drop(columns="step").groupby(groups).mean()
    means.insert(0, "step", history["step"].groupby(groups).last())
    return means


def tsv(table: pd.DataFrame) -> str:
    """Tab-separated text with a header, six significant digits, empty where there is no value."""
    return str(table.to_csv(sep="\t", index=False, float_format="%.6g", lineterminator="\n"))


def _trained_numbers(content: Content, variant: str) -> Content:
    numbers: Content = content["variants"][variant]["moments"]["trained"]
    return numbers


def _table(
    what: str,
    contents: Sequence[Content],
    models: Mapping[str, str],
    targets: Sequence[str],
    settings: Mapping[str, str],
    numbers: Callable[[Content, str], Content],
) -> pd.DataFrame:
    """A row for each model (name -> what it is trained on), target and seed."""
    rows = []
    for content in contents:
        for model, source in models.items():
            for target in targets:
                try:
                    cell = numbers(content, model)[target]
                except KeyError:
                    problem = f"{model} on {target} is missing"
                    raise InputError(f"{what}, seed {content['seed']}: {problem}") from None
                setting = settings.get(model, "in_domain" if source == target else "cross_domain")
                keys = {"model": model, "target": target, "seed": content["seed"], "setting": setting}
                columns = (*(metric.name for metric in METRICS), *COUNTS)
                rows.append(keys | {column: cell[column] for column in columns})
    return pd.DataFrame(rows)


def _scores(
    what: str,
    contents: Sequence[Content],
    table: pd.DataFrame,
    queries: pd.DataFrame,
    protocols: Mapping[str, Content],
) -> Scores:
    """Check that results belong together, and reduce the per-query results."""
    seeds = [content["seed"] for content in contents]
    for content in contents:
        if content["protocol"] != protocols:
            rule = f"the protocol must be that of the cross-domain results, {protocols}"
            raise InputError(f"{what}, seed {content['seed']}: {rule}, got {content['protocol']}")
    for target, rows in table.groupby("target", sort=False):
        for name in COUNTS:
            values = np.unique(rows[name])
            if len(values) > 1:
                rule = f"{name} of {target} must be the same for all models and seeds"
                raise InputError(f"{what}: {rule}, got {values.tolist()}")
    groups = dict(iter(queries.groupby(["model", "target", "seed"])))
    samples = {}
    for (model, target), rows in table.groupby(["model", "target"], sort=False):
        missing = [seed for seed in seeds if (model, target, seed) not in groups]
        if missing:
            problem = f"per-query results of {model} on {target} with seed {missing[0]} are missing"
            raise InputError(f"{what}: {problem}")
        for metric in (metric.name for metric in HEADLINE):
            reduced = sample(str(target), [groups[model, target, seed] for seed in seeds], metric)
            if not abs(reduced.value - rows[metric].mean()) <= 1e-9:  # false for NaN, too
                rule = f"{metric} of {model} on {target} must be that of its queries, {reduced.value}"
                raise InputError(f"{what}: {rule}, got {rows[metric].mean()}")
            samples[(str(model), str(target)), metric] = reduced
    models, targets = ([str(name) for name in table[key].unique()] for key in ("model", "target"))
    return Scores(protocols, models, targets, seeds, table, queries, samples)
