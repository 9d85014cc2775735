"""The tracklet store: every picture of a data set, indexed like one array.

Crops of videos are a folder with two files. ``frames.npy`` is one uint8 array [F, H, W, 3], so that a clip is
one indexed read of a few microseconds. ``index.parquet`` has one row a stored frame in the same order:
tracklet, identity, camera, frame (from 1 in its camera's video), split, visibility. The frames of a tracklet
are contiguous and ascend in time.

Published sets keep their encoded pictures instead: shards ``pictures-000.bin``, ..., whose pixels are decoded
when they are asked for; ``store.json``, how large; ``names.parquet``, where each came from. Their index says
more: query, gallery and junk, the roles of the row's tracklet, and shard, offset and bytes of the picture.
Without roles every test tracklet asks, these and the distractors answer, and nothing is junk.
"""

import io
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, replace_folder
from sttreid.tracklets.images import Pictures

TEST, DISTRACTORS = "test", "distractors"  # distractors stand in the test's gallery and are never asked for
SPLITS = ("train", "validation", TEST, DISTRACTORS)
FRAMES = "frames.npy"
INDEX = "index.parquet"
PACKED = "store.json"
NAMES = "names.parquet"
PACKED_FORMAT = "sttreid-pictures/1"
SCHEMA = pa.schema(
    [
        ("tracklet", pa.int32()),
        ("identity", pa.int32()),
        ("camera", pa.int32()),
        ("frame", pa.int32()),
        ("split", pa.string()),
        ("visibility", pa.float32()),
    ]
)
ROLES = ("query", "gallery", "junk")
WITH_ROLES = pa.schema([*SCHEMA, *((role, pa.bool_()) for role in ROLES)])
PLACES = pa.schema([("shard", pa.int32()), ("offset", pa.int64()), ("bytes", pa.int32())])


@dataclass(frozen=True, eq=False)
class Store:
    """An open tracklet store.

    Attributes:
        frames: uint8 [F, H, W, 3], RGB, read-only: memory-mapped, or decoded when asked for.
        index: one row a stored frame, as in ``index.parquet``, without the places in the shards.
        tracklets: one row a tracklet: tracklet, identity, camera, split, start (its first row in ``frames``),
            length, and its roles in a test: query, it asks; gallery, it answers; junk, it is passed over.
    """

    frames: NDArray[np.uint8] | Pictures
    index: pd.DataFrame
    tracklets: pd.DataFrame

    def of_split(self, split: str) -> pd.DataFrame:
        """The tracklets of one split, rows numbered from 0; InputError if the split is unknown or empty."""
        rows = self.tracklets[self.tracklets["split"] == split]
        if rows.empty:
            known = ", ".join(self.tracklets["split"].unique())
            raise InputError(f"the store holds the splits {known}, got {split!r}")
        return rows.reset_index(drop=True)

    def gallery(self) -> pd.DataFrame:
        """Who has a role in a test: the tracklets of its split, then distractors and junk if there are any.

        Rows are numbered from 0; InputError without a test split.
        """
        distractors = self.tracklets[self.tracklets["split"] == DISTRACTORS]
        return pd.concat([self.of_split(TEST), distractors], ignore_index=True)


@dataclass(frozen=True)
class Skipped:
    """What was left out of a store because it was missing or damaged, as plain values.

    Attributes:
        pictures: path, relative to the root of the set, and reason; of videos also how many boxes that cost.
        tracklets: split, identity, camera, pictures (that are promised) and missing of each that lacks some.
    """

    pictures: list[dict[str, Any]]
    tracklets: list[dict[str, Any]]


Crops = Iterable[tuple[int, NDArray[np.uint8] | None]]


