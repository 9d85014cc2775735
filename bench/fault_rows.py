"""What `bench.faults` does besides killing: one function for each row of the table in docs/reliability.md.

A function breaks a workspace in one way, several times, and says of each try whether the promise held.
"""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import psutil
import yaml

from bench.fault_kills import Chain, recover
from bench.fault_workspace import DVC, STTREID, Ran, Workspace, children, may_cut_network, may_mount

GIGABYTE: Final = 2**30


@dataclass(frozen=True)
class Try:
    """One try.

    Attributes:
        name: what was done.
        ok: whether the promise held.
        status: exit status of the command that met the fault.
        said: its sentence.
        note: what else is worth knowing.
    """

    name: str
    ok: bool
    status: int | None = None
    said: str = ""
    note: str = ""


Function = Callable[[Workspace, Random, bool], Iterator[Try]]


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        fault: what can go wrong.
        done: what the benchmark does.
        happens: what is promised, and checked.
        remedy: what the user does.
        function: makes the tries; None: the kills, which have a module of their own.
        needs: what this user must be allowed to do, and whether it is.
    """

    fault: str
    done: str
    happens: str
    remedy: str
    function: Function | None
    needs: tuple[str, Callable[[], bool]] = ("nothing", lambda: True)


def flip(path: Path, draw: Random) -> str:
    """Flip one bit of a file; says where."""
    content = bytearray(path.read_bytes())
    place = draw.randrange(len(content))
    content[place] ^= 1 << draw.randrange(8)
    _rewrite(path, bytes(content))
    return f"{path.name}, byte {place:,} of {len(content):,} flipped"


def cut(path: Path, draw: Random) -> str:
    """Cut a file off; says where."""
    content = path.read_bytes()
    place = draw.randrange(len(content))
    _rewrite(path, content[:place])
    return f"{path.name}, cut off after {place:,} of {len(content):,} bytes"


def _rewrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


KINDS: Final = {  # damaged files -> the stage that reads them
    "artifacts/videos/unreal/*": ("decode", "unreal"),
    "artifacts/tracklets/campus/*": ("evaluate", "cross_domain", "0"),
    "artifacts/tracklets/unreal/*": ("pretrain", "0"),
    "artifacts/models/cross_domain/0/*.pt": ("evaluate", "cross_domain", "0"),
    "artifacts/configs/*.json": ("evaluate", "cross_domain", "0"),
    "artifacts/configs/variants/*.json": ("ablate", "cnn", "0"),
    "artifacts/results/*/*": ("report",),
    "artifacts/history/cross_domain/0/*": ("cross_domain",),
    "artifacts/views/*": ("claims",),
}


def damaged_artifacts(workspace: Workspace, draw: Random, quick: bool) -> Iterator[Try]:
    """Flip and cut files between stages; read them directly, then call DVC."""
    workspace.fresh()
    for pattern, words in list(KINDS.items())[:2] if quick else KINDS.items():
        files = [path for path in sorted(workspace.folder.glob(pattern)) if path.stat().st_size]
        before: tuple[Path, bytes] | None = None
        for damage in (flip, flip, cut):
            if before is not None:
                _rewrite(*before)
            path = draw.choice(files)
            before = path, path.read_bytes()
            name = f"{path.relative_to(workspace.folder).parent}/{damage(path, draw)}"
            ran = workspace.stage(*words)
            read = f"read by {' '.join(words)}: status {ran.status}"
            ok = ran.status in (0, 1) and not ran.has_traceback
            yield Try(name, ok, ran.status, ran.said, read + _tail(ran, ok))
        ran = workspace.dvc("repro")
        differences = workspace.differences()
        ok = ran.status == 0 and not differences
        yield Try(f"{pattern}: dvc repro after it", ok, ran.status, ran.said, ", ".join(differences[:5]))
        if not ok:
            workspace.fresh()


def damaged_data(workspace: Workspace, draw: Random, quick: bool) -> Iterator[Try]:
    """Flip bytes of the pinned sets; `dvc repro`, the runner, and the documented way back."""
    workspace.fresh()
    pin = workspace.folder / "data.dvc"
    pinned = pin.read_bytes()
    patterns = ("*.mp4", "*.txt", "tracks.csv", "truth.parquet") if not quick else ("*.mp4",)
    commands = ((*DVC, "repro", "decode@campus"), (*STTREID, "run-pipeline", "decode@campus"))
    for pattern in patterns:
        for command in commands:
            path = draw.choice(sorted((workspace.folder / "data" / "campus").glob(pattern)))
            name = f"data/campus/{flip(path, draw)}; {' '.join(Path(word).name for word in command[2:])}"
            ran = workspace.run(*command)
            refused = ran.status != 0 and not ran.has_traceback and pin.read_bytes() == pinned
            back = workspace.dvc("pull", "--force", "data.dvc")
            whole = workspace.run(*DVC, "repro")
            differences = workspace.differences()
            ok = refused and back.status == 0 and whole.status == 0 and not differences
            yield Try(name, ok, ran.status, ran.said, ", ".join(differences[:5]))
            if not ok:
                workspace.fresh()


def damaged_cache(workspace: Workspace, draw: Random, quick: bool) -> Iterator[Try]:
    """Flip a byte of an object of DVC's cache, and of the remote."""
    for where in ("cache", "remote"):
        for number in range(1 if quick else 3):
            workspace.fresh()
            names = ["artifacts/models/cross_domain/0/campus.pt", "artifacts/results/cross_domain/0.parquet"]
            name = names[number % 2]
            md5 = _md5(workspace.folder, name)
            root = ".dvc/cache/files/md5" if where == "cache" else "data-store/files/md5"
            stored = workspace.folder / root / md5[:2] / md5[2:]
            said = flip(stored, draw)
            (workspace.folder / name).unlink()
            if where == "cache":
                ran = workspace.dvc("repro")
                stored.unlink(missing_ok=True)
                (workspace.folder / name).unlink(missing_ok=True)
                back = workspace.dvc("pull", "-q", name)
            else:
                (workspace.folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
                ran = workspace.dvc("pull", name)
                refused = ran.status != 0
                subprocess.run(
                    ["git", "checkout", "-q", "--", "data-store"], cwd=workspace.folder, check=True
                )
                back = workspace.dvc("pull", "-q", name)
                ran = ran if refused else Ran(HIDDEN, ran.output, ran.seconds)
            last = workspace.dvc("repro")
            differences = workspace.differences()
            ok = back.status == 0 == last.status and not differences and ran.status != HIDDEN
            yield Try(f"{where}: {name}, {said}", ok, ran.status, ran.said, ", ".join(differences[:5]))


HIDDEN: Final = -1000  # the damage came through


def locks(workspace: Workspace, draw: Random, quick: bool) -> Iterator[Try]:
    """Leave DVC's lock files as a kill may leave them; then the runner."""
    workspace.fresh()
    lock, rwlock = workspace.folder / "dvc.lock", workspace.folder / ".dvc" / "tmp" / "rwlock"
    content = lock.read_text()
    gone = '{"write": {"/x": {"pid": 1, "cmd": "dvc repro"}}}'  # process 1 lives, and is no DVC command
    for number in range(2 if quick else 8):
        match number % 4:
            case 0:
                name, _ = "rwlock empty", rwlock.write_text("")
            case 1:
                name, _ = "rwlock cut off", rwlock.write_text(gone[: draw.randrange(1, len(gone))])
            case 2:
                name, _ = "dvc.lock empty", lock.write_text("")
            case _:
                place = draw.randrange(1, len(content))
                name, _ = f"dvc.lock cut off at {place:,}", lock.write_text(content[:place])
        alone = workspace.dvc("repro", "resolve")
        ran = workspace.run(*STTREID, "run-pipeline", "--jobs", "1")
        differences = workspace.differences()
        note = f"dvc repro resolve: status {alone.status}; {', '.join(differences[:5])}"
        yield Try(name, ran.status == 0 and not differences, ran.status, ran.said, note)
        lock.write_text(content)


FULL: Final = ("simulate", "decode@campus", "pretrain@0", "evaluate@cross_domain-0", "visualise", "report")


def full_disk(workspace: Workspace, draw: Random, quick: bool) -> Iterator[Try]:
    """Run stages on a disk with a little room, then with enough."""
    folder = workspace.folder.parent / "disk"
    for cell in FULL[1:2] if quick else FULL:
        for _ in range(1 if quick else 2):
            with workspace.on_small_disk(folder) as disk:
                room = draw.choice((0, 4, 16, 64, 256))
                disk.leave(room)
                ran = disk.workspace.dvc("repro", "-s", "-f", "--no-run-cache", cell)
                disk.leave(None)
                chain = Chain(cell)
                recover(disk.workspace, chain, (*DVC, "repro", "-s", "--no-run-cache", cell))
                ok = chain.ok and not ran.has_traceback
                note = f"then: status {chain.first}{', run-pipeline' if chain.repaired else ''}"
                yield Try(f"{cell}, {room} kB free", ok, ran.status, ran.said, note + _tail(ran, ok))


def two_at_once(workspace: Workspace, draw: Random, quick: bool) -> Iterator[Try]:
    """Start two commands for the same work, a moment apart."""
    workspace.fresh()
    pairs = [("decode@campus", "decode@campus"), ("pretrain@0", "pretrain@0"), ("decode@campus", "report")]
    for first, second in pairs[:1] if quick else pairs * 2:
        words = [(*DVC, "repro", "-s", "-f", "--no-run-cache", cell) for cell in (first, second)]
        started = workspace.start(*words[0])
        time.sleep(draw.uniform(0.0, 4.0))
        ran = workspace.run(*words[1])
        started.communicate()
        chain = Chain(first)
        recover(workspace, chain, (*DVC, "repro", "-s", "--no-run-cache", first))
        last = workspace.dvc("repro")
        ok = 0 in (started.returncode, ran.status) and not workspace.differences() and last.status == 0
        note = f"statuses {started.returncode} and {ran.status}; afterwards {chain.first}"
        yield Try(f"dvc repro {first} and {second}", ok, ran.status, ran.said, note)
    (workspace.folder / "artifacts/tracklets/campus").rename(workspace.folder / "artifacts/old")
    shutil.rmtree(workspace.folder / "artifacts/old")
    command = (*STTREID, "run-pipeline", "--jobs", "1")
    started = workspace.start(*command)
    time.sleep(2.0)
    ran = workspace.run(*command)
    started.communicate()
    ok = (started.returncode, ran.status) in ((0, 2), (2, 0), (0, 0)) and not workspace.differences()
    yield Try(
        "run-pipeline twice", ok, ran.status, ran.said, f"statuses {started.returncode} and {ran.status}"
    )


def read_only(workspace: Workspace, _: Random, quick: bool) -> Iterator[Try]:
    """Mount the checkout read-only."""
    workspace.fresh()
    script = 'mount --bind "$PWD" "$PWD" && mount -o remount,ro,bind "$PWD" && cd "$PWD" && exec "$@"'
    prefix = ("unshare", "-m", "sh", "-c", script, "sh")
    fail = [
        ("decode", "campus"),
        ("pretrain", "0"),
        ("report",),
        ("simulate",),
        ("evaluate", "ablation", "0"),
    ]
    for words in fail[:1] if quick else fail:
        ran = workspace.stage(*words, prefix=prefix)
        ok = ran.status == 1 and bool(ran.said) and not ran.has_traceback
        yield Try(f"stage {' '.join(words)}", ok, ran.status, ran.said, _tail(ran, ok))
    ran = workspace.run(*STTREID, "run-pipeline", prefix=prefix)
    ok = ran.status == 2 and bool(ran.said) and not ran.has_traceback
    yield Try("sttreid run-pipeline", ok, ran.status, ran.said, _tail(ran, ok))
    for words in (("describe", "campus"), ("watch", "--once"), ("simulate", "verify", "data/campus")):
        ran = workspace.run(*STTREID, *words, prefix=prefix)
        yield Try(f"sttreid {' '.join(words)}", ran.status == 0, ran.status, ran.said, "reads alone")
    yield Try("the files afterwards", not workspace.differences())


FORCED: Final = ("decode@campus", "evaluate@ablation-0", "cross_domain", "visualise", "claims", "report")


def _forced(workspace: Workspace, quick: bool, **how: object) -> tuple[bool, int, str, str]:
    """Run stages again; whether their bytes are the same."""
    status, said, note = 0, "", ""
    for cell in FORCED[:1] if quick else FORCED:
        ran = workspace.run(*DVC, "repro", "-s", "-f", "--no-run-cache", cell, **how)  # type: ignore[arg-type]
        if ran.status:
            status, said, note = ran.status, ran.said, f"{cell} failed: {ran.output[-500:]}"
    differences = workspace.differences()
    return not status and not differences, status, said, note or ", ".join(differences[:5])


def no_home(workspace: Workspace, _: Random, quick: bool) -> Iterator[Try]:
    """Run stages without HOME, and with one that does not exist."""
    workspace.fresh()
    yield Try("HOME unset", *_forced(workspace, quick, without=("HOME", "XDG_CACHE_HOME")))
    if not quick:
        yield Try("HOME=/nonexistent", *_forced(workspace, quick, variables={"HOME": "/nonexistent"}))


PLACES: Final = (
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "Asia/Kathmandu"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "TZ": "Pacific/Chatham"},
    {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "nonsense"},
)


