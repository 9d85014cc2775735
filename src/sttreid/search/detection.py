"""Videos without tracks -> tracks files: a detector finds people in each frame, a tracker joins the boxes.

The tracker is that of the package norfair-enough: a Kalman filter per track, boxes matched by their overlap,
as in SORT (Bewley et al., "Simple online and realtime tracking", ICIP 2016). Frames and boxes stream: memory
holds one frame, the tracks that are followed, and a number per track. Equal boxes give equal tracks.
"""

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from sttreid.config.conversion import parse
from sttreid.config.datasets import Decoder
from sttreid.config.track_format import TrackFormat
from sttreid.data.camera_frames import list_image_sequence, read_frames
from sttreid.data.camera_videos import Camera
from sttreid.data.videos import count_frames
from sttreid.runtime.errors import InputError, PlaceError
from sttreid.runtime.files import read_json, write_bytes, write_json
from sttreid.search.detectors import Detector, DetectorSource, code_of, detect, load_detector
from sttreid.search.frame_times import seconds_per_frame
from sttreid.search.recordings import state_of

LOST: Final = 1.0  # seconds without a box after which a track ends
SHORTEST: Final = 1.0  # seconds with boxes that a track needs
FEWEST: Final = 3  # boxes that it needs where a second has fewer frames
APART: Final = 0.7  # 1 - intersection over union of two boxes that cannot be of one track

Box = NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """What was found in one film.

    Attributes:
        frames: that were searched.
        detections: boxes of the detector.
        tracks: that have enough boxes.
        boxes: of these tracks.
    """

    frames: int
    detections: int
    tracks: int
    boxes: int

    def __str__(self) -> str:
        """The counts in words."""
        return (
            f"{self.frames:,} frames, {self.detections:,} detections, {self.tracks:,} tracks with"
            f" {self.boxes:,} boxes"
        )


def detect_tracks(
    videos: Sequence[Path],
    source: DetectorSource,
    folder: Path,
    parts: Path,
    tell: Callable[[str], None] | None = None,
    decoder: Decoder = "decord",
) -> list[Path]:
    """Write the tracks of each video, named as the video, in the format of MOTChallenge results.

    Args:
        videos: video files, or folders of images that are named by their frame numbers; their names differ.
        source: the detector, as for :func:`sttreid.search.detectors.load_detector`.
        folder: of the tracks; is created, and files of these names are replaced.
        parts: a folder for the tracks of finished videos, for a run that resumes. Only a detector that is
            given by its name is known again in another run.
        tell: is called with the counts of each video.
        decoder: of the videos.

    Raises:
        InputError: a video is missing or damaged, two have one name; the detector cannot be loaded, breaks
            its rules or cannot be used for a film; or no video shows anybody for long enough.
    """
    stems = [_stem(video) for video in videos]
    for video, stem in zip(videos, stems, strict=True):
        if stems.count(stem) > 1:
            raise InputError(f"{video}: the tracks of each video need a name of their own, got {stem} twice")
        _numbers(video)  # an error now, not after the first film
    make = load_detector(source)
    files, counts = [folder / f"{stem}.txt" for stem in stems], []
    for video, file in zip(videos, files, strict=True):
        found = _find_or_resume(video, source, make, parts, file, decoder)
        counts.append(found)
        if tell is not None:
            tell(f"{video}: {found}: {file}")
    if not any(found.tracks for found in counts):
        raise InputError(
            f"{videos[0]}: the detector must find a person for at least {SHORTEST:g} s in one of the videos,"
            f" got {counts[0]}"
        )
    return files


def _find_or_resume(
    video: Path,
    source: DetectorSource,
    make: Callable[[], Detector],
    parts: Path,
    tracks: Path,
    decoder: Decoder,
) -> Found:
    """Write the tracks of one video, unless an interrupted run has found them."""
    if not isinstance(source, str):
        return find_tracks(video, make(), tracks, decoder)
    content = [video.name, state_of(video), source, code_of(source), decoder]
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
    part, counts = parts / f"{key}.txt", parts / f"{key}.json"  # the latter is written last
    if not counts.exists():
        write_json(counts, asdict(find_tracks(video, make(), part, decoder)))
    try:
        write_bytes(tracks, part.read_bytes())
    except OSError as error:
        raise InputError(f"{tracks}: cannot be written ({error.strerror or error})") from error
    return parse(Found, read_json(counts), str(counts))


