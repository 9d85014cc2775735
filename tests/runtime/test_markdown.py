"""Hostile names stay text: they break no table, and begin no heading, list, link, formula or element."""

import pytest
from markdown_it import MarkdownIt

from sttreid.runtime.markdown import inline, line, table

HOSTILE = [
    "a|b",
    "`c`",
    "<script>alert(1)</script>",
    "x\n\n# y\n- z",
    "| a |\n|:--|",
    "1. z",
    "+ z",
    "===",
    "---",
    "[a](b) ![c](d)",
    "[a]: b",
    "**a** _b_ ~~c~~",
    "&lt; &amp;",
    "$x$ \\n",
    "a\u2028b\u0085c\x0bd",
    "> q",
    "",
]


def shown(text: str) -> tuple[list[str], set[str]]:
    """The texts of a page, and the kinds of its elements."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    inlines = [token for token in tokens if token.type == "inline"]
    kinds = {child.type for token in inlines for child in token.children or []}
    texts = ["".join(child.content for child in token.children or []) for token in inlines]
    return texts, kinds | {token.type for token in tokens if token.type != "inline"}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_line_shows_the_text_and_nothing_else(name: str) -> None:
    flat = " ".join(name.split())
    texts, kinds = shown(line(name))
    assert texts == ([flat] if flat else [])
    assert kinds <= {"paragraph_open", "paragraph_close", "text", "text_special"}
    assert "\n" not in inline(name)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_table_keeps_its_cells(name: str) -> None:
    flat = " ".join(name.split())
    texts, kinds = shown("\n".join(table([name, "b"], [[name, 1], ["c", name]])))
    assert texts == [flat, "b", flat, "1", "c", flat]
    assert not {"html_inline", "html_block", "code_inline", "link_open", "image", "em_open", "s_open"} & kinds