def odd_locale(workspace: Workspace, _: Random, quick: bool) -> Iterator[Try]:
    """Run stages in other locales and time zones."""
    workspace.fresh()
    for variables in PLACES[:1] if quick else PLACES:
        name = " ".join(f"{key}={value}" for key, value in variables.items())
        yield Try(name, *_forced(workspace, quick, variables=variables))


def odd_path(workspace: Workspace, _: Random, quick: bool) -> Iterator[Try]:
    """Clone into a folder with an odd name, pull, and run what is not pulled."""
    workspace.fresh()
    for name in (
        ("mit Leerzeichen, äöü 東京",) if quick else ("mit Leerzeichen, äöü 東京", "a 'b' (c) [d] & e;f")
    ):
        folder = workspace.folder.parent / name
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["git", "clone", "-q", str(workspace.folder), str(folder)], check=True)
        clone = Workspace(folder, workspace.pristine)
        pulled = clone.dvc("pull", "-q")
        ran = clone.dvc("repro")
        if pulled.status or ran.status:
            yield Try(name, False, ran.status or pulled.status, ran.said or pulled.said, ran.output[-500:])
        else:
            yield Try(name, *_forced(clone, quick))
        shutil.rmtree(folder, ignore_errors=True)


def low_memory(workspace: Workspace, _: Random, quick: bool) -> Iterator[Try]:
    """Run stages under limits of their address space."""
    workspace.fresh()
    cells = [("decode", "campus"), ("pretrain", "0"), ("evaluate", "cross_domain", "0"), ("report",)]
    for words in cells[:1] if quick else cells:
        for size in (0.25, 0.5, 1.0, 1.5, 2.0, 3.0):
            prefix = ("prlimit", f"--as={int(size * GIGABYTE)}")
            ran = workspace.stage(*words, prefix=prefix)
            differences = workspace.differences()
            ok = ran.status in (0, 1) and not differences
            how = "traceback" if ran.has_traceback else "sentence" if ran.said else "done"
            note = f"{how}; {', '.join(differences[:5])}{_tail(ran, ok)}"
            yield Try(f"{' '.join(words)}, {size} GB", ok, ran.status, ran.said, note)
            if differences:
                workspace.fresh()
            if ran.status == 0:
                break