def format_of(video: Path) -> TrackFormat:
    """How the tracks that were found in a video are written.

    Frames of images keep the numbers of their names, as where these tracks are given; only 0 is none.
    """
    first = _numbers(video)[0]
    return TrackFormat(flavour="mot_results", first_frame=first if first < 2 else None)


def find_tracks(video: Path, detector: Detector, tracks: Path, decoder: Decoder = "decord") -> Found:
    """Write the tracks of one video; the tracks are numbered from 1, by their first frame.

    Frames are numbered from 1, or as the images of a folder are named.

    Raises:
        InputError: as :func:`detect_tracks`.
    """
    numbers, seconds = _numbers(video), seconds_per_frame(video)
    tracker = Tracker(max(1, round(LOST / seconds)))
    fewest = max(FEWEST, round(SHORTEST / seconds))
    lengths: Counter[int] = Counter()
    frames = detections = 0
    raw = tracks.with_name(f".{tracks.name}.{os.getpid()}.tmp")
    try:
        tracks.parent.mkdir(parents=True, exist_ok=True)
        with raw.open("w") as file:
            for number, frame in _frames(video, numbers, decoder):
                boxes = detect(detector, frame, video, number)
                frames, detections = frames + 1, detections + len(boxes)
                for track, (left, top, right, bottom, confidence) in tracker.update(boxes):
                    lengths[track] += 1
                    box = f"{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f},{confidence:.4g}"
                    file.write(f"{number},{track},{box},-1,-1,-1\n")
        kept = [track for track, count in lengths.items() if count >= fewest]
        _renumber(raw, tracks, {track: number for number, track in enumerate(kept, 1)})
    except OSError as error:
        raise InputError(f"{tracks}: cannot be written ({error.strerror or error})") from error
    finally:
        raw.unlink(missing_ok=True)
    return Found(frames, detections, len(kept), sum(lengths[track] for track in kept))


def _renumber(raw: Path, tracks: Path, numbers: dict[int, int]) -> None:
    """Copy the lines of the tracks that have a number, with this number."""
    temporary = tracks.with_name(f".{tracks.name}.{os.getpid()}.new.tmp")
    try:
        with raw.open() as source, temporary.open("w") as target:
            for line in source:
                frame, track, rest = line.split(",", 2)
                if int(track) in numbers:
                    target.write(f"{frame},{numbers[int(track)]},{rest}")
        temporary.replace(tracks)
    finally:
        temporary.unlink(missing_ok=True)


def _frames(video: Path, numbers: Sequence[int], decoder: Decoder) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """All frames with their numbers."""
    start, last = numbers[0], numbers[-1]
    camera = Camera(1, video, video, last - start + 1, start=start)
    wanted = [number - start + 1 for number in numbers] if video.is_dir() else [last]  # a film gives all
    with tqdm(total=len(numbers), desc=f"detect {video.name}", unit="frame", disable=None) as bar:
        for place, frame in read_frames(camera, wanted, decoder):
            if isinstance(frame, PlaceError):
                raise frame
            yield place + start - 1, frame
            bar.update()


def _numbers(video: Path) -> Sequence[int]:
    """Of the frames: as the images are named, or from 1."""
    return list(list_image_sequence(video)) if video.is_dir() else range(1, count_frames(video) + 1)


def _stem(video: Path) -> str:
    return video.name if video.is_dir() else video.stem


class Tracker:
    """Joins the boxes of successive frames.

    Args:
        patience: frames without a box after which a track ends; a young track ends earlier.

    Raises:
        InputError: the package norfair-enough is not installed.
    """

    def __init__(self, patience: int) -> None:
        try:
            import norfair
        except ImportError as error:
            raise InputError(
                f"joining boxes to tracks needs norfair-enough, which cannot be imported ({error}):"
                " pip install 'sttreid[detect]'"
            ) from error
        logging.getLogger("norfair").setLevel(logging.ERROR)  # it warns of predicted boxes that have no area
        self._detection: Any = norfair.Detection
        self._tracker: Any = norfair.Tracker(
            "iou", APART, patience, initialization_delay=0, past_detections_length=0
        )
        self._frame = 0

    def update(self, boxes: Box) -> Iterator[tuple[int, Box]]:
        """The tracks that have a box in the next frame.

        Args:
            boxes: [N, 5], the first four columns are left, top, right, bottom.

        Yields:
            Number of the track, and its box [5].
        """
        self._frame += 1
        given = [self._detection(box[:4].reshape(2, 2), data=(self._frame, box)) for box in boxes]
        for followed in self._tracker.update(given):
            frame, box = followed.last_detection.data
            if frame == self._frame:
                yield followed.id, box
