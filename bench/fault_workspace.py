"""The repository in which `bench.faults` breaks things: a finished playground, and commands in it."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import psutil
import yaml

TIMEOUT: Final = 900.0  # seconds: what takes longer hangs
HANGS: Final = 124  # its status, as of the command timeout
TREES: Final = ("artifacts", "data", "metrics", "models")
LIMIT: Final = "2g"  # of a disk that has room again
DVC: Final = (sys.executable, "-m", "dvc")
STTREID: Final = (sys.executable, "-m", "sttreid")


@dataclass(frozen=True)
class Ran:
    """How a command ended.

    Attributes:
        status: exit status, -N after signal N.
        output: both streams.
        seconds: it took.
    """

    status: int
    output: str
    seconds: float

    @property
    def said(self) -> str:
        """The line that says what is wrong; empty: there is none."""
        lines = [line for line in self.output.splitlines() if line.lower().startswith("error:")]
        return lines[0] if lines else ""

    @property
    def has_traceback(self) -> bool:
        """Whether Python printed one, for a bug."""
        return "Traceback (most recent call last)" in self.output


class Workspace:
    """A copy of the playground.

    Args:
        folder: of the copy.
        pristine: the playground; it stays as it is.
    """

    def __init__(self, folder: Path, pristine: Path) -> None:
        self.folder, self.pristine = folder, pristine

    def fresh(self) -> None:
        """Begin again with the playground's files."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", "--reflink=auto", str(self.pristine), str(self.folder)], check=True)

    @property
    def variables(self) -> dict[str, str]:
        """The environment of commands."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        identity = {
            f"GIT_{who}_{what}": "faults" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        return {
            **os.environ,
            **identity,
            "PATH": path,
            "PYTHONPATH": str(self.pristine / "src"),  # equal, and with the simulator's compiled kernels
            "OMP_NUM_THREADS": "1",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.folder.parent / "site-cache"),
            "STTREID_CHECKPOINT_SECONDS": "0.2",
        }

    def run(
        self,
        *words: str,
        prefix: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
        without: Sequence[str] = (),
        timeout: float = TIMEOUT,
    ) -> Ran:
        """Run a command to its end.

        Args:
            words: the command.
            prefix: a command that runs it.
            variables: to set in its environment.
            without: variables to remove from it.
            timeout: in seconds; then it and its children are killed.
        """
        start = time.monotonic()
        process = self.start(*prefix, *words, variables=variables, without=without)
        try:
            output, _ = process.communicate(timeout=timeout)
            status = process.returncode
        except subprocess.TimeoutExpired:
            kill_all(process)
            output, status = process.communicate()[0], HANGS
        return Ran(status, output.decode(errors="replace"), time.monotonic() - start)

    def start(
        self,
        *words: str,
        variables: Mapping[str, str] | None = None,
        without: Sequence[str] = (),
        output: int = subprocess.PIPE,
    ) -> "subprocess.Popen[bytes]":
        """Start a command in a process group of its own."""
        environment = {key: value for key, value in self.variables.items() if key not in without}
        return subprocess.Popen(
            words,
            cwd=self.folder,
            env=environment | dict(variables or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def dvc(self, *words: str) -> Ran:
        """Run a DVC command."""
        return self.run(*DVC, *words)

    def stage(self, *words: str, **how: object) -> Ran:
        """Run a stage itself, as DVC does."""
        return self.run(sys.executable, "-m", f"sttreid.stages.{words[0]}", *words[1:], **how)  # type: ignore[arg-type]

    @cached_property
    def expected(self) -> dict[str, str]:
        """SHA-256 of the playground's files."""
        return digests(self.pristine)

    def differences(self) -> list[str]:
        """What is not as in the playground: files, records of dvc.lock, whatever git lists."""
        found = digests(self.folder)
        names = sorted(found.keys() | self.expected.keys())
        changed = [name for name in names if found.get(name) != self.expected.get(name)]
        locks = [_lock(folder) for folder in (self.folder, self.pristine)]
        status = subprocess.run(
            ["git", "status", "--porcelain"], cwd=self.folder, capture_output=True, text=True, check=True
        )
        listed = [line[3:] for line in status.stdout.splitlines() if not line.endswith("dvc.lock")]
        return [
            *changed,
            *(["dvc.lock"] if locks[0] != locks[1] else []),
            *(f"git: {name}" for name in listed),
        ]

    @cached_property
    def cells(self) -> list[str]:
        """The cells of the pipeline, in their order; dvc.lock may have more."""
        return self.run(*DVC, "stage", "list", "--name-only").output.split()

    @contextmanager
    def on_small_disk(self, folder: Path) -> "Iterator[Disk]":
        """A copy on a disk of its own, a tmpfs; needs root."""
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={LIMIT}", "none", str(folder)], check=True)
        try:
            copy = Workspace(folder / "copy", self.pristine)
            copy.__dict__["expected"] = self.expected
            copy.fresh()
            yield Disk(folder, copy)
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@dataclass(frozen=True)
class Disk:
    """A mounted disk with a workspace."""

    folder: Path
    workspace: Workspace

    def leave(self, kilobytes: int | None) -> None:
        """Make the disk so small that so much is free; None: large again."""
        size = LIMIT
        if kilobytes is not None:
            state = os.statvfs(self.folder)
            used = (state.f_blocks - state.f_bfree) * state.f_frsize // 1024
            size = f"{used + kilobytes}k"
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.folder)], check=True)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of all files of the trees, without hidden ones."""
    found = {}
    for tree in TREES:
        for path in sorted((folder / tree).rglob("*")):
            name = path.relative_to(folder)
            if path.is_file() and not any(part.startswith(".") for part in name.parts):
                with path.open("rb") as file:
                    found[name.as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def kill_all(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL for a command and all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def children(process: "subprocess.Popen[bytes]", word: str) -> list[psutil.Process]:
    """The processes below a command whose command line has a word."""
    found = []
    try:
        for child in psutil.Process(process.pid).children(recursive=True):
            if any(word in each for each in child.cmdline()):
                found.append(child)
    except psutil.Error:
        pass
    return found


def may_mount() -> bool:
    """Whether this user may mount, in a namespace."""
    return os.geteuid() == 0 and not subprocess.run(["unshare", "-m", "true"], check=False).returncode


def may_cut_network() -> bool:
    """Whether this user may run a command without a network."""
    done = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False)
    return not done.returncode


def _lock(folder: Path) -> dict[str, object]:
    content = yaml.safe_load((folder / "dvc.lock").read_text()) or {}
    return dict(content.get("stages", {}))
