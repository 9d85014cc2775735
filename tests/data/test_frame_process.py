import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from sttreid.data import frame_process
from sttreid.data.frame_process import process_frames
from sttreid.runtime.errors import DecodeError, InputError, PlaceError

HEAD = """
import os, threading, time
from pathlib import Path
import numpy as np
from sttreid.runtime.errors import DecodeError, InputError, PlaceError

def image(number, height=300, width=400):
    return np.full((height, width, 3), number, np.uint8)

def frames(path, expected):
"""
Decoder = Callable[[str], str]


@pytest.fixture
def decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Decoder:
    """Write the module of a decoder."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(body: str) -> str:
        (tmp_path / "my_decoder.py").write_text(HEAD + body)
        return "my_decoder"

    return write


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_frames_come_in_order_and_in_separate_memory(decoder: Decoder) -> None:
    module = decoder("    for number in range(expected): yield image(number)")
    output = list(process_frames(module, [(Path("a.mp4"), 250)]))
    assert [frame[0, 0, 0] for frame in output] == list(range(250))
    assert all((frame == frame[0, 0]).all() and frame.shape == (300, 400, 3) for frame in output)
    assert output[0].flags.writeable


def test_frames_share_memory_only_with_those_that_nobody_has_any_more(decoder: Decoder) -> None:
    module = decoder("    for number in range(expected): yield image(number)")
    corners = []
    for number, frame in enumerate(process_frames(module, [(Path("a.mp4"), 250)])):
        if number % 10 == 0:
            corners.append((number, frame[:1, :2]))  # a view of a part keeps all of its frame
        assert all((corner == value).all() for value, corner in corners)
        assert (frame == number).all()
    assert len(corners) == 25


def test_several_films_come_from_one_process_each_after_the_one_before(
    decoder: Decoder, tmp_path: Path
) -> None:
    module = decoder(
        """
    with Path("processes").open("a") as file: file.write(f"{os.getpid()}\\n")
    value = int(path.read_text())
    path.unlink()
    for number in range(expected): yield image(value + number)
""".replace('"processes"', repr(str(tmp_path / "processes")))
    )

    def films() -> Iterator[tuple[Path, int]]:
        for value in (10, 20, 30):
            path = tmp_path / "film"
            assert not path.exists()
            path.write_text(str(value))
            yield path, 5

    output = [int(frame[0, 0, 0]) for frame in process_frames(module, films())]
    assert output == [*range(10, 15), *range(20, 25), *range(30, 35)]
    assert len(set((tmp_path / "processes").read_text().split())) == 1


def test_a_film_of_another_size_than_the_first_is_an_error(decoder: Decoder) -> None:
    module = decoder("    yield image(1, width=400 if path.name == 'a.mp4' else 200)")
    with pytest.raises(DecodeError, match=r"b\.mp4: the size of the picture must not change"):
        list(process_frames(module, [(Path("a.mp4"), 1), (Path("b.mp4"), 1)]))


def test_a_film_without_frames_gives_none(decoder: Decoder) -> None:
    assert list(process_frames(decoder("    yield from ()"), [(Path("a.mp4"), 0)])) == []


def test_a_slow_reader_stops_even_the_threads_of_the_decoder(decoder: Decoder, tmp_path: Path) -> None:
    module = decoder(
        """
    def count():
        while True:
            with path.open("a") as file: file.write(".")
            time.sleep(0.001)
    threading.Thread(target=count, daemon=True).start()
    for number in range(expected): yield image(number % 256)
