"""Tasks as Slurm jobs, through submitit."""

import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from submitit import AutoExecutor
from submitit.core.utils import FailedSubmissionError
from submitit.helpers import Checkpointable

from sttreid.runner.cells import Outcome, Task
from sttreid.runner.executors import Executor
from sttreid.runner.schedule import Job
from sttreid.runtime.errors import InputError

MINUTES = 24 * 60  # of a job, unless the option `time` says otherwise


class _Requeued(Checkpointable):
    """A task that goes back into the queue at its time limit and resumes from its stage's checkpoint."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __call__(self) -> Outcome:
        return self.task()


class SlurmExecutor(Executor):
    """One Slurm job for each task.

    Args:
        folder: for the job scripts and their output; the nodes must see it under the same path.
        options: of ``sbatch``, without ``--``; ``time`` in minutes.
        cluster: "local" runs the jobs as processes of this machine instead, for tests.

    Raises:
        InputError: there is no Slurm, or the time is not a number of minutes.
    """

    def __init__(
        self, folder: Path, options: Mapping[str, str], cluster: Literal["slurm", "local"] = "slurm"
    ) -> None:
        super().__init__()
        try:
            self.slurm = AutoExecutor(folder=folder, cluster=cluster)
        except RuntimeError as error:
            raise InputError(f"--executor slurm: {error}") from error
        others = dict(options)
        minutes = others.pop("time", str(MINUTES))  # submitit must know it: it requeues a job that reached it
        if not minutes.isdecimal() or not int(minutes):
            raise InputError(f"--slurm time: must be a number of minutes, got {minutes!r}")
        self.slurm.update_parameters(timeout_min=int(minutes), cpus_per_task=1)
        if others:
            self.slurm.update_parameters(slurm_additional_parameters=others)

    def settle(self) -> None:
        """As of every executor; then cancel what still waits or runs."""
        super().settle()
        for job in self.jobs:
            if not job.done():
                with suppress(OSError, subprocess.SubprocessError):
                    job.cancel()  # type: ignore[attr-defined]

    def _start(self, task: Task, gpus: int) -> Job:
        self.slurm.update_parameters(name=task.name, gpus_per_node=gpus)
        try:
            job: Job = self.slurm.submit(_Requeued(task))
        except FailedSubmissionError as error:
            raise InputError(f"sbatch: {' '.join(str(error).split())}") from error
        return job
