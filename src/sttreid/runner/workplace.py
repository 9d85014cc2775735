"""The DVC folder that a runner works in: one runner at a time, and what killed processes left behind.

Everything lies in ``.dvc/tmp/sttreid``, which DVC and git ignore.
"""

import fcntl
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psutil
import yaml

from sttreid.runner.cells import POLL
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, write_bytes, write_json

STATE: Final = Path(".dvc") / "tmp" / "sttreid"
PATIENCE: Final = 60.0  # seconds for cells of a killed runner, which write a last checkpoint


def log_path(folder: Path, cell: str) -> Path:
    """The messages of a cell that ran on another machine."""
    return folder / STATE / "logs" / f"{cell}.log"


@contextmanager
def hold(folder: Path) -> Iterator[Path]:
    """Hold a DVC folder for one runner, and clean up after killed processes.

    Yields:
        The lease, a file: cells of this runner stop when it disappears.

    Raises:
        InputError: the folder is no DVC repository, another runner holds it, or DVC commands still run there
            after a minute.
    """
    if not (folder / ".dvc").is_dir():
        raise InputError(f"{folder.resolve()}: must be a DVC repository, and has no folder .dvc")
    state = folder / STATE
    state.mkdir(parents=True, exist_ok=True)
    with alone(state / "lock", folder):
        for left in state.glob("*.lease"):  # of a killed runner: its cells on other machines stop
            left.unlink(missing_ok=True)
        _wait_for_dvc(folder)
        repair_lock_file(folder)
        repair_pipeline_lock(folder)
        lease = state / f"{uuid4().hex}.lease"
        lease.touch()
        try:
            yield lease
        finally:
            lease.unlink(missing_ok=True)


@contextmanager
def alone(lock: Path, folder: Path) -> Iterator[None]:
    """Hold a lock file of a folder for one runner.

    Raises:
        InputError: another runner holds it; the error names ``folder``.
    """
    with lock.open("w") as file:
        try:
            fcntl.flock(
                file, fcntl.LOCK_EX | fcntl.LOCK_NB
            )  # released by the system if this process is killed
        except OSError as error:
            rule = "one runner at a time may work here, and another one does"
            raise InputError(f"{folder.resolve()}: {rule}; wait for it, or stop it") from error
        yield


@contextmanager
def reading(lock: Path) -> Iterator[None]:
    """Hold a lock file together with others that read what it guards; wait while :func:`is_read` looks."""
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def is_read(lock: Path) -> bool:
    """Whether a process holds the lock file with :func:`reading`."""
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def dvc_processes(folder: Path) -> dict[int, str]:
    """The DVC commands that run on this machine in the repository of a folder: process ID -> command line."""
    found = {}
    for process in psutil.process_iter(["pid", "cmdline"]):
        words = process.info["cmdline"] or []
        named = any(Path(word).name == "dvc" for word in words[:5])  # python -m dvc, or python .../bin/dvc
        if not named or "daemon" in words:  # which looks for a new version of DVC and touches no repository
            continue
        try:
            inside = _repository(Path(process.cwd())) == folder.resolve()
        except psutil.NoSuchProcess:  # or it has ended, and nobody has waited for it
            continue
        except psutil.AccessDenied:  # another user's: it may run here
            inside = True
        if inside:
            found[process.info["pid"]] = " ".join(words)
    return found


def repair_lock_file(folder: Path) -> None:
    """Remove DVC's ``rwlock`` where a killed process left it empty, cut off or held, and say so.

    With such a file every DVC command fails ("JSON structure is corrupted", "is busy"). DVC writes it in
    place, so a kill at that moment is enough. DVC itself ends the locks of processes that have gone, but not
    those whose number another program has now.

    Raises:
        InputError: the file is damaged and DVC commands run in the folder.
    """
    path = folder / ".dvc" / "tmp" / "rwlock"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    try:
        holders = _holders(json.loads(text))
        state = "held"
    except ValueError:
        holders, state = set(), "cut off" if text else "empty"
    running = dvc_processes(folder)
    if state == "held" and (running or not holders):
        return
    if running:
        rule = "is damaged, and cannot be removed while DVC commands run"
        raise InputError(f"{path}: {rule}: {_listed(running)}")
    path.unlink(missing_ok=True)
    print(f"{path}: removed; a killed DVC command left it {state}, and none runs", flush=True)


def repair_pipeline_lock(folder: Path) -> None:
    """Replace a ``dvc.lock`` that a killed process left empty or cut off by git's, and say so.

    Without one in git the file is removed. DVC writes the file in place after each stage. It then takes the
    outputs of finished stages from its run cache, so that nothing trains again.

    Raises:
        InputError: the file is damaged and DVC commands run in the folder.
    """
    path = folder / "dvc.lock"
    if not path.exists() or is_pipeline_lock(path.read_bytes()):
        return
    if running := dvc_processes(folder):
        raise InputError(f"{path}: is damaged, and DVC commands run: {_listed(running)}")
    command = ["git", "show", "HEAD:./dvc.lock"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    if done.returncode == 0:
        write_bytes(path, done.stdout)
    else:
        path.unlink()
    how = "replaced by git's" if done.returncode == 0 else "removed"
    print(f"{path}: {how}; a killed DVC command left it cut off, and none runs", flush=True)


def recorded_seconds(folder: Path) -> dict[str, float]:
    """Cell -> seconds that it took here at most; empty before the first run."""
    with suppress(InputError):
        content: Any = read_json(folder / STATE / "seconds.json")
        if isinstance(content, dict):
            return {name: float(value) for name, value in content.items() if isinstance(value, int | float)}
    return {}


def record_seconds(folder: Path, seconds: Mapping[str, float]) -> None:
    """Keep the seconds of cells for the order of the next run.

    The longest run counts: a cell that DVC restores from its run cache takes only seconds.
    """
    known = recorded_seconds(folder)
    longest = {name: max(value, known.get(name, 0.0)) for name, value in seconds.items()}
    write_json(folder / STATE / "seconds.json", {**known, **longest})


def _holders(content: Any) -> set[int]:
    """The processes that hold locks of DVC's ``rwlock`` and still exist.

    Raises:
        ValueError: this is not its content.
    """
    try:
        readers = [info for infos in content.get("read", {}).values() for info in infos]
        found = {int(info["pid"]) for info in [*readers, *content.get("write", {}).values()]}
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("not a rwlock of DVC") from error
    return {process for process in found if psutil.pid_exists(process)}


def is_pipeline_lock(content: bytes) -> bool:
    """Whether DVC can read a ``dvc.lock``; DVC never writes an empty one."""
    from dvc.dvcfile import Lockfile  # takes a second to import
    from voluptuous import Invalid

    try:
        Lockfile.SCHEMA(loaded := yaml.load(content, yaml.CSafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError, Invalid):
        return False
    return bool(loaded)


def _wait_for_dvc(folder: Path) -> None:
    start, told = time.monotonic(), False
    while running := dvc_processes(folder):
        if time.monotonic() - start > PATIENCE:
            raise InputError(f"{folder.resolve()}: DVC commands still run here: {_listed(running)}")
        if not told:
            print(f"waits for DVC commands that run here: {_listed(running)}", flush=True)
            told = True
        time.sleep(POLL)


def _listed(running: Mapping[int, str]) -> str:
    return "; ".join(f"process {pid} ({command})" for pid, command in running.items())


def _repository(folder: Path) -> Path | None:
    return next((path for path in (folder, *folder.parents) if (path / ".dvc").is_dir()), None)
