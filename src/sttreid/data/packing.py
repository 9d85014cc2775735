"""Published images -> tracklet store: the encoded files, byte for byte, concatenated in shards.

An interrupted run resumes after its last complete shard if the set has not changed. Missing or damaged files
abort the run with their path, or are skipped and listed.
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
from sttreid.data.store_rows import StoreRows
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import (
    only_writer,
    read_json,
    read_table,
    replace_folder,
    write_json,
    write_table,
    writing,
)
from sttreid.tracklets.images import StructureCheck, decode_image
from sttreid.tracklets.store import (
    INDEX,
    NAMES,
    PACKED,
    PACKED_FORMAT,
    PLACES,
    WITH_ROLES,
    Skipped,
    check_packed,
    shard_name,
    to_table,
)

SHARD_BYTES: Final = 256 * 10**6
MAX_SHARDS: Final = 190  # in a larger store the shards are larger
NAMES_AT_ONCE: Final = 4096  # as Python objects
ROWS_AT_ONCE: Final = 1 << 14  # in a data frame
KEY: Final = "key.json"
_SCHEMA: Final = pa.schema([*WITH_ROLES, *PLACES])
_NAME: Final = pa.schema([("name", pa.string())])
_WRITE_BUFFER: Final = 1 << 20  # bytes
_READ_BYTES: Final = 1 << 16  # at once


def pack(
    rows: StoreRows,
    root: Path,
    manifest: dict[str, Any],
    decode: Decode,
    folder: Path,
    shard_bytes: int = SHARD_BYTES,
) -> Skipped:
    """Pack a set into a new store.

    Whatever the size of the set, memory holds one image and, at the end, the rows of one shard.

    Args:
        rows: the images in order.
        root: the folder that their names are relative to.
        manifest: of the folder (:func:`sttreid.data.folder_manifest.scan`).
        decode: what happens to damaged images, how they are checked, and the size of decoded ones.
        folder: of the store; replaced when the new one is complete.
        shard_bytes: of a shard.

    Returns:
        What was skipped; nothing if ``decode.on_error`` is ``raise``.

    Raises:
        InputError: an image is missing or damaged and ``decode.on_error`` is ``raise``; no image is left.
            The next run reuses what is packed by then. Another process writes the store; the disk is full.
    """
    with writing(folder), only_writer(folder):
        return _pack(rows, root, manifest, decode, folder, shard_bytes)


def _pack(
    rows: StoreRows, root: Path, manifest: dict[str, Any], decode: Decode, folder: Path, shard_bytes: int
) -> Skipped:
    _release_memory()  # of the reader
    shard_bytes = max(
        shard_bytes, -(-sum(part["bytes"] for part in manifest["parts"].values()) // MAX_SHARDS)
    )
    partial = folder.with_name(f".{folder.name}.partial")
    key = _key(rows, manifest, decode, shard_bytes)
    shards = _resume(partial, key, whole=decode.on_error == "raise")
    done = sum(shard.count for shard in shards)
    with tqdm(total=len(rows), initial=done, desc="pack", unit="image", disable=None) as bar:
        while done < len(rows):
            shards.append(_pack_shard(partial, len(shards), rows, done, root, decode, shard_bytes))
            done += shards[-1].count
            bar.update(shards[-1].count)
    _finish(partial, rows, shards, decode)
    check_packed(partial)  # a store that cannot be read must not replace one that can
    for number in range(len(shards)):
        _table_path(partial, number).unlink()
    (partial / KEY).unlink()
    replace_folder(folder, by=partial)
    return Skipped(_skipped(rows, shards), rows.incomplete)


@dataclass(frozen=True, eq=False)
class _Shard:
    """The number of images in a shard, and why some of them have no bytes."""

    count: int
    reasons: dict[int, str]  # index in the shard -> reason


def _skipped(rows: StoreRows, shards: list[_Shard]) -> list[dict[str, Any]]:
    first, entries = 0, []
    for shard in shards:
        for index, reason in shard.reasons.items():
            row = first + index
            entries.append({"path": rows.names(row, row + 1)[0].as_py(), "reason": reason})
        first += shard.count
    return entries


def _key(rows: StoreRows, manifest: dict[str, Any], decode: Decode, shard_bytes: int) -> dict[str, Any]:
    """The inputs that determine the shards; height and width of the crops do not."""
    digest = hashlib.sha256()
    for start in range(0, len(rows), NAMES_AT_ONCE):
        digest.update("\n".join([*rows.names(start, start + NAMES_AT_ONCE).to_pylist(), ""]).encode())
    return {"names": digest.hexdigest(), "files": manifest, "check": decode.check, "limit": shard_bytes}


def _resume(partial: Path, key: dict[str, Any], whole: bool) -> list[_Shard]:
    """The shards of an interrupted run; other files of the folder are deleted.

    With ``whole`` the list ends before the first shard that skipped an image: the image may be repaired by
    now.
    """
    if not (partial / KEY).exists() or read_json(partial / KEY) != json.loads(json.dumps(key)):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write_json(partial / KEY, key)
    shards: list[_Shard] = []
    while (shard := _read_shard(partial, len(shards))) is not None and not (whole and shard.reasons):
        shards.append(shard)
    files = {KEY}
    for number in range(len(shards)):
        files |= {shard_name(number), _table_path(partial, number).name}
    for path in partial.iterdir():
        if path.name not in files:
            path.unlink()
    return shards


def _read_shard(partial: Path, number: int) -> _Shard | None:
    """An existing shard according to its table; None if it, or the table, is missing or damaged."""
    path = partial / shard_name(number)
    try:
        table = read_table(_table_path(partial, number))
        shard, length = _Shard(len(table), table["reason"].dropna().to_dict()), int(table["bytes"].sum())
    except (InputError, KeyError):
        return None
    return shard if path.exists() and path.stat().st_size == length else None


def _table_path(partial: Path, number: int) -> Path:
    """The table of a shard: bytes of each image, and why it has none."""
    return partial / f"{shard_name(number)}.parquet"


def _pack_shard(
    partial: Path, number: int, rows: StoreRows, first: int, root: Path, decode: Decode, shard_bytes: int
) -> _Shard:
    """Fill one shard, from the row ``first`` on."""
    lengths, reasons = array("i"), {}
    check, position, path = StructureCheck(), 0, partial / shard_name(number)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb", buffering=_WRITE_BUFFER) as out:
        for image in _paths(rows, first, root):
            content, reason = _read(image, decode, check)
            if position and position + len(content) > shard_bytes:
                break
            if reason is not None:
                if decode.on_error == "raise":
                    raise InputError(f"{image}: {reason}")
                reasons[len(lengths)] = reason
            lengths.append(len(content))
            out.write(content)
            position += len(content)
    temporary.replace(path)
    table = pd.DataFrame({"bytes": np.array(lengths, np.int32)})
    write_table(_table_path(partial, number), table.assign(reason=pd.Series(reasons, dtype=str)))
    return _Shard(len(lengths), reasons)


def _paths(rows: StoreRows, first: int, root: Path) -> Iterator[str]:
    for start in range(first, len(rows), NAMES_AT_ONCE):
        for name in rows.names(start, start + NAMES_AT_ONCE).to_pylist():
            yield f"{root}/{name}"


def _read(path: str, decode: Decode, check: StructureCheck) -> tuple[bytes, str | None]:
    """The bytes of an image; none, and the reason, if it is missing or damaged."""
    try:
        content = _read_bytes(path)
    except OSError as error:
        return b"", f"the image cannot be read ({error.strerror})"
    reason = check.damage(content)
    if reason is None and decode.check == "pixels":
        try:
            decode_image(content, decode.height, decode.width)
        except InputError as error:
            reason = str(error)
    return (content, None) if reason is None else (b"", reason)


def _read_bytes(path: str) -> bytes:
    """Read a small file with four system calls, about half as many as a file object needs."""
    file = os.open(path, os.O_RDONLY)
    try:
        content = os.read(file, _READ_BYTES)
        while part := os.read(file, _READ_BYTES):
            content += part
        return content
    finally:
        os.close(file)


def _finish(partial: Path, rows: StoreRows, shards: list[_Shard], decode: Decode) -> None:
    """Write the index, the names and the format, with the rows of one shard in memory at a time."""
    kept = _kept(rows, shards)
    if not kept.any():
        raise InputError(f"{partial}: a tracklet store must hold at least one image, got none")
    renumbered = (np.cumsum(kept) - 1).astype(np.int32)  # without tracklets that have no image left
    index, names = pq.ParquetWriter(partial / INDEX, _SCHEMA), pq.ParquetWriter(partial / NAMES, _NAME)
    with index, names:
        first = 0
        for number, shard in enumerate(shards):
            places = _places(partial, number)
            _write(index, _index(rows, first, places, renumbered))
            _write(names, _names(rows, first, places))
            first += shard.count
    write_json(partial / PACKED, {"format": PACKED_FORMAT, "height": decode.height, "width": decode.width})


def _write(out: pq.ParquetWriter, table: pa.Table) -> None:
    """Write a row group."""
    _release_memory()  # of making the table
    out.write_table(table)
    _release_memory()


def _release_memory() -> None:
    """Have Arrow return freed memory to the system; it would keep 20 to 50 MB."""
    pa.default_memory_pool().release_unused()


def _places(partial: Path, number: int) -> pd.DataFrame:
    """Where the images of a shard are, and whether they exist: shard, offset, bytes, whole."""
    table = read_table(_table_path(partial, number))
    offset = np.cumsum(table["bytes"].to_numpy(), dtype=np.int64) - table["bytes"]
    return table[["bytes"]].assign(shard=number, offset=offset, whole=table["reason"].isna())


def _pieces(places: pd.DataFrame) -> Iterator[pd.DataFrame]:
    return (places[start : start + ROWS_AT_ONCE] for start in range(0, len(places), ROWS_AT_ONCE))


def _index(rows: StoreRows, first: int, places: pd.DataFrame, renumbered: NDArray[np.int32]) -> pa.Table:
    """The index of a shard whose first image is ``first``: one table, as it is one row group."""
    tables = []
    for piece in _pieces(places):
        table = rows.index(first + piece.index[0], first + piece.index[-1] + 1).set_index(piece.index)
        table = table.assign(tracklet=renumbered[table["tracklet"]]).join(piece)
        tables.append(to_table(table[piece["whole"]], _SCHEMA))
    return pa.concat_tables(tables).combine_chunks()


def _names(rows: StoreRows, first: int, places: pd.DataFrame) -> pa.Table:
    """Their names."""
    parts = [
        rows.names(first + piece.index[0], first + piece.index[-1] + 1).filter(pa.array(piece["whole"]))
        for piece in _pieces(places)
    ]
    return pa.table([pa.concat_arrays(parts)], _NAME)


def _kept(rows: StoreRows, shards: list[_Shard]) -> NDArray[np.bool_]:
    """Whether any image of each tracklet is left, [T]."""
    counts = [shard.count for shard in shards]
    firsts = np.cumsum(counts) - counts
    lost = [first + index for first, shard in zip(firsts, shards, strict=True) for index in shard.reasons]
    lengths = rows.tracklets["length"].to_numpy()
    lost_per_tracklet = np.bincount(rows.tracklet_of(np.array(lost, int)), minlength=len(lengths))
    kept: NDArray[np.bool_] = lengths > lost_per_tracklet
    return kept
