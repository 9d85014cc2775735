"""A long film in segments, because decord holds all of a film's compressed data.

decord reads packets as fast as it can while its decoder works on the first of them, so its memory grows with
the file. Each segment is a file of its own, a copy of the film's packets, and starts where decoding may start
without a trace of what came before (:mod:`sttreid.data.clean_starts`), so its pixels are those of the film.
Films that offer no such place, or no timestamps, stay whole.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sttreid.data.clean_starts import CLEAN, CleanStarts
from sttreid.data.film_files import import_av, open_film
from sttreid.data.films import Film
from sttreid.runtime.errors import PlaceError

SEGMENT_BYTES: Final = 4 * 2**20
RATE: Final = 1000  # declared; decord opens no file whose length times rate is less than a frame, or unknown


def segments(path: Path, film: Film) -> Iterator[tuple[Path, int]]:
    """Files that follow each other, and the number of frames in each: the film itself if it is short.

    Of a file with several films, the copies hold the one that is examined. A file without its length in time,
    which decord does not open, is copied too.

    A file exists until the next one is asked for.

    Raises:
        PlaceError: the packets cannot be copied.
    """
    is_short = path.stat().st_size <= SEGMENT_BYTES and film.films == 1 and film.has_length
    if is_short or not has_segments(film):
        yield path, film.frames
        return
    av = import_av()
    with tempfile.TemporaryDirectory(prefix="sttreid-film-") as folder:
        try:
            yield from _write(path, Path(folder))
        except (av.FFmpegError, OSError, ValueError) as error:  # odd timestamps, a full disk
            reason = " ".join(str(error).split())
            rule = "cannot be handed to decord in segments"
            raise PlaceError(path, f"{rule} ({reason}): set decode.decoder to pyav") from error


def longest_segment(path: Path, film: Film) -> int:
    """About how many bytes the longest segment of a film has."""
    length = path.stat().st_size
    return min(length, SEGMENT_BYTES + film.stretch) if has_segments(film) else length


def has_segments(film: Film) -> bool:
    """Whether the film may be cut: Matroska needs timestamps, and a copy does not tell that it is turned."""
    return film.codec in CLEAN and film.times is not None and not film.turns


def _write(path: Path, folder: Path) -> Iterator[tuple[Path, int]]:
    av = import_av()
    output: Any = None
    number = count = length = 0
    segment = folder / "0.mkv"
    with open_film(path) as (container, stream):
        starts = CleanStarts(stream)
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if length > SEGMENT_BYTES and starts.include(packet):
                output.close()
                yield segment, count
                segment.unlink()  # the decoder may still have it open, so the next one is another file
                output, number = None, number + 1
                segment, count, length = folder / f"{number}.mkv", 0, 0
            if output is None:
                output = av.open(str(segment), "w", format="matroska")
                copy = output.add_stream_from_template(stream)
                copy.codec_context.framerate = RATE
            count, length = count + 1, length + packet.size
            packet.stream = copy
            output.mux(packet)
        output.close()
        yield segment, count
