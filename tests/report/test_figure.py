"""The picture is a valid small SVG that shows the results' own numbers."""

from xml.etree import ElementTree

import pytest

from sttreid.report.figure import FAINT, figure
from sttreid.report.summary import arms, matrix

TARGETS = ["campus", "winter", "station"]
NAME = "{http://www.w3.org/2000/svg}"


def draw(results, cells, fitted=0.95):
    return figure(matrix(results, TARGETS, "unreal"), arms(cells), TARGETS, fitted)


@pytest.fixture
def picture(results, cells):
    """The drawn picture of two seeds."""
    return ElementTree.fromstring(draw(results, cells))


def words(picture):
    return [text.text for text in picture.iter(f"{NAME}text")]


def test_every_name_and_number_is_written(picture):
    assert {
        *TARGETS,
        "unreal",
        "untrained",
        "histogram",
        "equalised",
        "vanilla",
        "in-domain",
        "cross-domain",
    } <= set(words(picture))
    assert words(picture).count("55.0") == 3  # the in-domain cells
    assert words(picture).count("35.0") == 7  # the cross-domain cells, and one bar


def test_bars_are_as_long_as_their_numbers(picture):
    widths = [float(r.get("width")) for r in picture.iter(f"{NAME}rect") if r.get("fill-opacity")]
    assert widths == pytest.approx([280 * rank1 / 0.45 for rank1 in (0.45, 0.3, 0.35, 0.2)], abs=0.06)


def test_arms_that_are_not_comparable_are_faint_and_starred(picture):
    opacities = [r.get("fill-opacity") for r in picture.iter(f"{NAME}rect") if r.get("fill-opacity")]
    assert opacities == ["1", "1", str(FAINT), str(FAINT)]
    assert "spatial *" in words(picture)
    assert "* not comparable: does not fit its training identities" in words(picture)


def test_an_arm_at_the_threshold_is_comparable(results, cells):
    assert "vanilla *" not in draw(results, cells, 0.96)
    assert "vanilla *" in draw(results, cells, 0.961)


def test_no_star_is_explained_where_none_is_drawn(results, cells):
    assert "*" not in draw(results, cells, 0.3)


def test_nothing_lies_outside_the_picture(picture):
    width, height = float(picture.get("width")), float(picture.get("height"))
    for box in picture.iter(f"{NAME}rect"):
        right = float(box.get("x", 0)) + float(box.get("width"))
        bottom = float(box.get("y", 0)) + float(box.get("height"))
        assert right <= width
        assert bottom <= height


def test_results_of_zero_can_be_drawn(results, cells):
    for content in (
        *(target for r in results for target in r["sources"].values()),
        *(c["targets"] for c in cells),
    ):
        for numbers in content.values():
            numbers["rank1"] = 0.0
    text = draw(results, cells)
    assert "nan" not in text
    assert words(ElementTree.fromstring(text)).count("0.0") == 21 + 4


def test_names_are_escaped_and_equal_results_give_equal_text(results, cells):
    for cell in cells:
        cell["variant"] = cell["variant"].replace("vanilla", "a<b&c")
    text = draw(results, cells)
    assert "a<b&c" in words(ElementTree.fromstring(text))
    assert text == draw(results, cells)
    assert len(text.encode()) < 300_000
