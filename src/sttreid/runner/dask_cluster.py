"""Tasks on a Dask cluster, whose workers see the folder under the same path."""

from contextlib import suppress
from uuid import uuid4

import dask
from distributed import Client

from sttreid.runner.cells import Task
from sttreid.runner.executors import Executor
from sttreid.runner.schedule import Job
from sttreid.runtime.errors import InputError

GPU = "GPU"  # the resource of a worker: dask worker --resources GPU=1
SECONDS = 15  # to reach the scheduler


class DaskExecutor(Executor):
    """Tasks go to idle workers. Dask runs the task of a lost worker again elsewhere.

    Args:
        address: of the scheduler, such as tcp://host:8786; None: as Dask's configuration says
            (``DASK_SCHEDULER_ADDRESS``).

    Raises:
        InputError: no address is given, or no scheduler answers.
    """

    def __init__(self, address: str | None) -> None:
        super().__init__()
        address = address or dask.config.get("scheduler-address", None)
        if address is None:
            raise InputError("--executor dask needs --address, that of a scheduler: tcp://HOST:8786")
        try:
            self.client = Client(  # type: ignore[no-untyped-call]
                address, timeout=SECONDS, set_as_default=False
            )
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"--address {address}: no Dask scheduler answers ({reason})") from error

    def close(self) -> None:
        """Leave the cluster; its workers stay."""
        with suppress(OSError):
            self.client.close()  # type: ignore[no-untyped-call]

    def _start(self, task: Task, gpus: int) -> Job:
        resources = {GPU: gpus} if gpus and self._has_gpus() else None
        key = f"{task.name}-{uuid4().hex}"  # Dask gives the result of a known key without running the task
        job: Job = self.client.submit(task, pure=False, key=key, resources=resources)
        return job

    def _has_gpus(self) -> bool:
        """Whether a worker offers devices; without, tasks run on the device that each worker finds."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        return any(worker["resources"].get(GPU) for worker in workers)
