"""The last look at a packed store before it replaces another: nothing that cannot be opened may.

:func:`sttreid.tracklets.store.open_store` checks the same whenever a store is opened, with all rows in memory.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json
from sttreid.tracklets.images import Pictures
from sttreid.tracklets.store import (
    INDEX,
    NAMES,
    PACKED,
    PACKED_FORMAT,
    PLACES,
    SPLITS,
    WITH_ROLES,
    _check_columns,
    _check_index,
    _codes,
    open_store,
    shard_name,
)

_ROWS: Final = 1 << 14  # of the index in memory at once


def check_packed(folder: Path) -> None:
    """Check a packed store as :func:`sttreid.tracklets.store.open_store` does, a block of its rows at a time.

    Raises:
        InputError: a file is missing or cut short, has other columns or another format, or the tracklets are
            not contiguous, numbered from 0, of one identity, camera, split and role, and ascending in time:
            in the words of ``open_store``, which then reads everything.
    """
    try:
        _check(folder)
    except InputError:
        open_store(folder)  # numbers the rows from the beginning
        raise


def _check(folder: Path) -> None:
    content = read_json(folder / PACKED)
    if not isinstance(content, dict) or content.get("format") != PACKED_FORMAT:
        raise InputError(f"{folder / PACKED}: format must be {PACKED_FORMAT!r}, got {str(content)[:80]}")
    ends = np.zeros(0, np.int64)  # of the pictures in each shard
    last: pd.DataFrame | None = None  # the row before the block
    for rows in _blocks(folder / INDEX):
        _check_index(folder / INDEX, _behind(last, rows))
        shard = rows["shard"].to_numpy()
        ends = np.append(ends, np.zeros(max(0, int(shard.max(initial=-1)) + 1 - len(ends)), np.int64))
        np.maximum.at(ends, shard, rows["offset"].to_numpy() + rows["bytes"].to_numpy())
        last = rows.tail(1)
    shards = [folder / shard_name(number) for number in range(len(ends))]
    whole = (np.arange(len(ends)), np.zeros_like(ends), ends)  # as if a shard were one picture
    Pictures(shards, whole, content["height"], content["width"], folder / NAMES)


def _behind(last: pd.DataFrame | None, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows behind the one before them, with their tracklets numbered as if that one's were the first."""
    if last is None:
        return rows
    joined = pd.concat([last, rows], ignore_index=True)
    return joined.assign(tracklet=joined["tracklet"] - joined["tracklet"].iloc[0])


def _blocks(path: Path) -> Iterator[pd.DataFrame]:
    """The rows of an index."""
    start = 0
    try:
        with pq.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow, (pa.schema([*WITH_ROLES, *PLACES]),))
            for batch in file.iter_batches(_ROWS, use_threads=False):
                split = _codes(path, start, batch["split"]).to_numpy(zero_copy_only=False)
                rows = batch.drop_columns(["split"]).to_pandas(use_threads=False)
                yield rows.assign(split=pd.Categorical.from_codes(split, list(SPLITS)))
                start += len(batch)
    except FileNotFoundError:
        raise InputError(f"{path}: the index of the tracklet store is missing") from None
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: the index cannot be read as Parquet ({error})") from error
