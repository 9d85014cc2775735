"""Damaged and hostile input for every parser: what is refused in a sentence, and what fails.

    python -m bench.fuzz [--inputs 1000] [--seed 0] [--only PARSER ...] [--write docs/reliability.md]
    python -m bench.fuzz --only PARSER --number 17 --seed 0        # one input again, with its traceback

Every input is a valid folder in which one or two files are mutated (bench/fuzz_mutations.py). A child process
reads the inputs one after the other, with limits of memory and time; a child that dies is replaced. An input
is accepted, refused (InputError), or a failure:

- another exception;
- a crash: the child ends by a signal;
- a hang: more than 20 s of processor time, or two minutes;
- memory: more than 1 GiB above what the valid folder took;
- a read outside: a file is opened outside of the folder of the input (an audit hook sees what Python opens;
  the time of access of a file beside the folder shows what compiled code reads). Links in a folder are its
  owner's: they may lead outside;
- code: a process is started, a socket is opened, a pickle names a class, or a file comes into being that code
  in an input would make.

The valid folder itself must be accepted, or the benchmark ends. Equal seeds give equal inputs.
"""

import argparse
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

import sttreid.stages  # noqa: F401  (chooses the numeric path, before torch is loaded)
from bench.fuzz_mutations import Traps, mutate
from bench.fuzz_parsers import PARSERS
from sttreid.runtime import markdown
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, write_json, write_text

MEMORY: Final = 2**30  # bytes above what the valid folder takes
ADDRESSES: Final = 2**33  # bytes above; libraries reserve more than they use
RESTART: Final = 75  # status of a child whose peak of memory is spent
SECONDS: Final = 20  # of processor time, for an input
WALL: Final = 120  # seconds for an input, at most
SECRET: Final = "the canary sings"  # content of the file outside
MARKS: Final = ("<!-- fuzz -->", "<!-- end fuzz -->")
CODE: Final = (
    "os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty",
    "pty.spawn", "socket.connect", "socket.getaddrinfo", "pickle.find_class", "webbrowser.open",
)  # fmt: skip
KINDS: Final = ("exception", "crash", "hang", "memory", "read outside", "code")


@dataclass
class Tally:
    """What became of the inputs of a parser.

    Attributes:
        name: of the parser.
        counts: outcome -> inputs.
        failures: number of an input, kind, mutation and reason.
        seconds: that the inputs took.
    """

    name: str
    counts: dict[str, int] = field(default_factory=dict)
    failures: list[tuple[int, str, str, str]] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, number: int, outcome: str, mutation: str = "", reason: str = "") -> None:
        """Count an input."""
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
        if outcome in KINDS:
            self.failures.append((number, outcome, mutation, reason))
            print(f"  {self.name} {number}: {outcome} [{mutation}] {reason}", file=sys.stderr, flush=True)


def main() -> None:
    """Run the benchmark; the status is 1 if an input failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=1000, help="per parser")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[], help="parts of the names of parsers")
    parser.add_argument("--number", type=int, help="one input, in this process")
    parser.add_argument("--tallies", type=Path, help="a JSON file: parsers in it are not run again; grows")
    parser.add_argument("--write", type=Path, help="the document whose table is replaced")
    given = parser.parse_args()
    names = [one.name for one in PARSERS if not given.only or any(word in one.name for word in given.only)]
    if given.number is not None:
        with tempfile.TemporaryDirectory() as folder:
            _child(names[0], Path(folder), range(given.number, given.number + 1), given.seed, aloud=True)
        return
    done = read_json(given.tallies) if given.tallies and given.tallies.exists() else {}
    for name in names:
        if name not in done:
            done[name] = asdict(fuzz(name, given.inputs, given.seed))
            if given.tallies:
                write_json(given.tallies, done)
            _tell(Tally(**done[name]))
    tallies = [Tally(**done[name]) for name in names]
    if given.write is not None:
        write_text(given.write, replaced(given.write.read_text(encoding="utf-8"), table(tallies, given)))
    sys.exit(any(tally.failures for tally in tallies))


def fuzz(name: str, inputs: int, seed: int) -> Tally:
    """Feed a parser."""
    tally, first, start = Tally(name), 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sttreid-fuzz-") as folder:
        while first < inputs:
            for number, outcome, mutation, reason in _run_child(name, Path(folder), first, inputs, seed):
                tally.add(number, outcome, mutation, reason)
                first = number + 1
    tally.seconds = time.monotonic() - start
    return tally


def _run_child(
    name: str, folder: Path, first: int, inputs: int, seed: int
) -> Iterator[tuple[int, str, str, str]]:
    """The outcomes of a child, until all inputs are read or one ends it.

    Raises:
        RuntimeError: the child ends before its first input: the valid folder is not accepted.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    reader, writer = os.pipe()
    if not (child := os.fork()):  # of a process that has imported everything and has no thread yet
        os.close(reader)
        _become_child(folder, writer)
        _child(name, folder, range(first, inputs), seed)
    os.close(writer)
    number, mutation, ready, hangs, text = first, "?", False, False, b""
    while True:
        if not select.select([reader], [], [], WALL)[0]:
            hangs = True
            os.kill(child, signal.SIGKILL)
            break
        if not (new := os.read(reader, 1 << 16)):
            break
        *rows, text = (text + new).split(b"\n")
        for row in map(json.loads, rows):
            ready = True
            mutation = row.get("mutation", mutation)
            if "outcome" in row:
                yield row["number"], row["outcome"], row["mutation"], row["reason"]
                number = row["number"] + 1
    os.close(reader)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = (folder / "errors").read_text(errors="replace").strip().splitlines()
    if not ready:
        raise RuntimeError(f"{name}: the valid folder must be accepted: {' '.join(said[-3:])}")
    if status == 1:
        raise RuntimeError(f"{name} {number}: the fuzzer itself failed: {' '.join(said[-3:])}")
    if number < inputs and status != RESTART:
        late = hangs or status == -signal.SIGPROF
        yield number, "hang" if late else "crash", mutation, f"status {status} {' '.join(said[-1:])}"[:300]