def worker_death(workspace: Workspace, draw: Random, quick: bool) -> Iterator[Try]:
    """Kill a worker of the simulator, and a cell of the runner."""
    workspace.fresh()
    for _ in range(1 if quick else 4):
        process = workspace.start(*DVC, "repro", "-s", "-f", "--no-run-cache", "simulate")
        worker = _worker(process, "spawn_main")
        time.sleep(draw.uniform(0.0, 2.0))
        name = _kill(worker)
        output, _ = process.communicate()
        ran = Ran(process.returncode, output.decode(errors="replace"), 0.0)
        chain = Chain("simulate")
        recover(workspace, chain, (*DVC, "repro", "-s", "--no-run-cache", "simulate"))
        ok = chain.ok and not ran.has_traceback and (ran.status != 0 or name == "nothing")
        yield Try(f"simulate: {name} killed", ok, ran.status, ran.said, _tail(ran, ok))
    for _ in range(1 if quick else 2):
        shutil.rmtree(workspace.folder / "artifacts/tracklets/campus")
        process = workspace.start(*STTREID, "run-pipeline", "--jobs", "1")
        worker = _worker(process, "sttreid.stages.decode")
        name = _kill(worker)
        output, _ = process.communicate()
        ran = Ran(process.returncode, output.decode(errors="replace"), 0.0)
        again = workspace.run(*STTREID, "run-pipeline", "--jobs", "1")
        ok = again.status == 0 and not workspace.differences() and not ran.has_traceback
        yield Try(f"run-pipeline: {name} killed", ok, ran.status, ran.said, _tail(ran, ok))


