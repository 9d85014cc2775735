"""Small DVC pipelines whose stages are shell commands."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from dvc.repo import Repo

from sttreid.runner.study import CONFIG
from tests.tiny import ROOT

TIMES = "times.txt"  # every stage of a pipeline adds its name to it


def stage(command: str, deps: list[str], out: str) -> dict[str, Any]:
    """A stage that writes its name to ``times.txt``, runs a command, and then writes its output."""
    name = Path(out).stem
    commands = [f"echo {name} >> {TIMES}", command, f"echo {name} > {out}"]
    return {"cmd": " && ".join(commands), "deps": deps, "outs": [out]}


def pipeline(folder: Path, stages: dict[str, Any]) -> Path:
    """A DVC repository without git."""
    folder.mkdir(parents=True)
    Repo.init(str(folder), no_scm=True).close()
    (folder / ".dvc" / "config").write_text(CONFIG)
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    return folder


def dvc(folder: Path, *words: str, ok: bool = True) -> str:
    """The output of a DVC command."""
    command = [sys.executable, "-m", "dvc", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout + done.stderr


def ran(folder: Path) -> list[str]:
    """The stages that ran, in the order of their start."""
    path = folder / TIMES
    return path.read_text().split() if path.exists() else []


def script(text: str) -> tuple[list[str], dict[str, str]]:
    """A Python process with this project, as a command and its environment's additions."""
    return [sys.executable, "-c", text], {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
