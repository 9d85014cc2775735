"""SIGKILL at random moments: of a stage, of DVC, of both; then the command again, and the bytes compared."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import psutil
import yaml

from bench.fault_workspace import DVC, STTREID, Ran, Workspace, children, kill_all

HOW: Final = {"DVC and the stage": 6, "the stage": 2, "DVC": 2}  # what is killed -> weight
EARLIEST: Final = 0.2  # seconds after the start
SOME: Final = 4  # kills between two comparisons, at most
PATIENCE: Final = 120.0  # seconds for a stage whose DVC was killed


@dataclass
class Chain:
    """Kills of one cell, and what the next commands made of it.

    Attributes:
        cell: its name.
        kills: what was killed, and the seconds after the start.
        first: status of the first `dvc repro` afterwards.
        said: its sentence, if it failed.
        again: whether it succeeded once the stage that went on had ended.
        repaired: whether `sttreid run-pipeline` was needed.
        left: damaged lock files after a kill.
        seconds: of the first command afterwards.
        differences: files with other bytes at the end.
    """

    cell: str
    kills: list[tuple[str, float]] = field(default_factory=list)
    first: int = 0
    said: str = ""
    again: bool = False
    repaired: bool = False
    left: list[str] = field(default_factory=list)
    seconds: float = 0.0
    differences: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the bytes are those of an undisturbed run."""
        return not self.differences


def kill_cell(workspace: Workspace, cell: str, count: int, draw: Random, seconds: float) -> Iterator[Chain]:
    """Kill a cell several times; more often than not the next kill hits the command that resumes.

    Args:
        workspace: as the playground.
        cell: its name.
        count: kills.
        draw: of moments and of what is killed.
        seconds: that the command takes, at first; then as long as the last ones took.
    """
    forced = (*DVC, "repro", "-s", "-f", "--no-run-cache", cell)
    resumed = (*DVC, "repro", "-s", "--no-run-cache", cell)
    done = 0
    while done < count:
        chain = Chain(cell)
        words = forced
        while done < count:
            moment, how = draw.uniform(EARLIEST, seconds), draw.choices([*HOW], [*HOW.values()])[0]
            process = workspace.start(*words, output=subprocess.DEVNULL)  # a pipe would wait for a stage
            try:
                process.wait(timeout=moment)
                break  # it ended first: nothing was killed
            except subprocess.TimeoutExpired:
                how = _kill(process, how)
            process.wait()
            chain.kills.append((how, round(moment, 2)))
            chain.left += [each for each in _damaged(workspace.folder) if each not in chain.left]
            done += 1
            if len(chain.kills) >= SOME or draw.random() < 0.4:
                break
            words = resumed
        chain.seconds = recover(workspace, chain, resumed)
        seconds = max(chain.seconds, 0.7 * seconds)  # a cell that was complete has taken less
        yield chain


def recover(workspace: Workspace, chain: Chain, resumed: tuple[str, ...]) -> float:
    """What a user does: the command again, and all of the pipeline; `sttreid run-pipeline` if DVC cannot.

    Returns:
        The seconds of the first command.
    """
    ran = workspace.run(*resumed)
    seconds = ran.seconds
    chain.first, chain.said = ran.status, _reason(ran)
    if ran.status and _wait_for_stages(workspace.folder):
        ran = workspace.run(*resumed)
        chain.again = ran.status == 0
    if ran.status == 0 and workspace.differences():  # such as a dvc.lock that lost other stages
        ran = workspace.run(*DVC, "repro")
    if ran.status:
        chain.said = chain.said or _reason(ran)
        chain.repaired = True
        ran = workspace.run(*STTREID, "run-pipeline", "--jobs", "1")
    chain.differences = workspace.differences() if ran.status == 0 else [f"status {ran.status}: {ran.said}"]
    return seconds


def _kill(process: "subprocess.Popen[bytes]", how: str) -> str:
    """Kill, and say what; the stage may not run yet."""
    stages = [child for child in children(process, "sttreid.stages") if "python" in child.name()]
    if how == "the stage" and stages:
        stages[0].kill()
        return how
    if how == "DVC":
        os.kill(process.pid, signal.SIGKILL)
        return how
    kill_all(process)
    return "DVC and the stage"


def _damaged(folder: Path) -> list[str]:
    """DVC's lock files that are empty or cut off."""
    found = []
    for path, read in ((folder / ".dvc/tmp/rwlock", json.loads), (folder / "dvc.lock", yaml.safe_load)):
        try:
            content = read(path.read_text()) if path.exists() else {1: 1}
            if content is None:
                found.append(f"{path.name} empty")
        except ValueError:
            found.append(f"{path.name} {'cut off' if path.stat().st_size else 'empty'}")
        except yaml.YAMLError:
            found.append(f"{path.name} cut off")
    return found


def _reason(ran: Ran) -> str:
    lines = [line for line in ran.output.splitlines() if line.lower().startswith("error:")]
    return " / ".join(line[:300] for line in lines) if ran.status else ""


def _wait_for_stages(folder: Path) -> bool:
    """Wait for stages that go on without their DVC; whether there were any."""

    def alive() -> bool:
        for process in psutil.process_iter(["cmdline", "cwd"]):
            words = " ".join(process.info["cmdline"] or [])
            if "sttreid.stages" in words and process.info["cwd"] == str(folder):
                return True
        return False

    start, found = time.monotonic(), False
    while alive() and time.monotonic() - start < PATIENCE:
        found = True
        time.sleep(0.2)
    return found
