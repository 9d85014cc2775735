"""The numerics of a process: numeric path, threads, device, deterministic kernels, precision.

On a CPU, torch and its libraries choose kernels by the processor's instruction set, and each choice rounds
differently: the same seed gives other weights on another processor. The numeric path ``portable`` restricts
them to kernels with the same bits on all x86-64 processors with AVX2, of Intel and of AMD (docs/numerics.md);
the path ``native`` leaves them alone. The libraries read these settings when torch is loaded, so this module
loads torch only where a function needs it, and :func:`choose` must be called before.

The device is detected, it is not a parameter: CUDA if available, unless ``STTREID_DEVICE`` (cpu or cuda)
overrides this. Numeric path and number of threads change results, so both are tracked parameters.
"""

import os
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from sttreid.runtime.errors import InputError

if TYPE_CHECKING:
    import torch

NumericPath = Literal["portable", "native"]

DEVICE: Final = "STTREID_DEVICE"
NUMERICS: Final = "STTREID_NUMERICS"  # the path that a process and its children choose
PORTABLE: Final = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels
    "DNNL_MAX_CPU_ISA": "AVX2",  # oneDNN: convolutions and linear layers
    "MKL_CBWR": "COMPATIBLE",  # all other matrix products: on AMD, MKL ignores every faster choice
}
REQUIRED: Final = {"avx2", "fma"}  # of a processor, as Linux names its features

_too_late = False  # torch was loaded before the settings could have an effect


def choose() -> None:
    """Set the environment for the path that ``STTREID_NUMERICS`` names, by default ``portable``.

    Where torch is loaded already, this has no effect, and :func:`warn_if_too_late` says so.

    Raises:
        InputError: the variable names no path.
    """
    global _too_late
    requested = os.environ.get(NUMERICS) or "portable"
    if requested not in ("portable", "native"):
        raise InputError(f"{NUMERICS} must be portable or native, got {requested!r}")
    if requested == "native" or not has_portable_path() or _is_set():
        return
    if "torch" in sys.modules:
        _too_late = True
    else:
        os.environ.update(PORTABLE)


def current() -> NumericPath:
    """The path of this process."""
    return "portable" if not _too_late and _is_set() and has_portable_path() else "native"


@cache
def has_portable_path() -> bool:
    """Whether the portable path exists on this processor."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    try:
        words = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:  # not Linux
        return True
    return set(words) >= REQUIRED


def warn_if_too_late() -> None:
    """Warn where torch was loaded before :func:`choose` was called."""
    if _too_late:
        warnings.warn(
            f"torch was loaded before {', '.join(PORTABLE)} were set: features differ in the last bits from"
            f" those of the portable path; load the model before torch, or set {NUMERICS}=native",
            RuntimeWarning,
            stacklevel=3,
        )


def prepare(threads: int, path: NumericPath) -> "torch.device":
    """Set the number of intra-op threads, request deterministic kernels, choose the device of this process.

    The number of threads determines how sums are split, and therefore the last bits of results. A stage on
    another numeric path than ``path`` starts itself again, so it calls this function before all else.

    Raises:
        InputError: the environment requests CUDA and there is none, or an unknown device; or the process has
            the other numeric path and is no stage that can start itself again.
    """
    _follow(path)
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required for a deterministic cuBLAS
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("warn")  # use_deterministic_algorithms loads torch's compiler
    # filling uninitialised memory costs time, and no kernel here reads it
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    device = _device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def _follow(path: NumericPath) -> None:
    """Replace this process where its numeric path is not ``path``; without a portable path, any will do."""
    if path == current() or not has_portable_path():
        return
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if os.environ.get(NUMERICS) == path or spec is None or not spec.name.startswith("sttreid.stages."):
        found = f"but this process has the path {current()}"
        raise InputError(f"params.yaml: compute.numerics is {path}, {found}")
    environment = {name: value for name, value in os.environ.items() if PORTABLE.get(name) != value}
    environment[NUMERICS] = path
    os.execve(sys.executable, [sys.executable, "-m", spec.name, *sys.argv[1:]], environment)


def _is_set() -> bool:
    return all(os.environ.get(name) == value for name, value in PORTABLE.items())


def _device() -> "torch.device":
    import torch

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
    import torch

    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("error" if before else "default")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


@contextmanager
def full_precision() -> Iterator[None]:
    """Run float32 convolutions on CUDA in float32; cuDNN's default is TensorFloat-32, with 10 of 23 bits.

    Autocast to bfloat16 still applies, and matrix products are in float32 by default. torch has old and
    new names for this setting and fails if they disagree, so all are set. They are restored afterwards.
    """
    import torch

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