def _worker(process: "subprocess.Popen[bytes]", word: str) -> psutil.Process | None:
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        if found := children(process, word):
            return found[-1]
        time.sleep(0.05)
    return None


def _kill(worker: psutil.Process | None) -> str:
    if worker is None:
        return "nothing"
    try:
        words = worker.cmdline()
        worker.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return "nothing"
    return "a worker" if any("spawn_main" in word for word in words) else "a stage"


def no_network(workspace: Workspace, _: Random, quick: bool) -> Iterator[Try]:
    """Clone, pull, run and read without any network, not even a loopback that is up."""
    workspace.fresh()
    folder = workspace.folder.parent / "offline"
    shutil.rmtree(folder, ignore_errors=True)
    prefix = ("unshare", "-n")
    workspace.run("git", "clone", "-q", str(workspace.folder), str(folder), prefix=prefix)
    clone = Workspace(folder, workspace.pristine)
    pulled = clone.run(*DVC, "pull", "-q", prefix=prefix)
    yield Try("git clone, dvc pull", pulled.status == 0, pulled.status, pulled.said)
    ran = clone.run(*STTREID, "run-pipeline", "--jobs", "1", prefix=prefix)
    yield Try("sttreid run-pipeline", ran.status == 0 and not clone.differences(), ran.status, ran.said)
    yield Try("stages again", *_forced(clone, quick, prefix=prefix))
    shutil.rmtree(folder, ignore_errors=True)


