"""The executors by their names; a cluster's library is loaded only for its executor."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sttreid.runner.executors import Executor, LocalExecutor, cuda_devices
from sttreid.runtime.errors import InputError

Kind = Literal["local", "dask", "slurm"]


@contextmanager
def open_executor(
    kind: Kind, jobs: int, folder: Path, address: str | None = None, options: Mapping[str, str] | None = None
) -> Iterator[Executor]:
    """The executor of a run.

    Args:
        kind: local, dask or slurm.
        jobs: tasks at once; at least 1.
        folder: for Slurm's scripts and messages.
        address: of Dask's scheduler; None: as Dask's configuration says.
        options: of ``sbatch``, such as partition and time.

    Raises:
        InputError: ``jobs`` is not positive, an option does not belong to the executor, or there is no Dask
            scheduler or Slurm.
        ModuleNotFoundError: the executor's package is not installed.
    """
    if jobs < 1:
        raise InputError(f"--jobs must be at least 1, got {jobs}")
    if address is not None and kind != "dask":
        raise InputError(f"--address belongs to the executor dask, got the executor {kind}")
    if options and kind != "slurm":
        raise InputError(f"--slurm belongs to the executor slurm, got the executor {kind}")
    executor: Executor
    if kind == "dask":
        from sttreid.runner.dask_cluster import DaskExecutor

        executor = DaskExecutor(address)
    elif kind == "slurm":
        from sttreid.runner.slurm import SlurmExecutor

        executor = SlurmExecutor(folder, options or {})
    else:
        executor = LocalExecutor(jobs, cuda_devices())
    try:
        yield executor
    finally:
        executor.close()
