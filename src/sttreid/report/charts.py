"""Tables -> Vega-Altair charts, and charts -> SVG and PNG; nothing else draws.

On the page, colours are CSS variables of the style sheet, so that charts follow the reader's light or dark
mode; static files have fixed colours. Shape or dash also distinguishes what colour does. Charts fit the width
of a phone and grow with the page.
"""

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import altair as alt
import pandas as pd
import vl_convert

from sttreid.runtime.errors import InputError

ADDRESS_SPACE: Final = (
    256 * 2**30
)  # bytes that vl_convert's JavaScript engine reserves; it aborts with 64 GiB
WIDTH = 250  # pixels of the plane, without the axis
VEGA_LITE = alt.SCHEMA_VERSION.removeprefix("v").rsplit(".", 1)[0]
DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 1], [1, 3], [10, 2], [3, 3, 1, 3]]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-left"]
DEPTHS = 0.06, 0.5  # opacity of a heat map: text in ink is readable on all of it, in light and dark mode
BAR, NUMBER, HEAD = 26, 14, 6  # pixels of a bar, of a line of numbers and of a head's row of cells
Chart = alt.Chart | alt.LayerChart


@dataclass(frozen=True)
class Palette:
    """Colours of text, minor text, grid lines, background, heat map, and series."""

    ink: str
    soft: str
    line: str
    paper: str
    heat: str
    series: tuple[str, ...]


PAGE = Palette(
    *("var(--ink)", "var(--soft)", "var(--line)", "var(--paper)", "var(--heat)"),
    series=tuple(f"var(--series-{number})" for number in range(1, 9)),
)
STATIC = Palette(
    *("#1c1e21", "#5d6269", "#d9dce0", "#fff", "#174e86"),
    series=("#0072b2", "#b85600", "#00795a", "#a8417e", "#6b5b00", "#5846b0", "#3d3d3d", "#a02c2c"),
)


def svg(chart: alt.TopLevelMixin, palette: Palette = PAGE) -> str:
    """SVG text that needs no script; equal charts give equal text.

    Raises:
        InputError: the address space of the process is limited, which would end it without a word.
    """
    _check_address_space()
    return str(vl_convert.vegalite_to_svg(_content(chart, palette), vl_version=VEGA_LITE))


def png(chart: alt.TopLevelMixin, scale: float) -> bytes:
    """A PNG file of a chart with static colours, ``scale`` times as large.

    Raises:
        InputError: as :func:`svg`.
    """
    _check_address_space()
    return bytes(vl_convert.vegalite_to_png(_content(chart, STATIC), vl_version=VEGA_LITE, scale=scale))


def _check_address_space() -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < ADDRESS_SPACE:
        needed = f"{ADDRESS_SPACE // 1024} kB of address space (memory that is reserved, not used)"
        raise InputError(f"charts need {needed}, but ulimit -v is {limit // 1024}")


def heat(table: pd.DataFrame, metric: str, palette: Palette = PAGE) -> Chart:
    """A matrix: source (rows), target (columns) and the metric (a fraction), written in its cells.

    Args:
        table: source, target and the metric; with low and high, the cells have the interval, too.
        metric: name of its column.
        palette: colours.
    """
    bounded = "low" in table
    axis = alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False)
    base = alt.Chart(table).encode(
        x=alt.X("target:N", title="tested on", sort=None, axis=axis),
        y=alt.Y("source:N", title="trained on", sort=None),
    )
    low, high = float(table[metric].min()), float(table[metric].max())
    depth = alt.Scale(domain=[low, max(high, low + 1e-9)], range=list(DEPTHS))
    opacity = alt.FillOpacity(metric, scale=depth, legend=None)
    cells = base.mark_rect().encode(fill=alt.value(palette.heat), fillOpacity=opacity)
    ink = alt.value(palette.ink)
    chart = cells + base.mark_text(dy=-6 if bounded else 0).encode(
        text=alt.Text(metric, format=".1%"), color=ink
    )
    if bounded:
        ends = "'[' + format(100 * datum.low, '.1f') + ', ' + format(100 * datum.high, '.1f') + ']'"
        interval = base.transform_calculate(interval=ends).mark_text(dy=8, fontSize=9)
        chart = chart + interval.encode(text="interval:N", color=ink)
    return _sized(chart, height=(38 if bounded else 26) * table["source"].nunique())


