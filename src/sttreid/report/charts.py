"""Tables -> charts of the page, drawn by Vega-Altair into SVG text that needs no script to be shown.

Colours are CSS variables of the page's style sheet, so that a chart is light or dark with its reader. Charts
are 340 pixels wide, a phone's column, and grow with the page. What differs by colour differs by shape or dash
as well.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

WIDTH = 250  # pixels of the plane, beside an axis
VEGA_LITE = alt.SCHEMA_VERSION.removeprefix("v").rsplit(".", 1)[0]
COLOURS = [f"var(--series-{number})" for number in range(1, 9)]
DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 1], [1, 3], [10, 2], [3, 3, 1, 3]]
SHAPES = [
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-left",
    "triangle-right",
]
SHARE = alt.Axis(format=".0%", labelOverlap=True, tickCount=5)


def heat(table: pd.DataFrame, measure: str) -> str:
    """Means of trained models (rows) on targets (columns), written in their cells.

    Args:
        table: of :func:`sttreid.report.plots.cross_domain`.
        measure: its column.
    """
    axis = alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False)
    base = alt.Chart(table).encode(
        x=alt.X("target:N", title="tested on", sort=None, axis=axis),
        y=alt.Y("source:N", title="trained on", sort=None),
    )
    low, high = float(table[measure].min()), float(table[measure].max())
    depth = alt.Scale(domain=[low, max(high, low + 1e-9)], range=[0.08, 1])
    cells = base.mark_rect().encode(
        fill=alt.value("var(--heat)"),
        fillOpacity=alt.FillOpacity(measure, scale=depth, legend=None),
    )
    ink = alt.condition(
        f"datum.{measure} > {low + 0.5 * (high - low)}", alt.value("var(--heat-ink)"), alt.value("var(--ink)")
    )
    numbers = base.mark_text().encode(text=alt.Text(measure, format=".1%"), color=ink)
    return drawn(cells + numbers, height=26 * table["source"].nunique())


def intervals(table: pd.DataFrame, title: str, even: float | None = None) -> str:
    """Points with the ends of their intervals, one row a name and one mark a group.

    Args:
        table: name, group, value, low, high (fractions) and sound; marks of what is not sound are hollow.
        title: of the value's axis.
        even: where a rule stands, if anywhere.
    """
    names, groups = list(table["name"].unique()), list(table["group"].unique())
    base = alt.Chart(table).encode(
        y=alt.Y("name:N", sort=names, title=None, axis=alt.Axis(labelLimit=200)),
        yOffset=alt.YOffset("group:N", sort=groups),
        color=colour("group", groups),
    )
    lines = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=title, axis=SHARE), x2="high:Q")
    points = base.mark_point(size=45, strokeWidth=1.5, opacity=1).encode(
        x="value:Q",
        shape=alt.Shape("group:N", sort=groups, scale=alt.Scale(domain=groups, range=cycled(SHAPES, groups))),
        fill=alt.condition("datum.sound", colour("group", groups), alt.value("var(--paper)")),
    )
    marks = lines + points
    if even is not None:
        rule = alt.Chart(pd.DataFrame({"even": [even]})).mark_rule(strokeDash=[4, 3], color="var(--soft)")
        marks = rule.encode(x="even:Q") + marks
    return drawn(marks, height=(10 + 14 * len(groups)) * len(names))


def lines(
    table: pd.DataFrame, x: str, y: str, titles: tuple[str, str], share: bool, points: bool = False
) -> str:
    """One line a name, with the columns name, x and y; ``points`` marks each measurement.

    A column ``group`` with two values dashes the lines of the second; the caption must say which that is.
    """
    names = list(table["name"].unique())
    stroke = alt.Legend(symbolType="stroke", symbolSize=200)
    dash = alt.StrokeDash(
        "name:N",
        sort=names,
        title=None,
        legend=stroke,
        scale=alt.Scale(domain=names, range=cycled(DASHES, names)),
    )
    if "group" in table:
        groups = list(table["group"].unique())
        scale = alt.Scale(domain=groups, range=cycled(DASHES, groups))
        dash = alt.StrokeDash("group:N", sort=groups, legend=None, scale=scale)
    base = alt.Chart(table).encode(
        x=alt.X(f"{x}:Q", title=titles[0], axis=alt.Axis(format="d", tickMinStep=1), scale=_fit()),
        y=alt.Y(f"{y}:Q", title=titles[1], axis=SHARE if share else alt.Axis()),
        color=colour("name", names, stroke),
    )
    chart = base.mark_line(strokeWidth=1.8).encode(strokeDash=dash)
    return drawn(chart + base.mark_point(filled=True, size=22, opacity=1) if points else chart)


def growth(table: pd.DataFrame, x: str, titles: tuple[str, str]) -> str:
    """One line a name with the interval of each point, over a number whose axis doubles with each step.

    Args:
        table: name, x, and value, low, high (fractions).
        x: a column of positive numbers.
        titles: of the two axes.
    """
    names = list(table["name"].unique())
    ticks = sorted(int(value) for value in table[x].unique())
    axis = alt.Axis(values=ticks, format="d")
    base = alt.Chart(table).encode(
        x=alt.X(f"{x}:Q", title=titles[0], axis=axis, scale=alt.Scale(type="log", base=2, nice=False)),
        color=colour("name", names),
    )
    y = alt.Y("low:Q", title=titles[1], axis=SHARE)
    marks = base.mark_point(filled=True, size=50, opacity=1).encode(y="value:Q", shape=_shape(names))
    return drawn(
        base.mark_rule(strokeWidth=1.5).encode(y=y, y2="high:Q")
        + base.mark_line().encode(y="value:Q")
        + marks
    )


def bands(table: pd.DataFrame, titles: tuple[str, str], even: float) -> str:
    """Mean and interval of a quantity over bins, one line a name, and a rule at what is even.

    Args:
        table: name, bin (text, in order), value, low, high.
        titles: of the two axes.
        even: where the rule stands.
    """
    names, bins = list(table["name"].unique()), list(table["bin"].unique())
    base = alt.Chart(table).encode(
        x=alt.X("bin:N", sort=bins, title=titles[0], axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("name:N", sort=names),
        color=colour("name", names),
    )
    low, high = min(table["low"].min(), even), max(table["high"].max(), even)
    scale = alt.Scale(domain=[low, high], nice=True, zero=False)
    y = alt.Y("low:Q", title=titles[1], scale=scale)
    marks = base.mark_point(filled=True, size=50, opacity=1).encode(
        y=alt.Y("value:Q", scale=scale), shape=_shape(names)
    )
    rule = alt.Chart(pd.DataFrame({"even": [even]})).mark_rule(strokeDash=[4, 3], color="var(--soft)")
    return drawn(rule.encode(y="even:Q") + base.mark_rule(strokeWidth=2).encode(y=y, y2="high:Q") + marks)


def scatter(table: pd.DataFrame) -> str:
    """Points on a plane without axes, coloured and shaped by name; columns name, x and y (-1 to 1)."""
    names = list(table["name"].unique())
    plane = alt.Scale(domain=[-1.03, 1.03])
    chart = (
        alt.Chart(table)
        .mark_point(size=14, strokeWidth=1.1, aria=False)
        .encode(
            x=alt.X("x:Q", axis=None, scale=plane),
            y=alt.Y("y:Q", axis=None, scale=plane),
            color=colour("name", names),
            shape=_shape(names),
        )
    )
    return drawn(chart, width=330, height=330)


def colour(field: str, names: Sequence[str], legend: alt.Legend | None = None) -> alt.Color:
    """The page's series colours, in the order of the names; ``legend`` replaces the usual one."""
    scale = alt.Scale(domain=list(names), range=cycled(COLOURS, names))
    drawn_as = legend or alt.Legend()
    return alt.Color(f"{field}:N", sort=list(names), title=None, scale=scale, legend=drawn_as)