def write_store(folder: Path, index: pd.DataFrame, crops: Crops, height: int, width: int) -> Store:
    """Write a store, one crop at a time and in any order; equal input gives equal bytes.

    The files are written beside ``folder``, which appears, or is replaced, only when they are complete.

    Args:
        folder: of the store; its parents are made.
        index: one row a frame, in the store's order, with the columns of ``SCHEMA`` or ``WITH_ROLES``.
        crops: (row, uint8 [height, width, 3]), every row of ``index`` once; None in place of one that cannot
            be had takes its row out of the store.
        height: of every crop, in pixels.
        width: of every crop, in pixels.

    Raises:
        InputError: no row has a crop, or the index breaks a rule of :func:`open_store`.
        ValueError: a row is given twice or not at all, or a crop has another shape.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        lost = _write_frames(partial / FRAMES, (len(index), height, width, 3), crops)
        if lost.all():
            raise InputError(f"{folder}: a tracklet store must hold at least one frame, got none")
        if lost.any():
            _close_ranks(partial / FRAMES, lost)
            index = index[~lost].assign(tracklet=pd.factorize(index["tracklet"][~lost])[0])
        write_index(partial / INDEX, index, WITH_ROLES if set(ROLES) <= set(index.columns) else SCHEMA)
        open_store(partial)  # what cannot be read back must not replace anything
        replace_folder(folder, by=partial)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return open_store(folder)


def open_store(folder: Path) -> Store:
    """Open a store and check that its files are whole and agree.

    Raises:
        InputError: a file is missing or truncated, has another type or shape, or the tracklets are not
            contiguous, numbered from 0 and ascending in time.
    """
    if (folder / PACKED).exists():
        return _open_packed(folder)
    frames = _read_frames(folder / FRAMES)
    index = _read_index(folder / INDEX, (SCHEMA, WITH_ROLES))
    if len(index) != len(frames):
        raise InputError(
            f"{folder / INDEX}: must have a row for each of {len(frames)} frames, got {len(index)}"
        )
    _check_index(folder / INDEX, index)
    return Store(frames, index, _tracklets(index))


def shard_name(number: int) -> str:
    """The file of a shard, from 0."""
    return f"pictures-{number:03d}.bin"


def _open_packed(folder: Path) -> Store:
    content = read_json(folder / PACKED)
    if not isinstance(content, dict) or content.get("format") != PACKED_FORMAT:
        raise InputError(f"{folder / PACKED}: format must be {PACKED_FORMAT!r}, got {str(content)[:80]}")
    index = _read_index(folder / INDEX, (pa.schema([*WITH_ROLES, *PLACES]),))
    _check_index(folder / INDEX, index)
    shard, offset, length = (index[name].to_numpy() for name in PLACES.names)
    shards = [folder / shard_name(number) for number in range(int(shard.max(initial=-1)) + 1)]
    places = (shard, offset, length)
    frames = Pictures(shards, places, content["height"], content["width"], folder / NAMES)
    index = index.drop(columns=PLACES.names)
    return Store(frames, index, _tracklets(index))


def write_index(path: Path, index: pd.DataFrame, schema: pa.Schema) -> None:
    """Write an index with the columns of a schema; equal tables give equal bytes."""
    pq.write_table(to_table(index, schema), path)


def to_table(index: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """The columns of a schema as an Arrow table."""
    table = pa.Table.from_pandas(index[schema.names], schema=schema, preserve_index=False)
    return table.replace_schema_metadata(None)


def _write_frames(path: Path, shape: tuple[int, ...], crops: Crops) -> NDArray[np.bool_]:
    """Put every crop at its place; written with plain writes, since a writable map would fill the memory.

    Returns the rows that have none, [F].
    """
    size = int(np.prod(shape[1:]))
    missing, lost = np.ones(shape[0], dtype=bool), np.zeros(shape[0], dtype=bool)
    with path.open("wb") as file:
        start = file.write(_header(shape))
        for row, pixels in crops:
            if pixels is not None and (pixels.shape != shape[1:] or pixels.dtype != np.uint8):
                raise ValueError(f"crop {row} must be uint8 {shape[1:]}, got {pixels.dtype} {pixels.shape}")
            if not missing[row]:
                raise ValueError(f"crop {row} must be given once, got it twice")
            missing[row], lost[row] = False, pixels is None
            if pixels is not None:
                file.seek(start + row * size)
                file.write(pixels.tobytes())
        file.truncate(start + shape[0] * size)  # the last rows may be lost
    if missing.any():
        raise ValueError(f"all {len(missing)} crops must be given, got none for row {int(missing.argmax())}")
    return lost


def _close_ranks(path: Path, lost: NDArray[np.bool_]) -> None:
    """Take the rows that are lost out of an array of crops, a row at a time."""
    crops, temporary = _read_frames(path), path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(_header((int((~lost).sum()), *crops.shape[1:])))
        for row in np.flatnonzero(~lost).tolist():
            file.write(crops[row].tobytes())
    temporary.replace(path)


def _header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def _read_frames(path: Path) -> NDArray[np.uint8]:
    try:
        frames: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: the crops of the tracklet store are missing") from None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: the crops are cut short or no NumPy array ({error})") from error
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not frames.flags.c_contiguous:
        raise InputError(f"{path}: the crops must be uint8 [F, H, W, 3], got {frames.dtype} {frames.shape}")
    return frames.view(np.ndarray)  # still mapped; numpy's memmap class makes every small read slower


def _read_index(path: Path, schemas: tuple[pa.Schema, ...]) -> pd.DataFrame:
    """The index, read in pieces: a whole Arrow table beside the columns would double the memory."""
    try:
        with pq.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow, schemas)
            rows = file.metadata.num_rows
            kinds = {field.name: np.dtype(field.type.to_pandas_dtype()) for field in file.schema_arrow}
            columns = {name: np.empty(rows, np.int8 if name == "split" else kinds[name]) for name in kinds}
            start = 0
            for batch in file.iter_batches():
                for name, column in columns.items():
                    piece = _codes(path, start, batch[name]) if name == "split" else batch[name]
                    column[start : start + len(batch)] = piece.to_numpy(zero_copy_only=False)
                start += len(batch)
    except FileNotFoundError:
        raise InputError(f"{path}: the index of the tracklet store is missing") from None
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: the index cannot be read as Parquet ({error})") from error
    split = pd.Categorical.from_codes(columns["split"], list(SPLITS))
    return pd.DataFrame({**columns, "split": split}, copy=False)


def _check_columns(path: Path, found: pa.Schema, schemas: tuple[pa.Schema, ...]) -> None:
    if found not in schemas:
        got = ", ".join(f"{field.name} {field.type}" for field in found)
        expected = ", ".join(f"{field.name} {field.type}" for field in schemas[0])
        raise InputError(f"{path}: the columns must be {expected}, got {got}")


def _codes(path: Path, start: int, splits: pa.Array) -> pa.Array:
    """The place of each split among ``SPLITS``."""
    codes = pc.index_in(splits, pa.array(SPLITS))
    if codes.null_count:
        row = int(np.argmax(pc.is_null(codes).to_numpy(zero_copy_only=False)))
        found = splits[row].as_py()
        rule = f"split must be one of {', '.join(SPLITS)}"
        raise InputError(f"{path}: row {start + row}: {rule}, got {found!r}")
    return codes


def _check_index(path: Path, index: pd.DataFrame) -> None:
    tracklet, frame = index["tracklet"].to_numpy(), index["frame"].to_numpy()
    step = np.diff(tracklet)
    same = step == 0
    changed = np.zeros(len(step), bool)
    for name in ("identity", "camera", "split", *(role for role in ROLES if role in index)):
        own = index[name].cat.codes if name == "split" else index[name]
        changed |= np.diff(own.to_numpy()) != 0
    rules = {
        "tracklets must be numbered from 0 and be contiguous": (step != 0) & (step != 1),
        "the frames of a tracklet must ascend": same & (np.diff(frame) <= 0),
        "a tracklet must have one identity, camera, split and role": same & changed,
    }
    if len(tracklet) and tracklet[0] != 0:
        raise InputError(f"{path}: row 0: tracklets must be numbered from 0, got {tracklet[0]}")
    for rule, broken in rules.items():
        if broken.any():
            row = int(broken.argmax()) + 1
            raise InputError(f"{path}: row {row}: {rule}, got tracklet {tracklet[row]}, frame {frame[row]}")


def _tracklets(index: pd.DataFrame) -> pd.DataFrame:
    start = np.flatnonzero(np.diff(index["tracklet"].to_numpy(), prepend=-1))
    own = index.iloc[start].reset_index(drop=True)
    own["split"] = own["split"].astype(str)
    table = own[["tracklet", "identity", "camera", "split"]]
    table = table.assign(start=start, length=np.diff(start, append=len(index)))
    test = own["split"] == TEST
    usual = {"query": test, "gallery": test | (own["split"] == DISTRACTORS), "junk": False}
    return table.assign(**{role: own.get(role, usual[role]) for role in ROLES})