def _md5(folder: Path, name: str) -> str:
    stages = yaml.safe_load((folder / "dvc.lock").read_text())["stages"].values()
    return str(next(out["md5"] for stage in stages for out in stage["outs"] if out["path"] == name))


def _tail(ran: Ran, ok: bool) -> str:
    return "" if ok else f"; {ran.output[-1500:]}"


ROOT_ONLY: Final = ("may mount a disk (root)", may_mount)
ROWS: Final[dict[str, Row]] = {
    "kills": Row(
        "SIGKILL",
        "every stage killed at random moments: DVC and the stage, the stage alone, or DVC alone; the next "
        "kill often hits the command that resumes",
        "the same command resumes; all files have the bytes of an undisturbed run",
        "`dvc repro`; if DVC says that a lock file is corrupted, `sttreid run-pipeline` or `make repro`",
        None,
    ),
    "locks": Row(
        "lock files that a kill left",
        "`.dvc/tmp/rwlock` and `dvc.lock` empty or cut off",
        "`dvc repro` may stop at them; `sttreid run-pipeline`, `run-study` and `make repro` repair them "
        "where no DVC command runs",
        "`rm .dvc/tmp/rwlock`, `git checkout dvc.lock`, then `dvc repro`; or one of these commands",
        locks,
    ),
    "data": Row(
        "damaged pinned data",
        "a flipped bit in videos, tracks and tables of `data/`",
        "`dvc repro` stops with the name of the file, `sttreid run-pipeline` before any stage; `data.dvc` "
        "keeps the pinned checksums",
        "`dvc pull --force data.dvc`",
        damaged_data,
    ),
    "artifacts": Row(
        "damaged files between stages",
        "flipped and cut off: videos, stores, models, configurations, results, histories, views",
        "a stage that reads them does its work or ends with a sentence; DVC finds them by their checksums",
        "`dvc repro`",
        damaged_artifacts,
    ),
    "cache": Row(
        "damaged objects of DVC",
        "a flipped bit in DVC's cache, and in the remote `data-store/`",
        "the remote's checksums are verified, so a pull fails; a damaged object of the cache comes into the "
        "workspace",
        "delete `.dvc/cache/files/md5/XX/YYY` (its name is the md5 in dvc.lock) and the file, `dvc pull`; "
        "for the remote `git checkout data-store`",
        damaged_cache,
    ),
    "disk": Row(
        "full disk",
        "stages in a checkout on a disk with 0 to 256 kB of room, then with enough",
        "the stage ends with a sentence; then the same command gives the same bytes",
        "make room, `dvc repro`; `sttreid run-pipeline` if DVC says that a lock file is corrupted",
        full_disk,
        ROOT_ONLY,
    ),
    "twice": Row(
        "two commands at once",
        "two `dvc repro` and two `sttreid run-pipeline` in one workspace, 0 to 4 s apart",
        "one does the work; the other waits or stops at a lock; the bytes are the same",
        "nothing",
        two_at_once,
    ),
    "read-only": Row(
        "read-only checkout",
        "stages and commands in a checkout that is mounted read-only",
        "what only reads works; the rest ends with a sentence that names the file",
        "make it writable",
        read_only,
        ROOT_ONLY,
    ),
    "home": Row(
        "no HOME",
        "six stages again, with HOME unset or missing",
        "the same bytes",
        "nothing",
        no_home,
    ),
    "locale": Row(
        "odd locale and time zone",
        "six stages again under C, POSIX and a Turkish locale that is not installed, in three time zones",
        "the same bytes",
        "nothing",
        odd_locale,
    ),
    "path": Row(
        "odd path",
        "a clone in a folder with spaces, umlauts, kanji, quotes and brackets",
        "the same bytes",
        "nothing",
        odd_path,
    ),
    "memory": Row(
        "low memory",
        "four stages under limits of 0.25 to 3 GB of address space (RLIMIT_AS)",
        "a stage does its work, or ends with status 1 and changes no file: with a sentence, or with Python's "
        "traceback where its libraries could not be loaded",
        "more memory, `dvc repro`",
        low_memory,
    ),
    "worker": Row(
        "death of a worker",
        "SIGKILL for a process of the simulator's pool, and for a stage of `sttreid run-pipeline`",
        "the stage ends with a sentence, no command hangs; then the same bytes",
        "the same command again",
        worker_death,
    ),
    "network": Row(
        "no network",
        "clone, pull, pipeline and six stages without any network",
        "the same bytes",
        "nothing",
        no_network,
        ("may cut the network off (root, or user namespaces)", may_cut_network),
    ),
}