def forest(
    table: pd.DataFrame,
    title: str,
    reference: float | None = None,
    percent: bool = True,
    palette: Palette = PAGE,
) -> Chart:
    """Points with intervals: a row for each name and a mark for each group.

    Args:
        table: name, group, value, low, high and hollow (marks that are not filled).
        title: of the axis of values.
        reference: value of a dashed rule, if any.
        percent: whether values are fractions that are shown in per cent.
        palette: colours.
    """
    names, groups = _unique(table, "name"), _unique(table, "group")
    colour = _colour("group", groups, palette)
    base = alt.Chart(table).encode(
        y=alt.Y("name:N", sort=names, title=None, axis=alt.Axis(labelLimit=200)),
        yOffset=alt.YOffset("group:N", sort=groups),
        color=colour,
    )
    scale = alt.Scale(zero=percent)
    points = base.mark_point(size=45, strokeWidth=1.5, opacity=1).encode(
        x=alt.X("value:Q", scale=scale),
        shape=_shape("group", groups),
        fill=alt.condition("datum.hollow", alt.value(palette.paper), colour),
    )
    x = alt.X("low:Q", title=title, axis=_axis(percent), scale=scale)
    marks = base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q") + points
    if reference is not None:
        rule = alt.Chart(pd.DataFrame({"value": [reference]})).mark_rule(strokeDash=[4, 3])
        marks = rule.encode(x="value:Q", color=alt.value(palette.soft)) + marks
    return _sized(marks, height=(10 + 14 * len(groups)) * len(names))


def lines(
    table: pd.DataFrame,
    x: str,
    y: str,
    titles: tuple[str, str],
    percent: bool = False,
    points: bool = False,
    log: bool = False,
) -> Chart:
    """A line for each name.

    Args:
        table: name, x and y; with group, of two values, the lines of the second are dashed (the caption must
            say which that is) and points differ by name; with low and high, intervals are drawn.
        x: a column of numbers.
        y: a column of numbers.
        titles: of the two axes.
        percent: whether y is a fraction that is shown in per cent.
        points: whether each measurement is marked.
        log: whether the axis of x is logarithmic, to the base 2.
    """
    names = _unique(table, "name")
    field = "group" if "group" in table else "name"
    styles = _unique(table, field)
    legend = alt.Legend() if field == "group" else alt.Legend(symbolType="stroke", symbolSize=200)
    ticks = {"values": sorted(table[x].unique().tolist())} if log else {"tickMinStep": 1}
    fit = alt.Scale(type="log", base=2, nice=False) if log else alt.Scale(zero=False, nice=False)
    base = alt.Chart(table).encode(
        x=alt.X(f"{x}:Q", title=titles[0], axis=alt.Axis(format="d", **ticks), scale=fit),
        y=alt.Y(f"{y}:Q", title=titles[1], axis=_axis(percent)),
        color=_colour("name", names, PAGE, legend),
    )
    chart: Chart = base.mark_line(strokeWidth=1.8).encode(
        strokeDash=alt.StrokeDash(
            f"{field}:N",
            sort=styles,
            title=None,
            legend=legend if field == "name" else None,
            scale=alt.Scale(domain=styles, range=_shifted(DASHES, styles)),
        )
    )
    if points:
        marks = base.mark_point(filled=True, size=34, opacity=1)
        chart = chart + (marks.encode(shape=_shape("name", names)) if field == "group" else marks)
    if "low" in table:
        chart = chart + base.mark_rule(strokeWidth=1.5).encode(y="low:Q", y2="high:Q")
    return _sized(chart)


def scatter(table: pd.DataFrame, palette: Palette = PAGE) -> Chart:
    """Points on a plane without axes; a line joins each point to the centre of its group.

    Args:
        table: x and y (-1 to 1), name (gives the shape) and group (gives the colour; colours repeat).
        palette: colours.
    """
    names, groups = _unique(table, "name"), _unique(table, "group")
    plane = alt.Scale(domain=[-1.03, 1.03])
    centres = table.groupby("group")[["x", "y"]].transform("mean")
    base = alt.Chart(table.assign(centre_x=centres["x"], centre_y=centres["y"])).encode(
        x=alt.X("x:Q", axis=None, scale=plane),
        y=alt.Y("y:Q", axis=None, scale=plane),
        color=_colour("group", groups, palette).legend(None),
    )
    shape = _shape("name", names).legend(symbolStrokeColor=palette.ink)
    spokes = base.mark_rule(strokeWidth=0.7, opacity=0.6).encode(x2="centre_x:Q", y2="centre_y:Q")
    return _sized(spokes + base.mark_point(size=20, strokeWidth=1.2, opacity=1).encode(shape=shape), 330, 330)


