"""Markdown becomes HTML that escapes, that screen readers can walk through, and that breaks where it may."""

from sttreid.report.blocks import Section, chart, html
from sttreid.report.tables import markdown


def test_a_table_has_a_caption_scopes_and_a_group_that_scrolls():
    text = html(markdown(["name", "R-1"], [["one", "1.0"], ["two", "2.0"]]), "Some <table>")
    assert '<div class="scroll" role="group" tabindex="0" aria-label="Table: Some &lt;table&gt;">' in text
    assert '<caption class="unseen">Some &lt;table&gt;</caption>' in text
    assert text.count('<th scope="col"') == 2
    assert text.count('<th scope="row"') == 2
    assert "<thead>" in text
    assert text.count("<td") == 2


def test_markup_in_the_text_stays_text():
    text = html('a <script>alert("x")</script> b\n\n| <b> |\n| :-- |\n| <i>x</i> |', "T")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "&lt;i&gt;x&lt;/i&gt;" in text


def test_an_interval_stays_on_its_line():
    text = html("mAP 50.6 [45.5, 56.6] / 51.2 [-0.1, 58.5]", "T")
    assert "50.6\u00a0[45.5,\u00a056.6]\u00a0/ 51.2\u00a0[-0.1,\u00a058.5]" in text


def test_a_chart_is_one_picture_with_words():
    figure = chart('<svg class="marks" width="3"></svg>', 'A "title"', "1 < 2.", "how", "what")
    assert figure.svg == (
        '<svg class="chart" role="img" aria-label="A &quot;title&quot;. 1 &lt; 2." width="3"></svg>'
    )


def test_a_section_is_named_by_its_title():
    assert Section("The paper's claims").name == "the-paper-s-claims"
