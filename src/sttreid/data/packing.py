"""Published pictures -> tracklet store: their bytes, as they are, end to end in shards.

A run that was killed goes on behind its last whole shard, if the set is the same still. What is missing or
damaged stops the run with its path, or is left out and listed.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from sttreid.data.arrangement import Arrangement
from sttreid.data.pictures import Check, decode_picture
from sttreid.data.store import (
    INDEX,
    NAMES,
    PACKED,
    PACKED_FORMAT,
    PLACES,
    WITH_ROLES,
    Skipped,
    open_store,
    shard_name,
    write_index,
)
from sttreid.errors import InputError
from sttreid.files import read_json, read_table, replace_folder, write_json, write_table
from sttreid.params import Decode

LIMIT: Final = 256 * 10**6  # bytes of a shard
MOST: Final = 190  # shards of a store: where they would be more, they are larger
KEY: Final = "key.json"
_BLOCK: Final = 4096  # names that are Python objects at once
_BUFFER: Final = 1 << 20
_SMALL: Final = 1 << 16  # bytes that are read at once


def pack(
    made: Arrangement, root: Path, taken: dict[str, Any], decode: Decode, folder: Path, limit: int = LIMIT
) -> Skipped:
    """Pack a set into a new store.

    Beside what is known of every picture (its name, its row), memory holds one picture at a time.

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
    limit = max(limit, -(-sum(part["bytes"] for part in taken["parts"].values()) // MOST))
    partial = folder.with_name(f".{folder.name}.partial")
    parts = _resume(partial, _key(made.names, taken, limit))
    done = sum(len(part) for part in parts)
    with tqdm(total=len(made.names), initial=done, desc="pack", unit="picture", disable=None) as bar:
        while done < len(made.names):
            parts.append(_pack_shard(partial, len(parts), made.names, done, root, decode, limit))
            done += len(parts[-1])
            bar.update(len(parts[-1]))
    places = pd.concat([part.assign(shard=number) for number, part in enumerate(parts)], ignore_index=True)
    skipped = [
        {"path": made.names[row].as_py(), "reason": places["reason"][row]}
        for row in np.flatnonzero(places["reason"].notna()).tolist()
    ]
    if skipped and decode.on_error == "raise":  # an earlier run, which skipped, found them
        raise InputError(f"{root / skipped[0]['path']}: {skipped[0]['reason']}")
    _finish(partial, made, places, decode)
    open_store(partial)  # what cannot be read back must not replace anything
    for number in range(len(parts)):
        _table(partial, number).unlink()
    (partial / KEY).unlink()
    replace_folder(folder, by=partial)
    return Skipped(skipped, made.incomplete)


def _key(names: pa.Array, taken: dict[str, Any], limit: int) -> dict[str, Any]:
    """What shards that are there already must have been made of."""
    digest = hashlib.sha256()
    for start in range(0, len(names), _BLOCK):
        digest.update("\n".join([*names.slice(start, _BLOCK).to_pylist(), ""]).encode())
    return {"names": digest.hexdigest(), "files": taken, "limit": limit}


def _resume(partial: Path, key: dict[str, Any]) -> list[pd.DataFrame]:
    """The tables of the shards that a killed run left whole; anything else in the folder goes away."""
    if not (partial / KEY).exists() or read_json(partial / KEY) != json.loads(json.dumps(key)):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write_json(partial / KEY, key)
    parts: list[pd.DataFrame] = []
    while (table := _table(partial, len(parts))).exists():
        part, shard = read_table(table), partial / shard_name(len(parts))
        if not shard.exists() or shard.stat().st_size != part["bytes"].sum():
            break
        parts.append(part)
    kept = {KEY, *(name for n in range(len(parts)) for name in (shard_name(n), _table(partial, n).name))}
    for path in partial.iterdir():
        if path.name not in kept:
            path.unlink()
    return parts


def _table(partial: Path, number: int) -> Path:
    return partial / f"{shard_name(number)}.parquet"


def _pack_shard(
    partial: Path, number: int, names: pa.Array, first: int, root: Path, decode: Decode, limit: int
) -> pd.DataFrame:
    """Fill one shard from a picture on; a row a picture: its offset, its bytes, and why it was left out."""
    rows: list[tuple[int, int, str | None]] = []
    check, position, shard = Check(), 0, partial / shard_name(number)
    temporary = shard.with_name(f".{shard.name}.tmp")
    with temporary.open("wb", buffering=_BUFFER) as out:
        for path in _paths(names, first, root):
            content, reason = _read(path, decode, check)
            if position and position + len(content) > limit:
                break
            if reason is not None and decode.on_error == "raise":
                raise InputError(f"{path}: {reason}")
            rows.append((position, len(content), reason))
            out.write(content)
            position += len(content)
    temporary.replace(shard)
    part = pd.DataFrame(rows, columns=["offset", "bytes", "reason"])
    part = part.astype({"offset": np.int64, "bytes": np.int64})
    write_table(_table(partial, number), part)
    return part


def _paths(names: pa.Array, first: int, root: Path) -> Iterator[str]:
    for start in range(first, len(names), _BLOCK):
        for name in names.slice(start, _BLOCK).to_pylist():
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


def _finish(partial: Path, made: Arrangement, places: pd.DataFrame, decode: Decode) -> None:
    """Write what a store has beside its shards."""
    kept = places["reason"].isna().to_numpy()
    if not kept.any():
        raise InputError(f"{partial}: a tracklet store must hold at least one picture, got none")
    index = made.index[kept].assign(**{name: places[name][kept] for name in PLACES.names})
    index["tracklet"] = pd.factorize(index["tracklet"])[0]  # without those that have no picture left
    write_index(partial / INDEX, index, pa.schema([*WITH_ROLES, *PLACES]))
    pq.write_table(pa.table({"name": made.names.filter(pa.array(kept))}), partial / NAMES)
    write_json(partial / PACKED, {"format": PACKED_FORMAT, "height": decode.height, "width": decode.width})
