"""The parts of a page, and its renderings in Markdown and HTML, from one context and two templates.

Everything on a page is plain text in typed blocks: templates escape it, and nothing is parsed back.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sttreid.report.charts import Chart, svg

TEMPLATES = Path(__file__).parent / "templates"
SPECIAL = str.maketrans({letter: f"\\{letter}" for letter in "\\`*_<|"})  # what Markdown would interpret


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


@dataclass(frozen=True)
class Bullets:
    """A list without order."""

    kind: ClassVar[str] = "bullets"
    items: Sequence[str]


@dataclass(frozen=True, eq=False)
class Figure:
    """A chart, of HTML pages only.

    Attributes:
        title: its heading.
        chart: of :mod:`sttreid.report.charts`.
        caption: how to read it.
        scope: protocol, seeds and number of queries behind it.
        data: its numbers, for readers who do not see it; None: a table of the section has them.
    """

    kind: ClassVar[str] = "figure"
    title: str
    chart: Chart
    caption: str
    scope: str
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
    images; title, caption and scope as of a figure.
    """

    kind: ClassVar[str] = "clips"
    title: str
    caption: str
    scope: str
    charts: Sequence[tuple[Chart, str]] = ()
    stacks: Sequence[Sequence[Image]] = ()


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
    """A query and its nearest tracklets, of HTML pages only."""

    kind: ClassVar[str] = "ranked"
    title: str
    text: str
    strip: Image
    matches: Sequence[Match]


@dataclass(frozen=True)
class Heading:
    """A heading inside a section, with the scope of what follows; of HTML pages only."""

    kind: ClassVar[str] = "heading"
    text: str
    scope: str = ""


Block = str | Table | Bullets | Figure | Clips | RankedList | Heading  # a str is a paragraph


@dataclass(frozen=True)
class Section:
    """A titled part of a page; ``visual``: it has nothing to show outside of HTML."""

    title: str
    blocks: Sequence[Block]
    visual: bool = False

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
    environment.filters |= {
        "cell": lambda cell: Cell(cell) if isinstance(cell, str) else cell,
        "md": lambda text: text.translate(SPECIAL),
        "runs": _runs,
        "svg": lambda chart: Markup(svg(chart)),
    }
    return environment.get_template(template).render(page=page, style=style)


def _runs(blocks: Sequence[Block]) -> list[tuple[bool, list[Block]]]:
    """Consecutive figures, which the page shows side by side, and what is between them."""
    groups = groupby(blocks, lambda block: isinstance(block, Figure))
    return [(are_figures, list(group)) for are_figures, group in groups]
