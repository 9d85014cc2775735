"""What a stage asks of its machine; in a process of its own, where the settings can do no harm."""

import subprocess
import sys

PROBE = """
import os, torch
from sttreid.machine import prepare
os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
device = prepare(3)
print(device.type == ("cuda" if torch.cuda.is_available() else "cpu"))
print(torch.get_num_threads(), os.environ["CUBLAS_WORKSPACE_CONFIG"])
print(torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":16:8"
prepare(1)
print(torch.get_num_threads(), os.environ["CUBLAS_WORKSPACE_CONFIG"])
"""


def test_threads_are_pinned_kernels_deterministic_and_a_chosen_workspace_stays():
    result = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["True", "3 :4096:8", "True True", "1 :16:8"]
