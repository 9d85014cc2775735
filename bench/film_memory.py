"""Peak memory of ``sttreid embed`` on a film, and on the same film several times in a row.

    python -m bench.film_memory MODEL data/campus/c1.mp4 --times 1 10

The packets of the video are written again and again into one file, without decoding; its tracks (CAM.txt
beside it) get new numbers each time. Memory is the sum of the largest resident sets of the command and the
processes that decode for it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av


def repeat(video: Path, times: int, target: Path) -> int:
    """Write the film so many times in a row, with its tracks; returns the number of frames."""
    with av.open(str(video)) as source, av.open(str(target), "w") as output:
        stream = source.streams.video[0]
        copy = output.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.dts is not None]
        step = packets[0].duration
        for number in range(times):
            source.seek(0)
            for packet in source.demux(stream):
                if packet.dts is not None:
                    packet.pts += number * step * len(packets)
                    packet.dts += number * step * len(packets)
                    packet.stream = copy
                    output.mux(packet)
    lines = [line.split(",") for line in video.with_suffix(".txt").read_text().splitlines()]
    last = max(int(line[1]) for line in lines)
    rows = [
        ",".join(
            [str(int(line[0]) + number * len(packets)), str(int(line[1]) + number * (last + 1)), *line[2:]]
        )
        for number in range(times)
        for line in lines
    ]
    target.with_suffix(".txt").write_text("\n".join(rows) + "\n")
    return times * len(packets)


def family(process: int) -> list[int]:
    """A process and all that it started."""
    found = [process]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(word) for word in children.read_text().split()]
            except OSError:
                continue
    return found


def peaks(command: Sequence[str]) -> dict[str, float]:
    """Name of the process -> its peak memory in MB, while a command runs."""
    highest: dict[int, tuple[str, float]] = {}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            for process in family(running.pid):
                try:
                    status = Path(f"/proc/{process}/status").read_text()
                except OSError:
                    continue
                sizes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
                if sizes:
                    name = "command" if process == running.pid else "decoder"
                    highest[process] = name, int(sizes[0]) / 1024
            time.sleep(0.1)
        if running.returncode:
            raise SystemExit(f"{' '.join(command)}: failed with {running.returncode}")
    result = {"command": 0.0, "decoder": 0.0}
    for name, size in highest.values():
        result[name] = max(result[name], size)
    return result | {"sum": sum(result.values())}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("video", type=Path, help="with its tracks beside it, frame and track first")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10])
    options = parser.parse_args(arguments)
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for times in options.times:
            film = Path(folder, f"film{times}.mp4")
            frames = repeat(options.video, times, film)
            words = ["embed", str(film), "-m", str(options.model), "-o", str(film.with_suffix(".parquet"))]
            result[f"{frames} frames, MB"] = peaks([sys.executable, "-m", "sttreid", *words])
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
