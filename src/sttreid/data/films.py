"""What a video file says of itself, and whether it says the truth: read with PyAV before it is decoded.

Every packet is read, none is decoded but the first (and the keyframes, where the picture may change size).
That finds what decoders pass over in silence: FFmpeg leaves out damaged parts of a Matroska file and goes on
with the next one, so that every later frame has a wrong number; a film that was cut short simply ends; and
decord scales a picture that changes its size back to the first size.

decord reports the number of packets as the number of frames, and so does this module.
"""

import math
import struct
from array import array
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sttreid.data.clean_starts import CleanStarts
from sttreid.data.container_structure import first_fault
from sttreid.data.film_files import count_films, import_av, open_film
from sttreid.data.picture_sizes import Sizes
from sttreid.data.tracks.numbers import real
from sttreid.runtime.errors import PlaceError

UNREADABLE: Final = "cannot be opened as a video"
NOT_VIDEO: Final = frozenset({"ansi", "bintext", "idf", "xbin"})  # FFmpeg's picture of a text file
LIST: Final = "concat"  # FFmpeg's name of a text that names films: no checksum would cover them
VP8: Final = frozenset({"vp8", "libvpx"})
REORDERED: Final = 16  # frames that a decoder may hold back at most, to bring them into order
UNTIMED: Final = -(2**63)  # FFmpeg's AV_NOPTS_VALUE
GAP: Final = 1.5  # a longer step than this many medians is a hole, in a film that is damaged anyway


@dataclass(frozen=True, eq=False)
class Film:
    """A video file.

    Attributes:
        frames: how many it holds, or, if it was cut short, promises.
        readable: how many of them, from the first on, are certainly in their place.
        damage: why the others are not; None: all are readable.
        turns: quarter turns against the clock that make a decoded frame upright.
        kind: FFmpeg's name of the container.
        times: timestamps of the frames in their order; None where the file lacks them.
        codec: FFmpeg's name of the codec.
        misread: why decord would put its frames in the wrong place; None: it does not.
        pixels: FFmpeg's name of the format of the pixels.
        stretch: bytes of the longest part between places where decoding may start without a trace of what
            came before.
        has_length: whether the container gives its length in time; recorders that cannot go back do not.
        films: number of films in the file; only the one that players show is read.
        lost: frames of the first group that nobody shows, as they need frames before it; they do not count.
    """

    frames: int
    readable: int
    damage: str | None
    turns: int
    kind: str
    times: NDArray[np.int64] | None
    codec: str
    misread: str | None
    pixels: str | None
    stretch: int
    has_length: bool = True
    films: int = 1
    lost: int = 0


