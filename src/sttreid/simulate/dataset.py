"""A whole data set: every camera in a worker process of its own, then the tables of truth and the manifest.

What is finished lies in a hidden folder beside the data set's until all is there. A rendering that was killed
goes on with the cameras that were not finished, if its recipe is still the same.
"""

import multiprocessing
import os
import shutil
import threading
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from ctypes import c_int64
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any, cast

import av
import pandas as pd
from tqdm import tqdm

from sttreid.config.domain import Domain, Scale
from sttreid.runtime.files import read_json, replace_folder, write_json, write_text
from sttreid.simulate.manifest import TRACKS, TRUTH, recipe, write_manifest
from sttreid.simulate.plan import sightings
from sttreid.simulate.render import film
from sttreid.simulate.tracks import GAP, fragments
from sttreid.simulate.truth import by_track, read_truth, write_truth
from sttreid.simulate.walkers import schedule

_RECIPE = "recipe.json"  # of the rendering under way
_TICK = 0.5  # seconds between two looks at the workers' progress


def render(
    name: str,
    domain: Domain,
    scale: Scale,
    folder: Path,
    workers: int | None = None,
    version: str | None = None,
) -> None:
    """Writes videos, tracks, tables of truth and the manifest of the domain `name`; then replaces `folder`.

    `workers` processes (as many as there are processors if None) film one camera each at a time; their
    number changes no byte. A failure leaves what stood at `folder` before.

    Raises:
        InputError: somebody cannot be seen in a camera.
    """
    made_by = recipe(name, domain, scale, version)
    partial_folder = _begun(folder.with_name(f".{folder.name}.partial"), made_by, scale.cameras)
    frames = _film_all(name, domain, scale, partial_folder, workers or os.cpu_count() or 1)
    _write_tables(partial_folder, list(frames))
    write_manifest(partial_folder, made_by, scale, frames)
    (partial_folder / _RECIPE).unlink()
    replace_folder(folder, partial_folder)


def _begun(folder: Path, made_by: dict[str, Any], cameras: int) -> Path:
    """The folder of an unfinished rendering of the same recipe, finished cameras only, or a new one."""
    path = folder / _RECIPE
    if not path.exists() or read_json(path) != made_by:
        shutil.rmtree(folder, ignore_errors=True)
        write_json(path, made_by)
    finished = [f"c{camera}" for camera in range(1, cameras + 1) if _table(folder, camera).exists()]
    whole = {_RECIPE, *(f"{camera}.{kind}" for camera in finished for kind in ("mp4", "txt", "parquet"))}
    for left in folder.iterdir():
        if left.name not in whole:
            left.unlink(missing_ok=True)  # workers of one just killed may still rename it
    return folder


def _film_all(name: str, domain: Domain, scale: Scale, folder: Path, workers: int) -> dict[int, int]:
    """Frames of every camera. Long films start first, so that no worker is left with one at the end."""
    seen = sightings(name, domain, scale)
    visits = {camera: schedule(name, domain, scale, camera, who) for camera, who in seen.items()}
    waiting = [camera for camera in seen if not _table(folder, camera).exists()]
    order = sorted(waiting, key=lambda camera: -max(visit.end for visit in visits[camera]))
    crops = sum(visit.length for camera in order for visit in visits[camera])
    with tqdm(total=crops, desc=f"simulate {name}", unit="crop", disable=None) as bar:
        if workers == 1:
            for camera in order:
                film(name, domain, scale, camera, seen[camera], folder, bar.update)
        elif order:
            jobs = [(name, domain, scale, camera, seen[camera], folder) for camera in order]
            _in_processes(jobs, min(workers, len(jobs)), bar)
        bar.total = bar.n  # the plan counts everybody in every frame, also those who were hidden
    return {camera: _length(folder / f"c{camera}.mp4") for camera in sorted(seen)}


def _table(folder: Path, camera: int) -> Path:
    """What is true about one camera; it is written last, so where it is the camera is finished."""
    return folder / f"c{camera}.parquet"


def _length(video: Path) -> int:
    with av.open(str(video)) as container:
        return container.streams.video[0].frames


def _write_tables(folder: Path, cameras: list[int]) -> None:
    """One table of boxes out of the cameras' own, and the table of tracks."""
    parts = [_table(folder, camera) for camera in cameras]
    boxes = pd.concat([read_truth(part) for part in parts], ignore_index=True)
    write_truth(folder / TRUTH, boxes)
    frames = boxes.groupby(["camera", "identity"])["frame"]
    numbers = 1 + frames.transform(lambda group: fragments(group, GAP)).astype(int)
    write_text(folder / TRACKS, by_track(boxes, numbers).to_csv(index=False, lineterminator="\n"))
    for part in parts:
        part.unlink()


_WORKER: dict[str, "Synchronized[int]"] = {}
Job = tuple[str, Domain, Scale, int, list[int], Path]


def _in_processes(jobs: list[Job], workers: int, bar: "tqdm[None]") -> None:
    context = multiprocessing.get_context("spawn")  # a forked copy of numba's or PyAV's threads could hang
    counter = context.Value(c_int64, 0)
    with ProcessPoolExecutor(workers, context, _start_worker, (counter,)) as pool:
        waiting = futures = [pool.submit(_film, job) for job in jobs]
        while waiting:
            finished, rest = wait(waiting, _TICK, FIRST_EXCEPTION)
            waiting = cast(list[Future[None]], list(rest))
            bar.update(counter.value - bar.n)
            if any(future.exception() for future in finished):
                pool.shutdown(cancel_futures=True)
                break  # a future that was cancelled never counts as finished
        for future in futures:
            if not future.cancelled():
                future.result()


def _start_worker(counter: "Synchronized[int]") -> None:
    """A counter of crops can only be inherited, not sent with a job, so each worker keeps it here."""
    _WORKER["counter"] = counter
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A pool's workers would wait for jobs for ever if the process that hands them out were killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _film(job: Job) -> None:
    counter = _WORKER["counter"]

    def add(count: int) -> None:
        with counter.get_lock():
            counter.value += count

    film(*job, add)
