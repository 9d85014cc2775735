"""The numerics of a process: threads, device, deterministic kernels, precision.

The device is detected, it is not a parameter: CUDA if available, unless ``STTREID_DEVICE`` (cpu or cuda)
overrides this. The number of threads changes results, so it is a tracked parameter.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from sttreid.runtime.errors import InputError

DEVICE = "STTREID_DEVICE"


def prepare(threads: int) -> torch.device:
    """Set the number of intra-op threads, request deterministic kernels, choose the device of this process.

    The number of threads determines how sums are split, and therefore the last bits of results.

    Raises:
        InputError: the environment requests CUDA and there is none, or an unknown device.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required for a deterministic cuBLAS
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # filling uninitialised memory costs time, and no kernel here reads it
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    device = _device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def _device() -> torch.device:
    available = torch.cuda.is_available()
    requested = os.environ.get(DEVICE) or ("cuda" if available else "cpu")
    if requested not in ("cpu", "cuda"):
        raise InputError(f"{DEVICE} must be cpu or cuda, got {requested!r}")
    if requested == "cuda" and not available:
        built = torch.version.cuda or "none"
        raise InputError(f"{DEVICE} is cuda, but torch finds no CUDA device (built for CUDA: {built})")
    if requested == "cpu":
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


@contextmanager
def deterministic() -> Iterator[None]:
    """Where deterministic kernels are requested, raise an error, not a warning, for those that have none.

    Only in this mode is the backward pass of attention on CUDA deterministic.
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
    """Run float32 convolutions on CUDA in float32; cuDNN's default is TensorFloat-32, with 10 of 23 bits.

    Autocast to bfloat16 still applies, and matrix products are in float32 by default. torch has old and
    new names for this setting and fails if they disagree, so all are set. They are restored afterwards.
    """
    cudnn = torch.backends.cudnn
    kinds: tuple[Any, Any] = cudnn.conv, cudnn.rnn  # type: ignore[attr-defined]
    before = [kind.fp32_precision for kind in kinds]
    try:
        old = cudnn.allow_tf32
    except RuntimeError:  # only one of the new names was set before
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