def examine(path: Path) -> Film:
    """Read the packets of a video; a second call reads them again only if the file has changed.

    Raises:
        PlaceError: the file is missing or no video; is mirrored or rotated by an angle that is no multiple of
            90 degrees.
        InputError: PyAV is not installed.
    """
    if not path.is_file():
        raise PlaceError(path, "the video is missing")
    status = path.stat()
    return _examine(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _examine(path: Path, length: int, changed: int) -> Film:  # noqa: ARG001
    av = import_av()
    try:
        with open_film(path) as (container, stream):
            if container.format.name == LIST:
                raise PlaceError(path, "the video must hold its frames, but is a list of other files")
            if stream is None or stream.codec_context is None or stream.codec_context.name in NOT_VIDEO:
                raise PlaceError(path, f"{UNREADABLE} (it holds no film, or one of an unknown codec)")
            packets = _read_packets(av, path, container, stream)
            codec, pixels = str(stream.codec_context.name), stream.codec_context.pix_fmt
            promised = _promised(container, stream)
            kind, films = container.format.name, count_films(container)
            has_length = container.duration is not None
            tag = {name.lower(): value for name, value in stream.metadata.items()}.get("rotate", "")
    except PlaceError:
        raise
    except (av.FFmpegError, ValueError) as error:
        raise PlaceError(path, f"{UNREADABLE} (it is cut short, damaged or no video)") from error
    if not packets.times:
        raise PlaceError(path, f"{UNREADABLE} (it holds no frame)")
    first, turns = _first_frame(path)
    _check_turn(path, tag, turns)
    lost = packets.leave_out_before(first)
    readable, damage = _damage(path, packets, promised)
    frames = max(len(packets.times), promised if damage else 0)
    return Film(
        frames=frames,
        readable=readable,
        damage=damage,
        turns=turns,
        kind=kind,
        times=packets.order(),
        codec=codec,
        misread=_misread(kind, packets),
        pixels=pixels,
        stretch=packets.stretch,
        has_length=has_length,
        films=films,
        lost=lost,
    )


class _Packets:
    """What is kept of the packets of a film, in the file's order."""

    def __init__(self) -> None:
        self.times = array("q")  # UNTIMED where unknown
        self.places = array("q")  # byte in the file; -1 where unknown
        self.broken: int | None = None  # the first one that the file does not hold whole
        self.timed = True  # AVI has no timestamps; FFmpeg counts the packets, also where frames are reordered
        self.starts_with_key: bool | None = None  # None: there is no packet yet
        self.hidden = 0  # packets that are decoded and not shown
        self.sizes: str | None = None  # how the size of the picture changes
        self.resized: int | None = None  # timestamp of the first frame of another size
        self.stretch = 0  # as of Film

    def leave_out_before(self, first: int | None) -> int:
        """Leave out what precedes the first keyframe in time, if that is the first frame that is shown.

        Films that were cut without re-encoding begin so, and recordings of broadcasts: such frames need
        frames before the cut, so no player or tracker shows them.

        Args:
            first: timestamp of the first decoded frame; None: unknown.

        Returns:
            How many frames were left out.
        """
        times = np.array(self.times, np.int64)
        needed = times >= self.times[0]
        if self.order() is None or not self.starts_with_key or self.hidden or first != self.times[0]:
            return 0
        if self.broken is not None:
            self.broken -= int((~needed[: self.broken]).sum())
        self.times = array("q", times[needed].tolist())
        self.places = array("q", np.array(self.places, np.int64)[needed].tolist())
        return int((~needed).sum())

    def order(self) -> NDArray[np.int64] | None:
        """The timestamps by frame; None if some are missing or equal, or are not those of the frames."""
        order = np.sort(np.array(self.times, np.int64))
        is_whole = len(order) and order[0] != UNTIMED and (np.diff(order) > 0).all()
        return order if self.timed and is_whole else None

    def in_place(self, bad: NDArray[np.bool_]) -> int:
        """How many frames precede the first bad packet, and the first hole near it, in the film's order."""
        order = self.order()
        if order is None:
            first = int(np.argmax(bad)) if bad.any() else len(bad)
            return max(0, first - REORDERED)
        bad_times = np.array(self.times, np.int64)[bad]
        good = int(np.searchsorted(order, bad_times.min())) if len(bad_times) else len(order)
        steps = np.diff(order)
        start = max(0, good - 2 * REORDERED)
        holes = (
            np.flatnonzero(steps[start : good - 1] > GAP * np.median(steps)) if len(steps) else np.array([])
        )
        return start + int(holes[0]) + 1 if len(holes) else good


def _read_packets(av: Any, path: Path, container: Any, stream: Any) -> _Packets:
    packets, sizes, starts, stretch = _Packets(), Sizes(stream), CleanStarts(stream), 0
    packets.timed = container.format.name != "avi" or not stream.codec_context.has_b_frames
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packets.starts_with_key is None:  # of a trimmed film, the first packets may be hidden
                packets.starts_with_key = bool(packet.is_keyframe)
            if packet.is_corrupt and packets.broken is None:
                packets.broken = len(packets.times)
            if packet.is_keyframe:
                sizes.see(packet)
            stretch = packet.size if starts.include(packet) else stretch + packet.size
            packets.stretch = max(packets.stretch, stretch)
            if packet.is_discard or (stream.codec_context.name in VP8 and not bytes(packet)[0] & 0x10):
                packets.hidden += 1
                continue
            packets.times.append(UNTIMED if packet.pts is None else packet.pts)
            packets.places.append(-1 if packet.pos is None else packet.pos)
    except av.FFmpegError:
        packets.broken = len(packets.times)
    if sizes.may_change:
        packets.sizes, packets.resized = sizes.decode(path)
    return packets


def _promised(container: Any, stream: Any) -> int:
    """The number of frames that the header announces, about; 0 if it does not.

    It is used only where a film is known to be damaged: a sound one may hide frames.
    """
    if stream.frames or "matroska" not in container.format.name:
        return int(stream.frames)
    if container.duration is None or not stream.average_rate:
        return 0
    return int(float(stream.average_rate) * container.duration / 1_000_000 + 0.5)


def _misread(kind: str, packets: _Packets) -> str | None:
    if kind in ("mpegts", "mpeg"):
        return "decord loses frames of MPEG streams: set decode.decoder to pyav, or re-encode it"
    if packets.hidden:
        rule = "decord counts frames that the file hides (an edit list, or reference frames of VP8)"
        return f"{rule}: set decode.decoder to pyav, or re-encode it"
    return None


def _damage(path: Path, packets: _Packets, promised: int) -> tuple[int, str | None]:
    """How many frames are in place, and the reason why not all of them are."""
    count = len(packets.times)
    places = np.array(packets.places)
    bad = np.zeros(count, bool)
    fault = first_fault(path)
    of_all = f" of {promised}" if promised > count else ""
    if not packets.starts_with_key and packets.broken != 0:
        rule = "the film must start with a keyframe, but was cut without re-encoding"
        return 0, f"{rule}: the first frames are lost, so none has its number"
    if packets.sizes is not None:
        if packets.resized is not None and packets.order() is not None:
            bad = np.array(packets.times) >= packets.resized
        same = packets.in_place(bad) if bad.any() else 0
        return same, f"{packets.sizes}: only its first {same} frames are used"
    if fault is not None:
        bad = places >= fault.byte
        bad[-1] |= not fault.exact
    if packets.broken is not None:
        bad[packets.broken :] = True
    if fault is None and packets.broken is None:
        return count, None
    readable = packets.in_place(bad)
    first = f"only its first {readable}{of_all} frames"
    if fault is not None and not fault.at_end:
        return readable, f"the film is damaged at byte {fault.byte:,}: {first} are certainly in their place"
    return readable, f"the film is cut short: {first} can be read"


def _first_frame(path: Path) -> tuple[int | None, int]:
    """Timestamp of the first frame, and quarter turns that make it upright; None and 0 if it has none."""
    av = import_av()
    try:
        with open_film(path) as (container, stream):
            frame = next(container.decode(stream))
            matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    except (av.FFmpegError, StopIteration):  # the decoder reports what is wrong
        return None, 0
    return frame.pts, 0 if matrix is None else _turns(path, bytes(matrix))


def _turns(path: Path, matrix: bytes) -> int:
    """Quarter turns by the matrix of a frame: [x y] is shown at [x y] [[a, b], [c, d]]."""
    a, b, _, c, d, *_ = (number / 65536 for number in struct.unpack("9i", matrix))
    if (a, b) != (d, -c) or sorted((abs(a), abs(b))) != [0, 1]:
        raise PlaceError(
            path,
            "the video must be shown upright or rotated by 90, 180 or 270 degrees, but it is mirrored"
            f" or rotated by another angle (display matrix {(a, b, c, d)}): re-encode it",
        )
    return round(math.atan2(-b, a) / (math.pi / 2)) % 4


def _check_turn(path: Path, tag: str, turns: int) -> None:
    """Refuse a turn that trackers may see or not: OpenCV and players follow the container's matrix alone.

    A tag was followed by FFmpeg before version 5, which wrote it into Matroska, and so is by decord.
    """
    angle = real(tag)
    if angle is not None and (angle + 90 * turns) % 360 != 0:
        where, remedy = f"tag rotate={tag}", "remove the tag"
    elif turns and _is_turned_inside(path):
        where, remedy = "own mark (display orientation)", "remove it (ffmpeg -bsf:v h264_metadata)"
    else:
        return
    rule = f"programs must agree whether the video is turned, but only some follow its {where}"
    raise PlaceError(path, f"{rule}: {remedy}, or re-encode it")


def _is_turned_inside(path: Path) -> bool:
    """Whether the film of H.264 or HEVC itself says that it is turned, without its container."""
    av = import_av()
    try:
        with open_film(path) as (container, stream):
            decoder = av.CodecContext.create(stream.codec_context.name, "r")
            decoder.extradata = stream.codec_context.extradata
            frame = next(frame for packet in container.demux(stream) for frame in decoder.decode(packet))
            return frame.side_data.get("DISPLAYMATRIX") is not None
    except (av.FFmpegError, StopIteration):  # the decoder reports what is wrong
        return False
