"""Measure what docs/performance.md says, and write it: `python -m bench.report [PART ...]`.

Every part is a benchmark that prints its figures for ``--json``; it runs in a process of its own with one
thread for each library, one part after another. Its last result stays in docs/performance/PART.json, so a
part can be measured anew; the document is written from these files and from bench/performance.md.jinja.

A part that fails keeps its former file; the status is then 1.
"""

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.costs import cpu
from bench.figures import Figure, from_json, to_json
from sttreid.runtime.provenance import machine

PARTS: Final = (
    "decoding", "clips", "steps", "evaluation", "reranking", "gallery", "embedding", "result_page", "packing",
    "simulator", "pipeline", "stages", "growth",
)  # fmt: skip
LONG: Final = ("stages",)  # 40 CPU minutes: measured only where it is named
DOCUMENT: Final = Path("docs/performance.md")
RESULTS: Final = Path("docs/performance")
TEMPLATE: Final = "performance.md.jinja"
BUSY: Final = 1.5  # load above which a figure may be biased
LIBRARIES: Final = ("OMP", "OPENBLAS", "MKL", "NUMBA")
PACKAGES: Final = (
    "numpy", "torch", "pillow", "opencv-python-headless", "decord", "av", "scikit-learn", "torchmetrics",
    "torchreid", "faiss-cpu", "numba", "dvc",
)  # fmt: skip
HEADER: Final = "| | ours | beside | ours / beside (least to greatest) | target |\n|:--|--:|:--|--:|:--|"


@dataclass(frozen=True)
class Record:
    """The last measurement of a part.

    Attributes:
        part: its benchmark.
        date: ISO 8601, UTC.
        commit: of the checkout, abbreviated; "+" behind it: with other changes.
        seconds: CPU time of the measurement itself.
        machine: processor, instruction set and number of its cores that may be used.
        load: average number of running processes in the last minute, when it began and when it ended.
        versions: of Python and of packages.
        figures: what was measured.
    """

    part: str
    date: str
    commit: str
    seconds: float
    machine: str
    load: tuple[float, float]
    versions: Mapping[str, str]
    figures: tuple[Figure, ...]


def measure(part: str) -> Record:
    """Run a benchmark.

    Raises:
        subprocess.CalledProcessError: it failed, and has said why.
    """
    env = {f"{library}_NUM_THREADS": "1" for library in LIBRARIES}
    command = [sys.executable, "-m", f"bench.{part}", "--json"]
    start, load = cpu(), os.getloadavg()[0]
    done = subprocess.run(command, env=os.environ | env, check=True, stdout=subprocess.PIPE, text=True)
    seconds = cpu() - start
    return Record(
        part=part,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit(),
        seconds=round(seconds, 2),
        machine=this_machine(),
        load=(round(load, 1), round(os.getloadavg()[0], 1)),
        versions=versions(),
        figures=from_json(json.loads(done.stdout.splitlines()[-1])),
    )


def commit() -> str:
    """Of the working directory; empty outside of git."""
    command = ["git", "describe", "--always", "--exclude=*", "--dirty=+"]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()


def this_machine() -> str:
    found = machine()
    cores = len(os.sched_getaffinity(0))
    return f"{found.processor} ({found.capability}), {cores} core{'s' if cores > 1 else ''}"


