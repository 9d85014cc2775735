"""The machine that a stage runs on: detected, not tracked, but for the thread count: it changes results.

What cannot be detected is said in the environment: ``STTREID_DEVICE`` (cpu or cuda; unset: CUDA where there
is one) and ``STTREID_CHECKPOINT_SECONDS`` (between two checkpoints of a training run).
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch

from sttreid.runtime.errors import InputError

DEVICE = "STTREID_DEVICE"
SECONDS = "STTREID_CHECKPOINT_SECONDS"


def prepare(threads: int) -> torch.device:
    """Pin the intra-op threads, ask for deterministic kernels and pick the device of this process.

    Sums are split differently for each thread count, so a run's last bits depend on it.

    Raises:
        InputError: CUDA is asked for and there is none, or an unknown device is.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is only deterministic with this
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # filling memory that nobody reads takes time
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    device = _device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def _device() -> torch.device:
    there = torch.cuda.is_available()
    asked = os.environ.get(DEVICE) or ("cuda" if there else "cpu")
    if asked not in ("cpu", "cuda"):
        raise InputError(f"{DEVICE} must be cpu or cuda, got {asked!r}")
    if asked == "cuda" and not there:
        built = torch.version.cuda or "none"
        raise InputError(f"{DEVICE} asks for cuda, but torch finds no CUDA device (built for CUDA: {built})")
    return (
        torch.device("cpu") if asked == "cpu" else torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    )


@contextmanager
def deterministic() -> Iterator[None]:
    """Where deterministic kernels were asked for, refuse others instead of warning.

    Attention's backward pass on CUDA has a deterministic path, and takes it only where warnings are errors.
    """
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.use_deterministic_algorithms(before[0], warn_only=False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@contextmanager
def full_precision() -> Iterator[None]:
    """Convolutions of float32 on CUDA in float32; cuDNN's own choice is TensorFloat-32, with 10 bits of 23.

    What autocast makes bfloat16 stays bfloat16, and products of matrices are in float32 anyway unless a
    program says otherwise. The old name of the setting is kept in step with the new ones: torch refuses to
    read it where they disagree. Afterwards all are what they were.
    """
    cudnn = torch.backends.cudnn
    kinds: tuple[Any, Any] = cudnn.conv, cudnn.rnn  # type: ignore[attr-defined]
    before = [kind.fp32_precision for kind in kinds]
    try:
        old = cudnn.allow_tf32
    except RuntimeError:  # a program has set one of the new names alone
        old = True
    try:
        cudnn.allow_tf32 = False
        for kind in kinds:
            kind.fp32_precision = "ieee"
        yield
    finally:
        cudnn.allow_tf32 = old
        for kind, value in zip(kinds, before, strict=True):
            kind.fp32_precision = value


@contextmanager
def asked_to_end() -> Iterator[list[int]]:
    """Collect the first SIGTERM or Ctrl-C in the list that is given out; a second one ends the process.

    Outside the main thread, where signals cannot be had, the list stays empty.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}

    def collect(number: int, _: FrameType | None) -> None:
        asked.append(number)
        for one, old in before.items():
            signal.signal(one, old)

    for one in before:
        signal.signal(one, collect)
    try:
        yield asked
    finally:
        for one, old in before.items():
            signal.signal(one, old)


def checkpoint_seconds() -> float:
    """Seconds between two checkpoints of a training run; they do not change its results."""
    asked = os.environ.get(SECONDS) or "60"
    try:
        return float(asked)
    except ValueError as error:
        raise InputError(f"{SECONDS} must be a number, got {asked!r}") from error


def spread(shares: int) -> None:
    """Start this stage again under torchrun, one process a CUDA device, where several are visible.

    Does nothing in a process that torchrun has started, with one device or none, and outside a stage that was
    started as a module. Otherwise it does not return: the process becomes torchrun, so signals reach it.

    Args:
        shares: what the processes share evenly; as many are started as divide it.
    """
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if "LOCAL_RANK" in os.environ or os.environ.get(DEVICE) == "cpu" or spec is None:
        return
    visible = torch.cuda.device_count()
    count = max((n for n in range(1, visible + 1) if shares % n == 0), default=1)
    if count > 1 and spec.name.startswith("sttreid.stages."):
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        os.execv(sys.executable, [sys.executable, *torchrun, "-m", spec.name, *sys.argv[1:]])
