"""Frames and CPU time of other decoders beside decord: `python -m bench.decoders data/campus/c1.mp4`.

Each decoder reads the whole film in order with one thread, in a process of its own: decord and PyAV in this
environment; `--also NAME=LIBRARY:PYTHON` adds one in the environment of its interpreter, through the
interface of decord, pyav or torchcodec. Printed are the frames that equal decord's byte for byte, the largest
and the mean difference of the others, and the median over rounds of the CPU time as a multiple of decord's in
the same round, with the least and the most. The time begins after the imports. The decoders take turns.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

READ = {  # interface -> prepare, and a generator of frames: uint8 [H, W, 3], RGB
    "decord": """
import decord
def frames(path):
    reader = decord.VideoReader(path, num_threads=1, fault_tol=1e-4)
    for _ in range(len(reader)):
        yield reader.next().asnumpy()
""",
    "pyav": """
import av
def frames(path):
    with av.open(path) as container:
        stream = container.streams.best("video")
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            yield frame.to_ndarray(format="rgb24")
""",
    "torchcodec": """
import torch
from torchcodec.decoders import VideoDecoder
torch.set_num_threads(1)
def frames(path):
    for frame in VideoDecoder(path, num_ffmpeg_threads=1, dimension_order="NHWC", seek_mode="approximate"):
        yield frame.numpy()
""",
}
WORK = """
import json, sys, time
out = open(sys.argv[2], "wb") if len(sys.argv) > 2 else None
start, number, shape = time.process_time(), 0, None
for frame in frames(sys.argv[1]):
    number, shape = number + 1, frame.shape
    if out:
        out.write(frame.tobytes())
print(json.dumps({"frames": number, "shape": shape, "cpu": time.process_time() - start}))
"""


@dataclass(frozen=True)
class Decoder:
    """A library, and the interpreter whose environment has it."""

    name: str
    library: str
    python: str = sys.executable

    def run(self, film: Path, out: Path | None = None) -> dict[str, object]:
        """Decode a film, and write its frames to a file.

        Raises:
            CalledProcessError: it failed; it has said why.
        """
        words = [str(film), *([str(out)] if out else [])]
        command = [self.python, "-c", READ[self.library] + WORK, *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return result


def differences(film: Path, decoders: list[Decoder], folder: Path) -> dict[str, str]:
    """Name -> how its frames differ from those of the first decoder."""
    found: dict[str, str] = {}
    first = None
    for decoder in decoders:
        path = folder / "frames.raw" if first is not None else folder / "first.raw"
        about = decoder.run(film, path)
        shape = (about["frames"], *about["shape"])  # type: ignore[misc]
        frames = np.memmap(path, np.uint8, "r", shape=shape)
        first = frames if first is None else first
        found[decoder.name] = described(first, frames)
    return found


def described(first: np.ndarray, other: np.ndarray) -> str:
    """The number of equal frames, and the difference of the others."""
    if first.shape != other.shape:
        return f"frames of shape {list(other.shape)} instead of {list(first.shape)}"
    gaps = [np.abs(a.astype(np.int16) - b) for a, b in zip(first, other, strict=True)]
    equal = sum(not gap.any() for gap in gaps)
    if equal == len(gaps):
        return f"all {equal} frames equal"
    mean = sum(float(gap.mean()) for gap in gaps) / len(gaps)
    return (
        f"{equal} of {len(gaps)} frames equal, difference at most {max(map(np.max, gaps))}, mean {mean:.3f}"
    )


def ratios(film: Path, decoders: list[Decoder], rounds: int) -> dict[str, list[float]]:
    """Name -> the CPU time of each round as a multiple of the first decoder's."""
    found: dict[str, list[float]] = {decoder.name: [] for decoder in decoders}
    for _ in range(rounds):
        times = [float(decoder.run(film)["cpu"]) for decoder in decoders]  # type: ignore[arg-type]
        for decoder, seconds in zip(decoders, times, strict=True):
            found[decoder.name].append(seconds / times[0])
    return found


def another(text: str) -> Decoder:
    """NAME=LIBRARY:PYTHON."""
    name, _, rest = text.partition("=")
    library, _, python = rest.partition(":")
    if library not in READ or not python:
        raise argparse.ArgumentTypeError(
            f"must be NAME=LIBRARY:PYTHON, LIBRARY of {', '.join(READ)}, got {text!r}"
        )
    return Decoder(name, library, python)


def main(arguments: list[str] | None = None) -> None:
    """Decodes and prints."""
    parser = argparse.ArgumentParser(prog="python -m bench.decoders", description=__doc__)
    parser.add_argument("films", type=Path, nargs="+")
    parser.add_argument("--also", type=another, action="append", default=[], metavar="NAME=LIBRARY:PYTHON")
    parser.add_argument("--rounds", type=int, default=5, help="of the times (default: %(default)s)")
    given = parser.parse_args(arguments)
    decoders = [Decoder("decord", "decord"), Decoder("PyAV", "pyav"), *given.also]
    for film in given.films:
        with tempfile.TemporaryDirectory() as folder:
            frames = differences(film, decoders, Path(folder))
        times = ratios(film, decoders, given.rounds)
        print(film)
        for name, values in times.items():
            spread = (
                f"{statistics.median(values):.2f} times the CPU time ({min(values):.2f} to {max(values):.2f})"
            )
            print(f"  {name}: {frames[name]}; {spread}", flush=True)


if __name__ == "__main__":
    main()
