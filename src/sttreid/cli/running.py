"""The commands that run the pipeline and studies: run-pipeline, run-study."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sttreid.cli import checkout
from sttreid.cli.wording import examples, pairs

if TYPE_CHECKING:
    from sttreid.runner.reproduce import Runner

ExecutorOption = Annotated[
    Literal["local", "dask", "slurm"],
    typer.Option(help="Processes of this machine, workers of a Dask cluster, or Slurm jobs."),
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", help="Stages at once, each of one thread.")]
AddressOption = Annotated[
    str | None, typer.Option(help="Of Dask's scheduler: tcp://HOST:8786; default: DASK_SCHEDULER_ADDRESS.")
]
SlurmOption = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="An option of sbatch; time in minutes; repeatable."),
]
PushOption = Annotated[
    str | None,
    typer.Option(metavar="REMOTE", help="Push outputs and run cache to this DVC remote after each stage."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "run-pipeline",
        epilog=examples(
            "sttreid run-pipeline",
            "sttreid run-pipeline cross_domain --jobs 4",
            "sttreid run-pipeline --executor slurm --jobs 20 --slurm partition=gpu --slurm time=240",
        ),
    )(run_pipeline)
    app.command(
        "run-study",
        epilog=examples(
            "sttreid run-study claims",
            "sttreid run-study claims --executor dask --address tcp://10.0.0.1:8786 --jobs 8",
            "sttreid run-study claims --jobs 4 --push shared",
            "sttreid run-study large --commit HEAD~3",
        ),
    )(run_study)


def run_pipeline(
    stages: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STAGE]...", help="Stages, with all that they need; default: all."),
    ] = None,
    executor: ExecutorOption = "local",
    jobs: JobsOption = 2,
    address: AddressOption = None,
    slurm: SlurmOption = None,
    push: PushOption = None,
) -> None:
    """Run what is out of date in the pipeline, side by side.

    As dvc repro, which runs one stage after the other. An interrupted run resumes.
    """
    from sttreid.config.params import load

    root = checkout.root()
    with _runner(root, executor, jobs, address, slurm, push) as runner:
        load(root / "params.yaml")
        if not runner.reproduce(root, stages or []):
            print("Everything is up to date.")


def run_study(
    name: Annotated[str, typer.Argument(help="A folder of experiments/.")],
    executor: ExecutorOption = "local",
    jobs: JobsOption = 2,
    address: AddressOption = None,
    slurm: SlurmOption = None,
    push: PushOption = None,
    commit: Annotated[
        str | None,
        typer.Option(metavar="REVISION", help="Whose code and parameters run; default: the present ones."),
    ] = None,
) -> None:
    """Run a study and publish its results in metrics/NAME/COMMIT.

    The code and the parameters of the current commit run. An interrupted study resumes; with --commit, one
    that an older commit began goes on as if nothing had been edited since.
    """
    root = checkout.root()
    with _runner(root, executor, jobs, address, slurm, push) as runner:
        from sttreid.runner.study import run_study

        publication = run_study(root, name, runner, commit)
    print(f"{publication.relative_to(root)}: published; commit it")


@contextmanager
def _runner(
    root: Path,
    executor: Literal["local", "dask", "slurm"],
    jobs: int,
    address: str | None,
    slurm: list[str] | None,
    push: str | None,
) -> "Iterator[Runner]":
    """A runner with its executor; signals end the block."""
    from sttreid.runner.kinds import open_executor
    from sttreid.runner.remotes import remote_settings
    from sttreid.runner.reproduce import Runner, interruptible
    from sttreid.runner.workplace import STATE

    options = pairs(slurm or [], "--slurm")
    if push is not None:
        remote_settings(root, push)
    with interruptible(), open_executor(executor, jobs, root / STATE / "slurm", address, options) as opened:
        yield Runner(opened, jobs, push)
