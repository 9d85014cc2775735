"""What a published data set on this disk holds: `python -m sttreid.data.describe mars /sets/MARS`.

Prints counts, lengths and the official counts beside those of the copy; `--sheet` also draws tracklets.
"""

import argparse
import inspect
import sys
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from sttreid.data.published import READERS
from sttreid.data.readers.contact_sheet import write_sheet
from sttreid.data.readers.tracklets import DISTRACTOR, JUNK, PERSON, Tracklets
from sttreid.errors import InputError

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


def read(name: str, folder: Path, **options: int | None) -> Tracklets:
    """Read a folder with one of ``READERS``; options that are None are left out.

    Raises:
        InputError: as the reader; the reader has no such option.
    """
    reader = READERS[name]
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        if option not in inspect.signature(reader).parameters:
            raise InputError(f"{name} has no option --{option}")
    return reader(folder, **given)


def main(arguments: list[str] | None = None) -> None:
    """Reads and prints; InputError if the folder cannot be read, or in strict mode differs."""
    parser = argparse.ArgumentParser(prog="python -m sttreid.data.describe", description=__doc__)
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", type=int, help="of iLIDS-VID or PRID2011, 1 to 10")
    parser.add_argument("--gap", type=int, help="of UnrealPerson: frames after which a tracklet ends")
    parser.add_argument("--strict", action="store_true", help="a count that is off is an error")
    parser.add_argument("--sheet", type=Path, help="contact sheet to write, .jpg or .png")
    parser.add_argument("--tracklets", type=int, default=24, help="on the sheet (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the sheet's draw (default: %(default)s)")
    given = parser.parse_args(arguments)
    options = {"split": given.split, "gap": given.gap, "strict": given.strict or None}
    found = read(given.reader, given.folder, **options)
    print(describe(found))
    if given.sheet:
        for sentence in write_sheet(found, given.sheet, given.tracklets, given.seed):
            print(sentence)
        print(f"contact sheet: {given.sheet}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
