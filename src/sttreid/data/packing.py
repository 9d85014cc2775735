"""Published pictures -> tracklet store: their bytes, as they are, end to end in shards.

A run that was killed goes on behind its last whole shard, if the set is the same still. What is missing or
damaged stops the run with its path, or is left out and listed.
"""

import hashlib
import json
import os
import shutil
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from sttreid.config.datasets import Decode
from sttreid.data.arrangement import Arrangement
from sttreid.data.inspection import check_packed
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, read_table, replace_folder, write_json, write_table
from sttreid.tracklets.images import Check, decode_picture
from sttreid.tracklets.store import (
    INDEX,
    NAMES,
    PACKED,
    PACKED_FORMAT,
    PLACES,
    WITH_ROLES,
    Skipped,
    shard_name,
    to_table,
)

LIMIT: Final = 256 * 10**6  # bytes of a shard
MOST: Final = 190  # shards of a store: where they would be more, they are larger
KEY: Final = "key.json"
_BLOCK: Final = 4096  # names that are Python objects at once
_ROWS: Final = 1 << 14  # of a shard that are a data frame at once
_SCHEMA: Final = pa.schema([*WITH_ROLES, *PLACES])
_NAME: Final = pa.schema([("name", pa.string())])
_BUFFER: Final = 1 << 20
_SMALL: Final = 1 << 16  # bytes that are read at once


