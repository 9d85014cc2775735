"""Ranked answers to queries, and their files: JSON and CSV."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_text
from sttreid.search.calibration import Calibration
from sttreid.search.gallery import COLUMNS, Gallery

FORMAT: Final = "sttreid-answers/1"


@dataclass(frozen=True)
class Answer:
    """One tracklet of the gallery in the answer to a query.

    Attributes:
        rank: from 1.
        row: of the gallery, from 0.
        distance: 1 - cosine similarity, 0 to 2, also where re-ranking decides the order.
        probability: that it shows the person of the query; None without a calibration.
        correct: whether it does; None where a label is missing.
    """

    rank: int
    row: int
    distance: float
    probability: float | None
    correct: bool | None


@dataclass(frozen=True)
class Answers:
    """The answers to one query, nearest first.

    Attributes:
        query: its row of the gallery, or the name of a query from outside.
        strip: a JPEG of its images; may be empty.
        answers: perhaps none, if no tracklet may answer (for example none of another camera).
        here: whether the nearest tracklet that may answer is near enough for the calibration's false-match
            rate, whatever its rank; None without a calibration.
        remarks: what a reader must know of this query, in sentences.
        findable: whether a tracklet that may answer has the label of the query; None: it has no label.
    """

    query: int | str
    strip: bytes
    answers: tuple[Answer, ...]
    here: bool | None = None
    remarks: tuple[str, ...] = ()
    findable: bool | None = None

    @property
    def first(self) -> bool | None:
        """Whether the first answer is right: rank-1 is the share of these, as in the evaluation.

        None where a label is missing, or no tracklet of the query's person may answer.
        """
        return self.answers[0].correct if self.answers and self.findable is not False else None


def to_json(
    answers: Sequence[Answers], gallery: Gallery, calibration: Calibration | None = None
) -> dict[str, Any]:
    """Plain values: the model, the calibration, and for every query its answers with their tracklets."""
    rows = _tracklets(answers, gallery)

    def tracklet(row: int) -> dict[str, Any]:
        return {"row": row, "name": gallery.names[row], **rows[row]}

    return {
        "format": FORMAT,
        "model": asdict(gallery.model),
        "calibration": calibration.summary() if calibration else None,
        "queries": [
            {
                "query": tracklet(one.query) if isinstance(one.query, int) else {"name": one.query},
                "here": one.here,
                "remarks": list(one.remarks),
                "answers": [asdict(answer) | {"tracklet": tracklet(answer.row)} for answer in one.answers],
            }
            for one in answers
        ],
    }


def write_json(
    path: Path, answers: Sequence[Answers], gallery: Gallery, calibration: Calibration | None = None
) -> None:
    """Write :func:`to_json`.

    Raises:
        InputError: the file cannot be written.
    """
    content = to_json(answers, gallery, calibration)
    _write(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def write_csv(path: Path, answers: Sequence[Answers], gallery: Gallery) -> None:
    """Write one line per answer: the query, rank, distance, probability, and the tracklet's columns.

    Raises:
        InputError: the file cannot be written.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    own = ["query", "here", "rank", "row", "distance", "probability", "correct"]
    writer.writerow([*own, *COLUMNS.names])
    writer.writerows(_lines(answers, gallery))
    _write(path, buffer.getvalue())


def _lines(answers: Sequence[Answers], gallery: Gallery) -> Iterator[list[Any]]:
    tracklets = _tracklets(answers, gallery)
    for one in answers:
        name = gallery.names[one.query] if isinstance(one.query, int) else one.query
        for answer in one.answers:
            values = [name, one.here, answer.rank, answer.row, f"{answer.distance:.6f}"]
            probability = None if answer.probability is None else f"{answer.probability:.6f}"
            yield [*values, probability, answer.correct, *tracklets[answer.row].values()]


def _tracklets(answers: Sequence[Answers], gallery: Gallery) -> dict[int, dict[str, Any]]:
    """Row -> columns of the queries and answers: those of a whole gallery may take more memory than it."""
    queries = {one.query for one in answers if isinstance(one.query, int)}
    rows = sorted(queries | {answer.row for one in answers for answer in one.answers})
    table = gallery.tracklets[COLUMNS.names].iloc[rows].to_dict("records")
    records = ({str(key): value for key, value in values.items()} for values in table)
    return dict(zip(rows, records, strict=True))


def _write(path: Path, text: str) -> None:
    try:
        write_text(path, text)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
