"""The tracklet store: every image of a data set, indexed like one array.

Crops of videos are a folder with two files. ``frames.npy`` is one uint8 array [F, H, W, 3], so that a clip is
one indexed read of a few microseconds. ``index.parquet`` has one row per stored frame in the same order:
tracklet, identity, camera, frame (from 1 in its camera's video), split, visibility. The frames of a tracklet
are contiguous and ascend in time.

Published sets keep their encoded images instead: shards ``pictures-000.bin``, ..., which are decoded on
access; ``store.json``, the size of decoded images; ``names.parquet``, where each image comes from. Their
index has more columns: query, gallery and junk, the roles of the row's tracklet, and shard, offset and bytes
of the image. Without roles, every test tracklet is a query, the gallery holds test tracklets and distractors,
and no tracklet is junk.
"""

import io
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, replace_folder
from sttreid.tracklets.images import EncodedImages, open_shard

TEST, DISTRACTORS = "test", "distractors"  # distractors are in the gallery and never a query
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
PACKED_SCHEMA = pa.schema([*WITH_ROLES, *PLACES])
ROWS_AT_ONCE: Final = 1 << 14  # of an index, read and checked

Block = dict[str, NDArray[Any]]  # column -> values of some rows of an index; split as its index in SPLITS


@dataclass(frozen=True, eq=False)
class Store:
    """An open tracklet store.

    Attributes:
        frames: uint8 [F, H, W, 3], RGB, read-only: memory-mapped, or decoded on access.
        index: one row per stored frame, as in ``index.parquet``, without the positions in the shards.
        tracklets: one row per tracklet: tracklet, identity, camera, split, start (its first row in
            ``frames``), length, and its roles in a test: query; gallery; junk, never ranked.
    """

    frames: NDArray[np.uint8] | EncodedImages
    index: pd.DataFrame
    tracklets: pd.DataFrame

    def of_split(self, split: str) -> pd.DataFrame:
        """The tracklets of one split, rows numbered from 0; InputError if the split is unknown or empty."""
        rows = self.tracklets[self.tracklets["split"] == split]
        if rows.empty:
            splits = ", ".join(self.tracklets["split"].unique())
            raise InputError(f"the store holds the splits {splits}, got {split!r}")
        return rows.reset_index(drop=True)

    def gallery(self) -> pd.DataFrame:
        """All tracklets of the test: those of its split, then distractors and junk if there are any.

        Rows are numbered from 0; InputError without a test split.
        """
        distractors = self.tracklets[self.tracklets["split"] == DISTRACTORS]
        return pd.concat([self.of_split(TEST), distractors], ignore_index=True)


@dataclass(frozen=True)
class Skipped:
    """What a store lacks because it was missing or damaged, as plain values.

    Attributes:
        images: path, relative to the root of the set, and reason; of videos also the number of lost boxes.
        tracklets: split, identity, camera, images (declared) and missing (images) of each incomplete
            tracklet.
    """

    images: list[dict[str, Any]]
    tracklets: list[dict[str, Any]]


Crops = Iterable[tuple[int, NDArray[np.uint8] | None]]


def write_store(folder: Path, index: pd.DataFrame, crops: Crops, height: int, width: int) -> Store:
    """Write a store, one crop at a time and in any order; equal input gives equal bytes.

    The files are written to another folder first; ``folder`` appears, or is replaced, when they are complete.

    Args:
        folder: of the store; its parents are made.
        index: one row per frame, in the store's order, with the columns of ``SCHEMA`` or ``WITH_ROLES``.
        crops: (row, uint8 [height, width, 3]), every row of ``index`` once; None instead of the crop removes
            the row from the store.
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
            _remove_rows(partial / FRAMES, lost)
            index = index[~lost].assign(tracklet=pd.factorize(index["tracklet"][~lost])[0])
        schema = WITH_ROLES if set(ROLES) <= set(index.columns) else SCHEMA
        pq.write_table(to_table(index, schema), partial / INDEX)
        open_store(partial)  # a store that cannot be read must not replace one that can
        replace_folder(folder, by=partial)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return open_store(folder)


def open_store(folder: Path) -> Store:
    """Open a store and check that its files are complete and agree.

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
    return Store(frames, index, _tracklets(index))


def shard_name(number: int) -> str:
    """File name of a shard; numbers start at 0."""
    return f"pictures-{number:03d}.bin"


def check_packed(folder: Path) -> None:
    """Check a store of encoded images as :func:`open_store` does; memory holds one block of its index.

    Raises:
        InputError: as :func:`open_store`.
    """
    _read_format(folder / PACKED)
    ends = np.zeros(0, np.int64)  # bytes of each shard
    with _open_index(folder / INDEX, (PACKED_SCHEMA,)) as file:
        for _, block in _checked_blocks(folder / INDEX, file):
            shard = block["shard"]
            ends = np.append(ends, np.zeros(max(0, int(shard.max(initial=-1)) + 1 - len(ends)), np.int64))
            np.maximum.at(ends, shard, block["offset"] + block["bytes"])
    for number, end in enumerate(ends.tolist()):
        os.close(open_shard(folder / shard_name(number), end))


def _open_packed(folder: Path) -> Store:
    content = _read_format(folder / PACKED)
    index = _read_index(folder / INDEX, (PACKED_SCHEMA,))
    places = tuple(index[name].to_numpy() for name in PLACES.names)
    shards = [folder / shard_name(number) for number in range(int(places[0].max(initial=-1)) + 1)]
    frames = EncodedImages(shards, places, content["height"], content["width"], folder / NAMES)
    index = index.drop(columns=PLACES.names)
    return Store(frames, index, _tracklets(index))


