"""Checkpoints: what a killed training run needs to go on as if nothing had happened.

They lie in a folder of their own, unknown to DVC, whose name is a fingerprint of all that the run's result
depends on: another configuration, other data or other code begin anew. One process at a time holds the
folder. A file appears whole or not at all and begins with the SHA-256 of the rest; the last two are kept, so
that one good file stays whatever happens to the other.
"""

import fcntl
import hashlib
import io
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import torch

from sttreid.model.network import Network
from sttreid.runtime import numerics
from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import Store

KEPT = 2
DIGEST = hashlib.sha256().digest_size
SAMPLED = 256  # frames of a store that are read for its fingerprint


@dataclass
class Checkpoints:
    """The checkpoints of one run, held by this process.

    Attributes:
        folder: where they lie.
        lock: open, and locked, as long as this process holds them.
        tried: when the last one was written, in seconds of the monotonic clock.
    """

    folder: Path
    lock: IO[str]
    tried: float = field(default_factory=time.monotonic)

    def due(self) -> bool:
        """Whether the machine's time between two checkpoints is over."""
        return time.monotonic() - self.tried >= numerics.checkpoint_seconds()

    def write(self, step: int, content: bytes) -> None:
        """Add the checkpoint behind ``step`` and drop all but the last two.

        A full disk is no reason to end a run: it is said, and the older checkpoints stay.
        """
        self.tried = time.monotonic()
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
            tell(f"{path}: this checkpoint cannot be written ({error.strerror}); the last good one stays")
            return
        for old in self._paths()[KEPT:]:
            old.unlink(missing_ok=True)

    def latest(self) -> bytes | None:
        """The newest whole checkpoint; damaged ones are skipped with a message."""
        for path in self._paths():
            with suppress(OSError):
                content = path.read_bytes()
                if hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST]:
                    return content[DIGEST:]
            tell(f"{path}: this checkpoint is damaged and is skipped")
        return None

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.pt"), reverse=True)


@dataclass
class Scratch:
    """A stage's scratch folder: the checkpoints of its runs, one log, and what is left of a failure."""

    folder: Path
    runs: list[Checkpoints] = field(default_factory=list)

    def open(self, fingerprint: str) -> Checkpoints:
        """Take hold of a run's checkpoints.

        Raises:
            InputError: another process holds them.
        """
        folder = self.folder / fingerprint
        found = Checkpoints(folder, _locked(folder))
        for leftover in folder.glob("*.tmp"):
            leftover.unlink()
        self.runs.append(found)
        return found


@contextmanager
def kept(folder: Path) -> Iterator[Scratch]:
    """A scratch folder whose checkpoints are removed when the block, outputs and all, ends without error."""
    scratch = Scratch(folder)
    try:
        yield scratch
        for run in scratch.runs:
            shutil.rmtree(run.folder, ignore_errors=True)
    finally:
        for run in scratch.runs:
            run.lock.close()


def fingerprint(network: Network, store: Store, **settings: Any) -> str:
    """Sixteen digits for all that decides a run's result.

    Args:
        network: with the weights that the run starts from.
        store: its index counts whole, its pixels by shape and by frames that are spread evenly over them.
        **settings: further plain JSON values: parameters, names, counts.
    """
    weights = hashlib.sha256()
    for name, value in network.state_dict().items():
        weights.update(name.encode())
        weights.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    parts = {
        **settings,
        "weights": weights.hexdigest(),
        "data": _data(store),
        "code": _code(),
        "torch": [torch.__version__, np.__version__, torch.get_num_threads()],
        "processor": torch.backends.cpu.get_cpu_capability(),
        "device": _device_name(next(network.parameters()).device),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def pack(state: dict[str, Any]) -> bytes:
    """Tensors and plain values as bytes."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def unpack(content: bytes) -> dict[str, Any]:
    """The inverse of :func:`pack`, on the CPU; nothing but tensors and plain values is let in."""
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state


def tell(message: str) -> None:
    """A line for whoever watches, below the progress bar's."""
    print(message, file=sys.stderr, flush=True)


def _locked(folder: Path) -> IO[str]:
    """Hold ``folder``'s lock file until it is closed or the process ends, however that happens."""
    path = folder / "lock"
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            rule = "one process at a time may train here, another one holds the lock"
            raise InputError(f"{folder}: {rule}; wait for it, or end it") from error
        with suppress(FileNotFoundError):  # another run may have finished, and removed all, in between
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return file
        file.close()


def _data(store: Store) -> str:
    digest = hashlib.sha256(pd.util.hash_pandas_object(store.index).to_numpy().tobytes())
    digest.update(repr(store.frames.shape).encode())
    for place in np.unique(np.linspace(0, len(store.frames) - 1, SAMPLED, dtype=np.int64)).tolist():
        digest.update(store.frames[place].tobytes())
    return digest.hexdigest()


def _code() -> str:
    """All modules of the project that the process has loaded: whatever a stage trains with."""
    digest = hashlib.sha256()
    for name, module in sorted(sys.modules.items()):
        if name.startswith("sttreid.") and getattr(module, "__file__", None):
            digest.update(name.encode() + Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
