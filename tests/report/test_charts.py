"""Charts are small SVG text that shows every value, in colours of the page alone, and always the same."""

import re
from xml.etree import ElementTree

import pandas as pd
import pytest

from sttreid.report import charts

NAME = "{http://www.w3.org/2000/svg}"


def words(svg):
    return [text.text for text in ElementTree.fromstring(svg).iter(f"{NAME}text")]


def a_heat():
    rows = [
        ("campus", "campus", 0.5),
        ("campus", "winter", 0.4),
        ("winter", "campus", 0.3),
        ("winter", "winter", 0.6),
    ]
    return charts.heat(pd.DataFrame(rows, columns=["source", "target", "rank1"]), "rank1")


def some_intervals(names=("one", "two")):
    rows = [
        {"name": name, "group": group, "value": 0.4, "low": 0.3, "high": 0.5, "sound": name != "two"}
        for name in names
        for group in ("in-domain", "cross-domain")
    ]
    return charts.intervals(pd.DataFrame(rows), "rank-1")


def some_lines(count=2, **columns):
    table = pd.concat(
        [
            pd.DataFrame({"name": f"line {i}", "step": [1, 2, 3], "loss": [3.0, 2.0, 1.0 + i]})
            for i in range(count)
        ]
    )
    return charts.lines(table.assign(**columns), "step", "loss", ("step", "loss"), share=False)


def some_bands():
    rows = [
        {"name": name, "bin": label, "value": 1.0, "low": 0.9, "high": 1.2}
        for name in "ab"
        for label in ("< 0", "> 0")
    ]
    return charts.bands(pd.DataFrame(rows), ("gap", "weight"), 1.0)


def a_scatter():
    return charts.scatter(pd.DataFrame({"name": ["a", "a", "b"], "x": [-1, 0, 1], "y": [1, 0, -1]}))


def growing():
    rows = [
        {"name": name, "identities": n, "value": 0.1 * n**0.5, "low": 0.05, "high": 0.9}
        for name in "ab"
        for n in (15, 30, 60)
    ]
    return charts.growth(pd.DataFrame(rows), "identities", ("identities", "rank-1"))


EVERY = [a_heat, some_intervals, some_lines, some_bands, a_scatter, growing]


@pytest.mark.parametrize("draw", EVERY)
def test_a_chart_fits_a_phone_and_comes_again(draw):
    svg = draw()
    assert float(ElementTree.fromstring(svg).get("width")) <= 380
    assert svg == draw()
    assert len(svg) < 40_000


@pytest.mark.parametrize("draw", EVERY)
def test_colours_are_those_of_the_page(draw):
    found = set(re.findall(r'(?:fill|stroke)="([^"]+)"', draw()))
    assert all(name.startswith("var(--") or name in ("none", "transparent", "#888") for name in found), found


@pytest.mark.parametrize("draw", EVERY)
def test_nothing_has_an_id_that_another_chart_could_have(draw):
    assert " id=" not in draw()
    assert "url(" not in draw()


def test_the_heat_map_writes_every_number():
    assert {"50.0%", "40.0%", "30.0%", "60.0%", "campus", "winter", "tested on"} <= set(words(a_heat()))


def test_what_is_not_sound_is_hollow():
    assert some_intervals().count('fill="var(--paper)"') == 2


def test_lines_are_told_apart_without_colour():
    dashes = set(re.findall(r'stroke-dasharray="([^"]+)"', some_lines(3)))
    assert len(dashes) == 3


def test_more_lines_than_colours_can_be_drawn():
    assert "line 9" in words(some_lines(10))


def test_the_second_group_is_dashed():
    svg = some_lines(2, group=["training"] * 3 + ["validation"] * 3)
    dashes = re.findall(r'stroke-dasharray="([^"]+)"', svg)
    assert {"1,0", "6,3"} == set(dashes)


def test_a_scatter_has_a_mark_a_point():
    symbols = ElementTree.fromstring(a_scatter()).iter(f"{NAME}g")
    marks = next(g for g in symbols if "mark-symbol role-mark" in (g.get("class") or ""))
    assert len(list(marks)) == 3


def test_names_are_escaped():
    assert "<b>&" in words(some_intervals(("<b>&", "two")))


def test_a_doubling_is_one_step_of_the_axis():
    """The labels 15, 30 and 60 stand evenly spaced."""
    found = re.findall(r'transform="translate\(([\d.]+),[\d.]+\)"[^>]*>(15|30|60)<', growing())
    assert [label for _, label in found] == ["15", "30", "60"]
    places = [float(place) for place, _ in found]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=2)


def test_intervals_may_have_a_rule():
    rows = [{"name": "one", "group": "g", "value": 0.4, "low": 0.3, "high": 0.5, "sound": True}]
    plain, ruled = (charts.intervals(pd.DataFrame(rows), "gain", even) for even in (None, 0.0))
    assert "stroke-dasharray" not in plain
    assert ruled.count('stroke-dasharray="4,3"') == 1
