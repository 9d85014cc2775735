"""Videos with their tracks -> a gallery.

Each video is decoded once, from its first frame to the last box. Memory does not grow with the film, apart
from the table of its boxes. A finished video is kept as a part of the gallery, so that an interrupted run
resumes with the next one.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, get_args

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from sttreid.config.datasets import Decoder
from sttreid.config.track_format import TrackFormat
from sttreid.data.camera_frames import Frame, read_frames
from sttreid.data.camera_videos import Camera
from sttreid.data.crops import crop
from sttreid.inference import BATCH
from sttreid.model.network import Network
from sttreid.runtime.errors import InputError, PlaceError
from sttreid.search import strips
from sttreid.search.averaging import ClipAverager
from sttreid.search.detection import detect_tracks, format_of
from sttreid.search.detectors import DetectorSource
from sttreid.search.frame_times import frame_times
from sttreid.search.gallery import Gallery, ModelReference, concatenate, empty_table
from sttreid.search.recordings import (
    Footage,
    Recording,
    describe_tracklets,
    mark_cut_boxes,
    pair_up,
    read_recordings,
    split_tracks,
    state_of,
)


@dataclass(frozen=True)
class EmbedSettings:
    """How videos are embedded.

    Attributes:
        images: whether the gallery holds film strips.
        max_frame_gap: a track whose next box is more frames later becomes two tracklets; None: never.
        batch: clips that are embedded at once.
        tracks: what is known about the tracks files; the rest is detected.
        decoder: of the films.
    """

    images: bool = True
    max_frame_gap: int | None = None
    batch: int = BATCH
    tracks: TrackFormat = field(default_factory=TrackFormat)
    decoder: Decoder = "decord"

    def __post_init__(self) -> None:
        """Raises InputError: a number is below 1, or there is no such decoder."""
        if self.decoder not in get_args(Decoder):
            raise InputError(f"the decoder must be {' or '.join(get_args(Decoder))}, got {self.decoder!r}")
        for name in ("max_frame_gap", "batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")


def embed_videos(
    model: Network,
    videos: Sequence[Path | str],
    tracks: Sequence[Path | str] = (),
    cameras: Sequence[str] = (),
    *,
    detect: DetectorSource | None = None,
    detected: Path | None = None,
    settings: EmbedSettings | None = None,
    workers: int = 1,
    parts: Path | None = None,
    name: str = "model",
    tell: Callable[[str], None] | None = None,
) -> Gallery:
    """Embed all tracklets of several videos.

    Args:
        model: a model from :func:`sttreid.load_model`.
        videos: video files, or folders of images that are named by their frame numbers; their names differ.
        tracks: their tracks files, in the same order; none: CAM1.txt beside CAM1.mp4.
        cameras: names of their cameras; none: the names of the videos.
        detect: finds people in videos that have no tracks (:func:`sttreid.search.detectors.load_detector`):
            an object with the method ``detect``, a class of such objects, or ``motion`` for fixed cameras.
        detected: a folder for the tracks that ``detect`` gives; None: they are not kept.
        settings: how they are embedded; None: the defaults.
        workers: processes, each with one video at a time.
        parts: a folder for the finished videos, for a run that resumes; None: a temporary one.
        name: of the model, in the gallery.
        tell: is called with each sentence on how the tracks were found and read, and each warning.

    Raises:
        InputError: a file is missing, damaged or breaks a rule of its format, tracks belong to another film,
            there is no box at all, or an embedding is not finite; ``detect`` fails, or finds nobody.
    """
    settings = settings or EmbedSettings()
    films, given = [Path(v) for v in videos], [Path(t) for t in tracks]
    if detect is not None and (given or settings.tracks != TrackFormat()):
        raise InputError("tracks are given or detected: detect allows neither tracks files nor their format")
    recordings = pair_up(films, given if detect is None else films, cameras)
    reference = refer_to(model, name)
    with TemporaryDirectory(prefix="sttreid-") as temporary:
        folder = parts or Path(temporary)
        if detect is not None:
            place = detected or Path(temporary) / "tracks"
            found = detect_tracks(films, detect, place, folder, tell, settings.decoder)
            recordings = tuple(replace(one, tracks=file) for one, file in zip(recordings, found, strict=True))
        footage = _read(recordings, settings.tracks, detect is not None)
        for sentence in chain.from_iterable(one.remarks for one in footage):
            if tell is not None:
                tell(sentence)
        files = [folder / f"{_key(one, reference, settings)}.parquet" for one in footage]
        missing = [(one, file) for one, file in zip(footage, files, strict=True) if not file.exists()]
        _embed_missing(model, reference, missing, settings, workers)
        gallery = concatenate([replace_name(Gallery.read(file, may_be_empty=True), name) for file in files])
    if not len(gallery):
        raise InputError(f"{recordings[0].tracks}: tracks must hold at least one box, got none in any video")
    return gallery


def _read(recordings: Sequence[Recording], formats: TrackFormat, detected: bool) -> tuple[Footage, ...]:
    """The recordings with their tracks, whose format is known where they were detected."""
    if not detected:
        return read_recordings(recordings, formats)
    return tuple(read_recordings([one], format_of(one.video))[0] for one in recordings)


def refer_to(model: Network, name: str) -> ModelReference:
    """The reference of a network; its sha256 is that of its weights, whatever the format of its file."""
    digest = hashlib.sha256()
    for key, value in sorted(model.state_dict().items()):
        array = value.detach().cpu().contiguous().numpy()
        digest.update(f"{key} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    height, width = model.image_size
    with torch.inference_mode():
        device = next(model.parameters()).device
        clip = torch.zeros((1, model.frames, 3, height, width), device=device)
        dimensions = model.encode(clip).shape[1]
    return ModelReference(name, digest.hexdigest(), height, width, model.frames, int(dimensions))


def replace_name(gallery: Gallery, name: str) -> Gallery:
    """The gallery with another name of its model."""
    return replace(gallery, model=replace(gallery.model, name=name))


def _key(footage: Footage, reference: ModelReference, settings: EmbedSettings) -> str:
    """What decides the rows of a video: the film, its boxes, the model and the settings.

    The boxes, not the bytes of their file: how a file is read also depends on the others of its writer.
    """
    boxes = pd.util.hash_pandas_object(footage.boxes, index=False).to_numpy()
    content: dict[str, Any] = {
        "model": reference.sha256,
        "video": [footage.recording.video.name, state_of(footage.recording.video)],
        "boxes": hashlib.sha256(boxes.tobytes()).hexdigest(),
        "start": footage.camera.start,
        "camera": footage.recording.camera,
        "settings": asdict(settings),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


Missing = Sequence[tuple[Footage, Path]]


def _embed_missing(
    model: Network, reference: ModelReference, missing: Missing, settings: EmbedSettings, workers: int
) -> None:
    """Write the part of each video."""
    if workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    for folder in {file.parent for _, file in missing}:
        make_folder(folder)
    if min(workers, len(missing)) <= 1:
        for footage, file in missing:
            embed_footage(model, reference, footage, settings).write(file)
        return
    device = next(model.parameters()).device
    start = (model.cpu(), reference, settings, str(device))
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start, initargs=start)
    try:
        tasks = [pool.submit(_work, footage, file) for footage, file in missing]
        bar = tqdm(as_completed(tasks), "embed", len(tasks), unit="video", disable=None)
        for task in bar:
            sentence = task.result()
            if sentence is not None:
                raise InputError(sentence)
    finally:
        pool.shutdown(cancel_futures=True)
        model.to(device)


def make_folder(folder: Path) -> None:
    """Make the folder of the parts before hours of work.

    Raises:
        InputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error})") from error