def _become_child(folder: Path, writer: int) -> None:
    """Outcomes go to the pipe, all other output and temporary files to the folder."""
    errors = os.open(folder / "errors", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(writer, 1)
    os.dup2(errors, 2)
    os.environ |= {"TMPDIR": str(folder), "HOME": str(folder)}
    tempfile.tempdir = str(folder)


def _child(name: str, folder: Path, numbers: range, seed: int, aloud: bool = False) -> None:
    """Read the inputs of a range and print the outcome of each as a line of JSON; the process ends."""
    try:
        _read_inputs(name, folder, numbers, seed, aloud)
    except BaseException:  # the valid folder is not accepted
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _read_inputs(name: str, folder: Path, numbers: range, seed: int, aloud: bool) -> None:
    parser = next(one for one in PARSERS if one.name == name)
    data, outside = folder / "data", folder / "outside"
    outside.mkdir()
    (outside / "canary.txt").write_text(SECRET + "\n")
    for copy in ("canary", "canary.jpg", "canary.mp4"):
        (outside / copy).write_text(SECRET + "\n")
    traps = Traps(outside / "canary.txt", folder / "made")
    data.mkdir()
    parser.write(data)
    warnings.simplefilter("ignore")
    watch = _Watch(folder, outside, traps.made)
    for _ in range(2):  # what is imported late is there before the limits
        parser.read(data)
    valid = {path: path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file()}
    targets = [path for pattern in parser.files for path in sorted(data.glob(pattern)) if path.is_file()]
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no outcome
    before = _peak()
    soft = _address_space() + ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (soft, soft))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**30, 2**30))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    print(json.dumps({"ready": True}), file=out)
    for number in numbers:
        rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
        kinds = [
            _change(data, targets, valid, rng, traps, mutate)
            for _ in range(2 if rng.integers(10) == 0 else 1)
        ]
        mutation = "; ".join(kinds)
        print(json.dumps({"mutation": f"{mutation}"}), file=out)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        watch.start()
        outcome, reason = "accepted", ""
        try:
            found = parser.read(data)
            if SECRET in repr(found):
                watch.seen.append(("read outside", "the content of the canary is in the result"))
        except InputError as error:
            outcome, reason = "refused", str(error)
            if "\n" in reason or not reason.strip():
                outcome, reason = "exception", f"no sentence: {reason[:200]!r}"
        except (MemoryError, Exception) as error:
            if aloud:
                traceback.print_exc()
            outcome, reason = "exception", f"{_place(error)}: {type(error).__name__}: {str(error)[:200]}"
        found = None
        signal.setitimer(signal.ITIMER_PROF, 0)
        grown = _peak() - before
        if grown > MEMORY and outcome != "exception":
            outcome, reason = (
                "memory",
                f"{grown / 2**20:.0f} MiB more than the valid folder ({outcome} {reason[:80]})",
            )
        if watch.stop():
            outcome, reason = watch.seen[0][0], "; ".join(text for _, text in watch.seen[:3])
        print(
            json.dumps({"number": number, "outcome": outcome, "mutation": mutation, "reason": reason}),
            file=out,
        )
        if aloud:
            print(number, outcome, mutation, reason, sep="\n", file=sys.stderr)
            for path in targets:
                if not path.is_file() or path.read_bytes() != valid[path]:
                    print(
                        path.name, path.read_bytes()[:2000] if path.is_file() else "no file", file=sys.stderr
                    )
        _restore(data, valid)
        if grown > MEMORY:
            os._exit(RESTART)  # the peak of a process never falls: another one goes on


