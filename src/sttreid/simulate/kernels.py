"""The compiler of the simulator's inner loops, and the cache of its machine code.

Numba notices changes in the file of a compiled function, but not in functions or constants that it takes from
another file. An edit could therefore leave stale machine code that renders other bytes than the source
describes. The name of the cache folder therefore depends on the content of the whole package.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numba.core.config

Function = TypeVar("Function", bound=Callable[..., object])
_SETTINGS: Any = numba.core.config
_PACKAGE = Path(__file__).parent


def source_digest() -> str:
    """Twelve hexadecimal digits that change with any source file or asset of this package, and with numba."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted([*_PACKAGE.glob("*.py"), *_PACKAGE.glob("*.npz")]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _cache_folder() -> Path:
    folder = os.environ.get("NUMBA_CACHE_DIR")
    return (Path(folder) if folder else _PACKAGE / "__pycache__") / f"kernels-{source_digest()}"


def kernel(function: Function) -> Function:
    """Compile ``function`` at its first call, without fast maths, so that equal inputs give equal bytes.

    Kernels become part of the kernels that call them: shading takes some small steps for every sample.
    """
    before = _SETTINGS.CACHE_DIR
    _SETTINGS.CACHE_DIR = str(_CACHE)
    try:
        compiled = numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=True)(function)
    finally:
        _SETTINGS.CACHE_DIR = before
    return cast(Function, compiled)


_CACHE = _cache_folder()
