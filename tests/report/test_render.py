"""Two renderings of one page: escaped, accessible, and nothing lost."""

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from sttreid.report import charts
from sttreid.report.render import Bullets, Cell, Figure, Fold, Heading, Page, Section, Table, html, markdown
from tests.report.test_page import Document

ODD = "a|b *c* _d_ <e> `f` \\g & h &amp; ~~i~~ [j](k) [l]: m"
TABLE = Table(["name", "value"], [[ODD, Cell("1.0", bold=True, mark="good")], ["b", "2"]], "Caption <x>")
CHART = charts.scatter(pd.DataFrame({"name": ["a"], "group": ["1"], "x": [0.0], "y": [0.0]}))


def page():
    figure = Figure("Figure", CHART, TABLE)
    blocks = [ODD, Bullets(["first", ODD]), TABLE, figure, figure, Heading("Part"), Fold("More", ["last"])]
    results = Section("Some results", blocks, caption="How to read it.", scope="seed 0")
    return Page("Title", ["lead"], [results, Section("Images", ["seen"], visual=True)])


def test_markdown_gives_back_every_text_when_it_is_parsed():
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown(page()))
    texts = ["".join(child.content for child in token.children) for token in tokens if token.type == "inline"]
    expected = [
        "Title",
        "lead",
        "Some results",
        ODD,
        "first",
        ODD,
        "Caption <x>:",
        "name",
        "value",
        ODD,
        "1.0",
        "b",
        "2",
        "last",
    ]
    assert texts == expected
    kinds = [child.type for token in tokens if token.type == "inline" for child in token.children]
    assert set(kinds) == {"text", "text_special", "strong_open", "strong_close"} or "strong_open" in kinds
    assert not {"em_open", "code_inline", "html_inline"} & set(kinds)


@pytest.mark.parametrize(
    "name", ["a|b", "<i>", "`c`", "a\nb", "x\n\n# y", "- z", "1. z", "---", "&lt;", "[a](b)"]
)
def test_a_name_of_a_result_file_stays_text_and_breaks_no_table(name):
    table = Table([name, "value"], [[name, Cell("1", bold=True)], ["b", name]], "Caption")
    text = markdown(Page(name, [name], [Section(name, [Bullets([name]), table])]))
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    shown = ["".join(child.content for child in token.children) for token in tokens if token.type == "inline"]
    flat = " ".join(name.split())
    assert shown == [flat, flat, flat, flat, "Caption:", flat, "value", flat, "1", "b", flat]
    assert [token.type for token in tokens].count("tr_open") == 3
    assert not {"html_block", "html_inline", "hr", "code_block"} & {token.type for token in tokens}


def test_visual_sections_are_of_html_only():
    assert "Images" not in markdown(page())
    assert "Images" in html(page())


def test_markdown_ends_with_one_newline_and_has_no_double_blank_lines():
    text = markdown(page())
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "\n\n\n" not in text


def test_html_escapes_and_marks():
    text = html(page())
    assert "<e>" not in text
    assert "&lt;e&gt;" in text
    assert "<strong>1.0</strong>" in text
    assert "Caption &lt;x&gt;" in text


def test_numbers_are_aligned_right_and_the_first_cell_heads_its_row():
    document = Document(html(page()))
    headers = document.of("th")
    assert {header["scope"] for header in headers} == {"col", "row"}
    assert all("number" in cell["class"] for cell in document.of("td"))


def test_a_figure_is_one_image_with_a_description_and_its_data():
    document = Document(html(page()))
    (first, _) = (attributes for attributes in document.of("div") if attributes.get("class") == "chart")
    assert first["role"] == "img"
    assert first["aria-label"] == "Figure"
    assert html(page()).count("How to read it.") == 1
    assert len(document.of("details")) == 2 + 1
    assert (
        len([d for d in document.of("div") if d.get("class", "").startswith("charts")]) == 1
    )  # one row of both


@pytest.mark.parametrize("render", [html, markdown])
def test_equal_pages_give_equal_text(render):
    assert render(page()) == render(page())
