"""A whole data set: every camera in a worker process of its own, and the manifest at the end."""

import multiprocessing
import os
import shutil
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from ctypes import c_int64
from functools import partial
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import cast

from tqdm import tqdm

from sttreid.domain import Domain, Scale
from sttreid.simulate.manifest import write_manifest
from sttreid.simulate.plan import sightings
from sttreid.simulate.render import film
from sttreid.simulate.walkers import schedule

_TICK = 0.5  # seconds between two looks at the workers' progress


def render(name: str, domain: Domain, scale: Scale, folder: Path, workers: int | None = None) -> None:
    """Writes c1.mp4, c1.txt, ... and manifest.json of the domain `name`; replaces the folder at the end.

    `workers` processes (as many as there are processors if None) film one camera each at a time; their
    number changes no byte. A failure leaves what stood at `folder` before.

    Raises:
        InputError: somebody cannot be seen in a camera.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    try:
        frames = _film_all(name, domain, scale, temporary, workers or os.cpu_count() or 1)
        write_manifest(temporary, name, scale, frames)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _film_all(name: str, domain: Domain, scale: Scale, folder: Path, workers: int) -> dict[int, int]:
    """Frames of every camera. Long films start first, so that no worker is left with one at the end."""
    seen = sightings(name, domain, scale)
    lengths = {c: max(v.end for v in schedule(name, domain, scale, c, who)) for c, who in seen.items()}
    order = sorted(seen, key=lambda camera: -lengths[camera])
    with tqdm(total=sum(lengths.values()), desc=f"simulate {name}", unit="frame", disable=None) as bar:
        if workers == 1:
            told = partial(_advance, bar)
            frames = {
                camera: film(name, domain, scale, camera, seen[camera], folder, told) for camera in order
            }
        else:
            jobs = [(name, domain, scale, camera, seen[camera], folder) for camera in order]
            frames = dict(zip(order, _in_processes(jobs, min(workers, len(jobs)), bar), strict=True))
    return {camera: frames[camera] for camera in sorted(frames)}


_WORKER: dict[str, "Synchronized[int]"] = {}
Job = tuple[str, Domain, Scale, int, list[int], Path]


def _in_processes(jobs: list[Job], workers: int, bar: "tqdm[None]") -> list[int]:
    context = multiprocessing.get_context("spawn")  # a forked copy of numba's or PyAV's threads could hang
    counter = context.Value(c_int64, 0)
    with ProcessPoolExecutor(workers, context, _start_worker, (counter,)) as pool:
        waiting = futures = [pool.submit(_film, job) for job in jobs]
        while waiting:
            finished, rest = wait(waiting, _TICK, FIRST_EXCEPTION)
            waiting = cast(list[Future[int]], list(rest))
            _advance(bar, counter.value - bar.n)
            if any(future.exception() for future in finished):
                pool.shutdown(cancel_futures=True)
        return [future.result() for future in futures]


def _start_worker(counter: "Synchronized[int]") -> None:
    """A counter of frames can only be inherited, not sent with a job, so each worker keeps it here."""
    _WORKER["counter"] = counter


def _film(job: Job) -> int:
    counter = _WORKER["counter"]

    def add(count: int) -> None:
        with counter.get_lock():
            counter.value += count

    return film(*job, add)


def _advance(bar: "tqdm[None]", count: int) -> None:
    bar.total = max(bar.total, bar.n + count)  # people who were hidden walk again: more frames than planned
    bar.update(count)
