"""The stages of the default run: `python -m bench.stages`; about 40 minutes of CPU time.

The last commit of the checkout is cloned into a temporary folder and runs there as `make repro` does, with
the data of its own remote. Every stage writes what it took; instances of a stage are added.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.figures import Figure, alone, command_line, show
from sttreid.stages.command import COST, Cost

RUN: Final = (("tools/pull_data.py",), ("tools/repro.py",))


def run(folder: Path) -> None:
    """Clone the checkout of the working directory, and run the whole pipeline.

    Raises:
        subprocess.CalledProcessError: a command failed, and has said why.
    """
    subprocess.run(["git", "clone", "-q", ".", str(folder)], check=True)
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    environment.pop("STTREID_SCRATCH", None)  # the costs are read from the clone's own folder
    for words in RUN:
        command = [sys.executable, *words]
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)


def costs(folder: Path) -> dict[str, list[Cost]]:
    """Stage -> the costs of its instances in a checkout whose pipeline has run; as they ended."""
    found: dict[str, list[Cost]] = {}
    for path in sorted(folder.glob(f".scratch/*/{COST}"), key=lambda each: each.stat().st_mtime):
        cost = Cost(**json.loads(path.read_text(encoding="utf-8")))
        found.setdefault(cost.stage, []).append(cost)
    return found


def figures() -> Iterator[Figure]:
    """What README and docs/performance.md quote."""
    with tempfile.TemporaryDirectory() as name:
        run(Path(name) / "run")
        found = costs(Path(name) / "run")
    for stage, each in found.items():
        what = f"the stage {stage}" if len(each) == 1 else f"the stage {stage}, {len(each)} together"
        yield alone(what, "CPU-s", [sum(cost.cpu for cost in each)])
    yield alone("all stages", "CPU-s", [sum(cost.cpu for each in found.values() for cost in each)])
    for stage, each in found.items():
        yield alone(f"memory of the stage {stage}", "MB", [max(cost.megabytes for cost in each)])


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = command_line("stages", __doc__, figures)
    parser.parse_args(words)
    show(figures())


if __name__ == "__main__":
    main()
