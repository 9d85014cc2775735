"""Memory and speed of ``decode`` by the length of a film: `python -m bench.decoding 300 3000 30000`.

For each length a film of 1280x720 pixels is written (a moving texture, H.264, 12 kB a frame) and decoded
into a store in a new process, with two boxes in every frame. Printed are the seconds, and the peak memory of
the process that crops, of those that decode, and of both at one time.

`--speed` compares instead the CPU time of the product with that of bare sequential decord on the first of the
lengths: a process of its own that decodes all frames with one thread and copies each one. They alternate, in
new processes; the median of the ratios is printed.
"""

import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import av
import numpy as np
import pandas as pd

from bench.costs import cpu, in_process
from bench.figures import Figure, alone, at_most, command_line, compared
from sttreid.config.datasets import Decoder
from sttreid.data import videos
from sttreid.data.camera_videos import COLUMNS, Camera, CameraVideos
from sttreid.data.decoding import decode_videos

HEIGHT, WIDTH = 720, 1280
BOXES = 2  # in a frame: each box takes memory for its row, whatever decodes
MEGABYTE = 1024  # in the kilobytes of getrusage


def write_film(path: Path, frames: int) -> Path:
    """A texture that moves."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(60, 180, (HEIGHT // 8 + 8, WIDTH // 8 + 8)).astype(np.uint8)
    texture = coarse.repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {"crf": "30", "preset": "ultrafast"}
        planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        for number in range(frames):
            y, x = number % 61, number * 3 % 64
            planes[:HEIGHT] = texture[y : y + HEIGHT, x : x + WIDTH]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode())
    return path


def footage(video: Path, frames: int) -> CameraVideos:
    """One camera, whose people stand still."""
    frame = np.repeat(np.arange(1, frames + 1), BOXES)
    identity = np.tile(np.arange(BOXES), frames)
    left = 20.0 + 120 * identity
    boxes = pd.DataFrame(
        {"camera": 1, "frame": frame, "identity": identity, "left": left, "top": 100.0, "width": 100.0}
        | {"height": 300.0, "visibility": 1.0, "split": "train", "line": np.arange(1, len(frame) + 1)}
    )
    camera = Camera(1, video, video.with_suffix(".txt"), frames)
    return CameraVideos(video.parent, "bench", (camera,), boxes[COLUMNS], 10)


class Watch(threading.Thread):
    """The peak memory of the decoding processes (getrusage counts what they had of their parent)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0.0
        self.both = 0.0  # with this process
        self.done = threading.Event()

    def run(self) -> None:
        children = Path(f"/proc/self/task/{os.getpid()}/children")
        while not self.done.wait(0.1):
            for child in children.read_text().split():
                with suppress(OSError):
                    if "sttreid.data.frame_server" in Path(f"/proc/{child}/cmdline").read_text():
                        self.peak = max(self.peak, _status(child, "VmHWM"))
                        self.both = max(self.both, _status(child, "VmRSS") + _status("self", "VmRSS"))


