"""What a data set on this disk holds: `python -m sttreid.data.describe mars /sets/MARS`.

Prints counts, lengths and, of published sets, the official counts beside those of the copy; `--sheet` also
draws tracklets. The word behind the command is a reader, with a folder, or the name of a data set of
params.yaml, without one.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from sttreid.config.conversion import hint, parse
from sttreid.config.datasets import CAMERAS, FOOTAGE, OPTIONS, Dataset, Validation
from sttreid.config.params import load
from sttreid.data.footage import read_videos
from sttreid.data.footage_sheet import camera_lines, tracklets_of, write_footage_sheet
from sttreid.data.index import place
from sttreid.data.published import READERS, read_published
from sttreid.data.readers.contact_sheet import write_sheet
from sttreid.data.readers.tracklets import DISTRACTOR, JUNK, PERSON, Tracklets
from sttreid.data.sources import CameraFolder
from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import SPLITS

USUAL: Final = {"split": 1, "gap": 10, "test": 0.5, "numbers": "shared"}  # options that are left out
USUAL_VALIDATION: Final = Validation(share=0.1, seed=0)
NO_MANIFEST: Final = "sets/none.json"  # a data set that params.yaml does not name has none
_BAR: Final = 40  # characters of the longest bar


def describe(tracklets: Tracklets) -> str:
    """The text about a data set that was read."""
    table = tracklets.table
    both = int((table["query"] & table["gallery"]).sum())
    gaps = broken_runs(tracklets)
    lines = [
        f"{tracklets.name}: {tracklets.root}",
        f"{len(table):,} tracklets, {len(tracklets):,} pictures, {tracklets.classes:,} training classes",
        "",
        count_table(table),
        "",
        f"queries that also stand in the gallery: {both:,}",
        f"tracklets whose frame numbers leave a gap: {gaps:,}",
        "",
        "pictures of a tracklet, and how many tracklets have so many",
        histogram(table["length"]),
        "",
        *(f"{'ok ' if check.passed else 'OFF'}  {check}" for check in tracklets.checks),
        *tracklets.remarks,
        f"{len(tracklets.mismatches)} of {len(tracklets.checks)} checks are off",
    ]
    return "\n".join(lines)


def count_table(table: pd.DataFrame) -> str:
    """Identities, cameras, tracklets, pictures and lengths of every role."""
    person, gallery = table["kind"] == PERSON, table["gallery"]
    test = table["split"] == "test"
    roles = {
        "train": table["split"] == "train",
        "validation": table["split"] == "validation",
        "validation query": (table["split"] == "validation") & table["query"],
        "query": test & table["query"],
        "gallery": test & gallery & person,
        "distractor": table["kind"] == DISTRACTOR,
        "junk": table["kind"] == JUNK,
    }
    rows = [_row(role, table[mask]) for role, mask in roles.items() if mask.any()]
    text: str = pd.DataFrame(rows).set_index("role").to_string(index_names=False)
    return text


def _row(role: str, own: pd.DataFrame) -> dict[str, object]:
    length = own["length"]
    return {
        "role": role,
        "identities": own["identity"].nunique(),
        "cameras": own["camera"].nunique(),
        "tracklets": len(own),
        "pictures": int(length.sum()),
        "missing": int(own["missing"].sum()),
        "shortest": int(length.min()),
        "median": f"{length.median():g}",
        "longest": int(length.max()),
    }


def histogram(lengths: pd.Series) -> str:
    """Tracklets by length, in bins that double."""
    power = np.frexp(lengths.to_numpy())[1]  # 1: 1, 2 and 3: 2, 4 to 7: 3, ...; 0: 0
    counts = np.bincount(power)
    lines = []
    for bin_, count in enumerate(counts.tolist()):
        low, high = (2 ** (bin_ - 1), 2**bin_ - 1) if bin_ else (0, 0)
        label = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        bar = "#" * -(-_BAR * count // int(counts.max()))
        lines.append(f"{label:>18} {count:>8,}  {bar}".rstrip())
    return "\n".join(lines[1:] if counts[0] == 0 else lines)


def broken_runs(tracklets: Tracklets) -> int:
    """How many tracklets have frame numbers whose steps are not all equal to the smallest one."""
    uneven = 0
    for row in np.flatnonzero(tracklets.table["length"] > 2).tolist():
        steps = np.diff(tracklets.frames(row))
        uneven += int(steps.min() != steps.max())
    return uneven


def describe_videos(found: CameraFolder) -> str:
    """The text about a set of camera videos that was read; no video is decoded."""
    table = tracklets_of(found)
    rows = []
    for split, own in table.groupby(pd.Categorical(table["split"], SPLITS, ordered=True), observed=True):
        rows.append({"split": split, "identities": own["identity"].nunique(), **_lengths(own)})
    counts = pd.DataFrame(rows).set_index("split").to_string(index_names=False)
    lines = [
        f"{found.name}: {found.folder}",
        f"{len(table):,} tracklets, {len(found.detections):,} boxes, {table['identity'].nunique():,} people",
        "",
        *camera_lines(found),
        "",
        counts,
        "",
        "boxes of a tracklet, and how many tracklets have so many",
        histogram(table["length"]),
    ]
    return "\n".join(lines)


def _lengths(own: pd.DataFrame) -> dict[str, object]:
    length = own["length"]
    return {
        "cameras": own["camera"].nunique(),
        "tracklets": len(own),
        "boxes": int(length.sum()),
        "shortest": int(length.min()),
        "median": f"{length.median():g}",
        "longest": int(length.max()),
    }


def main(arguments: list[str] | None = None) -> None:
    """Reads and prints; InputError if the folder cannot be read, or in strict mode differs."""
    parser = argparse.ArgumentParser(prog="python -m sttreid.data.describe", description=__doc__)
    parser.add_argument("name", help="a reader, or, without a folder, a data set of params.yaml")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--split", type=int, help="of iLIDS-VID or PRID2011, 1 to 10")
    parser.add_argument("--gap", type=int, help="of UnrealPerson and footage: frames to its next picture")
    parser.add_argument("--test", type=float, help="of footage: share of the people who test")
    parser.add_argument("--numbers", choices=("shared", "own"), help="of footage: people's numbers")
    parser.add_argument("--strict", action="store_true", help="a count that is off is an error")
    parser.add_argument("--sheet", type=Path, help="contact sheet to write, .jpg or .png")
    parser.add_argument("--tracklets", type=int, default=24, help="on the sheet (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the sheet's draw (default: %(default)s)")
    given = parser.parse_args(arguments)
    options = {name: value for name in USUAL if (value := getattr(given, name)) is not None}
    if given.folder is None:
        dataset, folder, validation = _named(given.name, options)
    else:
        dataset, folder, validation = chosen(given.name, options), given.folder, USUAL_VALIDATION
    sheet = given.sheet, given.tracklets, given.seed
    if dataset.reader in (CAMERAS, FOOTAGE):
        videos = read_videos(folder, dataset, validation)
        print(describe_videos(videos))
        told = write_footage_sheet(videos, *sheet) if given.sheet else []
    else:
        published = read_published(dataset, folder, given.strict)
        print(describe(published))
        told = write_sheet(published, *sheet) if given.sheet else []
    for sentence in (*told, *([f"contact sheet: {given.sheet}"] if given.sheet else ())):
        print(sentence)


def chosen(reader: str, options: Mapping[str, Any]) -> Dataset:
    """A data set that params.yaml need not name; what is left out of its options is as ``USUAL``.

    Raises:
        InputError: the reader is unknown, or has no such option.
    """
    readers = (*READERS, CAMERAS, FOOTAGE)
    if reader not in readers:
        rule = f"with a folder, the name must be that of a reader, {', '.join(readers)}"
        raise InputError(f"{rule}, got {reader!r}{hint(reader, list(readers))}")
    own = OPTIONS.get(reader, ())
    for option in options:
        if option not in own:
            raise InputError(f"{reader} has no option --{option}")
    content = {name: options.get(name, USUAL[name]) for name in own}
    return parse(Dataset, {"reader": reader, "root": NO_MANIFEST, **content}, reader)


def _named(name: str, options: Mapping[str, Any]) -> tuple[Dataset, Path, Validation]:
    """A data set of params.yaml, where it lies, and who of it validates.

    Raises:
        InputError: it is unknown, or nobody says where it lies, or options are given.
    """
    params = load()
    if name not in params.datasets:
        rule = "without a folder, the name must be that of a data set"
        raise InputError(f"params.yaml: {rule}, got {name!r}{hint(name, list(params.datasets))}")
    if options:
        raise InputError(f"params.yaml: the options of {name} stand there, got --{next(iter(options))}")
    dataset = params.datasets[name]
    folder = place(name, dataset.root) if dataset.elsewhere else dataset.root
    return dataset, folder, params.decode.validation


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
