"""The files of a folder of footage: which video goes with which tracks, and which files nobody uses."""

import configparser
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from sttreid.data.folder_listing import (
    check_relative,
    content_of,
    image_names,
    list_folder,
    shorten,
    subfolders,
)
from sttreid.data.tracks.label_folders import label_files
from sttreid.data.tracks.numbers import real
from sttreid.data.tracks.syntax import find_syntax, read_text, rows
from sttreid.runtime.documents import read_bytes
from sttreid.runtime.errors import InputError

VIDEOS: Final = (
    ".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".asf", ".flv", ".f4v", ".3gp",
    ".3g2", ".ogv", ".mxf", ".vob", ".divx",
)  # fmt: skip
STREAMS: Final = (".ts", ".mts", ".m2ts", ".m2t", ".264", ".h264", ".265", ".h265", ".hevc", ".mjpeg", ".gif")
TEXTS: Final = (".txt", ".csv", ".tsv")
TRACKS: Final = "gt/gt.txt"
LABELS: Final = "labels.txt"
_INI_BYTES: Final = 2**20  # of a seqinfo.ini
_PROBED: Final = 100  # lines of a text that may be tracks
_NUMBERS: Final = 5  # of a line of tracks, at least: frame and box
_SPARE: Final = 1000  # frames that seqinfo.ini may promise beyond twice the number of images


@dataclass(frozen=True)
class Recording:
    """One video with its tracks.

    Attributes:
        name: of the file without suffix, or of the sequence's folder.
        video: the file, or the folder of the images.
        tracks: the file, or the folder of ultralytics' labels.
        labels: the names of the classes, if there are any.
        length: number of frames that seqinfo.ini gives; 0: none.
        declared: width and height of the frames that seqinfo.ini gives.
    """

    name: str
    video: Path
    tracks: Path
    labels: Path | None = None
    length: int = 0
    declared: tuple[int, int] | None = None


def find_recordings(folder: Path) -> tuple[list[Recording], list[str]]:
    """The recordings in a folder, and the names of files and folders that belong to none.

    Raises:
        InputError: there is no recording; a video has several tracks, or tracks have no video; a sequence
            has no identities or no images.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: the folder of the footage does not exist")
    files = [folder / name for name in list_folder(folder)[0] if (folder / name).is_file()]
    sequences = [_sequence(path) for path in subfolders(folder) if _is_sequence(path)]
    found = [*_videos(folder, files), *_image_folders(folder, files), *_visdrone(folder), *sequences]
    names = [recording.name for recording in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{folder}: a camera must have one video, got {name!r} twice")
    for path in sorted(files):
        is_used = path.stem in names or path.name.lower() == LABELS
        if path.suffix.lower() == ".txt" and not is_used and _may_be_tracks(path):
            raise InputError(
                f"{path}: tracks must have a video of the same name in the folder, got {_beside(path)}"
            )
    if not found:
        raise InputError(
            f"{folder}: looked for <camera>.mp4 with <camera>.txt, or <sequence>/{TRACKS},"
            f" found {shorten(content_of(folder))}"
        )
    return found, _unused(folder, found)


def _may_be_tracks(path: Path) -> bool:
    """Whether a text is empty or has lines with a frame and a box, unlike README.txt or classes.txt."""
    try:
        text = read_text(path)
        lines = list(islice(rows(text, find_syntax(path, text, None)), _PROBED))
    except InputError:
        return False
    numbers = [[real(word) is not None for word in words] for _, _, words in lines]
    return not lines or any(line[:1] == [True] and sum(line) >= _NUMBERS for line in numbers)


def is_video(path: Path) -> bool:
    """Whether the suffix is that of a container which is read."""
    return path.suffix.lower() in VIDEOS


def _videos(folder: Path, files: Sequence[Path]) -> Iterator[Recording]:
    """The videos beside their tracks."""
    labels = folder / LABELS if (folder / LABELS).is_file() else None
    for path in sorted(path for path in files if is_video(path)):
        yield Recording(path.stem, path, _tracks(path, files), labels)


def _tracks(video: Path, files: Sequence[Path]) -> Path:
    """The tracks of a video: a text file of its name, or a folder of labels."""
    texts = sorted(path for path in files if path.stem == video.stem and path.suffix.lower() in TEXTS)
    if len(texts) > 1:
        names = ", ".join(path.name for path in texts)
        raise InputError(f"{video}: a video must have one tracks file, got {names}")
    if texts:
        return texts[0]
    base = video.parent
    for folder in (base / "labels", base / video.stem / "labels", base / video.stem):
        if folder.is_dir() and label_files(folder, video.stem):
            return folder
    return video.with_suffix(".txt")


def _image_folders(folder: Path, files: Sequence[Path]) -> Iterator[Recording]:
    """Folders of images beside tracks of their name."""
    labels = folder / LABELS if (folder / LABELS).is_file() else None
    videos = {path.stem for path in files if is_video(path)}
    for path in sorted(path for path in files if path.suffix.lower() in TEXTS and path.stem not in videos):
        images = path.with_suffix("")
        if images.is_dir() and next(image_names(images), None) is not None and not _is_sequence(images):
            yield Recording(path.stem, images, path, labels)


def _visdrone(folder: Path) -> Iterator[Recording]:
    """VisDrone's layout: ``sequences/NAME/`` and ``annotations/NAME.txt``."""
    if (folder / "sequences").is_dir() and (folder / "annotations").is_dir():
        for images in subfolders(folder / "sequences"):
            yield Recording(images.name, images, folder / "annotations" / f"{images.name}.txt")


