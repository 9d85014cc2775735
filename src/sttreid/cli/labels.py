"""Who is who: the labels of tracks that a user gives by hand, in a CSV file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_csv
from sttreid.search.gallery import Gallery


def read_labels(path: Path) -> pd.DataFrame:
    """Video, track and identity of a CSV file.

    Raises:
        InputError: the file cannot be read, a column is missing, or a track has two labels.
    """
    spaces = {"skipinitialspace": True}  # after commas, as people write them
    table = read_csv(path, dtype=str, keep_default_na=False, na_values=[""], **spaces)  # "NA" may be a label
    needed = ["video", "track", "identity"]
    for name in needed:
        if name not in table:
            raise InputError(f"{path}: must have the columns {', '.join(needed)}, got {', '.join(table)}")
    repeated = table.duplicated(["video", "track"])
    if repeated.any():
        line = int(np.argmax(repeated.to_numpy())) + 2
        raise InputError(f"{path}:{line}: a track must have one label, got two")
    return table[needed].assign(identity=table["identity"].str.strip().replace("", None))


def label(gallery: Gallery, labels: pd.DataFrame, path: Path | None) -> Gallery:
    """The gallery with the labels of a file.

    Raises:
        InputError: a label names no track of the gallery.
    """
    known = set(zip(gallery.tracklets["video"], gallery.tracklets["track"], strict=True))
    for line, (video, track) in enumerate(zip(labels["video"], labels["track"], strict=True), 2):
        if (video, track) not in known:
            raise InputError(f"{path}:{line}: must name a track of the videos, got {video}:{track}")
    by_track = {(video, track): who for video, track, who in labels.itertuples(index=False)}
    keys = zip(gallery.tracklets["video"], gallery.tracklets["track"], strict=True)
    return with_identities(gallery, [by_track.get(key) for key in keys])


def with_identities(gallery: Gallery, identities: Sequence[str | None]) -> Gallery:
    """The gallery with these identities, one per tracklet."""
    column = pd.Series(list(identities), dtype=object)
    return replace(gallery, tracklets=gallery.tracklets.assign(identity=column))
