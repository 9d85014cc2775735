"""Results files -> checked scores of every model on every target, with confidence intervals.

A number is averaged only with numbers that mean the same: all results follow one protocol a target and count
the same queries, every seed covers the same models, and means are those of the per-query results.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sttreid.analysis.uncertainty import Difference, Interval, Sample, difference, interval, sample
from sttreid.retrieval.metrics import HEADLINE, METRICS
from sttreid.runtime.errors import InputError

Content = Mapping[str, Any]  # of a results file
Cell = tuple[str, str]  # a model and the data set that it is tested on

COUNTS = ("queries", "unmatched", "gallery", "distractors", "left_out", "junk")
BASELINES = ("untrained", "histogram", "equalised")
SETTINGS = ("in_domain", "cross_domain", "direct_transfer", *BASELINES)


@dataclass(frozen=True, eq=False)
class Scores:
    """Models, each tested on all targets with every seed.

    Attributes:
        protocols: target -> its protocol, as in the results files.
        table: a row for each model, target and seed: model, target, seed, setting, metrics and counts.
        queries: per-query results with the columns model, target and seed.
        samples: of each cell and headline metric, ready for resampling.
    """

    protocols: Mapping[str, Content]
    table: pd.DataFrame
    queries: pd.DataFrame
    samples: Mapping[tuple[Cell, str], Sample]

    @property
    def models(self) -> list[str]:
        """In the order of the tables."""
        return [str(model) for model in self.table["model"].unique()]

    @property
    def targets(self) -> list[str]:
        """In the order of the tables."""
        return [str(target) for target in self.table["target"].unique()]

    @property
    def seeds(self) -> list[int]:
        """Every model has all of them."""
        return [int(seed) for seed in self.table["seed"].unique()]

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
        """The mean over cells, which count alike, and its confidence interval over identities and seeds."""
        return interval([self.samples[cell, metric] for cell in cells])

    def difference(self, ours: Sequence[Cell], theirs: Sequence[Cell], metric: str) -> Difference:
        """The paired difference of two means over the same data sets in the same order."""
        first, second = ([self.samples[cell, metric] for cell in cells] for cells in (ours, theirs))
        return difference(first, second)


@dataclass(frozen=True)
class Variant:
    """How a variant of the ablation is made and how well it is trained.

    Attributes:
        name: of the variant.
        composition: what its network is made of.
        pretrain_steps: 0 without pre-training.
        steps: of the training on the source.
        train_rank1: at its end, on training identities (0 to 1), the mean over seeds ...
        validation_rank1: ... and on validation identities.
        lowest_train_rank1: on training identities, with the worst seed.
        comparable: whether that is enough: a variant that does not fit its training identities says nothing
            about generalisation.
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
        reference: name under which its model of the source is the last variant; None: it is no variant.

    Raises:
        InputError: results are missing or do not belong together.
    """
    what, targets = "ablation results", cross_domain.targets
    table = _table(
        what,
        contents,
        dict.fromkeys(variants, source),
        targets,
        {},
        lambda content, name: content["variants"][name]["moments"]["trained"],
    )
    trained = queries[queries["moment"] == "trained"].rename(columns={"variant": "model"})
    if reference is not None:
        model, rows = cross_domain.table, cross_domain.queries
        table = pd.concat([table, model[model["model"] == source].assign(model=reference)], ignore_index=True)
        trained = pd.concat([trained, rows[rows["model"] == source].assign(model=reference)])
    return _scores(what, contents, table, trained, cross_domain.protocols)


def variant(name: str, made: Content, histories: Sequence[pd.DataFrame], min_train_rank1: float) -> Variant:
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
    return Variant(
        name=name,
        composition=made["composition"],
        pretrain_steps=int(made["pretrain_steps"]),
        steps=int(made["steps"]),
        train_rank1=float(rank1["train_rank1"].mean()),
        validation_rank1=float(rank1["validation_rank1"].mean()),
        lowest_train_rank1=lowest,
        comparable=lowest >= min_train_rank1,
    )


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
                    told = f"{model} on {target} is missing"
                    raise InputError(f"{what}, seed {content['seed']}: {told}") from None
                setting = settings.get(model, "in_domain" if source == target else "cross_domain")
                place = {"model": model, "target": target, "seed": content["seed"], "setting": setting}
                columns = (*(metric.name for metric in METRICS), *COUNTS)
                rows.append(place | {column: cell[column] for column in columns})
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
            told = f"per-query results of {model} on {target} with seed {missing[0]} are missing"
            raise InputError(f"{what}: {told}")
        for metric in (metric.name for metric in HEADLINE):
            reduced = sample(str(target), [groups[model, target, seed] for seed in seeds], metric)
            if not abs(reduced.value - rows[metric].mean()) <= 1e-9:  # false for NaN, too
                rule = f"{metric} of {model} on {target} must be that of its queries, {reduced.value}"
                raise InputError(f"{what}: {rule}, got {rows[metric].mean()}")
            samples[(str(model), str(target)), metric] = reduced
    return Scores(protocols, table, queries, samples)
