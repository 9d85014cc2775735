"""Two runs -> may they be compared, which parameters differ, and the verdict on every difference.

Only results of the same protocol, on the same queries of the same data, by the same numeric path are
comparable. :mod:`sttreid.analysis.verdicts` judges the differences.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pandas as pd

from sttreid.analysis import results
from sttreid.analysis.results import Content, Scores
from sttreid.analysis.spread import Publication
from sttreid.analysis.uncertainty import LEVEL
from sttreid.analysis.verdicts import Judge, Row, Verdict
from sttreid.retrieval.metrics import HEADLINE
from sttreid.runtime.errors import InputError
from sttreid.runtime.provenance import NATIVE

TRAINED: Final = ("pretrain", "finetune", "model", "batch")  # sections that the published spread belongs to
NAMED: Final = 4  # parameters in a sentence


@dataclass(frozen=True, eq=False)
class GroupResults:
    """What the stage ``evaluate`` wrote for one group.

    Attributes:
        contents: metrics, one for each seed.
        queries: per-query results of all seeds.
    """

    contents: Sequence[Content]
    queries: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Outcome:
    """A run at one revision.

    Attributes:
        name: of the revision, as the user calls it.
        commit: 40 hexadecimal digits; None: the workspace.
        params: content of its params.yaml.
        domain: path and content of the file of its synthetic set's domain; empty if there is none.
        tracklets: data set -> MD5 of its tracklet store.
        code: path -> MD5 of the code that its results depend on.
        cross_domain: results of the default run.
        ablation: results of the variants; None: there are none that belong to ``params``.
        missing: the reason, a sentence.
        fingerprint: of the parameters of the results; None: their files do not name it.
    """

    name: str
    commit: str | None
    params: Mapping[str, Any]
    domain: Mapping[str, Any]
    tracklets: Mapping[str, str]
    code: Mapping[str, str]
    cross_domain: GroupResults
    ablation: GroupResults | None = None
    missing: str | None = None
    fingerprint: str | None = None

    @property
    def targets(self) -> list[str]:
        """Data sets that are tested on."""
        return list(self.params["targets"])

    @property
    def seeds(self) -> list[int]:
        """Of the training."""
        return list(self.params["seeds"])

    @property
    def synthetic(self) -> str:
        """Data set of the pre-training."""
        return str(self.params["simulate"]["domain"])

    @property
    def numerics(self) -> str:
        """The numeric path."""
        return str(self.params["compute"].get("numerics", NATIVE))


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two runs, compared.

    Attributes:
        a: the run that is subtracted.
        b: the other run.
        params: dotted key -> its value in "a" and in "b", where they differ; a run without the key is absent.
        forced: why the runs are not comparable, sentences; empty unless the comparison was forced.
        left_out: what could not be compared, sentences.
        notes: what a reader has to know, sentences.
        rows: the differences.
        publication: of the spread over seeds.
    """

    a: Outcome
    b: Outcome
    params: Mapping[str, Mapping[str, Any]]
    forced: Sequence[str]
    left_out: Sequence[str]
    notes: Sequence[str]
    rows: Sequence[Row]
    publication: Publication | None


