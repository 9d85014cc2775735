"""Ground truth of every box and of every track, as tables.

truth.parquet has one row per box: camera, frame (from 1), identity (according to the tracks), person (the
true identity; it differs after an identity switch), the exact box in pixels (left, top, width, height; of the
whole person without bags, including parts that are hidden or outside of the image), visibility (visible share
of the person and all carried objects, 0 to 1), orientation (degrees from -180 to 180: 0 faces the camera, 90
looks to the right of the image, 180 away) and occluder (what hides the largest part: a kind of solid,
"person", "edge" of the image, or "none").

tracks.csv has one row per track: camera, identity, track (from 1 for each identity in a camera), first and
last frame, boxes, visibility (mean), orientation (circular mean), occluder (what hides the largest part over
all frames) and mistaken (number of boxes that show another identity).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_table

NO_OCCLUDER: Final = "none"
SCHEMA: Final = pa.schema(
    [
        *((name, pa.int32()) for name in ("camera", "frame", "identity", "person")),
        *((name, pa.float32()) for name in ("left", "top", "width", "height", "visibility", "orientation")),
        ("occluder", pa.string()),
    ]
)
TEXT: Final = ("object", "str")  # kinds of column in which pandas holds text
_DIGITS: Final = 4
_TRACK: Final = ["camera", "identity", "track"]  # columns that name a track


@dataclass(frozen=True)
class Truth:
    """One person in one frame; the fields are columns of ``truth.parquet``."""

    frame: int
    person: int
    left: float
    top: float
    width: float
    height: float
    visibility: float
    orientation: float
    occluder: str


def facing(position: NDArray[np.float64], yaw: float) -> float:
    """Orientation in degrees of a person at ``position`` [2] on the ground with heading ``yaw`` (radians).

    The camera hangs above the origin and looks along +y.
    """
    back = float(np.arctan2(-position[1], -position[0]))  # the direction to the camera
    return float(np.rad2deg(np.angle(np.exp(1j * (yaw - back)))))


def read_truth(path: Path) -> pd.DataFrame:
    """Read a table of boxes.

    Raises:
        InputError: the file cannot be read, takes too much memory, or has a column of another kind than in
            ``SCHEMA``, or with gaps.
    """
    table = read_table(path)
    for field in SCHEMA:
        kind = table[field.name].dtype if field.name in table else "no such column"
        wanted = TEXT if field.name == "occluder" else (str(field.type.to_pandas_dtype().__name__),)
        if str(kind) not in wanted:
            raise InputError(f"{path}: {field.name} must be {field.type}, got {kind}")
    if table.isna().any(axis=None):
        name = str(table.columns[table.isna().any().to_numpy()][0])
        raise InputError(f"{path}: {name} must be given in every row, got none")
    if (kind := pd.api.types.infer_dtype(table["occluder"])) not in ("string", "empty"):
        raise InputError(f"{path}: occluder must be string, got {kind}")
    return table


def write_truth(path: Path, table: pd.DataFrame) -> None:
    """Write a table of boxes; equal tables give equal bytes."""
    columns = pa.Table.from_pandas(table[SCHEMA.names], schema=SCHEMA, preserve_index=False)
    pq.write_table(columns.replace_schema_metadata(None), path, compression="zstd")


def by_track(table: pd.DataFrame, numbers: "pd.Series[int]") -> pd.DataFrame:
    """The table of tracks; ``numbers`` holds the track number of each row of the table of boxes."""
    rows = table.assign(
        track=numbers,
        hidden=1 - table["visibility"],
        east=np.cos(np.deg2rad(table["orientation"])),
        north=np.sin(np.deg2rad(table["orientation"])),
        mistaken=table["person"] != table["identity"],
    )
    tracks = rows.groupby(_TRACK).agg(
        first=("frame", "min"),
        last=("frame", "max"),
        boxes=("frame", "size"),
        visibility=("visibility", "mean"),
        east=("east", "mean"),
        north=("north", "mean"),
        mistaken=("mistaken", "sum"),
    )
    tracks["visibility"] = tracks["visibility"].astype(float).round(_DIGITS)
    tracks["orientation"] = np.rad2deg(np.arctan2(tracks["north"], tracks["east"])).astype(float).round(1)
    tracks["occluder"] = _main_occluders(rows).reindex(tracks.index, fill_value=NO_OCCLUDER)
    order = ["first", "last", "boxes", "visibility", "orientation", "occluder", "mistaken"]
    return tracks[order].reset_index()


def _main_occluders(rows: pd.DataFrame) -> "pd.Series[str]":
    """What hides the largest part of each track that something hides; ties by name."""
    occluded = rows[rows["occluder"] != NO_OCCLUDER]
    hidden = occluded.groupby([*_TRACK, "occluder"])["hidden"].sum().reset_index("occluder")  # by name
    largest_first = hidden.sort_values("hidden", ascending=False, kind="stable")
    return largest_first.groupby(level=_TRACK)["occluder"].first()
