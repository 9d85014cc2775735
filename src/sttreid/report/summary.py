"""Results files -> long tables and the two small metric files that ``dvc metrics`` compares.

A number is only averaged with numbers that mean the same: all results of a target must follow one protocol
and count the same queries, and every seed must cover the same cells.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from sttreid.report.evidence import MEASURES, Cell, Evidence, cells_of
from sttreid.runtime.errors import InputError

Content = Mapping[str, Any]  # of one results file, as read from JSON

RATES = ("rank1", "rank5", "rank10", "rank20", "mAP", "mINP")
COUNTS = ("queries", "unmatched", "gallery", "distractors", "left_out", "junk")
BASELINES = ("untrained", "histogram", "equalised")
SETTINGS = ("in_domain", "cross_domain", "direct_transfer", *BASELINES)
STEPS = ("pretrain_steps", "steps")
LOOKS = ("train_rank1", "validation_rank1")
DIGITS = 4


def matrix(results: Sequence[Content], targets: Sequence[str], synthetic: str) -> pd.DataFrame:
    """The cross-domain results as one long table.

    Args:
        results: one content a seed, of ``artifacts/results/cross_domain``.
        targets: data sets that are tested on, in the order of the table.
        synthetic: data set of the pre-training.

    Returns:
        One row a seed, source and target: seed, source, target, setting (one of ``SETTINGS``), the rates (0
        to 1) and the counts. Sources come in the order targets, synthetic, baselines.

    Raises:
        InputError: there is no result, one lacks a cell, a seed comes twice, or protocols or counts differ.
    """
    _check_seeds([result["seed"] for result in results], "cross-domain results")
    rows = []
    for result in results:
        if result["protocol"] != results[0]["protocol"]:
            rule = f"the protocol must be that of seed {results[0]['seed']}, {results[0]['protocol']}"
            raise InputError(f"{_place(result)}: {rule}, got {result['protocol']}")
        for source in (*targets, synthetic, *BASELINES):
            for target in targets:
                cell = _cell(result, source, target)
                setting = _setting(source, target, targets, synthetic)
                place = {"seed": result["seed"], "source": source, "target": target, "setting": setting}
                rows.append(place | {name: cell[name] for name in (*RATES, *COUNTS)})
    table = pd.DataFrame(rows)
    _check_counts(table, "cross-domain results")
    return table


def arms(cells: Sequence[Content]) -> pd.DataFrame:
    """The ablation results as one long table.

    Args:
        cells: one content a variant and seed, of ``artifacts/results/ablation``, in the order of the table.

    Returns:
        One row a variant, seed and target: variant, composition, seed, pretrain_steps, steps, train_rank1,
        validation_rank1, target, setting (``in_domain`` where the target is the source), the rates and the
        counts.

    Raises:
        InputError: there is no cell, a cell comes twice, variants were run with different seeds, or protocols
            or counts differ.
    """
    rows = []
    for cell in cells:
        if cell["protocol"] != cells[0]["protocol"]:
            rule = f"the protocol must be that of {cells[0]['variant']}, {cells[0]['protocol']}"
            raise InputError(f"{_name(cell)}: {rule}, got {cell['protocol']}")
        place = {name: cell[name] for name in ("variant", "composition", "seed", *STEPS, *LOOKS)}
        for target, numbers in cell["targets"].items():
            setting = "in_domain" if target == cell["source"] else "cross_domain"
            chosen = {name: numbers[name] for name in (*RATES, *COUNTS)}
            rows.append(place | {"target": target, "setting": setting} | chosen)
    first = [cell["seed"] for cell in cells if cell["variant"] == cells[0]["variant"]]
    _check_seeds(first, "ablation results")
    for variant in dict.fromkeys(cell["variant"] for cell in cells):
        seeds = [cell["seed"] for cell in cells if cell["variant"] == variant]
        if sorted(seeds) != sorted(first):
            expected = f"the seeds {sorted(first)}, as {cells[0]['variant']} has"
            raise InputError(f"ablation results: {variant} must have {expected}, got {sorted(seeds)}")
    table = pd.DataFrame(rows)
    _check_counts(table, "ablation results")
    return table


def shifts(table: pd.DataFrame, domains: Content) -> pd.DataFrame:
    """How far apart two data sets are, beside what the step from one to the other costs.

    Args:
        table: of :func:`matrix`.
        domains: content of ``metrics/domains.json``; a pair stands there once, in any order.

    Returns:
        One row a seed, source with a trained model and other target: seed, source, target, accuracy and
        standard_error (0 to 1) of the classifier that tells their crops apart, own (rank-1 on the target of
        the target's own model), rank1 (of the source's model) and drop, their difference.

    Raises:
        InputError: the domains lack a pair.
    """
    own = table[table["setting"] == "in_domain"].set_index(["seed", "target"])["rank1"].to_dict()
    rows = []
    trained = table[table["setting"].isin(["cross_domain", "direct_transfer"])]
    for seed, source, target, rank1 in trained[["seed", "source", "target", "rank1"]].itertuples(index=False):
        apart = {name: _pair(domains, name, source, target) for name in ("accuracy", "standard_error")}
        numbers = {"own": own[seed, target], "rank1": rank1, "drop": own[seed, target] - rank1}
        rows.append({"seed": seed, "source": source, "target": target} | apart | numbers)
    return pd.DataFrame(rows)


def complete(cell: Content, history: pd.DataFrame, results: Sequence[Content]) -> dict[str, Any]:
    """Add what an ablation result does not say itself: how long and how well its network was trained.

    A cell that reuses its source's fine-tuned model gets that model's row of its seed's cross-domain result.

    Args:
        cell: content of one ablation result; ``targets`` may be missing if it ``reuses``.
        history: of the training that ended in the cell's network; its last look is taken.
        results: all cross-domain results.

    Raises:
        InputError: the history is empty, or there is no cross-domain result of a reused model's seed.
    """
    if history.empty:
        raise InputError(f"{_name(cell)}: its training history must have at least 1 row, got none")
    content = {**cell, "steps": int(history["step"].iloc[-1])}
    content |= {name: float(history[name].dropna().iloc[-1]) for name in LOOKS}
    if cell["reuses"]:
        rows = [result["sources"][cell["source"]] for result in results if result["seed"] == cell["seed"]]
        if not rows:
            raise InputError(f"{_name(cell)}: reuses a model, but no cross-domain result has its seed")
        content["targets"] = rows[0]
    return content


def cross_domain(protocol: Mapping[str, str], table: pd.DataFrame, known: Evidence) -> dict[str, Any]:
    """Content of ``metrics/cross_domain.json``: means over seeds, fractions of 4 digits.

    A setting is one number, the mean over its cells, with the ends of its interval; a trained source is one
    number a target.

    Args:
        protocol: name of each target's, of :func:`names`.
        table: of :func:`matrix`.
        known: the per-query results behind it.
    """
    settings = [name for name in SETTINGS if name in set(table["setting"])]
    return {
        "protocol": protocol,
        "seeds": table["seed"].nunique(),
        **_counts(table),
        **{measure: _rates(table, measure) for measure in MEASURES},
        "interval": {
            measure: {name: ends(known, cells_of(table, name, "source"), measure) for name in settings}
            for measure in MEASURES
        },
    }


def ends(known: Evidence, cells: Sequence[Cell], measure: str) -> dict[str, float]:
    """The ends of the interval of a mean over cells, with 4 digits."""
    interval = known.interval(cells, measure)
    return {"low": round(interval.low, DIGITS), "high": round(interval.high, DIGITS)}


def ablation(
    protocol: Mapping[str, str], table: pd.DataFrame, known: Evidence, fitted: float
) -> dict[str, Any]:
    """Content of ``metrics/ablation.json``: one entry a variant, means over seeds, fractions of 4 digits.

    Args:
        protocol: name of each target's, of :func:`names`.
        table: of :func:`arms`.
        known: the per-query results behind it.
        fitted: rank-1 on its training identities (0 to 1) that an arm must reach with every seed to be
            comparable.
    """
    means = settings(table, ["variant"])
    looks = table.groupby("variant")[list(LOOKS)].mean()
    fits = lowest_fit(table)
    variants = {}
    for variant in table["variant"].unique():
        numbers = {
            f"{rate}_{setting}": round(float(row[rate]), DIGITS)
            for (_, setting), row in means.loc[[variant]].iterrows()
            for rate in ("rank1", "mAP")
        }
        seen = {name: round(float(looks.loc[variant, name]), DIGITS) for name in LOOKS}
        rows = table[table["variant"] == variant]
        intervals = {
            f"{measure}_{setting}": ends(known, cells_of(rows, setting, "variant"), measure)
            for setting in rows["setting"].unique()
            for measure in MEASURES
        }
        fit = {"comparable": int(fits[variant] >= fitted)}
        variants[str(variant)] = numbers | seen | fit | {"interval": intervals}
    return {
        "protocol": protocol,
        "seeds": table["seed"].nunique(),
        **_counts(table),
        **variants,
    }


def names(protocol: Content) -> dict[str, str]:
    """The name of each target's protocol, from that member of a results file."""
    return {target: rules["name"] for target, rules in protocol.items()}


