"""The paper's questions and their answers as one HTML page: the words of the Markdown page, and charts."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from sttreid.config.claims import Claims
from sttreid.report import charts
from sttreid.report.arms import Study
from sttreid.report.blocks import Figure, Section, chart
from sttreid.report.claims import ACROSS, MEASURES, Finding, curves
from sttreid.report.claims_page import SETTINGS, TOLD
from sttreid.report.conditions import effects
from sttreid.report.document import document, told
from sttreid.report.figures import mean_history, trained
from sttreid.report.tables import percent, protocols_phrase

HEADING = "The paper's claims"
HELD = "no queries of the test"
TITLES = {
    "visibility": "By how much of the person is seen",
    "length": "By the query's length (frames)",
    "turn": "By the least turn to a right answer (degrees)",
}


def site(
    text: str, found: Study, judged: Sequence[Finding], claims: Claims, protocol: Mapping[str, str]
) -> str:
    """The page.

    Args:
        text: of :func:`sttreid.report.claims_page.page`, of the same findings.
        found: all arms.
        judged: their comparisons.
        claims: what was compared, and when it counts.
        protocol: target -> name of its protocol.

    Returns:
        HTML; equal arguments give equal text.
    """
    prose = told(text)
    seeds = f"seeds {', '.join(map(str, found.seeds))}"
    phrase = protocols_phrase(protocol)
    tested = f"{phrase[0].upper()}{phrase[1:]}; {found.scope}."
    drawn = {
        "Effects": [_effects(judged, measure, tested) for measure in MEASURES],
        "Over-fitting": _trained(found, f"Training history; {seeds}; {HELD}."),
        "Which queries": _conditions(found, claims, tested),
    }
    if len(shown := curves(found, claims).dropna(how="all", axis=1).columns) > 1:
        drawn["Arms"] = [_convergence(found, claims, f"Validation identities; {seeds}; {HELD}.", shown[1:])]
    intro = prose.pop(HEADING)
    return document(
        HEADING, intro, [Section(name, body, drawn.get(name, [])) for name, body in prose.items()]
    )


def _effects(judged: Sequence[Finding], measure: str, said: str) -> Figure:
    """Every comparison's effect with its interval, by setting; hollow where no verdict is due."""
    rows: list[dict[str, Any]] = [
        {
            "name": f"{one.contrast.ours} / {one.contrast.theirs}",
            "group": SETTINGS[one.setting],
            "sound": one.contrast.judged,
            "value": one.effect.value,
            "low": one.effect.low,
            "high": one.effect.high,
        }
        for one in judged
        if one.measure == measure and one.effect is not None
    ]
    title = f"{TOLD[measure]}: first arm less second"
    caption = (
        "95 % intervals over seeds and test people. Hollow: not judged. Where it says"
        f" {SETTINGS[ACROSS]!r}, the effect across domains less the in-domain one."
    )
    return chart(charts.intervals(_table(rows), "gain", even=0.0), title, _words(rows), caption, said)


def _trained(found: Study, said: str) -> list[Figure]:
    tables = [
        (arm, mean_history([run.history for run in runs if run.history is not None]))
        for arm, runs in found.arms.items()
        if runs[0].history is not None
    ]
    return trained(tables, "means over seeds", said)


def _convergence(found: Study, claims: Claims, said: str, arms: Sequence[str]) -> Figure:
    table = curves(found, claims).melt("step", list(arms), "name", "rank1").dropna()
    ends = table.groupby("name", sort=False)["rank1"].agg(["first", "last"])
    words = "; ".join(f"{name} from {percent(a)} to {percent(b)}" for name, a, b in ends.itertuples())
    svg = charts.lines(table, "step", "rank1", ("step on the source", "rank-1"), share=True, points=True)
    caption = f"Steps are counted to {percent(claims.reached)} %. Synthetic pre-training comes before step 0."
    return chart(svg, "Convergence on validation identities", f"{words} per cent.", caption, said)


def _conditions(found: Study, claims: Claims, said: str) -> list[Figure]:
    """Effects of judged comparisons by what makes a query hard, a figure a column."""
    named = {name: one for name, one in claims.contrasts.items() if one.judged}
    rows: dict[str, list[dict[str, Any]]] = {}
    for part, name, effect in effects(found, named):
        ends = {"value": effect.value, "low": effect.low, "high": effect.high}
        place = {"name": f"{named[name].ours} / {named[name].theirs}", "sound": True}
        rows.setdefault(part.column, []).append({**place, "group": f"{part.third}: {part.span}", **ends})
    caption = (
        "Gain in rank-1 of the first arm over the second; 95 % intervals, not corrected for their number."
    )
    return [
        chart(charts.intervals(_table(own), "gain", even=0.0), TITLES[column], _words(own), caption, said)
        for column, own in rows.items()
    ]


def _table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["name", "group", "sound", "value", "low", "high"])


def _words(rows: Sequence[Mapping[str, Any]]) -> str:
    parts = (
        f"{r['name']}, {r['group']}: {percent(r['value'])} [{percent(r['low'])}, {percent(r['high'])}]"
        for r in rows
    )
    return f"{'; '.join(parts)}."
