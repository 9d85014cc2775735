"""The command ``sttreid describe``: what a data set holds, before it is decoded.

Counts and lengths, and the official counts of published sets next to those of the copy; optionally a contact
sheet.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from sttreid.config.conversion import hint
from sttreid.config.datasets import Dataset, Validation
from sttreid.config.params import load
from sttreid.data.camera_videos import CameraVideos, boxes_of_file, tracklet_table
from sttreid.data.folder_manifest import local_folder
from sttreid.data.published.published_set import DISTRACTOR, JUNK, PERSON, PublishedSet
from sttreid.data.reading import read_dataset
from sttreid.data.registry import ReadSettings, check_datasets, find_reader, parse_options
from sttreid.data.tracklet_sheet import write_sheet
from sttreid.runtime.documents import parse_yaml
from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import SPLITS

USUAL_VALIDATION: Final = Validation(share=0.1, seed=0)
UNUSED_ROOT: Final = Path("sets/none.json")  # of a data set that params.yaml does not name
_BAR: Final = 40  # characters of the longest bar


def describe(
    name: str,
    folder: Path | None = None,
    options: Mapping[str, str] | None = None,
    strict: bool = False,
    sheet: Path | None = None,
    tracklets: int = 24,
    seed: int = 0,
) -> str:
    """Read a data set and describe it.

    Args:
        name: of a reader, or, without a folder, of a data set in ``params.yaml``.
        folder: of the data set.
        options: of the reader, if they differ from the usual ones; only with a folder.
        strict: whether a count that differs from the official one is an error.
        sheet: contact sheet to write, .jpg or .png.
        tracklets: number of tracklets on the sheet.
        seed: of the sheet's draw.

    Raises:
        InputError: the set or an option is unknown, the folder cannot be read, or a count differs with
            ``strict``.
    """
    dataset, root, settings = _configured(name) if folder is None else _unconfigured(name, folder, options)
    if folder is None and options:
        raise InputError(f"params.yaml: datasets.{name} has the options, got --option {next(iter(options))}")
    source = read_dataset(dataset, root, replace(settings, strict=strict))
    lines = [describe_published(source) if isinstance(source, PublishedSet) else describe_videos(source)]
    if sheet:
        lines += [*write_sheet(source, sheet, tracklets, seed), f"contact sheet: {sheet}"]
    return "\n".join(lines)


def _unconfigured(
    name: str, folder: Path, options: Mapping[str, str] | None
) -> tuple[Dataset, Path, ReadSettings]:
    """A data set that params.yaml need not name."""
    reader = find_reader(name, "with a folder, the name")
    dataset = Dataset(name, UNUSED_ROOT, options={**reader.usual, **_nested(options or {})})
    parse_options(dataset, "--option")
    return dataset, folder, ReadSettings(USUAL_VALIDATION)


def _nested(options: Mapping[str, str]) -> dict[str, Any]:
    """Options with dots in their names as sections: ``tracks.class=2``; their values are YAML."""
    nested: dict[str, Any] = {}
    for key, value in options.items():
        section, dot, rest = key.partition(".")
        if not dot:
            nested[key] = value
            continue
        content = parse_yaml(value, f"--option {key}")
        if not isinstance(nested.setdefault(section, {}), dict):
            raise InputError(f"--option {key}: {section} must be given once, got also {nested[section]!r}")
        nested[section][rest] = content
    return nested


def _configured(name: str) -> tuple[Dataset, Path, ReadSettings]:
    """A data set of params.yaml, its folder, and how it is read.

    Raises:
        InputError: it is unknown, or its folder is.
    """
    params = load()
    check_datasets(params.datasets)
    if name not in params.datasets:
        names = list(params.datasets)
        rule = f"without a folder, the name must be a data set, {', '.join(names)}"
        raise InputError(f"params.yaml: {rule}, got {name!r}{hint(name, names)}")
    dataset = params.datasets[name]
    folder = local_folder(name, dataset.root) if dataset.has_manifest else dataset.root
    return dataset, folder, ReadSettings(params.decode.validation, on_error=params.decode.on_error)


def describe_published(published: PublishedSet) -> str:
    """The text about a published set."""
    table = published.table
    both = int((table["query"] & table["gallery"]).sum())
    lines = [
        f"{published.name}: {published.root}",
        f"{len(table):,} tracklets, {len(published):,} images, {published.classes:,} training classes",
        "",
        count_table(table),
        "",
        f"queries that are also in the gallery: {both:,}",
        f"tracklets with gaps in their frame numbers: {count_uneven(published):,}",
        "",
        "images per tracklet, and number of tracklets",
        histogram(table["length"]),
        "",
        *(f"{'ok ' if check.passed else 'OFF'}  {check}" for check in published.checks),
        *published.remarks,
        f"{len(published.mismatches)} of {len(published.checks)} checks are off",
    ]
    return "\n".join(lines)


def describe_videos(videos: CameraVideos) -> str:
    """The text about a set of camera videos; no video is decoded."""
    table = tracklet_table(videos)
    by_split = table.groupby(pd.Categorical(table["split"], SPLITS, ordered=True), observed=True)
    lines = [
        f"{videos.name}: {videos.folder}",
        f"{len(table):,} tracklets, {len(videos.boxes):,} boxes, {table['identity'].nunique():,} identities",
        "",
        *_camera_lines(videos),
        *videos.remarks,
        *(f"warning: {sentence}" for sentence in videos.warnings),
        "",
        _to_text(_counts(str(split), tracklets, "boxes") for split, tracklets in by_split),
        "",
        "boxes per tracklet, and number of tracklets",
        histogram(table["length"]),
    ]
    return "\n".join(lines)


def _camera_lines(videos: CameraVideos) -> Iterable[str]:
    """A sentence per file of a camera: its frames, its boxes and identities."""
    for camera in videos.cameras:
        boxes = boxes_of_file(camera, videos.boxes)
        yield (
            f"camera {camera.number}: {camera.video.relative_to(videos.folder)}, {camera.frames:,} frames,"
            f" {len(boxes):,} boxes of {boxes['identity'].nunique():,} identities"
        )


def count_table(table: pd.DataFrame) -> str:
    """Identities, cameras, tracklets, images and lengths of every role in a published set."""
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
    return _to_text(_counts(role, table[mask], "images") for role, mask in roles.items() if mask.any())


def _counts(role: str, tracklets: pd.DataFrame, unit: str) -> dict[str, object]:
    """One row of a table of counts."""
    length = tracklets["length"]
    missing = {"missing": int(tracklets["missing"].sum())} if "missing" in tracklets else {}
    return {
        "role": role,
        "identities": tracklets["identity"].nunique(),
        "cameras": tracklets["camera"].nunique(),
        "tracklets": len(tracklets),
        unit: int(length.sum()),
        **missing,
        "shortest": int(length.min()),
        "median": f"{length.median():g}",
        "longest": int(length.max()),
    }


def _to_text(rows: Iterable[dict[str, object]]) -> str:
    text: str = pd.DataFrame(list(rows)).set_index("role").to_string(index_names=False)
    return text


def histogram(lengths: "pd.Series[int]") -> str:
    """Number of tracklets by length, in bins of doubling width."""
    power = np.frexp(lengths.to_numpy())[1]  # 1: 1, 2 and 3: 2, 4 to 7: 3, ...; 0: 0
    counts = np.bincount(power)
    lines = []
    for exponent, count in enumerate(counts.tolist()):
        low, high = (2 ** (exponent - 1), 2**exponent - 1) if exponent else (0, 0)
        label = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        bar = "#" * -(-_BAR * count // int(counts.max()))
        lines.append(f"{label:>18} {count:>8,}  {bar}".rstrip())
    return "\n".join(lines[1:] if counts[0] == 0 else lines)


def count_uneven(published: PublishedSet) -> int:
    """Number of tracklets whose frame numbers have steps of different sizes."""
    uneven = 0
    for row in np.flatnonzero(published.table["length"] > 2).tolist():
        steps = np.diff(published.frame_numbers(row))
        uneven += int(steps.min() != steps.max())
    return uneven
