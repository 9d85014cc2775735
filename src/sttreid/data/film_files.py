"""Files with films as PyAV opens them: all modules that read one agree on the file and on the film in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sttreid.runtime.errors import InputError


def import_av() -> Any:
    """PyAV.

    Raises:
        InputError: it is not installed.
    """
    try:
        import av
    except (ImportError, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"PyAV is needed to read videos, but cannot be imported ({reason}):"
            " pip install 'sttreid[pipeline]'"
        ) from error
    return av


@contextmanager
def open_film(path: Path) -> Iterator[tuple[Any, Any]]:
    """An open container, and the stream of the film that players show; None: the file holds no film.

    Raises:
        InputError: PyAV is not installed.
        FFmpegError: of PyAV; the file cannot be opened.
    """
    with import_av().open(ffmpeg_name(path)) as container:
        stream = container.streams.best("video")
        yield container, None if stream is None or _is_cover(stream) else stream


def ffmpeg_name(path: Path) -> str:
    """The path for FFmpeg, which takes the beginning of a name such as ``cam:1.mp4`` for a protocol."""
    return str(path.absolute())


def count_films(container: Any) -> int:
    """Cameras with two lenses or a preview write several films into a file."""
    return sum(not _is_cover(stream) for stream in container.streams.video)


def _is_cover(stream: Any) -> bool:
    """Whether it is the picture of a piece of music."""
    return bool(stream.disposition.value & import_av().stream.Disposition.attached_pic.value)
