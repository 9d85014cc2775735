"""The parts of a page, and its renderings in Markdown and HTML, from one context and two templates.

Everything on a page is plain text in typed blocks: templates escape it, and nothing is parsed back.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sttreid.report.charts import Chart, svg
from sttreid.runtime.markdown import inline, line

TEMPLATES = Path(__file__).parent / "templates"
# letters of a table's row that fit a phone, of its first column, and of the narrowest column of words
NARROW, FIRST, WORDS = 44, 21, 13


@dataclass(frozen=True)
class Cell:
    """A table cell that is more than its text: bold, or a mark of the style sheet (good, bad, muted)."""

    text: str
    bold: bool = False
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """A table: the first ``left`` columns hold words, the others numbers; the first cell heads its row."""

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    caption: str
    left: int = 1

    @property
    def wide(self) -> bool:
        """Whether it is wider than a phone, so that the page says that it scrolls."""
        rows = [[cell if isinstance(cell, str) else cell.text for cell in row] for row in self.rows]
        letters = FIRST
        for index, (header, *cells) in enumerate(zip(self.columns, *rows, strict=True)):
            if index:  # words wrap, numbers do not
                longest = max(map(len, (*header.split(), *cells)), default=0)
                letters += 3 + (longest if index >= self.left else WORDS)
        return letters > NARROW


@dataclass(frozen=True)
class Bullets:
    """A list without order."""

    kind: ClassVar[str] = "bullets"
    items: Sequence[str]


@dataclass(frozen=True, eq=False)
class Figure:
    """A chart, of HTML pages only; its section has the caption.

    Attributes:
        title: its heading.
        chart: of :mod:`sttreid.report.charts`.
        data: its numbers, for readers who do not see it; None: a table of the section has them.
    """

    kind: ClassVar[str] = "figure"
    title: str
    chart: Chart
    data: Table | None = None


@dataclass(frozen=True)
class Image:
    """A JPEG file, its size in pixels, and its description."""

    jpeg: bytes
    width: int
    height: int
    alt: str

    @property
    def uri(self) -> str:
        """The file as a URI that needs no network."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode()}"


@dataclass(frozen=True, eq=False)
class Clips:
    """Attention in one tracklet, of HTML pages only: per clip a chart with its description, or a stack of
    images; ``open``: it is not folded.
    """

    kind: ClassVar[str] = "clips"
    title: str
    charts: Sequence[tuple[Chart, str]] = ()
    stacks: Sequence[Sequence[Image]] = ()
    open: bool = False


@dataclass(frozen=True)
class Match:
    """One tracklet of a ranked list; ``gap``: it does not follow the one before it."""

    rank: int
    correct: bool
    gap: bool
    text: str
    strip: Image


@dataclass(frozen=True)
class RankedList:
    """A query and its nearest tracklets, of HTML pages only; ``open``: it is not folded."""

    kind: ClassVar[str] = "ranked"
    title: str
    strip: Image
    text: str
    matches: Sequence[Match]
    open: bool = False


@dataclass(frozen=True)
class Heading:
    """A heading inside a section, of HTML pages only."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Fold:
    """Details that the HTML page folds under a title; Markdown shows them without it."""

    kind: ClassVar[str] = "fold"
    title: str
    blocks: "Sequence[Block]"


Block = str | Table | Bullets | Figure | Clips | RankedList | Heading | Fold  # a str is a paragraph


@dataclass(frozen=True)
class Section:
    """A titled part of a page.

    Attributes:
        title: its heading.
        blocks: what it shows, in order.
        visual: it has nothing to show outside of HTML.
        caption: how to read its figures, once for all of them.
        scope: protocol, seeds and number of queries behind them.
    """

    title: str
    blocks: Sequence[Block]
    visual: bool = False
    caption: str = ""
    scope: str = ""

    @property
    def id(self) -> str:
        """The fragment that a link names."""
        return "".join(letter if letter.isalnum() else "-" for letter in self.title.lower())


@dataclass(frozen=True)
class Page:
    """A title, what comes before the sections, and the sections."""

    title: str
    lead: Sequence[Block]
    sections: Sequence[Section]


def walk(blocks: Sequence[Block]) -> Iterator[Block]:
    """All blocks, those of folds included."""
    for block in blocks:
        yield block
        if isinstance(block, Fold):
            yield from walk(block.blocks)


def markdown(page: Page) -> str:
    """The page in Markdown (CommonMark with pipe tables), without charts and images."""
    return _render("page.md.jinja", page)


def html(page: Page) -> str:
    """The page as one HTML file that needs no network, no script and no other file."""
    return _render("page.html.jinja", page)


def _render(template: str, page: Page) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=template == "page.html.jinja",
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))
    filters: dict[str, Callable[..., Any]] = {
        "cell": lambda cell: Cell(cell) if isinstance(cell, str) else cell,
        "md": inline,
        "line": line,
        "runs": _runs,
        "svg": lambda chart: Markup(svg(chart)),
    }
    environment.filters |= filters
    return environment.get_template(template).render(page=page, style=style)


def _runs(blocks: Sequence[Block]) -> list[tuple[str, list[Block]]]:
    """Consecutive figures and consecutive tables, which the page shows side by side, and what is between."""
    kinds = groupby(blocks, lambda block: block.kind if isinstance(block, Figure | Table) else "")
    return [(kind, list(group)) for kind, group in kinds]
