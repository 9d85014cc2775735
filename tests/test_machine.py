"""What a stage asks of its machine; in a process of its own, because the settings hold for a whole process."""

import os
import subprocess
import sys

PROBE = """
import os, torch
from sttreid.machine import prepare
device = prepare(3)
print(device.type == ("cuda" if torch.cuda.is_available() else "cpu"))
print(torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
print(torch.is_deterministic_algorithms_warn_only_enabled(), os.environ["CUBLAS_WORKSPACE_CONFIG"])
"""


def probe(**variables):
    result = subprocess.run(
        [sys.executable, "-c", PROBE], env=os.environ | variables, capture_output=True, text=True, check=True
    )
    return result.stdout.splitlines()


def test_threads_are_pinned_kernels_deterministic_and_the_device_found():
    assert probe(OMP_NUM_THREADS="1") == ["True", "3 True", "True :4096:8"]


def test_a_workspace_that_the_user_chose_stays():
    assert probe(CUBLAS_WORKSPACE_CONFIG=":16:8")[2] == "True :16:8"
