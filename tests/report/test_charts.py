"""Charts show every value, in the page's colours alone or in fixed ones, and always the same."""

import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from sttreid.report import charts
from sttreid.report.render import TEMPLATES

NAME = "{http://www.w3.org/2000/svg}"


def words(svg):
    return [text.text for text in ElementTree.fromstring(svg).iter(f"{NAME}text")]


def heat(palette=charts.PAGE):
    rows = [("campus", "campus", 0.5), ("campus", "winter", 0.4), ("winter", "campus", 0.3)]
    table = pd.DataFrame([*rows, ("winter", "winter", 0.6)], columns=["source", "target", "rank1"])
    return charts.heat(table, "rank1", palette)


def forest(names=("first", "second"), reference=None, palette=charts.PAGE):
    rows = [
        {"name": n, "group": g, "value": 0.4, "low": 0.3, "high": 0.5, "hollow": n == "second"}
        for n in names
        for g in ("in-domain", "cross-domain")
    ]
    return charts.forest(pd.DataFrame(rows), "rank-1", reference, palette=palette)


def lines(count=2, **columns):
    tables = [
        pd.DataFrame({"name": f"line {i}", "step": [1, 2, 3], "loss": [3.0, 2.0, 1.0 + i]})
        for i in range(count)
    ]
    return charts.lines(pd.concat(tables).assign(**columns), "step", "loss", ("step", "loss"), points=True)


def growth():
    rows = [
        {"name": name, "identities": n, "value": 0.1 * n**0.5, "low": 0.05, "high": 0.9}
        for name in "ab"
        for n in (15, 30, 60)
    ]
    return charts.lines(pd.DataFrame(rows), "identities", "value", ("identities", "rank-1"), True, True, True)


def scatter():
    table = pd.DataFrame(
        {"name": ["a", "a", "b"], "group": ["1", "1", "2"], "x": [-1, 0, 1], "y": [1, 0, -1]}
    )
    return charts.scatter(table)


def attention(palette=charts.PAGE, visibility=(1.0, np.nan)):
    rows = [
        {"variant": v, "visibility": s, "weight": w, "even": 2 * w, "heads": [w, w / 2]}
        for v, weights in (("a", (0.75, 0.25)), ("b", (0.5, 0.5)))
        for w, s in zip(weights, visibility, strict=True)
    ]
    return charts.attention("data:image/jpeg;base64,AAAA", (16, 32), pd.DataFrame(rows), palette)


EVERY = [heat, forest, lines, growth, scatter, attention]


@pytest.mark.parametrize("draw", EVERY)
def test_a_chart_fits_a_phone_and_is_the_same_again(draw):
    svg = charts.svg(draw())
    assert float(ElementTree.fromstring(svg).get("width")) <= 390
    assert svg == charts.svg(draw())
    assert len(svg) < 40_000


@pytest.mark.parametrize("draw", EVERY)
def test_colours_on_the_page_are_those_of_its_style_sheet(draw):
    colours = set(re.findall(r'(?:fill|stroke)="([^"]+)"', charts.svg(draw())))
    assert all(name.startswith("var(--") or name in ("none", "transparent", "#888") for name in colours), (
        colours
    )


@pytest.mark.parametrize("draw", [heat, forest, attention])
def test_static_files_need_no_style_sheet(draw):
    assert "var(" not in charts.svg(draw(palette=charts.STATIC), charts.STATIC)


@pytest.mark.parametrize("draw", EVERY)
def test_nothing_has_an_id_that_another_chart_could_have(draw):
    svg = charts.svg(draw())
    assert " id=" not in svg
    assert "url(" not in svg


def test_the_heat_map_writes_every_number():
    assert {"50.0%", "40.0%", "30.0%", "60.0%", "campus", "winter"} <= set(words(charts.svg(heat())))


def rgb(colour):
    """Of #rgb or #rrggbb, 0 to 1."""
    digits = colour.removeprefix("#")
    pairs = [each * 2 for each in digits] if len(digits) == 3 else re.findall("..", digits)
    return np.array([int(pair, 16) / 255 for pair in pairs])


def readable(text, ground):
    """Contrast of two colours: WCAG 2.2, 1.4.3."""
    lights = []
    for colour in (text, ground):
        linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
        lights.append(float(linear @ [0.2126, 0.7152, 0.0722]))
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def palettes():
    """Names and colours of the page in light and dark mode, and of static files."""
    light, dark = re.findall(r":root \{(.*?)\}", (TEMPLATES / "style.css").read_text(), re.S)
    for block in (light, dark):
        yield {name: rgb(value) for name, value in re.findall(r"--([\w-]+): (#\w{3,6});", block)}
    static = vars(charts.STATIC)
    numbered = {f"series-{number}": rgb(each) for number, each in enumerate(static["series"], 1)}
    yield {name: rgb(each) for name, each in static.items() if name != "series"} | numbered


@pytest.mark.parametrize("colours", [*palettes()], ids=["light", "dark", "static"])
def test_text_is_readable_in_every_mode(colours):
    for opacity in np.linspace(*charts.DEPTHS, 20):
        cell = opacity * colours["heat"] + (1 - opacity) * colours["paper"]
        assert readable(colours["ink"], cell) >= 4.5
    # the first two series also write numbers
    texts = ["ink", "soft", "right", "wrong", "link", "series-1", "series-2"]
    for name in texts:
        if name in colours:
            assert readable(colours[name], colours["paper"]) >= 4.5, name
    for number in range(1, 9):
        assert readable(colours[f"series-{number}"], colours["paper"]) >= 3