def pack(
    made: Arrangement, root: Path, taken: dict[str, Any], decode: Decode, folder: Path, limit: int = LIMIT
) -> Skipped:
    """Pack a set into a new store.

    Memory holds one picture at a time, and at the end the rows of one shard, however many there are.

    Args:
        made: its pictures in order.
        root: the folder that their names are relative to.
        taken: what :func:`sttreid.data.index.take` says of the set.
        decode: what becomes of damaged pictures, how they are checked, and how large decoded ones are.
        folder: of the store; replaced when the new one is complete.
        limit: bytes of a shard.

    Returns:
        What was left out; nothing if ``decode.on_error`` is ``raise``.

    Raises:
        InputError: a picture is missing or damaged and ``decode.on_error`` is ``raise``; none is left. What
            was packed so far is kept for the next run.
    """
    _give_back()  # what the reader used
    limit = max(limit, -(-sum(part["bytes"] for part in taken["parts"].values()) // MOST))
    partial = folder.with_name(f".{folder.name}.partial")
    shards = _resume(partial, _key(made, taken, decode, limit), whole=decode.on_error == "raise")
    done = sum(shard.count for shard in shards)
    with tqdm(total=len(made), initial=done, desc="pack", unit="picture", disable=None) as bar:
        while done < len(made):
            shards.append(_pack_shard(partial, len(shards), made, done, root, decode, limit))
            done += shards[-1].count
            bar.update(shards[-1].count)
    _finish(partial, made, shards, decode)
    check_packed(partial)  # what cannot be read back must not replace anything
    for number in range(len(shards)):
        _table(partial, number).unlink()
    (partial / KEY).unlink()
    replace_folder(folder, by=partial)
    return Skipped(_skipped(made, shards), made.incomplete)


@dataclass(frozen=True, eq=False)
class _Shard:
    """How many pictures a shard has, and why some of them have no bytes."""

    count: int
    reasons: dict[int, str]  # place in the shard ->


def _skipped(made: Arrangement, shards: list[_Shard]) -> list[dict[str, Any]]:
    first, out = 0, []
    for shard in shards:
        for place, reason in shard.reasons.items():
            row = first + place
            out.append({"path": made.names(row, row + 1)[0].as_py(), "reason": reason})
        first += shard.count
    return out


def _key(made: Arrangement, taken: dict[str, Any], decode: Decode, limit: int) -> dict[str, Any]:
    """What shards that are there already must have been made of; no crop's height or width changes them."""
    digest = hashlib.sha256()
    for start in range(0, len(made), _BLOCK):
        digest.update("\n".join([*made.names(start, start + _BLOCK).to_pylist(), ""]).encode())
    return {"names": digest.hexdigest(), "files": taken, "check": decode.check, "limit": limit}


def _resume(partial: Path, key: dict[str, Any], whole: bool) -> list[_Shard]:
    """The shards that a killed run left; anything else in the folder goes away.

    From the first one that skipped a picture on, ``whole`` takes none: the picture may have been mended.
    """
    if not (partial / KEY).exists() or read_json(partial / KEY) != json.loads(json.dumps(key)):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write_json(partial / KEY, key)
    shards: list[_Shard] = []
    while (shard := _read_shard(partial, len(shards))) is not None and not (whole and shard.reasons):
        shards.append(shard)
    kept = {KEY, *(name for n in range(len(shards)) for name in (shard_name(n), _table(partial, n).name))}
    for path in partial.iterdir():
        if path.name not in kept:
            path.unlink()
    return shards


def _read_shard(partial: Path, number: int) -> _Shard | None:
    """A shard that is there as its table says; None if it, or the table, is missing or damaged."""
    path = partial / shard_name(number)
    try:
        table = read_table(_table(partial, number))
        shard, length = _Shard(len(table), table["reason"].dropna().to_dict()), int(table["bytes"].sum())
    except (InputError, KeyError):
        return None
    return shard if path.exists() and path.stat().st_size == length else None


def _table(partial: Path, number: int) -> Path:
    return partial / f"{shard_name(number)}.parquet"


def _pack_shard(
    partial: Path, number: int, made: Arrangement, first: int, root: Path, decode: Decode, limit: int
) -> _Shard:
    """Fill one shard from a picture on."""
    lengths, reasons = array("i"), {}
    check, position, path = Check(), 0, partial / shard_name(number)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb", buffering=_BUFFER) as out:
        for picture in _paths(made, first, root):
            content, reason = _read(picture, decode, check)
            if position and position + len(content) > limit:
                break
            if reason is not None:
                if decode.on_error == "raise":
                    raise InputError(f"{picture}: {reason}")
                reasons[len(lengths)] = reason
            lengths.append(len(content))
            out.write(content)
            position += len(content)
    temporary.replace(path)
    table = pd.DataFrame({"bytes": np.array(lengths, np.int32)})
    write_table(_table(partial, number), table.assign(reason=pd.Series(reasons, dtype=str)))
    return _Shard(len(lengths), reasons)


def _paths(made: Arrangement, first: int, root: Path) -> Iterator[str]:
    for start in range(first, len(made), _BLOCK):
        for name in made.names(start, start + _BLOCK).to_pylist():
            yield f"{root}/{name}"


def _read(path: str, decode: Decode, check: Check) -> tuple[bytes, str | None]:
    """The bytes of a picture; none, and why, if it is missing or damaged."""
    try:
        content = _bytes(path)
    except OSError as error:
        return b"", f"the picture cannot be read ({error.strerror})"
    reason = check.damage(content)
    if reason is None and decode.check == "pixels":
        try:
            decode_picture(content, decode.height, decode.width)
        except InputError as error:
            reason = str(error)
    return (content, None) if reason is None else (b"", reason)


def _bytes(path: str) -> bytes:
    """A small file in four calls of the system, about half of those that a file object makes."""
    file = os.open(path, os.O_RDONLY)
    try:
        content = os.read(file, _SMALL)
        while more := os.read(file, _SMALL):
            content += more
        return content
    finally:
        os.close(file)


def _finish(partial: Path, made: Arrangement, shards: list[_Shard], decode: Decode) -> None:
    """Write what a store has beside its shards, the rows of one of them at a time."""
    left = _left(made, shards)
    if not left.any():
        raise InputError(f"{partial}: a tracklet store must hold at least one picture, got none")
    renumbered = (np.cumsum(left) - 1).astype(np.int32)  # without those that have no picture left
    index, names = pq.ParquetWriter(partial / INDEX, _SCHEMA), pq.ParquetWriter(partial / NAMES, _NAME)
    with index, names:
        first = 0
        for number, shard in enumerate(shards):
            places = _places(partial, number)
            _write(index, _index(made, first, places, renumbered))
            _write(names, _names(made, first, places))
            first += shard.count
    write_json(partial / PACKED, {"format": PACKED_FORMAT, "height": decode.height, "width": decode.width})


def _write(out: pq.ParquetWriter, rows: pa.Table) -> None:
    """Write a group of rows."""
    _give_back()  # what making the rows took
    out.write_table(rows)
    _give_back()


def _give_back() -> None:
    """Have Arrow give memory back to the system; it would keep 20 to 50 MB of what was freed."""
    pa.default_memory_pool().release_unused()


def _places(partial: Path, number: int) -> pd.DataFrame:
    """Where the pictures of a shard lie, and whether they are there: shard, offset, bytes, whole."""
    table = read_table(_table(partial, number))
    offset = np.cumsum(table["bytes"].to_numpy(), dtype=np.int64) - table["bytes"]
    return table[["bytes"]].assign(shard=number, offset=offset, whole=table["reason"].isna())


def _pieces(places: pd.DataFrame) -> Iterator[pd.DataFrame]:
    return (places[start : start + _ROWS] for start in range(0, len(places), _ROWS))


def _index(made: Arrangement, first: int, places: pd.DataFrame, renumbered: NDArray[np.int32]) -> pa.Table:
    """The rows of a shard whose first picture is ``first``: one table, as it is one group of rows."""
    tables = []
    for own in _pieces(places):
        rows = made.index(first + own.index[0], first + own.index[-1] + 1).set_index(own.index)
        rows = rows.assign(tracklet=renumbered[rows["tracklet"]]).join(own)
        tables.append(to_table(rows[own["whole"]], _SCHEMA))
    return pa.concat_tables(tables).combine_chunks()


def _names(made: Arrangement, first: int, places: pd.DataFrame) -> pa.Table:
    """Their names."""
    texts = [
        made.names(first + own.index[0], first + own.index[-1] + 1).filter(pa.array(own["whole"]))
        for own in _pieces(places)
    ]
    return pa.table([pa.concat_arrays(texts)], _NAME)


def _left(made: Arrangement, shards: list[_Shard]) -> NDArray[np.bool_]:
    """Whether any picture of each tracklet is left, [T]."""
    counts = [shard.count for shard in shards]
    firsts = np.cumsum(counts) - counts
    lost = [first + place for first, shard in zip(firsts, shards, strict=True) for place in shard.reasons]
    lengths = made.tracklets["length"].to_numpy()
    left: NDArray[np.bool_] = lengths > np.bincount(made.owners(np.array(lost, int)), minlength=len(lengths))
    return left
