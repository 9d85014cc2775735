"""What was run: arms, each with several seeds, tested on all targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sttreid.analysis.uncertainty import Sample, sample
from sttreid.report.effects import Quantity, accuracy, weighted
from sttreid.report.summary import Content
from sttreid.runtime.errors import InputError


@dataclass(frozen=True, eq=False)
class Run:
    """One arm with one seed.

    Attributes:
        arm: its name.
        seed: its seed.
        pretrain_steps: steps on the synthetic set.
        steps: steps on the source; 0 where the network was tested before them.
        train_rank1: rank-1 (0 to 1) on the source's training identities; None if it was not trained on them.
        queries: per-query results, with the column target.
        history: of the training on the source, with step and validation_rank1; None without one.
    """

    arm: str
    seed: int
    pretrain_steps: int
    steps: int
    train_rank1: float | None
    queries: pd.DataFrame
    history: pd.DataFrame | None


@dataclass(frozen=True, eq=False)
class Study:
    """Everything that was run.

    Attributes:
        arms: name -> its runs, in one order of seeds.
        source: data set that all arms are trained on.
        targets: data sets that are tested on.
        fitted: rank-1 on its training identities (0 to 1) that an arm must reach with every seed.
    """

    arms: Mapping[str, Sequence[Run]]
    source: str
    targets: Sequence[str]
    fitted: float

    @property
    def seeds(self) -> list[int]:
        """Of all arms."""
        return [run.seed for run in next(iter(self.arms.values()))]

    @property
    def own(self) -> list[str]:
        """The source, if it is tested on."""
        return [target for target in self.targets if target == self.source]

    @property
    def others(self) -> list[str]:
        """Targets that no arm was trained on."""
        return [target for target in self.targets if target != self.source]

    @property
    def scope(self) -> str:
        """What all tests are computed from: seeds, and the queries of each target that count."""
        queries = next(iter(self.arms.values()))[0].queries
        counts = queries[queries["ap"].notna()].groupby("target").size()
        asked = ", ".join(f"{counts.get(target, 0)} {target}" for target in self.targets)
        return f"seeds {', '.join(map(str, self.seeds))}; queries: {asked}"

    def lowest_fit(self, arm: str) -> float | None:
        """The smallest rank-1 on its training identities over the seeds; None if it was not trained."""
        fits = [run.train_rank1 for run in self.arms[arm] if run.train_rank1 is not None]
        return min(fits) if fits else None

    def samples(self, arm: str, targets: Sequence[str], measure: str) -> list[Sample]:
        """One a data set, for resampling."""
        tables = [dict(iter(run.queries.groupby("target"))) for run in self.arms[arm]]
        return [sample(target, [table[target] for table in tables], measure) for target in targets]

    def accuracy(self, arm: str, targets: Sequence[str], measure: str) -> Quantity:
        """An arm's mean over data sets, of a column of the per-query results (0 to 1)."""
        return accuracy(self.samples(arm, targets, measure))

    def fit(self, arm: str) -> Quantity:
        """An arm's rank-1 on its training identities (NaN where it was not trained): no test people in it."""
        return Quantity(np.array([run.train_rank1 for run in self.arms[arm]], float))

    def gap(self, arm: str) -> Quantity:
        """An arm's rank-1 on its training identities less that on the test of the source."""
        return weighted([(1, self.fit(arm)), (-1, self.accuracy(arm, self.own, "rank1"))])


def study(runs: Sequence[Run], source: str, targets: Sequence[str], fitted: float) -> Study:
    """Group runs by arm.

    Raises:
        InputError: there is no run, or arms were run with different seeds.
    """
    if not runs:
        raise InputError("claims: there must be at least one run, got none")
    arms = {run.arm: [one for one in runs if one.arm == run.arm] for run in runs}
    first = [run.seed for run in runs if run.arm == runs[0].arm]
    for name, group in arms.items():
        if [run.seed for run in group] != first:
            rule = f"{name} must have the seeds {first}, as {runs[0].arm} has"
            raise InputError(f"claims: {rule}, got {[run.seed for run in group]}")
    return Study(arms, source, targets, fitted)


def runs_of(cell: Content, queries: pd.DataFrame, history: pd.DataFrame) -> list[Run]:
    """One cell's network, and the same before its training on the source, where that was tested.

    Args:
        cell: its content, complete (:func:`sttreid.report.summary.complete`).
        queries: per-query results, with the columns target and moment.
        history: of the training on the source.
    """
    asked = dict(iter(queries.groupby("moment")))
    arm, seed, steps = cell["variant"], cell["seed"], cell["pretrain_steps"]
    before = {"pretrained": steps, "untrained": 0}
    return [
        Run(arm, seed, steps, cell["steps"], cell["train_rank1"], asked["trained"], history),
        *(Run(f"{arm}-{m}", seed, before[m], 0, None, asked[m], None) for m in before if m in asked),
    ]


def reached(history: pd.DataFrame, level: float) -> tuple[int, bool]:
    """The first step that was looked at with this rank-1 on validation identities or more.

    Args:
        history: with step, and validation_rank1 where it was looked at.
        level: 0 to 1.

    Returns:
        The step, and whether the level was reached at all; if not, the last step.
    """
    looks = history[history["validation_rank1"].notna()]
    there = looks.loc[looks["validation_rank1"] >= level, "step"]
    return (int(history["step"].iloc[-1]), False) if there.empty else (int(there.iloc[0]), True)


def between_looks(history: pd.DataFrame) -> float:
    """Steps from one look to the next: a step that is reached is known no better (variance: a twelfth of its
    square).
    """
    return float(history["step"].iloc[-1] / history["validation_rank1"].notna().sum())
