"""From which side people are seen: what a rendered set knows of its tracklets, and a filmed one does not."""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import Store

TRACKS: Final = "tracks.csv"  # beside the videos: one row a track, with its mean orientation
KEY: Final = ["camera", "identity", "first"]
ORIENTATION: Final = "orientation"
UNKNOWN: Final = pd.DataFrame({"tracklet": [], "orientation": [], "turn": []})  # of sets without truth


def views(store: Store, folder: Path) -> pd.DataFrame:
    """What is known of every tracklet: its number, ``orientation`` and ``turn``, as below, in degrees."""
    sides = orientations(store, folder)
    numbers = store.tracklets["tracklet"]
    return pd.DataFrame({"tracklet": numbers, "orientation": sides, "turn": numbers.map(turns(store, sides))})


def orientations(store: Store, folder: Path) -> NDArray[np.float64]:
    """The side that a tracklet shows, in degrees: 0 faces the camera, 90 looks to the right, 180 away.

    Args:
        store: of the set.
        folder: of its videos, with the simulator's table of tracks.

    Returns:
        [T], one a tracklet, -180 to 180; NaN where no track begins at the tracklet's first frame, and for all
        of a set that has no such table.

    Raises:
        InputError: the table cannot be read, or lacks a column.
    """
    path, numbers = folder / TRACKS, store.tracklets
    if not path.exists():
        return np.full(len(numbers), np.nan)
    try:
        tracks = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the table of tracks cannot be read ({error})") from error
    if missing := [name for name in (*KEY, ORIENTATION) if name not in tracks]:
        raise InputError(f"{path}: the table of tracks must have the column {missing[0]!r}, got none")
    first = store.index["frame"].to_numpy()[numbers["start"].to_numpy()]
    wanted = pd.MultiIndex.from_arrays([numbers["camera"], numbers["identity"], first])
    known = tracks.drop_duplicates(KEY).set_index(KEY)[ORIENTATION].astype(float)
    found: NDArray[np.float64] = known.reindex(wanted).to_numpy()
    return found


def turns(store: Store, orientation: NDArray[np.float64]) -> "pd.Series[float]":
    """By how much a person has turned, at least, between a query and a right answer of another camera.

    Args:
        store: of the set.
        orientation: degrees, [T].

    Returns:
        Number of the query's tracklet -> degrees, 0 to 180; NaN where nothing is known or nothing matches.
    """
    numbers = store.tracklets.assign(orientation=orientation)
    asked, there = numbers[numbers["query"]], numbers[numbers["gallery"]]
    pairs = asked.merge(there, on="identity", suffixes=("", "_there"))
    pairs = pairs[pairs["camera"] != pairs["camera_there"]]
    apart = (pairs["orientation"] - pairs["orientation_there"]).abs() % 360
    smallest = apart.where(apart <= 180, 360 - apart).groupby(pairs["tracklet"]).min()
    return smallest.reindex(asked["tracklet"])
