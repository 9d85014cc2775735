"""Start a stage again under torchrun where it can use several CUDA devices."""

import os
import sys

import torch

from sttreid.runtime.numerics import DEVICE


def launch_torchrun(identities: int) -> None:
    """Start this stage again under torchrun, with one process per visible CUDA device.

    The function does nothing in a process that torchrun started, with fewer than two devices, or outside of a
    stage that was started as a module. Otherwise it does not return: the process becomes torchrun and
    receives its signals.

    Args:
        identities: P of a batch; the number of processes is the largest one that divides it.
    """
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if "LOCAL_RANK" in os.environ or os.environ.get(DEVICE) == "cpu" or spec is None:
        return
    visible = torch.cuda.device_count()
    count = max((n for n in range(1, visible + 1) if identities % n == 0), default=1)
    if count > 1 and spec.name.startswith("sttreid.stages."):
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        os.execv(sys.executable, [sys.executable, *torchrun, "-m", spec.name, *sys.argv[1:]])