def settings(table: pd.DataFrame, keys: Sequence[str] = ()) -> pd.DataFrame:
    """Mean rates over all cells of a setting, indexed by the keys and the setting, as they come."""
    return table.groupby([*keys, "setting"], sort=False)[list(RATES)].mean()


def lowest_fit(table: pd.DataFrame) -> "pd.Series[float]":
    """Per variant of :func:`arms`, the smallest rank-1 on its training identities over the seeds (0 to 1)."""
    return table.groupby("variant", sort=False)["train_rank1"].min()


def _setting(source: str, target: str, targets: Sequence[str], synthetic: str) -> str:
    if source == synthetic:
        return "direct_transfer"
    if source in targets:
        return "in_domain" if source == target else "cross_domain"
    return source


def _cell(result: Content, source: str, target: str) -> Content:
    try:
        cell: Content = result["sources"][source][target]
    except KeyError:
        raise InputError(f"{_place(result)}: the cell {source} -> {target} is missing") from None
    return cell


def _pair(domains: Content, name: str, one: str, other: str) -> float:
    for first, second in ((one, other), (other, one)):
        if second in domains[name].get(first, {}):
            return float(domains[name][first][second])
    raise InputError(f"metrics/domains.json: the {name} of the pair {one}, {other} is missing")


def _place(result: Content) -> str:
    return f"cross-domain result of seed {result['seed']}"


