"""The pipeline of a playground: `python -m bench.pipeline`.

A playground (tools/playground.py) is made anew in a temporary folder: its run gives the peak memory of each
stage, the sum over the processes of a stage, sampled; pages that processes share count for each of them.
Then `dvc repro`, which has nothing to do, stands beside the start of DVC alone.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.costs import cpu
from bench.figures import Figure, alone, command_line, compared, show
from bench.film_memory import family

PERIOD: Final = 0.1  # seconds between two looks
STAGE: Final = re.compile(r"sttreid\.stages\.(\w+)")


def stage_of(process: int) -> str:
    """The stage in whose command line the process was started; empty: none."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""
    found = STAGE.search(words)
    return found[1] if found else ""


def resident(process: int) -> float:
    """MB (10^6); 0 of a process that has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def running_stages(process: int) -> dict[str, float]:
    """Stage -> MB of its first process below this one and of all that it has started."""
    found: dict[str, float] = {}
    counted: set[int] = set()
    for each in family(process):  # parents first
        name = stage_of(each)
        if name and each not in counted:
            members = family(each)
            counted.update(members)
            found[name] = found.get(name, 0.0) + sum(map(resident, members))
    return found


def stage_memory(command: Sequence[str]) -> dict[str, float]:
    """Run a command; stage -> the most memory of its processes at one time, in order of their first look.

    Raises:
        SystemExit: the command failed.
    """
    peaks: dict[str, float] = {}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            for name, megabytes in running_stages(running.pid).items():
                peaks[name] = max(peaks.get(name, 0.0), megabytes)
            time.sleep(PERIOD)
    if running.returncode:
        raise SystemExit(f"{' '.join(command)}: failed with {running.returncode}")
    return peaks


def timed(command: Sequence[str], folder: Path) -> float:
    """CPU seconds."""
    start = cpu()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return cpu() - start


def figures(rounds: int = 3) -> Iterator[Figure]:
    """What docs/performance.md quotes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "playground"
        start = cpu()
        memory = stage_memory([sys.executable, "tools/playground.py", str(folder)])
        yield alone("make a playground", "CPU-s", [cpu() - start])
        dvc = [sys.executable, "-m", "dvc"]
        commands = ([*dvc, "repro"], [*dvc, "--version"])
        seconds = [[timed(command, folder) for command in commands] for _ in range(rounds)]
    repro, version = zip(*seconds, strict=True)
    yield compared("dvc repro that has nothing to do", "CPU-s", repro, "the start of DVC alone", version)
    for stage, megabytes in memory.items():
        yield alone(f"memory of the stage {stage}, playground", "MB", [megabytes])


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = command_line("pipeline", __doc__, figures)
    parser.parse_args(words)
    show(figures())


if __name__ == "__main__":
    main()