def _change(
    data: Path, targets: Sequence[Path], valid: dict[Path, bytes], rng: Any, traps: Any, mutate: Any
) -> str:
    """Mutate one file of the folder, or put something else in its place."""
    path = targets[int(rng.integers(len(targets)))]
    if rng.integers(25) == 0:
        ways = ("itself", "nothing", "a folder", "/dev/zero", "/dev/null", "no file", "not readable")
        way = ways[int(rng.integers(len(ways)))]
        path.unlink(missing_ok=True) if not path.is_dir() else path.rmdir()
        if way == "a folder":
            path.mkdir()
        elif way == "not readable":
            path.write_bytes(valid[path])
            path.chmod(0)
        elif way != "no file":
            path.symlink_to({"itself": path.name, "nothing": "not-there"}.get(way, way))
        return f"{path.relative_to(data)}: link to {way}"
    kind, content = mutate(valid[path], path.suffix, rng, traps)
    if path.is_symlink() or path.is_dir():
        path.unlink() if path.is_symlink() else path.rmdir()
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return f"{path.relative_to(data)}: {kind}"


def _restore(data: Path, valid: dict[Path, bytes]) -> None:
    """The valid folder again."""
    for path in sorted(data.rglob("*"), reverse=True):
        if path.is_symlink() or (path not in valid and path.is_file()):
            path.unlink()
        elif path.is_dir() and path in valid:
            shutil.rmtree(path)
    for path, content in valid.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or not os.access(path, os.R_OK) or path.stat().st_mode & 0o777 == 0:
            path.unlink(missing_ok=True)
            path.write_bytes(content)
        elif path.read_bytes() != content:
            path.unlink()
            path.write_bytes(content)


class _Watch:
    """Sees what is opened and started while an input is read."""

    def __init__(self, folder: Path, outside: Path, made: Path) -> None:
        self.seen: list[tuple[str, str]] = []
        self.active, self.made, self.outside = False, made, outside
        root = Path(__file__).parents[1]
        own = (sys.prefix, sys.base_prefix, root / "src", root / "bench", root / "tests", "/proc", "/sys")
        libraries = ("/usr/lib", "/usr/share", "/etc/ld.so.cache", "/lib", "/dev/null", "/dev/urandom")
        self.allowed = tuple(f"{Path(path)}" for path in (folder / "data", *own, *libraries))
        self.scratch = str(folder)
        sys.addaudithook(self._hook)

    def start(self) -> None:
        """Begin with an input."""
        self.seen = []
        for path in self.outside.iterdir():
            os.utime(path, (0, 1))
        self.active = True

    def stop(self) -> bool:
        """Whether something was seen."""
        self.active = False
        for path in self.outside.iterdir():
            if path.stat().st_atime != 0:
                self.seen.append(("read outside", f"{path.name} was read"))
        if self.made.exists():
            self.seen.append(("code", "the file of a payload was made"))
            self.made.unlink()
        return bool(self.seen)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event == "open":
            path = arguments[0]
            if isinstance(path, str | bytes | os.PathLike):
                text = os.path.abspath(os.fsdecode(path))  # noqa: PTH100  (a link is its owner's)
                temporary = self.scratch in (text, str(Path(text).parent))  # a nameless file opens it
                if not temporary and not text.startswith(self.allowed):
                    self.active = False
                    self.seen.append(("read outside", f"{text} was opened"))
                    self.active = True
        elif event in CODE:
            self.seen.append(("code", f"{event} {str(arguments)[:200]}"))


def _place(error: BaseException) -> str:
    """The last line of the project that an error passed."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/src/sttreid/" in frame.filename]
    last = own[-1] if own else frames[-1]
    return f"{last.filename.rpartition('/src/')[2]}:{last.lineno}"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _tell(tally: Tally) -> None:
    accepted, refused = (tally.counts.get(name, 0) for name in ("accepted", "refused"))
    numbers = f"{accepted} accepted, {refused} refused, {len(tally.failures)} failures"
    print(f"{tally.name}: {numbers}, {tally.seconds:.0f} s", flush=True)


def table(tallies: Sequence[Tally], given: argparse.Namespace) -> str:
    """The part of the document."""
    command = f"python -m bench.fuzz --inputs {given.inputs} --seed {given.seed}"
    rows: list[list[object]] = []
    for tally in tallies:
        counts = [
            sum(tally.counts.values()),
            *(tally.counts.get(name, 0) for name in ("accepted", "refused")),
        ]
        rows.append([tally.name, *counts, len(tally.failures), f"{tally.seconds:.0f}"])
    whole = (
        sum(sum(tally.counts.values()) for tally in tallies),
        *(sum(tally.counts.get(name, 0) for tally in tallies) for name in ("accepted", "refused")),
    )
    seconds = f"{sum(tally.seconds for tally in tallies):.0f}"
    rows.append(["all", *whole, sum(len(tally.failures) for tally in tallies), seconds])
    kinds = Counter(kind for tally in tallies for _, kind, _, _ in tally.failures)
    told = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS)
    columns = ["parser", "inputs", "accepted", "refused", "failures", "seconds"]
    return "\n".join([f"`{command}`: {told}.", "", *markdown.table(columns, rows)])


def replaced(text: str, part: str) -> str:
    """The document with this part between the marks.

    Raises:
        InputError: it has no marks.
    """
    start, end = MARKS
    if start not in text or end not in text:
        raise InputError(f"the document must hold {start} and {end}, got neither or one")
    return f"{text.partition(start)[0]}{start}\n\n{part}\n\n{end}{text.partition(end)[2]}"


if __name__ == "__main__":
    main()
