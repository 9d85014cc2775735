"""The arithmetic of training, to the bit: ``golden.json`` holds 20 steps of every variant.

After an intended change of the arithmetic, ``python -m tests.training.test_golden`` rewrites the file.

The runs use the portable numeric path and one thread, so that every x86-64 processor with AVX2 gives equal
bytes. On other processors, and with other versions of torch or NumPy, only the losses of the first steps are
compared, with a tolerance.
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

from sttreid.runtime import numerics
from tests.tiny import ROOT
from tests.training.golden import VARIANTS

FILE = Path(__file__).with_name("golden.json")
COMPARED = 5  # steps; rounding errors grow from step to step
PINNED = {**numerics.PORTABLE, "OMP_NUM_THREADS": "1", "STTREID_DEVICE": "cpu"}


@cache
def measured() -> dict[str, Any]:
    """The golden runs of this code, in a process that sets the numeric path before torch is loaded."""
    environment = {**os.environ, **PINNED, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-m", "tests.training.golden"]
    result = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    content: dict[str, Any] = json.loads(result.stdout)
    return content


@pytest.mark.parametrize("variant", VARIANTS)
def test_training_gives_the_golden_losses_and_weights(variant: str) -> None:
    golden = json.loads(FILE.read_text())
    expected, result = golden["variants"][variant], measured()["variants"][variant]
    if numerics.has_portable_path() and golden["versions"] == measured()["versions"]:
        assert result == expected
    np.testing.assert_allclose(result["losses"][:COMPARED], expected["losses"][:COMPARED], rtol=1e-3)


def test_the_file_holds_every_variant() -> None:
    assert list(json.loads(FILE.read_text())["variants"]) == list(VARIANTS)


if __name__ == "__main__":
    FILE.write_text(json.dumps(measured(), indent=1) + "\n")
