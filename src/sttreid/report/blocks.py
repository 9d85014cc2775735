"""What a page is made of: sections of prose, tables and figures; and Markdown -> HTML."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markdown_it import MarkdownIt
from markupsafe import Markup

from sttreid.report.films import Looked, Ranked

EMPTY = Markup()


@dataclass(frozen=True)
class Figure:
    """A chart with its words.

    Attributes:
        svg: the chart, already HTML.
        title: what it shows, its heading.
        words: what one sees in it, for those who do not.
        caption: how to read it; protocol, seeds and queries stand in ``scope``.
        scope: what it was computed from.
    """

    svg: Markup
    title: str
    words: str
    caption: str
    scope: str


@dataclass(frozen=True)
class Section:
    """One section: prose and tables first, then figures, then looked-at tracklets, then ranked lists.

    Attributes:
        title: its heading.
        prose: HTML.
        figures: charts.
        looked: tracklets with the attention of two networks, as bars or as maps.
        overlays: show the maps of ``looked`` instead of the bars.
        ranked: headings and the ranked lists below them.
        scope: what the pictures were computed from.
    """

    title: str
    prose: Markup = EMPTY
    figures: Sequence[Figure] = ()
    looked: Sequence[Looked] = ()
    overlays: bool = False
    ranked: Sequence[tuple[str, Sequence[Ranked]]] = ()
    scope: str = ""

    @property
    def name(self) -> str:
        """The fragment that a link names."""
        return "".join(letter if letter.isalnum() else "-" for letter in self.title.lower())


def chart(svg: str, title: str, words: str, caption: str, scope: str) -> Figure:
    """A figure of a chart's SVG text, in which the picture is one image with words instead of its parts."""
    label = escape(f"{title}. {words}", quote=True)
    named = svg.replace('class="marks"', f'class="chart" role="img" aria-label="{label}"', 1)
    return Figure(Markup(named), title, words, caption, scope)


def html(markdown: str, title: str) -> Markup:
    """Paragraphs, lists and pipe tables as HTML; everything else in the text is escaped.

    Args:
        markdown: as :mod:`sttreid.report.page` writes it.
        title: of the section, which names its tables for screen readers.
    """
    # what belongs together is not torn apart at the end of a line
    kept = "\u00a0[\\1,\u00a0\\2]\\3"
    markdown = re.sub(r" \[([^\],]+), ([^\]]+)\]( /)?", kept, markdown).replace("] /", "]\u00a0/")
    text = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    name = escape(title, quote=True)
    opened = f'<div class="scroll" role="group" tabindex="0" aria-label="Table: {name}"><table>'
    text = text.replace("<table>", f'{opened}<caption class="unseen">{name}</caption>')
    text = text.replace("</table>", "</table></div>").replace("<th", '<th scope="col"')
    text = text.replace('<th scope="col"ead', "<thead")
    return Markup(re.sub(r"<tr>\n<td([^>]*)>(.*?)</td>", r'<tr>\n<th scope="row"\1>\2</th>', text))
