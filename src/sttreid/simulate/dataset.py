"""Rendering of a whole data set: each camera in a worker process, then the tables of truth and the manifest.

Finished cameras are kept in a hidden folder next to the target until all are complete. An interrupted
rendering resumes with the unfinished cameras if its recipe is unchanged.
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
from sttreid.simulate.plan import schedule, sightings
from sttreid.simulate.render import render_camera
from sttreid.simulate.tracks import MAX_FRAME_GAP, track_numbers
from sttreid.simulate.truth import by_track, read_truth, write_truth

_RECIPE = "recipe.json"  # in the folder of an unfinished rendering
_POLL = 0.5  # seconds between two updates of the progress bar
_WORTH_A_PROCESS = 1000  # crops; their rendering takes about as long as a process needs to start


def render(
    name: str,
    domain: Domain,
    scale: Scale,
    folder: Path,
    workers: int | None = None,
    version: str | None = None,
) -> None:
    """Render the videos, tracks, truth and manifest of the domain ``name``, then replace ``folder``.

    ``workers`` processes (None: one per processor, as far as there is work for them) render one camera each
    at a time; the bytes do not depend on their number. A failure leaves ``folder`` unchanged.

    Raises:
        InputError: an identity cannot be seen in a camera, or the plan is impossible.
    """
    made_by = recipe(name, domain, scale, version)
    unfinished = _resumed(folder.with_name(f".{folder.name}.partial"), made_by, scale.cameras)
    frames = _render_cameras(name, domain, scale, unfinished, workers)
    _write_tables(unfinished, list(frames))
    write_manifest(unfinished, made_by, scale, frames)
    (unfinished / _RECIPE).unlink()
    replace_folder(folder, unfinished)


def _resumed(folder: Path, made_by: dict[str, Any], cameras: int) -> Path:
    """The folder of an unfinished rendering of the same recipe with its finished cameras, or an empty one."""
    path = folder / _RECIPE
    if not path.exists() or read_json(path) != made_by:
        shutil.rmtree(folder, ignore_errors=True)
        write_json(path, made_by)
    finished = [f"c{camera}" for camera in range(1, cameras + 1) if _table(folder, camera).exists()]
    complete = {_RECIPE, *(f"{camera}.{kind}" for camera in finished for kind in ("mp4", "txt", "parquet"))}
    for leftover in folder.iterdir():
        if leftover.name not in complete:
            leftover.unlink(missing_ok=True)  # a worker of an interrupted rendering may still rename it
    return folder


def _render_cameras(
    name: str, domain: Domain, scale: Scale, folder: Path, workers: int | None
) -> dict[int, int]:
    """Camera -> number of frames. Long videos start first, to balance the workers."""
    identities = sightings(name, domain, scale)
    visits = {camera: schedule(name, domain, scale, camera, seen) for camera, seen in identities.items()}
    waiting = [camera for camera in identities if not _table(folder, camera).exists()]
    order = sorted(waiting, key=lambda camera: -max(visit.end for visit in visits[camera]))
    crops = sum(visit.length for camera in order for visit in visits[camera])
    workers = workers or max(1, min(os.cpu_count() or 1, crops // _WORTH_A_PROCESS))
    with tqdm(total=crops, desc=f"simulate {name}", unit="crop", disable=None) as bar:
        if workers == 1:
            for camera in order:
                render_camera(name, domain, scale, camera, identities[camera], folder, bar.update)
        elif order:
            jobs = [(name, domain, scale, camera, identities[camera], folder) for camera in order]
            _in_processes(jobs, min(workers, len(jobs)), bar)
        bar.total = bar.n  # the plan also counts the frames in which an identity is hidden
    return {camera: _frame_count(folder / f"c{camera}.mp4") for camera in sorted(identities)}


def _table(folder: Path, camera: int) -> Path:
    """The table of truth of a camera; it is written last, so its existence marks the camera as finished."""
    return folder / f"c{camera}.parquet"


def _frame_count(video: Path) -> int:
    with av.open(str(video)) as container:
        return container.streams.video[0].frames


def _write_tables(folder: Path, cameras: list[int]) -> None:
    """Merge the cameras' tables of boxes into one, and derive the table of tracks."""
    parts = [_table(folder, camera) for camera in cameras]
    boxes = pd.concat([read_truth(part) for part in parts], ignore_index=True)
    write_truth(folder / TRUTH, boxes)
    frames = boxes.groupby(["camera", "identity"])["frame"]
    numbers = 1 + frames.transform(lambda group: track_numbers(group, MAX_FRAME_GAP)).astype(int)
    write_text(folder / TRACKS, by_track(boxes, numbers).to_csv(index=False, lineterminator="\n"))
    for part in parts:
        part.unlink()


_WORKER: dict[str, "Synchronized[int]"] = {}
Job = tuple[str, Domain, Scale, int, list[int], Path]


def _in_processes(jobs: list[Job], workers: int, bar: "tqdm[None]") -> None:
    context = multiprocessing.get_context("spawn")  # a forked copy of numba's or PyAV's threads could hang
    counter = context.Value(c_int64, 0)
    with ProcessPoolExecutor(workers, context, _start_worker, (counter,)) as pool:
        waiting = futures = [pool.submit(_render_job, job) for job in jobs]
        while waiting:
            finished, rest = wait(waiting, _POLL, FIRST_EXCEPTION)
            waiting = cast(list[Future[None]], list(rest))
            bar.update(counter.value - bar.n)
            if any(future.exception() for future in finished):
                pool.shutdown(cancel_futures=True)
                break  # a cancelled future never counts as finished
        for future in futures:
            if not future.cancelled():
                future.result()


def _start_worker(counter: "Synchronized[int]") -> None:
    """Keep the counter of crops, which a worker can inherit but cannot receive with a job."""
    _WORKER["counter"] = counter
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End the worker when its parent is killed; otherwise it would wait for jobs forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _render_job(job: Job) -> None:
    counter = _WORKER["counter"]

    def add(count: int) -> None:
        with counter.get_lock():
            counter.value += count

    render_camera(*job, add)
