"""The executors with trivial commands; a cluster of two nodes on the loopback device, and submitit's own."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sttreid.runner.cells import STOPPED, Task
from sttreid.runner.executors import Executor, LocalExecutor
from sttreid.runner.graph import read_graph
from sttreid.runner.kinds import open_executor
from sttreid.runner.reproduce import Runner
from sttreid.runner.schedule import Job
from sttreid.runtime.errors import InputError, StageError
from tests.runner.pipelines import pipeline, ran, stage
from tests.runner.test_cells import TRAINING, wait_for

KINDS = ("local", "dask", "slurm")


@pytest.fixture
def lease(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "run.lease"
    path.parent.mkdir()
    path.touch()
    return path


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of Dask, each a process with one thread; one offers a device."""
    distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")
    workers = {
        "scheduler": {"cls": distributed.Scheduler, "options": {"host": "127.0.0.1", "dashboard": False}},
        "workers": {
            name: {"cls": distributed.Nanny, "options": {"nthreads": 1, "resources": resources}}
            for name, resources in {"first": {}, "second": {"GPU": 1}}.items()
        },
    }
    cluster = distributed.SpecCluster(**workers)
    yield cluster
    cluster.close()


@pytest.fixture(params=KINDS)
def executor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Executor]:
    if request.param == "local":
        executor: Executor = LocalExecutor(2)
    elif request.param == "dask":
        cluster = request.getfixturevalue("cluster")
        from sttreid.runner.dask_cluster import DaskExecutor

        executor = DaskExecutor(cluster.scheduler_address)
    else:
        pytest.importorskip("submitit", reason="the extra cluster is not installed")
        from sttreid.runner.slurm import SlurmExecutor

        executor = SlurmExecutor(tmp_path / "slurm", {}, cluster="local")
    yield executor
    executor.close()


def task(name: str, folder: Path, lease: Path, code: str) -> Task:
    return Task(name, ("-c", code), folder, lease, log=folder / f"{name}.log")


def ended(job: Job) -> bool:
    wait_for(job.done)
    return job.done()


def test_two_tasks_run_at_once_and_tell_how_they_ended(
    executor: Executor, tmp_path: Path, lease: Path
) -> None:
    # each waits for the file of the other
    code = """
import pathlib, sys, time
pathlib.Path("{mine}").touch()
while not pathlib.Path("{other}").exists(): time.sleep(0.05)
print("the end", file=sys.stderr)
raise SystemExit({status})
"""
    jobs = [
        executor.submit(task(mine, tmp_path, lease, code.format(mine=mine, other=other, status=status)), 0)
        for mine, other, status in (("x", "y", 0), ("y", "x", 3))
    ]
    assert all(map(ended, jobs))
    assert [job.result().status for job in jobs] == [0, 3]
    assert (tmp_path / "y.log").read_text() == "the end\n"


def test_a_task_without_lease_stops_and_leaves_its_checkpoint(
    executor: Executor, tmp_path: Path, lease: Path
) -> None:
    job = executor.submit(task("train@0", tmp_path, lease, TRAINING), 0)
    wait_for((tmp_path / "pid").exists)
    lease.unlink()
    executor.settle()
    assert (tmp_path / "checkpoint").exists()
    if not isinstance(executor, LocalExecutor):
        assert executor.submit(task("late", tmp_path, lease, "pass"), 0).result().status == STOPPED
    assert ended(job)