def test_all_numbers_of_a_heat_map_are_in_ink():
    svg = charts.svg(heat(charts.STATIC), charts.STATIC)
    texts = [each for each in ElementTree.fromstring(svg).iter(f"{NAME}text") if each.text.endswith("%")]
    assert {each.get("fill") for each in texts} == {charts.STATIC.ink}


def test_hollow_marks_have_the_colour_of_the_paper():
    assert charts.svg(forest()).count('fill="var(--paper)"') == 2


def test_a_reference_is_one_dashed_rule():
    plain, ruled = (charts.svg(forest(reference=value)) for value in (None, 0.45))
    assert "stroke-dasharray" not in plain
    assert ruled.count('stroke-dasharray="4,3"') == 1


def test_lines_differ_without_colour():
    assert len(set(re.findall(r'stroke-dasharray="([^"]+)"', charts.svg(lines(3))))) == 3


def test_there_may_be_more_lines_than_colours():
    svg = charts.svg(lines(40))
    assert "line 39" in words(svg)
    looks = re.findall(r'stroke="(var\(--series-\d\))"[^>]* stroke-dasharray="([^"]+)"', svg)
    assert len(set(looks)) == 40


def test_the_second_group_is_dashed():
    svg = charts.svg(lines(2, group=["training"] * 3 + ["validation"] * 3))
    assert set(re.findall(r'stroke-dasharray="([^"]+)"', svg)) == {"1,0", "6,3"}


def test_a_doubling_is_one_step_of_a_logarithmic_axis():
    labels = re.findall(r'transform="translate\(([\d.]+),[\d.]+\)"[^>]*>(15|30|60)<', charts.svg(growth()))
    assert [label for _, label in labels] == ["15", "30", "60"]
    places = [float(place) for place, _ in labels]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=2)


def test_a_scatter_has_a_mark_for_each_point():
    groups = ElementTree.fromstring(charts.svg(scatter())).iter(f"{NAME}g")
    marks = next(g for g in groups if "mark-symbol role-mark" in (g.get("class") or ""))
    assert len(list(marks)) == 3


def test_a_scatter_has_a_colour_for_each_group_and_a_shape_for_each_name():
    svg = charts.svg(scatter())
    assert {"var(--series-1)", "var(--series-2)"} <= set(re.findall(r'stroke="([^"]+)"', svg))
    assert {"a", "b"} <= set(words(svg))
    assert not {"1", "2"} & set(words(svg))


def test_cells_of_a_bounded_heat_map_have_their_interval():
    table = pd.DataFrame({"source": ["a"], "target": ["b"], "rank1": [0.5], "low": [0.4], "high": [0.625]})
    assert {"50.0%", "[40.0, 62.5]"} <= set(words(charts.svg(charts.heat(table, "rank1"))))


def test_points_of_two_groups_differ_by_name_without_colour():
    groups = ["training"] * 3 + ["validation"] * 3
    root = ElementTree.fromstring(charts.svg(lines(2, group=groups)))
    symbols = [g for g in root.iter(f"{NAME}g") if "mark-symbol role-mark" in (g.get("class") or "")]
    assert len({path.get("d") for g in symbols for path in g}) == 2


def test_names_are_escaped():
    assert "<b>&" in words(charts.svg(forest(("<b>&", "second"))))


def test_attention_has_bars_numbers_and_a_cell_for_each_head():
    chart = attention()
    (layer,) = (part for part in chart.layer if "opacity" in part.data)
    boxes = layer.data
    bars = boxes[boxes["opacity"] == 1.0]
    even = charts.BAR / 2  # pixels of an even share
    assert (bars["y2"] - bars["y"]).tolist() == [1.5 * even, 0.5 * even, even, even]
    cells = boxes[boxes["opacity"] < 1]
    assert cells["opacity"].tolist() == [0.75, 0.375, 0.25, 0.125, 0.5, 0.25, 0.5, 0.25]
    svg = charts.svg(chart)
    assert words(svg) == ["100", "?", "75", "25", "50", "50"]
    assert boxes["y2"].max() <= float(ElementTree.fromstring(svg).get("height"))


def test_a_png_is_as_large_as_its_scale():
    content = charts.png(heat(charts.STATIC), 2.0)
    assert content.startswith(b"\x89PNG")
    width = int.from_bytes(content[16:20])
    assert width == pytest.approx(2 * float(ElementTree.fromstring(charts.svg(heat())).get("width")), abs=2)


@pytest.mark.parametrize("gigabytes", [4, 1000])
def test_a_limit_of_the_address_space_is_an_error_and_no_abort(gigabytes):
    code = f"""
import resource
import altair as alt
from sttreid.report import charts
from sttreid.report.render import TEMPLATES
from sttreid.runtime.errors import InputError
resource.setrlimit(resource.RLIMIT_AS, ({gigabytes} * 2**30, resource.RLIM_INFINITY))
chart = alt.Chart(alt.InlineData(values=[{{"a": 1}}])).mark_bar().encode(x="a:Q")
try:
    print(len(charts.svg(chart)) > 0)
except InputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ("True" in done.stdout) == (gigabytes == 1000)
    assert ("ulimit -v is 4194304" in done.stdout) == (gigabytes == 4)