def _is_sequence(folder: Path) -> bool:
    """Whether a folder is a MOTChallenge sequence; InputError for a sequence without identities."""
    if (folder / TRACKS).is_file():
        return True
    if (folder / "seqinfo.ini").is_file() or (folder / "det" / "det.txt").is_file():
        raise InputError(f"{folder}: a sequence must have {TRACKS}: detections (det/) have no identities")
    return False


def _sequence(folder: Path) -> Recording:
    """A MOTChallenge sequence: its images, or its only video."""
    images, length, declared = _seqinfo(folder / "seqinfo.ini")
    labels = folder / "gt" / LABELS if (folder / "gt" / LABELS).is_file() else None
    if (folder / images).is_dir():
        return Recording(folder.name, folder / images, folder / TRACKS, labels, length, declared)
    videos = [folder / name for name in list_folder(folder)[0] if is_video(Path(name))]
    if len(videos) != 1:
        found = shorten(content_of(folder))
        raise InputError(
            f"{folder}: a sequence must hold its images in {images}/ or one video, found {found}"
        )
    return Recording(folder.name, videos[0], folder / TRACKS, labels, 0, declared)


def check_tracks(recording: Recording) -> None:
    """Raise InputError if a recording has no tracks of a form that is read."""
    if not recording.tracks.exists():
        raise InputError(f"{recording.tracks}: {missing_tracks(recording.tracks, recording.video)}")


def missing_tracks(tracks: Path, video: Path) -> str:
    """A sentence on tracks that are not there, with what is there in their place."""
    names = content_of(tracks.parent) if tracks.parent.is_dir() else []
    others = [name for name in names if _is_beside(name, tracks.stem) and name != video.name]
    return (
        f"the tracks of {video.name} are missing: {', '.join(TEXTS)} of its name are read, and folders of"
        f" ultralytics' labels, got {shorten(others) if others else 'none'}"
    )


def _is_beside(name: str, stem: str) -> bool:
    """Whether a file may hold the tracks of a video: hall.json, hall_tracks.xml."""
    return re.fullmatch(rf"{re.escape(stem)}[._ -].*", name) is not None


def check_length(recording: Recording, last: int) -> None:
    """Raise InputError if seqinfo.ini promises far more frames than there are images."""
    if recording.length > 2 * last + _SPARE:
        path = recording.video.parent / "seqinfo.ini"
        raise InputError(
            f"{path}: seqLength must be the number of images, whose last is {last}, got {recording.length}"
        )


def _seqinfo(path: Path) -> tuple[str, int, tuple[int, int] | None]:
    """The folder of the images, their number, 0 where the file does not say, and their size."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        content = read_bytes(path, _INI_BYTES) if path.exists() else b"[Sequence]"
        if len(content) > _INI_BYTES:
            raise InputError(f"{path}: must be at most {_INI_BYTES} bytes long")
        parser.read_string(content.decode("utf-8-sig"))
        section = parser["Sequence"]
        length = section.getint("seqLength", 0)
        width, height = section.getint("imWidth", 0), section.getint("imHeight", 0)
    except (OSError, ValueError, KeyError, configparser.Error) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: must be an INI file with the section Sequence ({reason})") from error
    if length < 0:
        raise InputError(f"{path}: seqLength must be at least 1, got {length}")
    images = check_relative(str(path), section.get("imDir", "img1")).as_posix()
    return images, length, (width, height) if width and height else None


def _beside(text: Path) -> str:
    """What there is in place of the video of a tracks file."""
    files = list_folder(text.parent)[0]
    others = [name for name in files if Path(name).stem == text.stem and name != text.name]
    if not others:
        return "none"
    streams = [name for name in others if Path(name).suffix.lower() in STREAMS]
    if streams:
        return f"{streams[0]}, a stream whose frames cannot be counted: copy it into an .mp4 (ffmpeg -c copy)"
    return f"{shorten(others)}, which is no container that is read ({', '.join(VIDEOS)})"


def _unused(folder: Path, found: Iterable[Recording]) -> list[str]:
    """The files and folders that no recording uses, without those that are ignored everywhere."""
    used = set()
    for recording in found:
        for path in (recording.video, recording.tracks, recording.labels):
            if path is not None:
                used.add(path.relative_to(folder).parts[0])
    return [name for name in content_of(folder) if name not in used]
