"""The arithmetic of training, to the bit: ``golden.json`` holds 20 steps of every variant.

After an intended change of the arithmetic, ``python -m tests.training.test_golden`` rewrites the file.

The runs use one pinned numeric path (AVX2 kernels, one thread), on which Intel processors with AVX2 give
equal bytes. Other processors ignore parts of it: there, and with other versions of torch or NumPy, only the
losses of the first steps are compared, with a tolerance.
"""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny import ROOT
from tests.training.golden import VARIANTS

FILE = Path(__file__).with_name("golden.json")
COMPARED = 5  # steps; rounding errors grow from step to step
PINNED = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "DNNL_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "OMP_NUM_THREADS": "1",
    "STTREID_DEVICE": "cpu",
}


def without_avx512() -> dict[str, str]:
    """NumPy has no setting for a level: its kernels above AVX2 are disabled by their names."""
    from numpy._core import _multiarray_umath as core

    names = [name for name in core.__cpu_dispatch__ if name.startswith(("AVX512", "X86_V4"))]
    available = [name for name in names if core.__cpu_features__[name]]
    return {"NPY_DISABLE_CPU_FEATURES": " ".join(available)} if available else {}


@cache
def measured() -> dict[str, Any]:
    """The golden runs of this code, in a process that sets the numeric path before torch is loaded."""
    environment = {**os.environ, **PINNED, **without_avx512(), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-m", "tests.training.golden"]
    result = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    content: dict[str, Any] = json.loads(result.stdout)
    return content


def has_pinned_path() -> bool:
    """Whether this processor follows the pinned numeric path."""
    path = Path("/proc/cpuinfo")
    words = set(path.read_text().split()) if path.exists() else set()
    return {"GenuineIntel", "avx2"} <= words


@pytest.mark.parametrize("variant", VARIANTS)
def test_training_gives_the_golden_losses_and_weights(variant: str) -> None:
    golden = json.loads(FILE.read_text())
    expected, result = golden["variants"][variant], measured()["variants"][variant]
    if has_pinned_path() and golden["versions"] == measured()["versions"]:
        assert result == expected
    np.testing.assert_allclose(result["losses"][:COMPARED], expected["losses"][:COMPARED], rtol=1e-3)


def test_the_file_holds_every_variant() -> None:
    assert list(json.loads(FILE.read_text())["variants"]) == list(VARIANTS)


if __name__ == "__main__":
    FILE.write_text(json.dumps(measured(), indent=1) + "\n")
