"""Ranked answers and identities -> one HTML page that needs no network and no other file.

Names of videos, cameras and tracks are hostile input. The template escapes them, the script writes text,
numbers and whole elements only, and the page's own policy forbids every request and every other script.

The first queries are in the page with all their answers. Of the others it has the query, and the answers as
numbers, from which the script builds the list when it comes near the window: ten thousand answers are far too
many elements for a browser.
"""

import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_text
from sttreid.search import cards
from sttreid.search.answers import Answers
from sttreid.search.calibration import Calibration
from sttreid.search.gallery import Gallery
from sttreid.search.timeline import timeline, visible

TEMPLATES: Final = Path(__file__).parent / "templates"
QUERIES: Final = 1000  # most of one page; the JSON and CSV files hold all
TRACKLETS: Final = 2000  # most of its timeline
LISTED: Final = 50  # queries whose answers are there without scripts

Identities = NDArray[np.integer] | Sequence[int] | Sequence[str]


def write_page(
    path: Path | str,
    answers: Sequence[Answers],
    gallery: Gallery,
    identities: Identities | None = None,
    calibration: Calibration | None = None,
) -> None:
    """Write the page: the answers to every query, who was where when, and what the numbers mean.

    It shows the first 1,000 queries and at most 2,000 tracklets besides theirs, and says what it omits.

    Args:
        path: of the HTML file; the previous one stays as it is until the new one is complete.
        answers: of the search; may be empty if there are identities.
        gallery: that they are from, of G tracklets.
        identities: [G] who each tracklet shows. Without them, the timeline has the tracklets of queries and
            answers only.
        calibration: that gave the probabilities.

    Raises:
        InputError: a film strip is no JPEG file, there is not one identity per tracklet, or the file cannot
            be written.
    """
    path = Path(path)
    text = html(answers, gallery, identities, calibration)
    try:
        write_text(path, text)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def html(
    answers: Sequence[Answers],
    gallery: Gallery,
    identities: Identities | None = None,
    calibration: Calibration | None = None,
) -> str:
    """The text of the page; arguments and errors as of :func:`write_page`."""
    if identities is not None and len(identities) != len(gallery):
        rule = f"there must be an identity for each of the gallery's {len(gallery)} tracklets"
        raise InputError(f"{rule}, got {len(identities)}")
    whose = None if identities is None else np.asarray(identities).tolist()
    asked, strips = answers[:QUERIES], cards.Strips()
    rows = _rows(asked, gallery, whose)
    found = cards.sightings(rows, gallery, whose)
    queries = cards.queries(asked, found, gallery, calibration, strips)
    people = cards.people(found.values(), gallery, strips)
    style, script = (Markup((TEMPLATES / f"result.{kind}").read_text("utf-8")) for kind in ("css", "js"))
    distances = [one.answer.distance for query in queries for one in query.answers]
    return (
        _environment()
        .get_template("result.html.jinja")
        .render(
            style=style,
            script=script,
            digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
            queries=queries,
            listed=LISTED,
            waiting=_json(cards.waiting(queries[LISTED:])),
            people=people,
            timeline=timeline(list(found.values())),
            cameras=sorted({(one.camera, one.place) for one in found.values()}),
            gallery=gallery,
            counts=_counts(answers, gallery, whose, len(rows)),
            calibration=calibration,
            chances=any(one.answer.probability is not None for query in queries for one in query.answers),
            farthest=max(distances, default=0.0),
            nearest=min(distances, default=0.0),
            firsts=[query.first for query in queries if query.first is not None],
            strips=strips.json(),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    return environment


def _json(content: object) -> Markup:
    """JSON for a script element, of which no letter has a meaning in HTML."""
    text = json.dumps(content, separators=(",", ":"))
    return Markup(text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026"))


def _rows(answers: Sequence[Answers], gallery: Gallery, whose: Sequence[int | str] | None) -> list[int]:
    """The rows of queries and answers; with identities also others, first of people whom most cameras saw."""
    named = {one.query for one in answers if isinstance(one.query, int)}
    named |= {answer.row for one in answers for answer in one.answers}
    if whose is None:
        return sorted(named)
    groups = defaultdict(list)
    for row, identity in enumerate(whose):
        groups[identity].append(row)
    cameras = gallery.tracklets["camera"].tolist()
    by_spread = sorted(groups.values(), key=lambda rows: -len({cameras[row] for row in rows}))
    others = [row for rows in by_spread for row in rows if row not in named]
    return sorted([*named, *others[:TRACKLETS]])


def _counts(
    answers: Sequence[Answers], gallery: Gallery, whose: Sequence[int | str] | None, shown: int
) -> dict[str, int]:
    """Numbers of the whole search, of which the page may omit some."""
    return {
        "queries": len(answers),
        "tracklets": len(gallery),
        "cameras": gallery.tracklets["camera"].nunique(),
        "people": 0 if whose is None else len(set(whose)),
        "omitted": 0 if whose is None else len(gallery) - shown,
    }
