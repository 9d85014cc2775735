"""The machine that a stage runs on: detected, not tracked, but for the thread count: it changes results."""

import os

import torch


def prepare(threads: int) -> torch.device:
    """Pin the intra-op threads, ask for deterministic kernels and pick the device: CUDA where there is one.

    Sums are split differently for each thread count, so a run's last bits depend on it.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is only deterministic with this
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