_STATE: Final[dict[str, Any]] = {}  # of a worker


def _start(model: Network, reference: ModelReference, settings: EmbedSettings, device: str) -> None:
    torch.set_num_threads(1)
    _STATE.update(model=model.to(torch.device(device)).eval(), reference=reference, settings=settings)


def _work(footage: Footage, file: Path) -> str | None:
    """Write a part; returns the sentence of an error, because not every error survives pickling."""
    try:
        embed_footage(_STATE["model"], _STATE["reference"], footage, _STATE["settings"]).write(file)
    except InputError as error:
        return str(error)
    return None


def embed_footage(
    model: Network, reference: ModelReference, footage: Footage, settings: EmbedSettings
) -> Gallery:
    """The tracklets of one video; perhaps none.

    Raises:
        InputError: as :func:`embed_videos`.
    """
    recording, camera, boxes = footage.recording, footage.camera, footage.boxes
    if boxes.empty:
        return Gallery(empty_table(), np.empty((0, reference.dimensions), np.float32), reference)
    frames = _frames(camera, boxes, settings.decoder)
    first = next(frames)
    boxes = mark_cut_boxes(boxes, first[1].shape[1], first[1].shape[0])
    boxes = split_tracks(boxes, settings.max_frame_gap)
    table = describe_tracklets(boxes, recording, frame_times(recording.video))
    averager = ClipAverager(model, settings.batch)
    pictures = _add_crops(averager, chain([first], frames), boxes, table, model.image_size, settings.images)
    names = (table["video"] + ":" + table["track"] + "@" + table["first"].astype(str)).tolist()
    return Gallery(table, averager.finish(names), reference, pictures)


def _frames(camera: Camera, boxes: pd.DataFrame, decoder: Decoder) -> Iterator[tuple[int, Frame]]:
    """The frames that have boxes, and perhaps others, in order."""
    wanted = set(boxes["frame"].tolist())
    last = max(wanted)
    with tqdm(total=last, desc=f"embed {camera.video.name}", unit="frame", disable=None) as bar:
        for number, frame in read_frames(camera, wanted, decoder):
            bar.update(number - bar.n)
            if isinstance(frame, PlaceError):
                raise frame
            yield number, frame
            if number == last:
                return


def _add_crops(
    averager: ClipAverager,
    frames: Iterator[tuple[int, Frame]],
    boxes: pd.DataFrame,
    table: pd.DataFrame,
    size: tuple[int, int],
    images: bool,
) -> tuple[bytes, ...]:
    """Give all crops to the averager; returns the film strips."""
    numbers = boxes["frame"].to_numpy()
    values = boxes[["left", "top", "width", "height"]].to_numpy(np.float64)
    owners, order = boxes["tracklet"].to_numpy(), boxes["place"].to_numpy()
    lengths = table["boxes"].tolist()
    pictures: dict[int, list[Frame]] = {}
    strip: list[bytes] = [b""] * len(table) if images else []
    for number, frame in frames:
        for row in range(*np.searchsorted(numbers, [number, number + 1])):
            box = tuple(values[row].tolist())
            tracklet, place = int(owners[row]), int(order[row])
            averager.add(tracklet, crop(frame, box, *size))
            if images and place in strips.places(lengths[tracklet]):
                pictures.setdefault(tracklet, []).append(strips.image(frame, box))
            if place == lengths[tracklet] - 1:
                averager.end(tracklet)
                if images:
                    strip[tracklet] = strips.join(pictures.pop(tracklet))
    return tuple(strip)
