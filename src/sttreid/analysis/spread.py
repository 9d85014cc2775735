"""The default run's numbers over seeds: the study ``seeds``, its publications, and a run beside one.

A number is the mean over the cells of a setting, the cross-domain drop, or one cell, "source->target". If the
targets have several protocols, each has a mean and a drop of its own (:mod:`sttreid.analysis.settings`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy import stats

from sttreid.analysis.results import BASELINES, Cell, Scores, drop
from sttreid.analysis.settings import means_of, setting_of
from sttreid.analysis.uncertainty import LEVEL, Doubles, Interval
from sttreid.config.conversion import dump, parse
from sttreid.config.publications import PROVENANCE, newest
from sttreid.retrieval.metrics import HEADLINE
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json
from sttreid.runtime.provenance import Machine, numerics_of

DROP: Final = "cross_domain_drop"
EQUAL: Final = 1e-9  # two values with a smaller difference are identical
DECISIVE: Final = (  # sections of params.yaml that decide the numbers
    *("datasets", "simulate", "decode", "clip", "augment", "batch", "model", "loss"),
    *("pretrain", "finetune", "evaluate", "compute", "targets"),
)
Values = dict[str, dict[str, Doubles]]  # metric -> name of a number -> [S] of each seed


@dataclass(frozen=True)
class Spread:
    """One number over seeds.

    Attributes:
        mean: over seeds, a fraction (0 to 1).
        sd: sample standard deviation over seeds (n - 1).
        values: seed -> value.
        low: lower end of the 95 % confidence interval of the mean, over seeds and identities; None: unknown.
        high: its upper end.
    """

    mean: float
    sd: float
    values: dict[int, float]
    low: float | None = None
    high: float | None = None

    @property
    def expected(self) -> tuple[float, float]:
        """Where a further seed lies in 95 % of cases, if seeds are normal: mean ± t sd sqrt(1 + 1/n)."""
        number = len(self.values)
        margin = float(stats.t.ppf((1 + LEVEL) / 2, number - 1)) * self.sd * float(np.sqrt(1 + 1 / number))
        return self.mean - margin, self.mean + margin


Numbers = dict[str, dict[str, Spread]]  # metric -> name of a number -> its spread


@dataclass(frozen=True)
class SeedResults:
    """Content of ``seeds.json``.

    Attributes:
        seeds: in the order of the parameters.
        protocol: target -> name of its protocol.
        queries: target -> number of its queries.
        identities: target -> number of its test identities.
        numbers: of the trained models.
        baselines: of what is not trained, means over the targets.
    """

    seeds: list[int]
    protocol: dict[str, str]
    queries: dict[str, int]
    identities: dict[str, int]
    numbers: Numbers
    baselines: Numbers


@dataclass(frozen=True)
class Publication:
    """A publication of the study ``seeds``.

    Attributes:
        commit: 40 hexadecimal digits; of the code that trained.
        numerics: "portable" or "native".
        params: all parameters.
        numbers: metric -> setting or cell -> spread.
        baselines: the same of what is not trained.
        models: path below artifacts/models -> MD5 of the weights.
        tracklets: data set -> MD5 of its tracklet store.
        machines: those on which the models were trained and tested.
        protocol: target -> name of its protocol.
    """

    commit: str
    numerics: str
    params: dict[str, Any]
    numbers: Numbers
    baselines: Numbers = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    tracklets: dict[str, str] = field(default_factory=dict)
    machines: list[Machine] = field(default_factory=list)
    protocol: dict[str, str] = field(default_factory=dict)

    def tested_on(self, name: str) -> dict[str, str]:
        """The targets of a cell or of a mean, each with its protocol."""
        _, arrow, target = name.partition("->")
        means = means_of(setting_of(name), self.protocol, self.protocol)
        targets = [target] if arrow else means.get(name, [])
        return {target: self.protocol.get(target, "") for target in targets}

    def of_targets(self, setting: str, protocols: Mapping[str, str]) -> Mapping[str, Spread]:
        """Metric -> published spread of a setting's mean over exactly these targets; empty without one.

        Args:
            setting: its name.
            protocols: target -> name of the protocol in which it is tested.
        """
        return {
            metric: spread
            for metric, spreads in self.numbers.items()
            for name, spread in spreads.items()
            if "->" not in name and setting_of(name) == setting and self.tested_on(name) == protocols
        }


class Verdict(StrEnum):
    """One number of a run against its spread."""

    IDENTICAL = "identical"
    WITHIN = "within"
    OUTSIDE = "outside"


@dataclass(frozen=True)
class Comparison:
    """One number of a run with one seed.

    Attributes:
        metric: its name.
        name: of the number.
        seed: of the run.
        value: of the run.
        published: with the same seed; None: that seed was not published.
        spread: as published.
        verdict: identical to the published value, within :attr:`Spread.expected`, or outside.
    """

    metric: str
    name: str
    seed: int
    value: float
    published: float | None
    spread: Spread
    verdict: Verdict


def values(scores: Scores) -> Values:
    """The numbers of cross-domain scores, baselines included, for each seed."""
    numbers: Values = {}
    for metric in (metric.name for metric in HEADLINE):
        by_cell = {
            cell: reduced.by_seed for (cell, name), reduced in scores.samples.items() if name == metric
        }
        numbers[metric] = {
            name: np.mean([by_cell[cell] for cell in cells], axis=0) for name, cells in _cells(scores).items()
        }
        for name, cells in _drops(scores).items():
            drops = [by_cell[target, target] - by_cell[model, target] for model, target in cells]
            numbers[metric][name] = np.mean(drops, axis=0)
    return numbers


def seed_results(scores: Scores) -> SeedResults:
    """Every number with its spread and confidence interval.

    Raises:
        InputError: there are fewer than two seeds.
    """
    if len(scores.seeds) < 2:
        raise InputError(f"seeds: a spread needs at least 2 seeds, got {list(scores.seeds)}")
    cells, drops = _cells(scores), _drops(scores)
    numbers: Numbers = {}
    baselines: Numbers = {}
    for metric, by_name in values(scores).items():
        for name, by_seed in by_name.items():
            if name in drops:
                mean: Interval = drop(scores, metric, drops[name])
            else:
                mean = scores.interval(cells[name], metric)
            group = baselines if setting_of(name) in BASELINES else numbers
            group.setdefault(metric, {})[name] = _spread(scores, by_seed, mean)
    return SeedResults(
        seeds=[int(seed) for seed in scores.seeds],
        protocol=scores.protocol_names,
        queries={str(target): int(number) for target, number in scores.counts["queries"].items()},
        identities={target: len(each.identities) for ((_, target), _), each in scores.samples.items()},
        numbers=numbers,
        baselines=baselines,
    )


def content(results: SeedResults) -> dict[str, Any]:
    """Content of ``seeds.json``; :func:`published` is the inverse."""
    made: dict[str, Any] = dump(results)
    return made


def table(results: SeedResults) -> pd.DataFrame:
    """A row for each number of the trained models and each seed: metric, name, seed, value (a fraction)."""
    rows = [
        (metric, name, seed, value)
        for metric, names in results.numbers.items()
        for name, spread in names.items()
        for seed, value in spread.values.items()  # noqa: PD011 (a dict)
    ]
    return pd.DataFrame(rows, columns=["metric", "name", "seed", "value"])


def published(root: Path) -> Publication | None:
    """The newest publication of the study; None: there is none.

    Args:
        root: of a checkout.

    Raises:
        InputError: a publication cannot be read.
    """
    publication = newest(root, "seeds")
    if publication is None:
        return None
    folder, origin = publication
    results = folder / "seeds.json"
    found = parse(SeedResults, read_json(results), str(results))
    return Publication(
        commit=origin.commit,
        numerics=numerics_of(origin, folder / PROVENANCE),
        params=origin.params,
        numbers=found.numbers,
        baselines=found.baselines,
        models=origin.models,
        tracklets=origin.tracklets,
        machines=origin.machines,
        protocol=found.protocol,
    )


def compare(publication: Publication, scores: Scores) -> list[Comparison]:
    """Every number that a run and the publication share, for each seed of the run.

    They share what is tested on the same targets in the same protocols.
    """
    numbers, rows, protocols = values(scores), [], scores.protocol_names
    cells = _cells(scores) | _drops(scores)
    shared = {
        name
        for name, of_name in cells.items()
        if publication.tested_on(name) == {target: protocols[target] for _, target in of_name}
    }
    for metric, spreads in publication.numbers.items():
        for name, spread in spreads.items():
            by_seed = numbers[metric][name].tolist() if name in shared else []
            for seed, value in zip(scores.seeds[: len(by_seed)], by_seed, strict=True):
                earlier = spread.values.get(seed)  # noqa: PD011 (a dict)
                verdict = _verdict(value, earlier, spread)
                rows.append(Comparison(metric, name, int(seed), value, earlier, spread, verdict))
    return rows


def differing_params(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Dotted names of parameters that decide the numbers and differ, each with both values.

    Args:
        ours: content of params.yaml.
        theirs: of the publication.
    """
    used = {theirs["simulate"]["domain"], *theirs["targets"]}
    pair = []
    for side in (ours, theirs):
        datasets = {name: each for name, each in side["datasets"].items() if name in used}
        decisive = {**side, "datasets": datasets}
        pair.append(dict(_flat({name: decisive[name] for name in DECISIVE if name in decisive})))
    our, their = pair
    return [
        f"{key} {our.get(key, 'not set')} (published: {their.get(key, 'not set')})"
        for key in dict.fromkeys((*their, *our))
        if our.get(key, ...) != their.get(key, ...)
    ]