def _status(process: str, name: str) -> float:
    """Megabytes."""
    found = re.search(rf"{name}:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) / MEGABYTE if found else 0.0


def decoded(video: Path, frames: int, decoder: Decoder) -> tuple[float, float, float, float]:
    """Seconds, and megabytes at most, of cropping, of decoding and of both."""
    start, watch = time.monotonic(), Watch()
    watch.start()
    with tempfile.TemporaryDirectory(dir=video.parent) as folder:
        decode_videos(footage(video, frames), 64, 32, Path(folder) / "store", decoder=decoder)
    watch.done.set()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    return time.monotonic() - start, own, watch.peak, watch.both


BARE: dict[Decoder, str] = {
    "decord": """
import sys
import decord
reader = decord.VideoReader(sys.argv[1], num_threads=1, fault_tol=1e-4)
for _ in range(int(sys.argv[2])):
    reader.next().asnumpy()
""",
    "pyav": """
import sys
import av
with av.open(sys.argv[1]) as film:
    film.streams.video[0].codec_context.thread_count = 1
    for frame in film.decode(video=0):
        frame.to_ndarray(format="rgb24")
""",
}


def bare(video: Path, frames: int, decoder: Decoder = "decord") -> tuple[float, float]:
    """Seconds and CPU seconds of a decoder alone, in a process of its own, as the product's."""
    start, used = time.monotonic(), cpu()
    subprocess.run([sys.executable, "-c", BARE[decoder], str(video), str(frames)], check=True)
    return time.monotonic() - start, cpu() - used


def product(video: Path, frames: int, decoder: Decoder) -> tuple[float, float]:
    """Seconds and CPU seconds of the product's frames."""
    start, used = time.monotonic(), cpu()
    for _ in videos.frames(video, frames, decoder):
        pass
    return time.monotonic() - start, cpu() - used


def stored(video: Path, frames: int, decoder: Decoder) -> tuple[float, float]:
    """Seconds and CPU seconds of the frames, their crops and the store."""
    start, used = time.monotonic(), cpu()
    decoded(video, frames, decoder)
    return time.monotonic() - start, cpu() - used


def compare_speed(film: Path, length: int, decoder: Decoder, rounds: int) -> None:
    """Print the times of the product as multiples of those of bare decord."""
    ratios: dict[str, list[Any]] = {"frames": [], "store": []}
    for _ in range(rounds):
        plain = in_process(bare, film, length)
        for name, work in (("frames", product), ("store", stored)):
            ratios[name].append(np.divide(in_process(work, film, length, decoder), plain))
    for name, values in ratios.items():
        clock, used = (statistics.median(part) for part in zip(*values, strict=True))
        print(f"{name}: {used:.2f} times the CPU time of bare decord ({clock:.2f} by the clock)", flush=True)


def figures(length: int = 400, rounds: int = 3) -> Iterator[Figure]:
    """What docs/performance.md quotes."""
    with tempfile.TemporaryDirectory() as folder:
        film = write_film(Path(folder) / "film.mp4", length)
        works: dict[str, tuple[Callable[..., Any], Decoder]] = {
            "bare decord": (bare, "decord"),
            "bare PyAV": (bare, "pyav"),
            "frames, decord": (product, "decord"),
            "frames, pyav": (product, "pyav"),
            "store": (stored, "decord"),
        }
        used: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(rounds):
            for name, (work, decoder) in works.items():
                used[name].append(in_process(work, film, length, decoder)[1])
        _, own, child, both = in_process(decoded, film, length, "decord")
    decord, pyav = ("bare decord", used["bare decord"]), ("bare PyAV", used["bare PyAV"])
    what = f"decode {length} frames of {WIDTH} x {HEIGHT}"
    yield compared(what, "CPU-s", used["frames, decord"], *decord, target=at_most(1.15))
    yield compared(what, "CPU-s", used["frames, decord"], *pyav)
    yield compared(f"{what}, decoder: pyav", "CPU-s", used["frames, pyav"], *pyav)
    yield compared(f"{what}, {BOXES} crops of each, and the store", "CPU-s", used["store"], *decord)
    for process, megabytes in (
        ("the process that crops", own),
        ("the process that decodes", child),
        ("both", both),
    ):
        yield alone(f"{what}: memory of {process}", "MB", [megabytes])


def main(arguments: list[str] | None = None) -> None:
    """Writes, decodes and prints."""
    parser = command_line("decoding", __doc__, figures)
    parser.add_argument("lengths", type=int, nargs="+", help="in frames")
    parser.add_argument("--decoder", choices=get_args(Decoder), default="decord")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--rounds", type=int, default=5, help="of --speed (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="for the films (default: the system's)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for length in given.lengths[:1] if given.speed else given.lengths:
            film = write_film(Path(folder) / "film.mp4", length)
            print(f"{length:,} frames, {film.stat().st_size / 1e6:.1f} MB", flush=True)
            if given.speed:
                compare_speed(film, length, given.decoder, given.rounds)
            else:
                seconds, own, child, both = in_process(decoded, film, length, given.decoder)
                print(
                    f"  {seconds:.0f} s, at most {own:.0f} + {child:.0f} MB, {both:.0f} MB at one time",
                    flush=True,
                )


if __name__ == "__main__":
    main()
