"""The differences between two runs as text of 100 columns, Markdown or JSON."""

import json
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from sttreid.analysis.comparison import Comparison, Outcome
from sttreid.analysis.phrases import percent, seeds_phrase, signed
from sttreid.analysis.verdicts import Row, Verdict
from sttreid.config.claims import Claims
from sttreid.config.conversion import parse, read_mapping
from sttreid.config.params import CLAIMS
from sttreid.retrieval.metrics import metric
from sttreid.runtime import markdown

COLUMNS: Final = 100
SETTINGS: Final = {
    "in_domain": "in-domain",
    "cross_domain": "cross-domain",
    "direct_transfer": "direct transfer",
}


def min_effect(root: Path) -> float:
    """The smallest difference that matters, as in the study claims: a fraction.

    Raises:
        InputError: the study's parameters are missing or break a rule.
    """
    path = root / CLAIMS
    return parse(Claims, read_mapping(path).get("claims"), str(path)).min_effect


def as_text(found: Comparison) -> str:
    """For a terminal."""
    lines = [f"A: {_run(found.a)}", f"B: {_run(found.b)}", ""]
    lines += _changes(found, indent="  ")
    lines += [f"Not comparable, compared nevertheless: {sentence}" for sentence in found.forced]
    lines += ["", f"{_heading(found)}:"]
    for row in _different(found.rows):
        lines += ["", f"{_number(row)}: {percent(row.a)} -> {percent(row.b)}", f"  {verdict(row)}"]
    lines += ["", *_remarks(found)]
    return "\n".join(_wrapped(lines))


def as_markdown(found: Comparison) -> str:
    """For a page; every text of the runs is escaped."""
    lines = [markdown.line(f"A: {_run(found.a)}; B: {_run(found.b)}."), "", *_markdown_changes(found)]
    for sentence in found.forced:
        lines += ["", f"**Not comparable, compared nevertheless:** {markdown.inline(sentence)}"]
    rows = [(_number(row), percent(row.a), percent(row.b), verdict(row)) for row in _different(found.rows)]
    header, _, *body = markdown.table(["number", "A", "B", _heading(found)], rows)
    lines += ["", header, "|:--|--:|--:|:--|", *body, ""]
    return "\n".join([*lines, *(f"- {markdown.line(sentence)}" for sentence in _remarks(found))]).rstrip()


def _markdown_changes(found: Comparison) -> Iterator[str]:
    first, *changes = _changes(found, indent="")
    yield markdown.line(first)
    if changes:
        yield ""
    yield from (f"- {markdown.line(change)}" for change in changes)


def as_json(found: Comparison) -> str:
    """For a program: all numbers are fractions; what is not known is null."""
    publication = found.publication
    content = {
        "a": _run_content(found.a),
        "b": _run_content(found.b),
        "params": _plain(found.params),
        "publication": publication and {"commit": publication.commit, "numerics": publication.numerics},
        "forced": found.forced,
        "left_out": found.left_out,
        "notes": found.notes,
        "differences": [
            asdict(row) | {"difference": row.difference, "text": verdict(row)} for row in found.rows
        ],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """A value of a YAML file as JSON has it: dates, infinities and NaN are texts."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, str | int) else str(value)


def verdict(row: Row) -> str:
    """ "+0.8 [-2.0, 3.6]: within what another seed does (sd 2.0, margin 7.9); ..."."""
    ends = (0.0, 0.0) if row.low is None or row.high is None else (row.low, row.high)
    excludes = row.low is not None and not ends[0] <= 0 <= ends[1]
    interval = f"the interval {'excludes' if excludes else 'contains'} 0" if row.low is not None else ""
    seed = f"what another seed does (sd {percent(row.sd or 0)}, margin {percent(row.margin or 0)})"
    text = {
        Verdict.IDENTICAL: "every person has the same result",
        Verdict.WITHIN: f"within {seed}",
        Verdict.OUTSIDE: f"outside {seed}",
        Verdict.DIFFERENT: f"a difference over seeds and people (p {row.p or 0:.2g})",
        Verdict.NOT_DIFFERENT: f"no difference shown over seeds and people (p {row.p or 0:.2g})",
        Verdict.UNKNOWN: "seeds may explain it, their spread is not known",
    }[row.verdict]
    if row.verdict is Verdict.WITHIN and excludes:
        text += f", although {interval}"
    elif interval and row.verdict is Verdict.OUTSIDE:
        text += f", {'and' if excludes else 'but'} {interval}"
    elif interval and row.verdict is Verdict.UNKNOWN:
        text += f"; {interval}"
    if row.seeds_needed is not None and row.detectable is not None:
        points = f"{round(100 * row.detectable, 1):g} points"
        text += f"; {row.seeds_needed} seeds each would detect {points}"
    return f"{signed(row.difference, *ends)}: {text}"


def _heading(found: Comparison) -> str:
    """What stands in brackets depends on the number of seeds, which is the same for all rows."""
    over = "seeds and people" if any(row.p is not None for row in found.rows) else "people"
    return f"B - A in points [95 % confidence interval over {over}]"


def _run(run: Outcome) -> str:
    """ "HEAD (413a908, seed 0, parameters p70c2a6eb0)"."""
    parts = [*([run.commit[:7]] if run.commit else []), seeds_phrase(run.seeds)]
    parts += [f"parameters {run.fingerprint}"] if run.fingerprint else []
    return f"{run.name} ({', '.join(parts)})"


def _run_content(run: Outcome) -> dict[str, Any]:
    content = {"revision": run.name, "commit": run.commit, "seeds": run.seeds, "numerics": run.numerics}
    return content | ({"fingerprint": run.fingerprint} if run.fingerprint else {})


def _number(row: Row) -> str:
    """ "vanilla, in-domain, rank-1"; with several protocols, the name of one follows."""
    words = [row.variant, SETTINGS[row.setting], metric(row.metric).label, row.protocol]
    return ", ".join(word for word in words if word)


def _changes(found: Comparison, indent: str) -> Iterator[str]:
    if not found.params:
        yield "No parameter differs."
        return
    yield "Parameters that differ, A -> B:"
    for key, values in found.params.items():
        yield f"{indent}{key}: {_value(values, 'a')} -> {_value(values, 'b')}"


def _value(values: Mapping[str, Any], side: str) -> str:
    if side not in values:
        return "(none)"
    value = values[side]
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _different(rows: Sequence[Row]) -> list[Row]:
    """Without variants whose results are all identical; :func:`_remarks` names them."""
    same = _identical(rows)
    return [row for row in rows if row.variant not in same]


def _identical(rows: Sequence[Row]) -> list[str]:
    """The variants without any difference."""
    names = dict.fromkeys(row.variant for row in rows if row.variant is not None)
    changed = {row.variant for row in rows if row.verdict is not Verdict.IDENTICAL}
    return [name for name in names if name not in changed]


def _remarks(found: Comparison) -> list[str]:
    same = _identical(found.rows)
    sentences = [f"Every person has the same result: {', '.join(same)}."] if same else []
    return [*sentences, *found.left_out, *found.notes]


def _wrapped(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        yield from textwrap.wrap(line, COLUMNS, subsequent_indent=indent, break_on_hyphens=False) or [""]
