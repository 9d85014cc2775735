"""Executors run tasks: as processes of this machine, on a Dask cluster, or as Slurm jobs."""

import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from sttreid.runner.cells import POLL, Task
from sttreid.runner.schedule import Job

VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
PATIENCE: Final = 60.0  # seconds for tasks whose lease has ended


class Executor(ABC):
    """Runs tasks.

    Attributes:
        remote: whether tasks may run on other machines, so that their messages need a file.
    """

    remote = True

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def free(self, gpus: int) -> bool:  # noqa: ARG002
        """Whether a task that can use that many devices can start; a cluster has a queue of its own."""
        return True

    def submit(self, task: Task, gpus: int) -> Job:
        """Start a task, with devices if there are any."""
        self.jobs = [job for job in self.jobs if not job.done()]
        self.jobs.append(job := self._start(task, gpus))
        return job

    def settle(self) -> None:
        """Wait for the tasks that still run, after their lease has ended; at most a minute on a cluster."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not all(job.done() for job in self.jobs):
            time.sleep(POLL)

    def close(self) -> None:
        """Free what the executor holds, after all tasks have ended."""
        self.jobs.clear()

    @abstractmethod
    def _start(self, task: Task, gpus: int) -> Job: ...


class LocalExecutor(Executor):
    """Processes of this machine; each task that can use a CUDA device gets one for itself.

    Args:
        jobs: tasks at once.
        devices: of this machine, as CUDA_VISIBLE_DEVICES names them; empty: tasks run on the CPU.
    """

    remote = False

    def __init__(self, jobs: int, devices: Sequence[str] = ()) -> None:
        super().__init__()
        self.pool = ThreadPoolExecutor(jobs)
        self.users: dict[str, Job | None] = dict.fromkeys(devices)

    def free(self, gpus: int) -> bool:
        """Whether a device is idle, or none is needed."""
        return not gpus or not self.users or bool(self._idle())

    def settle(self) -> None:
        """Wait for the tasks; a training finishes its step first."""
        self.pool.shutdown(wait=True)

    def close(self) -> None:
        """End the threads, which wait for nothing now."""
        super().close()
        self.pool.shutdown(wait=True)

    def _start(self, task: Task, gpus: int) -> Job:
        if not gpus or not self.users:
            return self.pool.submit(task)
        device = self._idle()[0]
        task = replace(task, environment={**task.environment, VISIBLE: device})
        self.users[device] = job = self.pool.submit(task)
        return job

    def _idle(self) -> list[str]:
        return [device for device, job in self.users.items() if job is None or job.done()]


def cuda_devices() -> list[str]:
    """The CUDA devices that torch sees on this machine, as CUDA_VISIBLE_DEVICES names them."""
    if shutil.which("nvidia-smi") is None:  # without a driver: torch, which takes seconds, need not be loaded
        return []
    import torch

    names = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    return (names or list(map(str, range(torch.cuda.device_count()))))[: torch.cuda.device_count()]
