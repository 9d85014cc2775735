"""Run stages of a DVC pipeline side by side, each after those that it waits for."""

import os
import signal
import subprocess
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from sttreid.runtime.errors import InputError

WIDTH = 2  # parallel stages, of one thread each


class InterruptedRunError(Exception):
    """The process got SIGINT or SIGTERM."""


def raise_on_signals() -> None:
    """Let SIGINT and SIGTERM raise :class:`InterruptedRunError`; a second signal ends the process at once."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def _interrupt(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise InterruptedRunError


def cross_domain_stages(seeds: Iterable[int], targets: Iterable[str]) -> dict[str, list[str]]:
    """The stages of the default models, in the order in which they start -> those that each waits for."""
    trained = {seed: [f"finetune@{target}-{seed}" for target in targets] for seed in seeds}
    stages: dict[str, list[str]] = {f"pretrain@{seed}": [] for seed in trained}
    stages |= {stage: [f"pretrain@{seed}"] for seed in trained for stage in trained[seed]}
    return stages | {f"evaluate@cross_domain-{seed}": trained[seed] for seed in trained}


def ablation_stages(seeds: Iterable[int], variants: Iterable[str]) -> dict[str, list[str]]:
    """The stages of the variants, as :func:`cross_domain_stages`."""
    trained = {seed: [f"ablate@{variant}-{seed}" for variant in variants] for seed in seeds}
    stages: dict[str, list[str]] = {stage: [] for seed in trained for stage in trained[seed]}
    return stages | {f"evaluate@ablation-{seed}": trained[seed] for seed in trained}


def reproduce(
    stages: Mapping[str, Collection[str]],
    folder: Path,
    environment: dict[str, str],
    *,
    upstream: bool = False,
) -> None:
    """Run the stages that are out of date, at most ``WIDTH`` at a time, each after those that it waits for.

    Raises:
        InputError: a stage failed; those that do not wait for it are run nevertheless.
    """
    waiting, failed = list(stages), []
    done: set[str] = set()
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        while (ready := [stage for stage in waiting if done.issuperset(stages[stage])]) or running:
            for stage in ready[: WIDTH - len(running)]:
                waiting.remove(stage)
                # --wait-for-lock and -s (no upstream stages) make parallel calls safe
                command = ["dvc", "--wait-for-lock", "repro", *([] if upstream else ["-s"]), stage]
                running[stage] = subprocess.Popen(
                    command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, process_group=0
                )
            time.sleep(0.1)
            for stage in [stage for stage, process in running.items() if process.poll() is not None]:
                status = running.pop(stage).returncode
                (failed.append if status else done.add)(stage)
                print(f"{stage}: {'failed' if status else 'done'}", flush=True)
    finally:
        for process in running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)  # unlike SIGTERM, it lets DVC release its locks
        for process in running.values():
            process.wait()
    if failed:
        raise InputError(
            f"{', '.join(failed)}: failed, see above; the next call resumes after the finished stages"
        )