def _read_format(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != PACKED_FORMAT:
        raise InputError(f"{path}: format must be {PACKED_FORMAT!r}, got {str(content)[:80]}")
    return content


def to_table(index: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """The columns of a schema as an Arrow table."""
    table = pa.Table.from_pandas(index[schema.names], schema=schema, preserve_index=False)
    return table.replace_schema_metadata(None)


def _write_frames(path: Path, shape: tuple[int, ...], crops: Crops) -> NDArray[np.bool_]:
    """Write every crop at its offset, with plain writes, because a writable memory map would fill the memory.

    Returns:
        Whether a row has no crop, [F].
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
        file.truncate(start + shape[0] * size)  # the last rows may have no crop
    if missing.any():
        raise ValueError(f"all {len(missing)} crops must be given, got none for row {int(missing.argmax())}")
    return lost


def _remove_rows(path: Path, lost: NDArray[np.bool_]) -> None:
    """Remove the rows without a crop from an array of crops, a row at a time."""
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
    return frames.view(np.ndarray)  # still mapped; the memmap class makes every small read slower


def _read_index(path: Path, schemas: tuple[pa.Schema, ...]) -> pd.DataFrame:
    """The index, checked and read block by block: a whole Arrow table would double the memory."""
    with _open_index(path, schemas) as file:
        kinds = {field.name: np.dtype(field.type.to_pandas_dtype()) for field in file.schema_arrow}
        rows = file.metadata.num_rows
        columns = {name: np.empty(rows, np.int8 if name == "split" else kinds[name]) for name in kinds}
        for start, block in _checked_blocks(path, file):
            for name, values in block.items():
                columns[name][start : start + len(values)] = values
    split = pd.Categorical.from_codes(columns["split"], list(SPLITS))
    return pd.DataFrame({**columns, "split": split}, copy=False)


@contextmanager
def _open_index(path: Path, schemas: tuple[pa.Schema, ...]) -> Iterator[pq.ParquetFile]:
    """An index with the columns of one of the schemas; InputError if it cannot be read to its end."""
    try:
        with pq.ParquetFile(path) as file:
            if file.schema_arrow not in schemas:
                actual = ", ".join(f"{field.name} {field.type}" for field in file.schema_arrow)
                expected = ", ".join(f"{field.name} {field.type}" for field in schemas[0])
                raise InputError(f"{path}: the columns must be {expected}, got {actual}")
            yield file
    except FileNotFoundError:
        raise InputError(f"{path}: the index of the tracklet store is missing") from None
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: the index cannot be read as Parquet ({error})") from error


def _checked_blocks(path: Path, file: pq.ParquetFile) -> Iterator[tuple[int, Block]]:
    """The first row and the values of each block; InputError, naming the row, if it breaks a rule."""
    start = 0
    previous: Block | None = None  # the row before the block
    for batch in file.iter_batches(ROWS_AT_ONCE, use_threads=False):
        columns = {name: batch[name] for name in batch.schema.names}
        columns["split"] = _split_codes(path, start, columns["split"])
        block = {name: column.to_numpy(zero_copy_only=False) for name, column in columns.items()}
        _check_block(path, start, previous, block)
        yield start, block
        previous = {name: values[-1:] for name, values in block.items()}
        start += len(batch)


def _split_codes(path: Path, start: int, splits: pa.Array) -> pa.Array:
    """The index of each split in ``SPLITS``."""
    codes = pc.index_in(splits, pa.array(SPLITS))
    if codes.null_count:
        row = int(np.argmax(pc.is_null(codes).to_numpy(zero_copy_only=False)))
        rule = f"split must be one of {', '.join(SPLITS)}"
        raise InputError(f"{path}: row {start + row}: {rule}, got {splits[row].as_py()!r}")
    return codes


def _check_block(path: Path, start: int, previous: Block | None, block: Block) -> None:
    """Check the rows of a block against each other and against the row before it."""
    if previous is not None:
        block = {name: np.concatenate([previous[name], values]) for name, values in block.items()}
        start -= 1
    elif len(block["tracklet"]) and block["tracklet"][0] != 0:
        first = block["tracklet"][0]
        raise InputError(f"{path}: row 0: tracklets must be numbered from 0, got {first}")
    tracklet, frame = block["tracklet"], block["frame"]
    step = np.diff(tracklet)
    same = step == 0
    changed = np.zeros(len(step), bool)
    for name in ("identity", "camera", "split", *(role for role in ROLES if role in block)):
        changed |= block[name][1:] != block[name][:-1]
    rules = {
        "tracklets must be numbered from 0 and be contiguous": (step != 0) & (step != 1),
        "the frames of a tracklet must ascend": same & (np.diff(frame) <= 0),
        "a tracklet must have one identity, camera, split and role": same & changed,
    }
    for rule, broken in rules.items():
        if broken.any():
            row = int(broken.argmax()) + 1
            got = f"tracklet {tracklet[row]}, frame {frame[row]}"
            raise InputError(f"{path}: row {start + row}: {rule}, got {got}")


def _tracklets(index: pd.DataFrame) -> pd.DataFrame:
    start = np.flatnonzero(np.diff(index["tracklet"].to_numpy(), prepend=-1))
    first = index.iloc[start].reset_index(drop=True)
    first["split"] = first["split"].astype(str)
    table = first[["tracklet", "identity", "camera", "split"]]
    table = table.assign(start=start, length=np.diff(start, append=len(index)))
    test = first["split"] == TEST
    usual = {"query": test, "gallery": test | (first["split"] == DISTRACTORS), "junk": False}
    return table.assign(**{role: first.get(role, usual[role]) for role in ROLES})