"""
    )
    stream = process_frames(module, [(tmp_path / "ticks", 500)])
    next(stream)
    time.sleep(1)
    before = (tmp_path / "ticks").stat().st_size
    time.sleep(0.5)
    assert (tmp_path / "ticks").stat().st_size == before
    assert len(list(stream)) == 499


@pytest.mark.parametrize("taken", [0, 1, 100])
def test_the_process_ends_with_its_frames(decoder: Decoder, taken: int) -> None:
    before = children()
    stream = process_frames(decoder("    while True: yield image(1)"), [(Path("a.mp4"), 10**9)])
    for _ in islice(stream, taken):
        assert len(children()) == len(before) + 1
    stream.close()  # type: ignore[attr-defined]
    assert children() == before


def test_a_decoder_that_hangs_is_ended_and_told_with_its_frame(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_process, "PATIENCE", 0.5)
    before = children()
    module = decoder("    yield image(1)\n    yield image(2)\n    time.sleep(1000)")
    with pytest.raises(DecodeError, match=r"a\.mp4: frame 3 of 7 .* no progress for 0\.5 seconds"):
        list(process_frames(module, [(Path("a.mp4"), 7)]))
    assert children() == before


def test_a_decoder_that_hangs_with_the_interpreter_is_ended_too(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_process, "PATIENCE", 0.5)
    module = decoder("    import ctypes\n    yield image(1)\n    ctypes.PyDLL(None).sleep(1000)")
    with pytest.raises(DecodeError, match=r"frame 2 of 7"):
        list(process_frames(module, [(Path("a.mp4"), 7)]))


def test_a_long_pause_of_the_reader_is_no_hang(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_process, "PATIENCE", 0.2)
    stream = process_frames(decoder("    for n in range(expected): yield image(n)"), [(Path("a.mp4"), 200)])
    next(stream)
    time.sleep(1)
    assert len(list(stream)) == 199


def test_reading_is_progress(decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_process, "PATIENCE", 1.0)
    (tmp_path / "a.mp4").write_bytes(bytes(1000))
    module = decoder(
        """
    with path.open("rb", buffering=0) as file:
        for _ in range(10):
            file.read(1)
            time.sleep(0.25)
    yield image(1)
"""
    )
    assert len(list(process_frames(module, [(tmp_path / "a.mp4", 1)]))) == 1


def test_a_decoder_that_dies_is_told_with_its_frame(decoder: Decoder) -> None:
    module = decoder("    yield image(1)\n    os.kill(os.getpid(), 11)")
    with pytest.raises(DecodeError, match=r"a\.mp4: frame 2 of 7 .*SIGSEGV"):
        list(process_frames(module, [(Path("a.mp4"), 7)]))


@pytest.mark.parametrize("kind", [DecodeError, PlaceError])
def test_the_errors_of_the_decoder_arrive(decoder: Decoder, kind: type[PlaceError]) -> None:
    module = decoder(f"    yield image(1)\n    raise {kind.__name__}(path, 'is: wrong')")
    stream = process_frames(module, [(Path("a.mp4"), 7)])
    next(stream)
    with pytest.raises(kind) as error:
        next(stream)
    assert type(error.value) is kind
    assert (error.value.place, error.value.reason) == ("a.mp4", "is: wrong")


def test_an_error_without_a_place_arrives(decoder: Decoder) -> None:
    with pytest.raises(InputError, match=r"^not installed$"):
        list(process_frames(decoder("    raise InputError('not installed')\n    yield"), [(Path("a"), 1)]))


def test_a_stopped_decoder_dies_with_a_reader_that_is_killed(decoder: Decoder, tmp_path: Path) -> None:
    module = decoder("    path.write_text(str(os.getpid()))\n    for n in range(expected): yield image(1)")
    code = (
        "import sys, time; from pathlib import Path; from sttreid.data.frame_process import process_frames;"
        f"sys.path.insert(0, {str(tmp_path)!r});"
        f"stream = process_frames({module!r}, [(Path({str(tmp_path / 'pid')!r}), 1000)]);"
        "next(stream); time.sleep(1000)"
    )
    reader = subprocess.Popen([sys.executable, "-c", code])
    pid = tmp_path / "pid"
    deadline = time.monotonic() + 60
    while not (pid.is_file() and pid.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    reader.send_signal(signal.SIGKILL)
    reader.wait()
    state = Path(f"/proc/{pid.read_text()}/stat")
    while state.exists() and state.read_text().split()[2] != "Z" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_large_frames_pass(decoder: Decoder) -> None:
    module = decoder("    for n in range(expected): yield image(n, 3000, 4000)")
    output = [int(frame[-1, -1, -1]) for frame in process_frames(module, [(Path("a.mp4"), 9)])]
    assert output == list(range(9))
    assert np.uint8(8) == output[-1]


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize(
    "body",
    [
        "    import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (99, 99)); yield image(0)",
        "    yield image(0); import signal; os.kill(os.getpid(), signal.SIGBUS)",
    ],
)
def test_no_room_for_frames_is_told_with_its_place(
    decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool, body: str
) -> None:
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(InputError) as told:
        list(process_frames(decoder(body), [(Path("a.mp4"), 2)]))
    assert ("memory" in str(told.value)) is in_memory
    assert (f"{tmp_path} " in str(told.value) and "TMPDIR" in str(told.value)) is not in_memory


def test_a_folder_for_frames_that_cannot_be_written_is_told(
    decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=rf"^{tmp_path}/nowhere: .*TMPDIR"):
        list(process_frames(decoder("    yield image(0)"), [(Path("a.mp4"), 1)]))