def test_a_pipeline_runs_on_every_executor_and_shows_why_a_cell_failed_elsewhere(
    executor: Executor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pipeline(tmp_path / "p", {"a": stage("echo the reason >&2; test -e allowed", [], "a.txt")})
    with pytest.raises(StageError, match="a: failed"):
        Runner(executor, 2).reproduce(folder, [])
    assert ("the reason" in capsys.readouterr().out) == executor.remote
    (folder / "allowed").touch()
    Runner(executor, 2).reproduce(folder, [])
    assert ran(folder) == ["a", "a"]
    assert not read_graph(folder).changed


def test_local_cells_get_a_device_each(tmp_path: Path, lease: Path) -> None:
    executor = LocalExecutor(3, ["4", "MIG-5"])
    code = """
import os, pathlib, time
print(os.environ.get("CUDA_VISIBLE_DEVICES"), file=open("{name}.device", "w"))
while not pathlib.Path("go").exists(): time.sleep(0.05)
"""
    assert executor.free(1)
    jobs = [
        executor.submit(task(name, tmp_path, lease, code.format(name=name)), gpus)
        for name, gpus in (("x", 1), ("cpu", 0), ("y", 1))
    ]
    assert not executor.free(1)
    assert executor.free(0)
    (tmp_path / "go").touch()
    assert all(map(ended, jobs))
    devices = [(tmp_path / f"{name}.device").read_text().strip() for name in ("x", "y", "cpu")]
    assert devices == ["4", "MIG-5", os.environ.get("CUDA_VISIBLE_DEVICES", "None")]
    assert executor.free(1)
    executor.close()


def test_without_devices_cells_that_could_use_one_run_on_the_cpu() -> None:
    executor = LocalExecutor(1)
    assert executor.free(1)
    executor.close()


def test_a_cell_that_can_use_a_device_goes_to_the_node_that_has_one(
    cluster: Any, tmp_path: Path, lease: Path
) -> None:
    from sttreid.runner.dask_cluster import DaskExecutor

    executor = DaskExecutor(cluster.scheduler_address)
    jobs = [executor.submit(task(name, tmp_path, lease, "import time; time.sleep(0.3)"), 1) for name in "xyz"]
    assert all(map(ended, jobs))
    nodes = {executor.client.who_has([job])[job.key] for job in jobs}  # type: ignore[attr-defined]
    assert len(nodes) == 1
    executor.close()


def test_a_cell_that_is_out_of_date_again_runs_again(cluster: Any, tmp_path: Path, lease: Path) -> None:
    from sttreid.runner.dask_cluster import DaskExecutor

    executor = DaskExecutor(cluster.scheduler_address)
    jobs = []
    for _ in range(2):
        jobs.append(executor.submit(task("a", tmp_path, lease, "print(1, file=open('times', 'a'))"), 0))
        assert ended(jobs[-1])
    assert (tmp_path / "times").read_text() == "1\n1\n"
    executor.close()


def test_a_lost_node_costs_no_cell(cluster: Any, tmp_path: Path, lease: Path) -> None:
    """The node's process is killed; its cell writes a checkpoint and goes on, on a node that is alive."""
    from sttreid.runner.dask_cluster import DaskExecutor

    executor = DaskExecutor(cluster.scheduler_address)
    code = f"import os\nif os.path.exists('checkpoint'): raise SystemExit(0)\n{TRAINING}"
    job = executor.submit(task("train@0", tmp_path, lease, code), 0)
    wait_for((tmp_path / "pid").exists)
    busy = [address for address, keys in executor.client.processing().items() if keys]
    (pid,) = executor.client.run(os.getpid, workers=busy).values()
    os.kill(pid, 9)
    assert ended(job)
    assert job.result().status == 0
    assert (tmp_path / "checkpoint").exists()
    executor.close()


def test_a_slurm_job_asks_for_its_device_and_has_the_options_of_the_user(
    tmp_path: Path, lease: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script that sbatch would get; a program of that name keeps it."""
    pytest.importorskip("submitit", reason="the extra cluster is not installed")
    from sttreid.runner.slurm import SlurmExecutor

    for name, text in {
        "srun": "",
        "sacct": "",
        "sbatch": f"cp $1 {tmp_path}/script; echo Submitted job 7",
    }.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    executor = SlurmExecutor(tmp_path / "slurm", {"partition": "long", "time": "90", "constraint": "avx2"})
    executor.submit(task("train@0", tmp_path, lease, "pass"), 1)
    lines = (tmp_path / "script").read_text().splitlines()
    expected = {"gpus-per-node=1", "partition=long", "time=90", "constraint=avx2", "job-name=train@0"}
    assert {f"#SBATCH --{option}" for option in expected} <= set(lines)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"kind": "local", "jobs": 0}, "--jobs must be at least 1, got 0"),
        ({"kind": "local", "jobs": 1, "address": "x"}, "--address belongs to the executor dask"),
        ({"kind": "dask", "jobs": 1, "options": {"a": "b"}}, "--slurm belongs to the executor slurm"),
        ({"kind": "dask", "jobs": 1}, "needs --address"),
        ({"kind": "slurm", "jobs": 1}, "--executor slurm: .*srun"),
    ],
)
def test_what_does_not_fit_an_executor_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], rule: str
) -> None:
    if arguments["kind"] != "local":
        pytest.importorskip("distributed", reason="the extra cluster is not installed")
        pytest.importorskip("submitit", reason="the extra cluster is not installed")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=rule), open_executor(**arguments, folder=tmp_path):
        pass


def test_the_time_of_a_slurm_job_is_in_minutes(tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="the extra cluster is not installed")
    from sttreid.runner.slurm import SlurmExecutor

    with pytest.raises(InputError, match="number of minutes, got '1:00'"):
        SlurmExecutor(tmp_path, {"time": "1:00"}, cluster="local")


def test_a_scheduler_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="the extra cluster is not installed")
    from sttreid.runner import dask_cluster

    monkeypatch.setattr(dask_cluster, "SECONDS", 1)
    start = time.monotonic()
    with pytest.raises(InputError, match="no Dask scheduler answers"):
        dask_cluster.DaskExecutor("tcp://127.0.0.1:1")
    assert time.monotonic() - start < 60
