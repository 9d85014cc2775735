"""The compiler of the simulator's inner loops, and where its machine code is kept.

Numba notices a change of a compiled function's own file, but not of a function or constant that it takes from
another file, so an edit could leave stale machine code behind and with it other bytes than the source says.
The cache folder is therefore named by the contents of the whole package.
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
    """Twelve hexadecimal digits that change with any source file or asset of this package."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted([*_PACKAGE.glob("*.py"), *_PACKAGE.glob("*.npz")]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _cache_folder() -> Path:
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    return (Path(chosen) if chosen else _PACKAGE / "__pycache__") / f"kernels-{source_digest()}"


def kernel(function: Function) -> Function:
    """Compiles `function` at its first call; no fast maths, so that equal inputs give equal bytes."""
    before = _SETTINGS.CACHE_DIR
    _SETTINGS.CACHE_DIR = str(_CACHE)
    try:
        compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    finally:
        _SETTINGS.CACHE_DIR = before
    return cast(Function, compiled)


_CACHE = _cache_folder()
