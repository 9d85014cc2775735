"""The tracks of a whole data set: flavour, first frame and boxes of each file, and statements."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from sttreid.config.datasets import OnError
from sttreid.config.track_format import ALL, Column, FlavourName, TrackFormat
from sttreid.data.tracks import flavours
from sttreid.data.tracks.first_frame import Numbering, Span, ends_early, find_numbering
from sttreid.data.tracks.flavours import FLAVOURS, Flavour, Profile
from sttreid.data.tracks.headers import columns_of
from sttreid.data.tracks.label_folders import LinePlaces, label_rows
from sttreid.data.tracks.numbers import whole
from sttreid.data.tracks.reading import BEYOND, EMPTY_BOX, IGNORED, NO_IDENTITY, Boxes, Row, Rules, read_boxes
from sttreid.data.tracks.syntax import Syntax, find_syntax, read_text, rows
from sttreid.runtime.errors import InputError

ENOUGH: Final = 50  # boxes that tell where the tracks of a set end
FEW: Final = 10  # lines of a file that need not be used for the most part


@dataclass(frozen=True)
class TrackFile:
    """The tracks of one video.

    Attributes:
        path: the file, or the folder of ultralytics' labels.
        frames: as :attr:`Span.frames`; None: the video cannot be opened.
        first_image: as :attr:`Span.first_image`.
        labels: the file with the names of the classes, labels.txt, if there is one.
        stem: of a folder: the name of the video, with which its files begin.
        picture: width and height of a frame in pixels, if they are known.
    """

    path: Path
    frames: int | None
    first_image: int | None = None
    labels: Path | None = None
    stem: str = ""
    picture: tuple[int, int] | None = None

    def places(self) -> LinePlaces:
        """Where its lines are."""
        return LinePlaces(self.path, self.stem)


@dataclass(frozen=True, eq=False)
class ReadTracks:
    """One file that was read: its boxes, how its frames are counted, and what was decided about it."""

    boxes: Boxes
    numbering: Numbering
    statement: str
    warnings: tuple[str, ...] = ()


@dataclass
class _Scan:
    """What the first look at a file showed."""

    file: TrackFile
    syntax: Syntax
    profile: Profile = field(default_factory=Profile)
    low: int = 1
    high: int = 0

    def rows(self) -> Iterator[Row]:
        if self.file.path.is_dir():
            return label_rows(self.file.path, self.file.stem, self.file.picture)
        return rows(read_text(self.file.path), self.syntax)

    def span(self) -> Span:
        """Its frames; of a video that cannot be opened, one more than the tracks need."""
        frames = self.high + 1 if self.file.frames is None else self.file.frames
        return Span(self.file.path, self.low, self.high, frames, self.file.first_image)

    def key(self) -> tuple[object, ...]:
        """Files with equal keys are of one writer."""
        named = self.file.labels is not None, self.file.path.is_dir(), self.syntax.header
        of_images = self.file.first_image is not None
        return *named, of_images, 0 if any(named) else self.profile.columns


def read_all(files: Sequence[TrackFile], given: TrackFormat, on_error: OnError) -> list[ReadTracks]:
    """Read the tracks of all cameras.

    Args:
        files: one per video.
        given: what params.yaml says about them.
        on_error: as :class:`Rules`.

    Raises:
        InputError: a file cannot be read, its flavour or first frame cannot be told, a line breaks a rule, or
            most of its boxes would be left out by a rule that was not declared.
    """
    scans = [_scan(file, given) for file in files]
    groups: dict[tuple[object, ...], list[_Scan]] = {}
    for scan in scans:
        groups.setdefault(scan.key(), []).append(scan)
    found: dict[TrackFile, ReadTracks] = {}
    for group in groups.values():
        found |= _read_group(group, given, on_error)
    return [found[file] for file in files]


def _scan(file: TrackFile, given: TrackFormat) -> _Scan:
    if file.path.is_dir():
        scan = _Scan(file, Syntax("space"))
    else:
        scan = _Scan(file, find_syntax(file.path, read_text(file.path), given.separator))
    columns = given.columns or (columns_of(scan.syntax.header) if scan.syntax.header else None)
    columns = None if file.path.is_dir() else columns
    place = columns.index("frame") if columns else 0
    most = None if given.columns or not scan.syntax.header_line else len(scan.syntax.header or ())
    empty = True
    for number, text, words in scan.rows():
        if most is not None and len(words) > most:
            rule = f"a line must hold no more words than the header, {most}, or tracks.columns be set"
            raise InputError(f"{file.path}:{number}: {rule}, got {len(words)} in {text!r}")
        scan.profile.add(words)
        frame = whole(words[place]) if place < len(words) else None
        if frame is not None:
            scan.low = frame if empty else min(scan.low, frame)
            scan.high = frame if empty else max(scan.high, frame)
            empty = False
    return scan


def _read_group(group: Sequence[_Scan], given: TrackFormat, on_error: OnError) -> dict[TrackFile, ReadTracks]:
    """The files of one writer."""
    flavour, reason = _flavour(group, given)
    spans = [scan.span() for scan in group]
    numberings = find_numbering(spans, given.first_frame, flavour.origin)
    read = {
        scan.file: _read(scan, flavour, reason, numbering, given, on_error)
        for scan, numbering in zip(group, numberings, strict=True)
    }
    share = ends_early(spans, numberings)
    if share is not None and sum(tracks.boxes.account.used for tracks in read.values()) >= ENOUGH:
        warning = (
            f"no box of these tracks is in the last {1 - share:.0%} of the frames: do they count every frame"
            " of this film, or only those that the tracker looked at (vid_stride)?"
        )
        read = {file: replace(tracks, warnings=(*tracks.warnings, warning)) for file, tracks in read.items()}
    return read


def _flavour(group: Sequence[_Scan], given: TrackFormat) -> tuple[Flavour, str]:
    """The flavour with its columns, and how it is known.

    Raises:
        InputError: no rule tells it; a header names no box.
    """
    first = group[0]
    name: FlavourName = given.flavour or ("csv" if first.file.labels is None else "cvat")
    if first.file.path.is_dir():
        return replace(FLAVOURS["yolo"], columns=YOLO_COLUMNS), "a folder with a file per frame"
    if given.columns:
        return replace(FLAVOURS[name], columns=tuple(given.columns), note=""), "as tracks.columns says"
    if header := first.syntax.header:
        columns = columns_of(header)
        if columns is None:
            raise InputError(
                f"{first.file.path}:{first.syntax.header_line}: a header must name frame, id and a box (left,"
                f" top, width, height; see docs/tracks.md), or set tracks.columns, got {','.join(header)}"
            )
        return replace(FLAVOURS[name], columns=columns), "a header names the columns"
    if given.flavour:
        if given.flavour in ("yolo", "csv"):
            rule = "needs a folder with a file per frame" if given.flavour == "yolo" else "needs a header"
            raise InputError(f"{first.file.path}: the flavour {given.flavour} {rule}, got none")
        return FLAVOURS[given.flavour], "as tracks.flavour says"
    if first.file.labels is not None:
        return FLAVOURS["cvat"], f"{first.file.labels.name} is beside it"
    profile = Profile()
    for scan in group:
        profile.merge(scan.profile)
    found = flavours.detect(profile)
    if isinstance(found, str):
        raise InputError(f"{first.file.path}: {found}; set tracks.flavour or tracks.columns")
    return found


YOLO_COLUMNS: Final[tuple[Column, ...]] = (
    "frame", "id", "class", "x_center", "y_center", "width", "height",
)  # fmt: skip
OWN_COLUMNS: Final[tuple[Column, ...]] = (
    "frame", "id", "left", "top", "width", "height", "unused", "unused", "visibility",
)  # fmt: skip


def _read(
    scan: _Scan, flavour: Flavour, reason: str, numbering: Numbering, given: TrackFormat, on_error: OnError
) -> ReadTracks:
    path, columns = scan.file.path, flavour.columns
    persons = given.persons or flavour.persons
    if persons is not None and ALL in persons:
        persons = None
    if flavour.name == "cvat" and "class" in columns and scan.file.labels is None:
        raise InputError(f"{path}: the flavour cvat needs labels.txt beside the tracks, got none")
    labels = read_labels(scan.file.labels) if scan.file.labels and flavour.name == "cvat" else {}
    if labels and persons == flavours.NAMES and not set(map(str.lower, labels.values())) & set(persons):
        raise InputError(
            f"{scan.file.labels}: a label must be {' or '.join(flavours.NAMES[:2])}, or tracks.class name"
            f" one, got {', '.join(labels.values())}"
        )
    if "class" not in columns:
        if given.persons is not None and ALL not in given.persons:
            raise InputError(
                f"{path}: tracks.class needs a column with classes, but {flavour.name} ({reason}) has none:"
                f" set tracks.flavour or tracks.columns, got class {given.classes}"
            )
        persons = None
    rules = Rules(columns, persons, numbering.first_frame, numbering.frames, labels, on_error)
    boxes = read_boxes(scan.file.places(), scan.rows(), rules)
    _check_most_are_used(scan, boxes, flavour, given)
    warnings = tuple(_warn(scan, flavour, numbering, boxes, given))
    return ReadTracks(boxes, numbering, _statement(scan, flavour, reason, numbering), warnings)


def _statement(scan: _Scan, flavour: Flavour, reason: str, numbering: Numbering) -> str:
    note = f"; {flavour.note}" if flavour.note else ""
    return (
        f"{flavour.name} ({reason}){note}; separator {scan.syntax.separator};"
        f" first frame {numbering.first_frame} ({numbering.reason})"
    )


def _warn(
    scan: _Scan, flavour: Flavour, numbering: Numbering, boxes: Boxes, given: TrackFormat
) -> Iterator[str]:
    if numbering.assumed and boxes.account.lines:
        yield f"frames are assumed to count from {numbering.first_frame}: {numbering.reason}"
    seventh = scan.profile.values.get(7, flavours.Values())
    detected = flavour.name == "mot_results" and given.flavour is None and given.columns is None
    if detected and seventh.within(0, 1) and 0 < seventh.zero < seventh.count:
        yield (
            f"column 7 is taken for a confidence and drops no box, but is 0 in {seventh.zero:,} lines and 1"
            f" in {seventh.count - seventh.zero:,}: if 0 marks lines to ignore, set tracks.flavour: mot_gt;"
            " if it is a class, tracks.columns; if it is right, tracks.flavour: mot_results"
        )


def _check_most_are_used(scan: _Scan, boxes: Boxes, flavour: Flavour, given: TrackFormat) -> None:
    """Raise InputError if most lines are left out by a rule that params.yaml does not declare."""
    account = boxes.account
    damaged = sum(account.left_out.get(reason, 0) for reason in (BEYOND, EMPTY_BOX))
    dropped = account.lines - account.used - damaged
    if account.lines < FEW or dropped * 2 <= account.lines:
        return
    ignored = account.left_out.get(IGNORED, 0)
    if given.classes is not None or given.flavour is not None:
        return
    if flavour.name == "mot_gt" and ignored == dropped and account.used:
        return  # MOTChallenge marks all its vehicles and static persons so
    raise InputError(
        f"{scan.file.path}: most boxes must be used, or the rule that leaves them out be declared, but of"
        f" {account}: set tracks.class, tracks.flavour (now {flavour.name}) or tracks.columns"
    )


def read_tracks(path: Path, frames: int, on_error: OnError = "raise") -> Boxes:
    """Read the tracks beside a manifest: commas, columns as MOTChallenge's, every line counts.

    Args:
        path: the text file.
        frames: number of frames of the camera's video.
        on_error: as :class:`Rules`.

    Raises:
        InputError: the file is missing, is not text, or is empty; a line does not parse, breaks a rule or is
            without an identity; an identity has two boxes in one frame.
    """
    data = list(rows(read_text(path), Syntax("comma")))
    if not data:
        raise InputError(f"{path}: a tracks file must hold at least one line, got none")
    rules = Rules(OWN_COLUMNS, None, 1, frames, {}, on_error, adjustable=False)
    boxes = read_boxes(LinePlaces(path), iter(data), rules)
    if line := boxes.account.examples.get(NO_IDENTITY):
        raise InputError(f"{path}:{line}: every line must be the box of an identity, got one {NO_IDENTITY}")
    return boxes


def read_labels(path: Path) -> dict[int, str]:
    """The names of the classes, from 1, one a line."""
    names = [line.strip() for line in read_text(path).splitlines()]
    while names and not names[-1]:
        names.pop()
    return dict(enumerate(names, 1))
