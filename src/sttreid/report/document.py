"""Sections -> one HTML page that needs no network, no script and no other file."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sttreid.report.blocks import Section, html
from sttreid.report.films import Pictures

HERE = Path(__file__).parent


def document(
    heading: str, intro: Markup, sections: Sequence[Section], pictures: Pictures | None = None
) -> str:
    """The page.

    Args:
        heading: its title.
        intro: HTML before the list of sections.
        sections: in order.
        pictures: of the stage ``picture``, where a section looks at tracklets.

    Returns:
        HTML; equal arguments give equal text.
    """
    loader = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Markup((HERE / "style.css").read_text(encoding="utf-8"))
    page = loader.get_template("index.html.jinja")
    return page.render(heading=heading, intro=intro, sections=sections, style=style, pictures=pictures) + "\n"


def told(markdown: str) -> dict[str, Markup]:
    """Heading -> HTML of each part of a Markdown page, in order; the first is that of the page."""
    parts = {}
    for part in markdown.removeprefix("# ").split("\n## "):
        title, _, body = part.partition("\n")
        parts[title] = html(body, title)
    return parts