def _cells(scores: Scores) -> dict[str, list[Cell]]:
    """Name of a setting, or of one cell of a trained model -> its cells."""
    settings: dict[str, list[Cell]] = {}
    for setting in scores.settings:
        settings |= _of_protocols(scores, setting, scores.cells(setting))
    trained = [model for model in scores.models if model not in BASELINES]
    return settings | {
        f"{model}->{target}": [(model, target)] for model in trained for target in scores.targets
    }


def _drops(scores: Scores) -> dict[str, list[Cell]]:
    """Name of each cross-domain drop -> its cells."""
    return _of_protocols(scores, DROP, scores.cells("cross_domain"))


def _of_protocols(scores: Scores, setting: str, cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Name of each mean over some cells -> those of one protocol."""
    found = means_of(setting, dict.fromkeys(target for _, target in cells), scores.protocol_names)
    return {name: [cell for cell in cells if cell[1] in targets] for name, targets in found.items()}


def _spread(scores: Scores, by_seed: Doubles, mean: Interval) -> Spread:
    of_seeds = {int(seed): float(value) for seed, value in zip(scores.seeds, by_seed, strict=True)}
    return Spread(float(by_seed.mean()), float(by_seed.std(ddof=1)), of_seeds, mean.low, mean.high)


def _verdict(value: float, earlier: float | None, spread: Spread) -> Verdict:
    if earlier is not None and abs(value - earlier) < EQUAL:
        return Verdict.IDENTICAL
    low, high = spread.expected
    return Verdict.WITHIN if low - EQUAL <= value <= high + EQUAL else Verdict.OUTSIDE


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values."""
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
