"""Viewpoints of tracklets: known for rendered data, unknown for real footage."""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_csv
from sttreid.tracklets.store import Store

KEY: Final = ["camera", "identity", "first"]
ORIENTATION: Final = "orientation"
# of sets without a table of tracks
UNKNOWN: Final = pd.DataFrame({"tracklet": [], "orientation": [], "turn": []})


def tracklet_views(store: Store, track_table: Path) -> pd.DataFrame:
    """Orientation and ``turn``, the viewpoint change, of every tracklet, in degrees."""
    orientation = read_orientations(store, track_table)
    numbers = store.tracklets["tracklet"]
    turn = numbers.map(viewpoint_changes(store, orientation))
    return pd.DataFrame({"tracklet": numbers, "orientation": orientation, "turn": turn})


def read_orientations(store: Store, track_table: Path) -> NDArray[np.float64]:
    """The orientation of the identity in each tracklet: 0 faces the camera, 90 looks to the right, 180 away.

    Args:
        store: store of the data set.
        track_table: the simulator's table of tracks, with the mean orientation of each; it need not exist.

    Returns:
        Degrees, [T], -180 to 180; NaN where no track begins at the tracklet's first frame, and for all
        tracklets if there is no such table.

    Raises:
        InputError: the table cannot be read, or lacks a column.
    """
    table = store.tracklets
    if not track_table.exists():
        return np.full(len(table), np.nan)
    tracks = read_csv(track_table)
    if missing := [name for name in (*KEY, ORIENTATION) if name not in tracks]:
        raise InputError(f"{track_table}: the table of tracks must have the column {missing[0]!r}, got none")
    for name in (*KEY, ORIENTATION):
        if not pd.api.types.is_numeric_dtype(tracks[name]) or pd.api.types.is_bool_dtype(tracks[name]):
            raise InputError(f"{track_table}: {name} must be a number in every row, got {tracks[name].dtype}")
    first = store.index["frame"].to_numpy()[table["start"].to_numpy()]
    keys = pd.MultiIndex.from_arrays([table["camera"], table["identity"], first])
    by_key = tracks.drop_duplicates(KEY).set_index(KEY)[ORIENTATION].astype(float)
    orientation: NDArray[np.float64] = by_key.reindex(keys).to_numpy()
    return orientation


def viewpoint_changes(store: Store, orientation: NDArray[np.float64]) -> "pd.Series[float]":
    """The smallest change of orientation between a query and a match in another camera.

    Args:
        store: store of the data set.
        orientation: degrees, [T].

    Returns:
        The query's tracklet -> degrees, 0 to 180; NaN where no orientation is known or there is no match.
    """
    table = store.tracklets.assign(orientation=orientation)
    queries, gallery = table[table["query"]], table[table["gallery"]]
    pairs = queries.merge(gallery, on="identity", suffixes=("", "_gallery"))
    pairs = pairs[pairs["camera"] != pairs["camera_gallery"]]
    angle = (pairs["orientation"] - pairs["orientation_gallery"]).abs() % 360
    smallest = angle.where(angle <= 180, 360 - angle).groupby(pairs["tracklet"]).min()
    return smallest.reindex(queries["tracklet"])