def _name(cell: Content) -> str:
    return f"ablation result {cell['variant']} of seed {cell['seed']}"


def _rates(table: pd.DataFrame, rate: str) -> dict[str, Any]:
    """Setting -> mean, and trained source -> target -> mean."""
    numbers: dict[str, Any] = {str(k): round(float(v), DIGITS) for k, v in settings(table)[rate].items()}
    cells = table.groupby(["source", "target"], sort=False)[rate].mean()
    for (source, target), value in cells.items():
        if source not in BASELINES:
            numbers.setdefault(source, {})[target] = round(float(value), DIGITS)
    return numbers


def _counts(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Count -> target -> number; they are the same in every cell of a target."""
    first = table.groupby("target", sort=False)[list(COUNTS)].first()
    return {name: {str(target): int(value) for target, value in first[name].items()} for name in COUNTS}


def _check_seeds(seeds: Sequence[int], what: str) -> None:
    if not seeds:
        raise InputError(f"{what}: there must be at least one, got none")
    if len(set(seeds)) < len(seeds):
        raise InputError(f"{what}: every seed must come once, got the seeds {sorted(seeds)}")


def _check_counts(table: pd.DataFrame, what: str) -> None:
    """Different counts mean that a result was computed from other data."""
    for target, rows in table.groupby("target", sort=False):
        for name in COUNTS:
            got = sorted(set(rows[name].tolist()))
            if len(got) > 1:
                raise InputError(f"{what}: {name} of {target} must be the same in all cells, got {got}")
