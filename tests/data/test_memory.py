"""Memory does not grow with a data set: neither with the images of a published one nor with a film."""

import multiprocessing
import os
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from bench import trees
from sttreid.data import decord_frames, film_segments, videos

# Prints what Python, NumPy and Arrow hold at most for each set, the smallest first: Arrow's most only rises.
# The blocks are small, so that the sets may be.
WORK = """
import sys, tracemalloc
from pathlib import Path
import pyarrow as pa
from sttreid.config.datasets import Decode, Validation
from sttreid.data import folder_manifest, packing
from sttreid.data.published import disk_buffer, text_lists
from sttreid.data.registry import ReadSettings, find_reader
from sttreid.data.store_rows import order_rows
from sttreid.tracklets import store

disk_buffer.BLOCK = packing.ROWS_AT_ONCE = packing.NAMES_AT_ONCE = store.ROWS_AT_ONCE = 256
folder_manifest.FILES_AT_ONCE = 256
text_lists.CHARACTERS = 4096

def run(root, decode):
    manifest = folder_manifest.scan(root)
    reader = find_reader(sys.argv[1])
    source = reader.read(root, reader.options(), ReadSettings(decode.validation, scratch=root))
    rows = order_rows(source, decode.validation, "raise")
    packing.pack(rows, source.root, manifest, decode, root / ".store", shard_bytes=3_000_000)
    return len(rows)

decode = Decode(64, 32, strict=False, on_error="raise", check="structure", validation=Validation(0.1, 0))
tracemalloc.start()
for root in map(Path, sys.argv[2:]):
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    images = run(root, decode)
    print(images, tracemalloc.get_traced_memory()[1] - before + pa.default_memory_pool().max_memory())
"""


def plan(length: int) -> pd.DataFrame:
    """20 tracklets of 10 identities."""
    output = pd.DataFrame(
        {"identity": np.repeat(np.arange(1, 11), 2), "camera": [1, 2] * 10, "length": length}
    )
    return output.assign(query=output["camera"] == 1)


def write(reader: str, folder: Path, length: int) -> None:
    if reader == "mars":
        trees.write_mars(folder, {"train": plan(length), "test": plan(length)})
    else:
        trees.write_ls_vid(folder, {side: plan(length) for side in ("train", "val", "test")})


@pytest.mark.parametrize("reader", ["mars", "ls_vid"])
def test_memory_does_not_grow_with_the_images(tmp_path: Path, reader: str) -> None:
    for name, length in (("few", 40), ("many", 400)):
        write(reader, tmp_path / name, length)
    folders = [str(tmp_path / name) for name in ("few", "few", "many")]  # the first time also loads modules
    done = subprocess.run(
        [sys.executable, "-c", WORK, reader, *folders], capture_output=True, text=True, check=True
    )
    (few, less), (many, more) = (map(int, line.split()) for line in done.stdout.splitlines()[1:])
    assert many == 10 * few
    assert more - less < 20 * (many - few)  # bytes; a name alone takes as many


SIZE = 320, 240
ENCODED = 20  # frames; their packets are repeated, which takes no time
SHORT, LONG = 60, 600  # frames of 100 kB
SLACK = 20  # megabytes; the long film has 54 more than the short one


def write_film(path: Path, codec: str, frames: int) -> Path:
    """Noise, in keyframes alone."""
    rng = np.random.default_rng(0)
    part = path.with_suffix(".part.mkv")
    options = {"crf": "12", "preset": "ultrafast", "qmin": "2", "qmax": "3"}
    with av.open(str(part), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        context = stream.codec_context
        context.thread_count, context.bit_rate, context.gop_size = 1, 20_000_000, 1
        for _ in range(ENCODED):
            noise = rng.integers(0, 256, (*SIZE[::-1], 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode())
    with av.open(str(path), "w") as container:
        copy = None
        for start in range(0, frames, ENCODED):
            with av.open(str(part)) as source:
                stream = source.streams.video[0]
                copy = copy or container.add_stream_from_template(stream)
                for number, packet in enumerate(packet for packet in source.demux(stream) if packet.size):
                    assert packet.time_base is not None
                    packet.pts = packet.dts = int((start + number) / 25 / packet.time_base)
                    packet.stream = copy
                    container.mux(packet)
    return path


def peak(film: Path, frames: int, holds: bool = False) -> float:
    """Megabytes that the process that decodes a film takes at most; with ``holds`` it may hold the film."""
    # In a small process: a fork begins with the peak of its parent, and that of the tests hides a film's.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_peak, film, frames, holds).result()


def _peak(film: Path, frames: int, holds: bool) -> float:
    """As :func:`peak`, in this process; it may end before all frames are read."""
    if holds:
        film_segments.SEGMENT_BYTES = videos.MOST_BYTES = 2**30
    most = [0.0]
    for number, _ in enumerate(videos.frames(film, frames)):
        if number % 10 == 0:
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            status = [Path(f"/proc/{child}/status").read_text() for child in children]
            most += [int(found[1]) / 1024 for text in status if (found := re.search(r"VmHWM:\s+(\d+)", text))]
    return max(most)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])  # decord gets segments of one; PyAV decodes the other
def test_memory_does_not_grow_with_the_film(tmp_path: Path, codec: str) -> None:
    films = {frames: write_film(tmp_path / f"{frames}.mkv", codec, frames) for frames in (SHORT, LONG)}
    assert films[LONG].stat().st_size - films[SHORT].stat().st_size > 2 * SLACK * 2**20
    short, long = (peak(film, frames) for frames, film in films.items())
    assert min(short, long) > 20
    assert long - short < SLACK


def test_a_decoder_that_holds_the_film_would_be_noticed(tmp_path: Path) -> None:
    films = {frames: write_film(tmp_path / f"{frames}.mkv", "libx264", frames) for frames in (SHORT, LONG)}
    short, long = (peak(film, frames, holds=True) for frames, film in films.items())
    assert long - short > SLACK


def test_decord_shares_one_core_and_leaves_the_others_afterwards(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mkv", "libx264", 20)
    cores = os.sched_getaffinity(0)
    threads = set(Path("/proc/self/task").iterdir())
    frames = decord_frames.frames(film, 20)
    next(frames)
    added = set(Path("/proc/self/task").iterdir()) - threads
    assert added
    used = [os.sched_getaffinity(int(thread)) for thread in (0, *(path.name for path in added))]
    assert len(used[0]) == 1
    assert all(one == used[0] for one in used)
    assert len(list(frames)) == 19
    assert os.sched_getaffinity(0) == cores