def compare(
    a: Outcome, b: Outcome, publication: Publication | None, min_effect: float, force: bool = False
) -> Comparison:
    """Compare two runs.

    Args:
        a: the run that is subtracted.
        b: the other run.
        publication: the spread over seeds; None: none is published.
        min_effect: the smallest difference that matters, a fraction.
        force: compare runs that are not comparable, on their common targets; other queries are not paired.

    Raises:
        InputError: the runs are not comparable, without ``force``; they have no common target; or results of
            a run do not belong together.
    """
    targets = [target for target in a.targets if target in b.targets]
    obstacles = [*_other_settings(a, b, targets)]
    if targets and (force or not obstacles):
        first, second = _default_run(a, targets), _default_run(b, targets)
        unpaired = list(_other_queries(a, b, first, second))
        obstacles += unpaired
    if obstacles and not (force and targets):
        raise InputError("; ".join(obstacles) + " (--force compares nevertheless)" * bool(targets))
    judge = Judge(publication, min_effect, not unpaired)
    rows = [row for pair in _pairs(first, second) for row in _rows(judge, pair)]
    left_out = list(_left_out(a, b))
    variants = [name for name in _variants(a) if name in _variants(b)]
    if a.ablation and b.ablation and variants and not left_out:
        source = str(a.params["ablation"]["source"])
        theirs = _ablation(a.ablation, variants, source, first)
        ours = _ablation(b.ablation, variants, source, second)
        pairs = list(_pairs(theirs, ours))
        rows += [row for name in variants for pair in pairs for row in _rows(judge, pair, name, source)]
        for run, other in ((a, b), (b, a)):
            missing = [name for name in _variants(other) if name not in variants]
            left_out += [f"{run.name} has no variant {name}." for name in missing]
    notes = [*_notes(a, b, publication), *_notes_on_rows(rows)]
    return Comparison(a, b, changes(a, b), obstacles, left_out, notes, rows, publication)


def _pairs(a: Scores, b: Scores) -> Iterator[tuple[str | None, Scores, Scores]]:
    """The scores of both runs for each protocol, because a mean never mixes protocols; None: there is one."""
    groups: dict[tuple[str, str], list[str]] = {}
    for target in a.targets:
        groups.setdefault((a.protocol_names[target], b.protocol_names[target]), []).append(target)
    for (name, _), targets in groups.items():
        yield (name if len(groups) > 1 else None), a.on(targets), b.on(targets)


def _rows(
    judge: Judge, pair: tuple[str | None, Scores, Scores], variant: str | None = None, source: str = ""
) -> Iterator[Row]:
    protocol, a, b = pair
    for row in judge.rows(a, b, variant, source):
        yield replace(row, protocol=protocol)


def changes(a: Outcome, b: Outcome) -> dict[str, dict[str, Any]]:
    """The parameters that differ, as :attr:`Comparison.params`, with those of the synthetic set's domain."""
    sides = {name: flat(run.params) | flat(run.domain) for name, run in (("a", a), ("b", b))}
    found = {}
    for key in {**sides["a"], **sides["b"]}:
        values = {name: side[key] for name, side in sides.items() if key in side}
        if len(values) < 2 or values["a"] != values["b"]:
            found[key] = values
    return found


def flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested content with dotted keys; lists and empty mappings are values."""
    values: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            values |= flat(value, f"{prefix}{key}.")
        else:
            values[f"{prefix}{key}"] = value
    return values


def _default_run(run: Outcome, targets: Sequence[str]) -> Scores:
    group = run.cross_domain
    return results.cross_domain(group.contents, group.queries, targets, run.synthetic)


def _ablation(group: GroupResults, variants: Sequence[str], source: str, default: Scores) -> Scores:
    return results.ablation(group.contents, group.queries, variants, source, default)


def _variants(run: Outcome) -> list[str]:
    return list(run.params["ablation"]["variants"])


def _differing(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """The keys whose values differ."""
    return [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]


def _must(a: Outcome, b: Outcome, what: str, ours: object, theirs: object) -> str:
    return f"{what} must be the same, got {ours} in {a.name} and {theirs} in {b.name}"


def _other_settings(a: Outcome, b: Outcome, targets: Sequence[str]) -> Iterator[str]:
    """What makes two runs incomparable before a result is read."""
    if a.numerics != b.numerics:
        yield _must(a, b, "compute.numerics", a.numerics, b.numerics)
    if set(a.targets) != set(b.targets):
        yield _must(a, b, "the targets", ", ".join(a.targets), ", ".join(b.targets))
    for target in targets:
        ours, theirs = (run.tracklets.get(target, "none") for run in (a, b))
        if ours != theirs:
            yield _must(a, b, f"the MD5 of the tracklets of {target}", ours, theirs)
    for target in targets:
        first, second = (run.cross_domain.contents[0]["protocol"].get(target) or {} for run in (a, b))
        for key in _differing(first, second)[:1]:  # the name comes first
            values = repr(first.get(key)), repr(second.get(key))
            yield _must(a, b, f"{key} of the protocol of {target}", *values)


def _other_queries(a: Outcome, b: Outcome, first: Scores, second: Scores) -> Iterator[str]:
    """Targets on which the same queries do not count."""
    metric = HEADLINE[0].name
    for target in first.targets:
        ours, theirs = (scores.samples[(target, target), metric] for scores in (first, second))
        counts = [scores.counts.loc[target].to_dict() for scores in (first, second)]
        keys = _differing(*counts)
        if keys:
            yield _must(a, b, f"{keys[0]} of {target}", *(each[keys[0]] for each in counts))
        elif ours.identities.tolist() != theirs.identities.tolist() or any(ours.counts != theirs.counts):
            texts = [f"{side.counts.sum():.0f} of {len(side.counts)} identities" for side in (ours, theirs)]
            yield _must(a, b, f"the queries of {target}", *texts)


def _left_out(a: Outcome, b: Outcome) -> Iterator[str]:
    """Why the ablation is not compared."""
    for run in (a, b):
        if run.ablation is None:
            yield f"The ablation is left out: {run.missing}"
            return
    ours, theirs = (run.params["ablation"]["source"] for run in (a, b))
    if ours != theirs:
        yield f"The ablation is left out: {_must(a, b, 'ablation.source', ours, theirs)}."


def _notes(a: Outcome, b: Outcome, publication: Publication | None) -> Iterator[str]:
    """On the runs, and on the publication of the spread."""
    code = sorted(path for path in a.code.keys() & b.code.keys() if a.code[path] != b.code[path])
    if code:
        yield f"The code differs: {', '.join(code)}."
    ours, theirs = a.tracklets.get(a.synthetic), b.tracklets.get(b.synthetic)
    if ours != theirs:
        yield "The synthetic sets of the pre-training differ."
    if publication is None:
        yield "No spread over seeds is published in metrics/seeds: `make study STUDY=seeds` measures it."
        return
    where = f"The published spread (commit {publication.commit[:7]})"
    for name, params, numerics in _distinct(a, b):
        there, here = _training(publication.params), _training(params)
        keys = _differing(there, here)
        if keys:
            texts = [f"{key} is {there.get(key)} there and {here.get(key)} in {name}" for key in keys[:NAMED]]
            more = [f"and {len(keys) - NAMED} more"] if len(keys) > NAMED else []
            yield f"{where} belongs to other parameters: {', '.join([*texts, *more])}."
        if numerics != publication.numerics:
            yield f"{where} belongs to compute.numerics {publication.numerics}, not {numerics} as in {name}."


def _distinct(a: Outcome, b: Outcome) -> list[tuple[str, Mapping[str, Any], str]]:
    """Name, parameters and numeric path of both runs; one entry if they are trained alike."""
    runs = [(run.name, run.params, run.numerics) for run in (a, b)]
    alike = _training(a.params) == _training(b.params) and a.numerics == b.numerics
    return [("both runs", *runs[0][1:])] if alike else runs


def _training(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that the published spread belongs to, flat; how often is measured changes no weight."""
    values = flat({key: params.get(key, {}) for key in TRAINED})
    return {key: value for key, value in values.items() if not key.endswith(".eval_every")}


def _notes_on_rows(rows: Sequence[Row]) -> Iterator[str]:
    if any(row.variant is not None and row.margin is not None for row in rows):
        yield "The spread beside a variant is that of the default run's model on the same targets."
    judged = [row for row in rows if row.verdict not in (Verdict.IDENTICAL, Verdict.UNKNOWN)]
    if len(judged) > 1:
        chance = f"{(1 - LEVEL) * len(judged):.1f} of these {len(judged)} differences"
        yield f"If seeds alone differed, {chance} would look real on average."
