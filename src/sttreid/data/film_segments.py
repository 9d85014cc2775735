"""A long film in segments, because decord holds all of a film's compressed data.

decord reads packets as fast as it can while its decoder works on the first of them, so its memory grows with
the file. Each segment is a file of its own, a copy of the film's packets, and starts where decoding may start
without a trace of what came before (:func:`_clean`), so its pixels are those of the film. Films that offer no
such place, or no timestamps, stay whole: decord's memory then includes their size.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from sttreid.data.films import Film, import_av
from sttreid.data.nal_units import length_bytes, nal_units
from sttreid.runtime.errors import PlaceError

SEGMENT_BYTES: Final = 32 * 2**20
H264_IDR: Final = 5
HEVC_IDR: Final = (19, 20)


def segments(path: Path, film: Film) -> Iterator[tuple[Path, int]]:
    """Files that follow each other, and the number of frames in each: the film itself if it is short.

    A file exists until the next one is asked for.

    Raises:
        PlaceError: the packets cannot be copied.
    """
    clean = CLEAN.get(film.codec)
    if path.stat().st_size <= SEGMENT_BYTES or clean is None or film.times is None or film.turns:
        yield path, film.frames
        return
    av = import_av()
    with tempfile.TemporaryDirectory(prefix="sttreid-film-") as folder:
        try:
            yield from _write(path, Path(folder) / "segment.mkv", clean)
        except (av.FFmpegError, OSError, ValueError) as error:  # odd timestamps, a full disk
            reason = " ".join(str(error).split())
            rule = "cannot be handed to decord in segments"
            raise PlaceError(path, f"{rule} ({reason}): set decode.decoder to pyav") from error


def _write(path: Path, segment: Path, clean: Callable[[bytes, int], bool]) -> Iterator[tuple[Path, int]]:
    av = import_av()
    output: Any = None
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        prefix = length_bytes(stream)
        count = length = 0
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if length > SEGMENT_BYTES and packet.is_keyframe and clean(bytes(packet), prefix):
                output.close()
                yield segment, count
                output, count, length = None, 0, 0
            if output is None:
                output = av.open(str(segment), "w", format="matroska")
                copy = output.add_stream_from_template(stream)
            count, length = count + 1, length + packet.size
            packet.stream = copy
            output.mux(packet)
        output.close()
        yield segment, count


def _clean_h264(packet: bytes, prefix: int) -> bool:
    return any(unit[0] & 0x1F == H264_IDR for unit in nal_units(packet, prefix))


def _clean_hevc(packet: bytes, prefix: int) -> bool:
    return any(unit[0] >> 1 & 0x3F in HEVC_IDR for unit in nal_units(packet, prefix))


def _always(_: bytes, __: int) -> bool:
    return True


CLEAN: Final[dict[str, Callable[[bytes, int], bool]]] = {
    "h264": _clean_h264,
    "hevc": _clean_hevc,
    "mjpeg": _always,
    "vp8": _always,
    "vp9": _always,
}
