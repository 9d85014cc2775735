"""The portable path gives equal bits whatever else forces an instruction set on this machine."""

import json
import os
import subprocess
import sys

import pytest

from bench.numerics import markdown
from sttreid.runtime import numerics
from tests.tiny import ROOT

FORCED = [  # what NumPy, OpenBLAS and OpenMP choose by processor must not matter either
    {"OMP_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Nehalem"},
    {"OMP_NUM_THREADS": "1", "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512F AVX512_SKX AVX512_ICL AVX512_SPR"},
]


def hashes(environment):
    clean = {name: value for name, value in os.environ.items() if name not in numerics.PORTABLE}
    clean |= {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", **environment}
    command = [sys.executable, "-m", "bench.numerics", "--hashes"]
    result = subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


@pytest.mark.skipif(not numerics.has_portable_path(), reason="this processor has no portable path")
def test_forced_instruction_sets_change_no_operation_of_the_portable_path():
    first, second = (hashes({**numerics.PORTABLE, **forced}) for forced in FORCED)
    assert first == second
    lowest = hashes({"ATEN_CPU_CAPABILITY": "default", "DNNL_MAX_CPU_ISA": "SSE41"})
    assert lowest != first  # the comparison sees a difference of the last bits


def test_the_table_marks_equal_results():
    table = {"portable": {"exp": "a", "log": "b"}, "other": {"exp": "a", "log": "c"}}
    lines = markdown(table).splitlines()
    assert lines[0] == "| result | other |"
    assert lines[2:] == ["| exp | = |", "| log | - |"]