def attention(uri: str, size: tuple[int, int], rows: pd.DataFrame, palette: Palette = PAGE) -> Chart:
    """A clip's film strip, the visibility of each frame, and the attention of each variant.

    Attention is a bar that reaches the rule where the frame gets an even share, its weight as a number, and a
    cell for each head, as opaque as the head's weight.

    Args:
        uri: of the strip.
        size: width and height of one frame as it is shown, in pixels.
        rows: a row for each variant and frame: variant, visibility (0 to 1 or NaN), weight (0 to 1), even
            (weight over an even share) and heads (list of weights); frames in order.
        palette: colours.
    """
    wide, bottom = size
    boxes: list[dict[str, Any]] = []
    numbers: list[dict[str, Any]] = []
    rules, heads = [], len(rows["heads"].iloc[0])
    for series, (_, frames) in enumerate(rows.groupby("variant", sort=False)):
        if not series:
            shares = ["?" if pd.isna(share) else f"{100 * share:.0f}" for share in frames["visibility"]]
            numbers += _row_of_numbers(shares, wide, bottom := bottom + NUMBER, palette.soft)
        base = bottom + BAR
        rules.append({"y": base - BAR / 2})
        weights = [f"{100 * weight:.0f}" for weight in frames["weight"]]
        numbers += _row_of_numbers(weights, wide, base + NUMBER, palette.series[series])
        for index, frame in enumerate(frames.itertuples()):
            box = {"x": wide * (index + 0.1), "x2": wide * (index + 0.9), "colour": palette.series[series]}
            boxes.append({**box, "y": base - BAR * min(frame.even, 2) / 2, "y2": base, "opacity": 1.0})
            for head, weight in enumerate(frame.heads):
                y = base + NUMBER + 2 + HEAD * head
                boxes.append({**box, "y": y, "y2": y + HEAD - 1, "opacity": min(weight, 1.0)})
        bottom = base + NUMBER + HEAD * heads + 4
    width = wide * len(frames)
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, width], nice=False))
    down = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[bottom, 0], nice=False))
    colour = alt.Color("colour:N", scale=None)
    image = alt.Chart(pd.DataFrame({"uri": [uri], "x": [0], "y": [0]})).encode(x=x, y=down, url="uri:N")
    bars = alt.Chart(pd.DataFrame(boxes)).mark_rect().encode(x=x, y=down, x2="x2:Q", y2="y2:Q", color=colour)
    text = alt.Chart(pd.DataFrame(numbers)).mark_text(fontSize=11, baseline="alphabetic")
    even = alt.Chart(pd.DataFrame(rules)).mark_rule(color=palette.soft, strokeWidth=0.6).encode(y=down)
    strip = image.mark_image(width=width, height=size[1], align="left", baseline="top")
    bars = bars.encode(opacity=alt.Opacity("opacity:Q", scale=None))
    return _sized(strip + even + bars + text.encode(x=x, y=down, text="text:N", color=colour), width, bottom)


def _row_of_numbers(texts: Sequence[str], wide: int, y: float, colour: str) -> list[dict[str, Any]]:
    """A number below each frame."""
    row = {"y": y, "colour": colour}
    return [{"x": wide * (index + 0.5), "text": text, **row} for index, text in enumerate(texts)]


def _unique(table: pd.DataFrame, column: str) -> list[str]:
    return [str(value) for value in table[column].unique()]


def _cycled(marks: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """A mark for each name; marks repeat where there are more names."""
    return [marks[number % len(marks)] for number in range(len(names))]


def _shifted(marks: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """The same, one further in each round: with as many colours, 64 lines differ in colour or dash."""
    number = len(marks)
    return [marks[(index + index // number) % number] for index in range(len(names))]


def _colour(
    field: str, names: Sequence[str], palette: Palette, legend: alt.Legend | None = None
) -> alt.Color:
    scale = alt.Scale(domain=list(names), range=_cycled(palette.series, names))
    return alt.Color(f"{field}:N", sort=list(names), title=None, scale=scale, legend=legend or alt.Legend())


def _shape(field: str, names: Sequence[str]) -> alt.Shape:
    scale = alt.Scale(domain=list(names), range=_cycled(SHAPES, names))
    return alt.Shape(f"{field}:N", sort=list(names), title=None, scale=scale)


def _axis(percent: bool) -> alt.Axis:
    return alt.Axis(format=".0%", labelOverlap=True, tickCount=5) if percent else alt.Axis()


def _sized(chart: Chart, width: float = WIDTH, height: float = 190) -> Chart:
    sized: Chart = chart.properties(width=width, height=height)
    return sized


def _content(chart: alt.TopLevelMixin, palette: Palette) -> dict[str, Any]:
    content: dict[str, Any] = chart.to_dict()
    text = {"labelColor": palette.ink, "titleColor": palette.ink, "titleFontWeight": "normal"}
    legend = {"orient": "bottom", "columns": 2, "columnPadding": 22, "labelLimit": 150, "symbolLimit": 0}
    content["autosize"] = {"type": "pad", "contains": "padding"}
    content["config"] = {
        "aria": False,  # the page describes a chart as one image
        "background": "transparent" if palette is PAGE else palette.paper,
        "font": "Roboto, system-ui, sans-serif",  # Roboto comes with vl-convert, which measures text with it
        "view": {"stroke": None},
        "axis": {**text, "gridColor": palette.line, "domainColor": palette.soft, "tickColor": palette.soft},
        "padding": {"left": 14, "right": 6, "top": 5, "bottom": 5},  # the reader's font may be wider
        "legend": {**text, **legend, "symbolStrokeWidth": 2},
        "text": {"color": palette.ink},
        "title": {"color": palette.ink, "fontWeight": "normal"},
    }
    return content