def versions() -> dict[str, str]:
    """Python's and those of the installed packages that take part."""
    found = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def write_record(record: Record, folder: Path) -> None:
    """The file of a part, replaced when it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    content = asdict(record) | {"figures": to_json(record.figures)}
    _replace(folder / f"{record.part}.json", json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_record(path: Path) -> Record:
    content = json.loads(path.read_text(encoding="utf-8"))
    figures, load = from_json(content.pop("figures")), tuple(content.pop("load"))
    return Record(**content, figures=figures, load=load)


def document(records: Mapping[str, Record], template: Path) -> str:
    """The whole of docs/performance.md; the template prints each part with ``table(PART)``."""
    env = Environment(
        loader=FileSystemLoader(template.parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return env.get_template(template.name).render(
        table=lambda part: table(records[part]) if part in records else "Not measured yet.",
        targets=targets(records.values()),
        missed=[figure for record in records.values() for figure in record.figures if figure.held is False],
        provenance=provenance(list(records.values())),
    )


def table(record: Record) -> str:
    """The figures of a part; shares of a whole follow in sentences."""
    rows = [row(figure) for figure in record.figures if figure.unit != "%"]
    shares: dict[str, list[str]] = {}
    for figure in record.figures:
        if figure.unit == "%":
            whole, _, part = figure.what.rpartition(": ")
            shares.setdefault(whole, []).append(f"{part} {figure.ours:.0f} %")
    sentences = [f"{whole[0].upper()}{whole[1:]}: {', '.join(each)}." for whole, each in shares.items()]
    notes = [f"- {figure.what}: {figure.note}" for figure in record.figures if figure.note and figure.ours]
    body = "\n".join([HEADER, *rows])
    return "\n\n".join([body, *(["\n".join(dict.fromkeys(notes))] if notes else []), *sentences])


def row(figure: Figure) -> str:
    """One line of a table."""
    if figure.ours is None:
        return f"| {figure.what} | not measured: {figure.note} | | | {verdict(figure)} |"
    spread = f" ({number(figure.low)} to {number(figure.high)})" if figure.rounds > 1 else ""
    ours = f"{number(figure.ours)} {figure.unit}"
    if figure.ratio is None:
        return f"| {figure.what} | {ours}{spread} | | | {verdict(figure)} |"
    beside = f"{figure.against}: {number(figure.alternative)}"
    return f"| {figure.what} | {ours} | {beside} | {number(figure.ratio)}{spread} | {verdict(figure)} |"


def verdict(figure: Figure) -> str:
    """The target, and whether it is met."""
    if figure.target is None:
        return ""
    of = "" if figure.target.of == "ratio" or not figure.unit else f" {figure.unit}"
    held = {True: "held", False: "**missed**", None: "open"}[figure.held]
    return f"{figure.target.rule} {figure.target.limit:g}{of}: {held}"


def targets(records: Iterable[Record]) -> str:
    """All figures that have one."""
    rows = [row(figure) for record in records for figure in record.figures if figure.target]
    return "\n".join([HEADER, *rows])


def provenance(records: Sequence[Record]) -> str:
    """Where and when each part was measured."""
    lines = ["| part | date | commit | CPU seconds | load | machine |", "|:--|:--|:--|--:|--:|:--|"]
    packages: dict[str, list[str]] = {}
    for record in records:
        load = " to ".join(map(str, record.load))
        facts = [record.part, record.date[:10], record.commit, f"{record.seconds:.0f}", load, record.machine]
        lines.append(f"| {' | '.join(facts)} |")
        named = ", ".join(f"{name} {version}" for name, version in record.versions.items())
        packages.setdefault(named, []).append(record.part)
    several = len(packages) > 1
    sentences = [
        f"Versions{f' ({chr(44).join(parts)})' if several else ''}: {named}."
        for named, parts in packages.items()
    ]
    busiest = max((max(record.load) for record in records), default=0.0)
    if busiest > BUSY:
        sentences.append(
            f"The machine was busy (load up to {busiest:g}). Other work takes a part of the caches and slows"
            " what is bound by memory more than what is not: measure again on a quiet machine."
        )
    return "\n\n".join(["\n".join(lines), *sentences])


def number(value: float | None) -> str:
    """Three significant digits, all of an integer."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write_document(folder: Path, target: Path, template: Path) -> None:
    """docs/performance.md from the last results of all parts."""
    paths = {part: folder / f"{part}.json" for part in PARTS}
    records = {part: read_record(path) for part, path in paths.items() if path.exists()}
    _replace(target, document(records, template))


def _replace(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def main(words: Sequence[str] | None = None) -> int:
    """Measure the parts, all but the long ones by default, and write the document; 1 if a part failed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all but {', '.join(LONG)}"
    )
    parser.add_argument("--document", action="store_true", help="measure nothing, write the document")
    given: Any = parser.parse_args(words)
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"a part must be one of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    failed = []
    usual = [part for part in PARTS if part not in LONG]
    for part in [] if given.document else given.parts or usual:
        try:
            record = measure(part)
        except subprocess.CalledProcessError as error:
            failed.append(part)
            print(f"{part}: failed with status {error.returncode}; its former figures stay", file=sys.stderr)
            continue
        write_record(record, RESULTS)
        write_document(RESULTS, DOCUMENT, Path(__file__).with_name(TEMPLATE))
        missed = sum(figure.held is False for figure in record.figures)
        print(f"{part}: {record.seconds:.0f} CPU seconds, {missed} targets missed", flush=True)
    write_document(RESULTS, DOCUMENT, Path(__file__).with_name(TEMPLATE))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
