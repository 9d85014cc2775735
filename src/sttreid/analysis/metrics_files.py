"""Scores -> content of the metrics files; and what of a written file belongs to other parameters.

Every file names the parameters that made it, by their fingerprint (:mod:`sttreid.config.fingerprint`). In the
files of the ablation each variant has its own, because a change of parameters leaves some variants as they
are.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from sttreid.analysis.results import BASELINES, COUNTS, DIGITS, Content, Scores, VariantResult, drop, tsv
from sttreid.analysis.uncertainty import Interval
from sttreid.config.fingerprint import FINGERPRINT
from sttreid.retrieval.metrics import HEADLINE
from sttreid.runtime.errors import InputError

NOTICE: Final = "> **Other parameters.**"

Mean = Callable[[Scores], Interval | None]  # None: these scores do not have it


def cross_domain_metrics(scores: Scores, fingerprint: str) -> dict[str, Any]:
    """Content of ``metrics/cross_domain.json``: means over seeds, fractions.

    A setting has one number, the mean over its cells, with a confidence interval; if the targets have several
    protocols, protocol -> that number, because a mean never mixes protocols. A trained model has a number for
    each target. The cross-domain drop is in-domain minus cross-domain, for each target.

    Args:
        scores: of the default run.
        fingerprint: of its parameters.
    """
    content, means = _header(scores), scores.table.groupby(["model", "target"], sort=False)
    content |= {FINGERPRINT: fingerprint, "interval": {}}
    for metric in (metric.name for metric in HEADLINE):
        found = {setting: _of_protocols(scores, _setting(setting, metric)) for setting in scores.settings}
        if "cross_domain" in found:
            found["cross_domain_drop"] = _of_protocols(scores, _drop(metric))
        content[metric] = {name: values for name, (values, _) in found.items()}
        content["interval"][metric] = {name: ends for name, (_, ends) in found.items()}
        for (model, target), mean in means[metric].mean().items():
            if model not in BASELINES:
                content[metric].setdefault(str(model), {})[str(target)] = round(float(mean), DIGITS)
    return content


def ablation_metrics(
    scores: Scores, variants: Sequence[VariantResult], fingerprints: Mapping[str, str]
) -> dict[str, Any]:
    """Content of ``metrics/ablation.json``: an entry for each variant, fractions.

    Args:
        scores: of the ablation.
        variants: how they are made and trained.
        fingerprints: variant -> fingerprint of its parameters.
    """
    content = _header(scores)
    for made in variants:
        found = {
            f"{metric.name}_{setting}": _of_protocols(scores, _setting(setting, metric.name, made.name))
            for setting in scores.settings
            for metric in HEADLINE
        }
        content[made.name] = {
            FINGERPRINT: fingerprints[made.name],
            **{name: values for name, (values, _) in found.items()},
            "train_rank1": round(made.train_rank1, DIGITS),
            "validation_rank1": round(made.validation_rank1, DIGITS),
            "comparable": int(made.comparable),
            "interval": {name: ends for name, (_, ends) in found.items()},
        }
    return content


def fresh_entries(content: Content, fingerprints: Mapping[str, str]) -> Content:
    """``metrics/ablation.json`` without the variants that other parameters made."""

    def is_stale(name: str, entry: Any) -> bool:
        made = isinstance(entry, Mapping) and "comparable" in entry
        return made and entry.get(FINGERPRINT) != fingerprints.get(name)

    return {name: entry for name, entry in content.items() if not is_stale(name, entry)}


def fresh_rows(text: str, fingerprints: Mapping[str, str], where: object = "the plot table") -> str:
    """A plot table, one row for each variant, without the variants that other parameters made.

    The header stays, so that DVC draws no bar instead of reporting a damaged file.

    Raises:
        InputError: it is no table with the column ``variant``; the error names ``where``.
    """
    try:
        table = pd.read_csv(io.StringIO(text), sep="\t", dtype={"variant": str, FINGERPRINT: str})
    except Exception as error:  # pandas raises many types
        reason = " ".join(str(error).split())
        raise InputError(f"{where}: must be a table with a header ({reason})") from error
    if "variant" not in table:
        raise InputError(f"{where}: must have the column 'variant', got {', '.join(map(str, table))[:200]}")
    if FINGERPRINT not in table:
        return tsv(table.head(0))
    fresh = table["variant"].map(fingerprints) == table[FINGERPRINT]
    return text if fresh.all() else tsv(table[fresh])


def credit(fingerprint: str) -> str:
    """The sentence of a page about its parameters."""
    return f"Parameters {fingerprint}: the fingerprint that the tables in metrics/ carry."


def marked(page: str, fingerprint: str) -> str:
    """A page in Markdown with a notice before its first line if other parameters made it."""
    if page.startswith(NOTICE):
        page = page.partition("\n\n")[2]
    notice = f"{NOTICE} This page was made with other parameters than those of params.yaml: run `dvc repro`."
    return page if credit(fingerprint) in page else f"{notice}\n\n{page}"


def _setting(setting: str, metric: str, model: str | None = None) -> Mean:
    def mean(scores: Scores) -> Interval | None:
        cells = scores.cells(setting, model)
        return scores.interval(cells, metric) if cells else None

    return mean


def _drop(metric: str) -> Mean:
    return lambda scores: drop(scores, metric) if scores.cells("cross_domain") else None


def _of_protocols(scores: Scores, mean: Mean) -> tuple[Any, Any]:
    """A mean and its ends, rounded; for each protocol if there are several."""
    parts = scores.by_protocol()
    found = {name: value for name, part in parts.items() if (value := mean(part)) is not None}
    values = {name: round(value.value, DIGITS) for name, value in found.items()}
    ends = {
        name: {"low": round(value.low, DIGITS), "high": round(value.high, DIGITS)}
        for name, value in found.items()
    }
    if len(parts) > 1:
        return values, ends
    (name,) = parts
    return values[name], ends[name]


def _header(scores: Scores) -> dict[str, Any]:
    """The first entries of both metrics files."""
    counts = {name: {str(t): int(n) for t, n in scores.counts[name].items()} for name in COUNTS}
    return {"protocol": scores.protocol_names, "seeds": len(scores.seeds), **counts}
