"""Checkpoints, from which an interrupted training run resumes with bit-identical results.

The checkpoints of a run are in a folder outside of DVC, named by a fingerprint of everything that the result
depends on: with other parameters, data or code, the run starts from the beginning. One process at a time
locks the folder. A file is complete or absent and begins with the SHA-256 of its content. The last two are
kept, so that a good file remains if the other is damaged. ``STTREID_CHECKPOINT_SECONDS`` sets the time
between two checkpoints.
"""

import fcntl
import hashlib
import io
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from sttreid.runtime.errors import InputError
from sttreid.runtime.progress import log

SECONDS = "STTREID_CHECKPOINT_SECONDS"
KEEP = 2
DIGEST = hashlib.sha256().digest_size


@dataclass
class Checkpoints:
    """The checkpoints of one run, locked by this process.

    Attributes:
        folder: of the files.
        lock: the open lock file.
        written: when the last one was written, in seconds of the monotonic clock.
    """

    folder: Path
    lock: IO[str]
    written: float = field(default_factory=time.monotonic)

    def due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        return time.monotonic() - self.written >= seconds_between()

    def write(self, step: int, content: bytes) -> None:
        """Add the checkpoint of a step and delete all but the last two.

        A full disk does not stop the run: the message names it, and the older checkpoints stay.
        """
        self.written = time.monotonic()
        path = self.folder / f"step-{step:09d}.pt"
        temporary = path.with_suffix(".tmp")
        try:
            with temporary.open("wb") as file:
                file.write(hashlib.sha256(content).digest())
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            log(f"{path}: this checkpoint cannot be written ({error.strerror}); the last good one stays")
            return
        for old in self._paths()[KEEP:]:
            old.unlink(missing_ok=True)

    def latest(self) -> bytes | None:
        """The newest complete checkpoint; damaged ones are skipped with a message."""
        for path in self._paths():
            with suppress(OSError):
                content = path.read_bytes() if path.is_file() else b""  # a device has no end
                if content and hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST]:
                    return content[DIGEST:]
            log(f"{path}: this checkpoint is damaged and is skipped")
        return None

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.pt"), reverse=True)


@dataclass
class CheckpointFolder:
    """The folder of a stage's runs: their checkpoints, one log, and the inputs of steps that diverged."""

    path: Path
    runs: list[Checkpoints] = field(default_factory=list)

    def open(self, name: str) -> Checkpoints:
        """Lock the checkpoints of the run with this fingerprint.

        Raises:
            InputError: another process holds the lock.
        """
        folder = self.path / name
        run = Checkpoints(folder, _locked(folder))
        for leftover in folder.glob("*.tmp"):
            leftover.unlink()
        self.runs.append(run)
        return run


@contextmanager
def checkpoint_folder(path: Path) -> Iterator[CheckpointFolder]:
    """A stage's checkpoints; deleted when the block, which also writes the outputs, ends without an error."""
    folder = CheckpointFolder(path)
    try:
        yield folder
        for run in folder.runs:
            shutil.rmtree(run.folder, ignore_errors=True)
    finally:
        for run in folder.runs:
            run.lock.close()


def fingerprint(settings: Mapping[str, object], content: Iterable[bytes]) -> str:
    """Sixteen digits that change with all that a result depends on, code and numerics included.

    Args:
        settings: plain JSON values: parameters, names, counts.
        content: data.
    """
    data = hashlib.sha256()
    for part in content:
        data.update(len(part).to_bytes(8, "little") + part)
    parts = {
        "settings": dict(settings),
        "data": data.hexdigest(),
        "code": _code(),
        "versions": [torch.__version__, np.__version__],
        "threads": torch.get_num_threads(),
        "processor": torch.backends.cpu.get_cpu_capability(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def pack(state: dict[str, Any]) -> bytes:
    """Tensors and plain values as bytes."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def unpack(content: bytes) -> dict[str, Any]:
    """The inverse of :func:`pack`, on the CPU; only tensors and plain values are loaded."""
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state


def seconds_between() -> float:
    """Seconds between two checkpoints.

    Raises:
        InputError: the environment variable is not a number.
    """
    value = os.environ.get(SECONDS) or "60"
    try:
        return float(value)
    except ValueError as error:
        raise InputError(f"{SECONDS} must be a number, got {value!r}") from error


def _locked(folder: Path) -> IO[str]:
    """Lock the file ``lock`` of a folder until it is closed or the process ends."""
    path = folder / "lock"
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            rule = "one process at a time may train here, and another one holds the lock"
            raise InputError(f"{folder}: {rule}; wait for it, or stop it") from error
        with suppress(FileNotFoundError):  # another run may have finished in between and deleted the folder
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return file
        file.close()


def _code() -> str:
    """SHA-256 of all modules of this project that the process has loaded."""
    digest = hashlib.sha256()
    for name, module in sorted(sys.modules.items()):
        if name.startswith("sttreid.") and getattr(module, "__file__", None):
            digest.update(name.encode() + Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()