def cycled(marks: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """A mark for each name; they repeat where there are more names than marks."""
    return [marks[place % len(marks)] for place in range(len(names))]


def drawn(chart: alt.TopLevelMixin, width: float = WIDTH, height: float = 190) -> str:
    """The SVG text of a chart; equal charts give equal text."""
    content: dict[str, Any] = chart.properties(width=width, height=height).to_dict()
    content["config"] = CONFIG
    content["autosize"] = {"type": "pad", "contains": "padding"}
    return str(vl_convert.vegalite_to_svg(content, vl_version=VEGA_LITE))


def _shape(names: Sequence[str]) -> alt.Shape:
    scale = alt.Scale(domain=list(names), range=cycled(SHAPES, names))
    return alt.Shape("name:N", sort=list(names), title=None, scale=scale)


def _fit() -> alt.Scale:
    return alt.Scale(zero=False, nice=False)


_TEXT: Mapping[str, Any] = {
    "labelColor": "var(--ink)",
    "titleColor": "var(--ink)",
    "titleFontWeight": "normal",
}
CONFIG: Mapping[str, Any] = {
    "background": "transparent",
    "font": "Roboto, system-ui, sans-serif",  # Roboto comes with vl-convert, which measures words with it
    "view": {"stroke": None},
    "axis": {**_TEXT, "gridColor": "var(--line)", "domainColor": "var(--soft)", "tickColor": "var(--soft)"},
    "padding": {"left": 14, "right": 6, "top": 5, "bottom": 5},  # the reader's letters may be wider
    "legend": {
        **_TEXT,
        "orient": "bottom",
        "columns": 2,
        "columnPadding": 22,
        "labelLimit": 150,
        "symbolStrokeWidth": 2,
    },
    "text": {"color": "var(--ink)"},
}
