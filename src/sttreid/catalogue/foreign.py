"""Models and tracklet stores from elsewhere: what they promise is checked before they take memory.

A file of a few bytes may describe a network of 10^15 weights, or an index of 10^12 rows. A network may have
as many values as its file has bytes, and an index as many rows as there are crops.
"""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from sttreid.catalogue.shelf import warn_if_changed
from sttreid.model import weight_files, weights
from sttreid.model.network import Network
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json
from sttreid.runtime.parquet import check_memory, most_memory
from sttreid.tracklets.store import FRAMES, INDEX, NAMES, PACKED, PLACES, ROWS_AT_ONCE, Store, open_store

CLASSIFIERS: Final = 2**26  # values that a file may lack: those of its classifiers
SIDE: Final = 8192  # pixels of an image
CLIP: Final = 4096  # frames
LAYERS: Final = 512
NESTED: Final = 8  # mappings in each other that may hold tensors


def restore(path: Path, like: Path | None = None) -> Network:
    """As :func:`sttreid.model.weights.restore`, for any file; a warning tells of one that its pointer denies.

    Raises:
        InputError: as that function; the architecture is larger than its file; a tensor is sparse, quantised
            or without values.
    """
    for file in (path, *([like] if like else [])):
        _check_archive(file)
        _check_tensors(file, weight_files.read(file))
        warn_if_changed(file)
    _check_architecture(like or path)
    return weights.restore(path, like)


def open_checked_store(folder: Path) -> Store:
    """As :func:`sttreid.tracklets.store.open_store`, for any folder.

    Raises:
        InputError: as that function; the index has another number of rows than there are frames, leaves a
            value open, has a visibility that is no share, or names bytes that its shards do not have.
    """
    if (folder / PACKED).exists():
        _check_packed(folder)
    elif (folder / FRAMES).exists() and (folder / INDEX).exists():
        _check_index(folder / INDEX, _frames(folder / FRAMES))
    return open_store(folder)


def _check_archive(path: Path) -> None:
    """Check the length of what a compressed archive holds, and that the file has an end."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: must be a file, and is a folder or a device")
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as file:
            length = sum(entry.file_size for entry in file.infolist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):  # the reader says why
        return
    if length > (most := most_memory(path)):
        raise InputError(f"{path}: must take at most {most:,} bytes of memory, got {length:,}")


def _check_architecture(path: Path) -> None:
    """Check the size of a network, which is built without its values."""
    described = weights.read_architecture(path)
    model, (height, width) = described.model, described.image_size
    depths = (
        model.backbone.layer1 + model.backbone.layer2 + model.backbone.layer3,
        model.spatial_layers + model.temporal_layers + model.global_layers,
        model.parts,
    )
    for name, number, most in (
        ("frames", described.frames, CLIP),
        ("classes", described.classes, CLASSIFIERS),
        ("the height of images", height, SIDE),
        ("the width of images", width, SIDE),
        *(("the number of layers and parts", depth, LAYERS) for depth in depths),
    ):
        if not 1 <= number <= most:
            raise InputError(f"{path}: {name} must be between 1 and {most:,}, got {number}")
    try:
        with torch.device("meta"):
            count = sum(value.numel() for value in described.build().state_dict().values())
    except Exception as error:  # torch raises many types for sizes that it cannot count
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: describes an architecture that cannot be built ({reason})") from error
    if count > (most := path.stat().st_size + CLASSIFIERS):
        raise InputError(f"{path}: describes a network of {count:,} values, but must have at most {most:,}")


def _check_tensors(path: Path, content: Mapping[Any, Any]) -> None:
    for name, value in _tensors(content):
        kind = str(value.layout).removeprefix("torch.")
        kind = "quantised" if value.is_quantized else "nested" if value.is_nested else kind
        if kind != "strided" or value.device.type != "cpu":
            got = kind if kind != "strided" else f"one on the device {value.device}"
            raise InputError(f"{path}: {name!r:.100} must be a plain tensor with its values, got {got}")


def _tensors(content: Mapping[Any, Any], depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    for name, value in content.items():
        if isinstance(value, Tensor):
            yield str(name), value
        elif isinstance(value, Mapping) and depth < NESTED:
            yield from _tensors(value, depth + 1)


def _frames(path: Path) -> int:
    """The number of crops that the header of a file gives."""
    try:
        crops = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(crops, np.ndarray) or crops.ndim < 1:
            raise ValueError("it is no array of crops")
        return len(crops)
    except Exception as error:  # NumPy raises many types for a damaged header
        raise InputError(f"{path}: the crops are cut short or no NumPy array ({error})") from error


def _check_index(path: Path, frames: int | None) -> int:
    """The rows of an index, which has one for each frame and leaves nothing but the visibility open."""
    try:
        with pq.ParquetFile(path) as file:
            rows, names = int(file.metadata.num_rows), file.schema_arrow.names
            if len(set(names)) < len(names):
                raise InputError(f"{path}: a column must be there once, got {', '.join(names)}")
            if frames is not None and rows != frames:
                raise InputError(f"{path}: must have a row for each of {frames} frames, got {rows}")
            check_memory(path, file)
            start = 0
            for batch in file.iter_batches(ROWS_AT_ONCE, use_threads=False):
                for name in names:
                    if name != "visibility" and batch[name].null_count:
                        raise InputError(f"{path}: {name} must be given in every row, got null")
                if "visibility" in names and pa.types.is_floating(batch["visibility"].type):
                    _check_visibility(path, start, batch["visibility"].to_numpy(zero_copy_only=False))
                start += len(batch)
    except (OSError, KeyError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: the index cannot be read as Parquet ({reason})") from error
    if start != rows:
        raise InputError(f"{path}: must hold the {rows} rows that its metadata promise, got {start}")
    return rows


def _check_visibility(path: Path, start: int, shares: NDArray[np.floating]) -> None:
    """Check the visible shares of some rows; NaN and null say that one is unknown."""
    wrong = (shares < 0) | (shares > 1)
    if wrong.any():
        row = int(wrong.argmax())
        rule = "visibility must be between 0 and 1, or NaN where it is unknown"
        raise InputError(f"{path}: row {start + row}: {rule}, got {shares[row]:g}")


def _check_names(path: Path, rows: int) -> None:
    """Check the names of the original images, which errors show."""
    try:
        with pq.ParquetFile(path) as file:
            kind = file.schema_arrow.field("name").type if "name" in file.schema_arrow.names else "no column"
            if file.schema_arrow.names.count("name") != 1 or kind != pa.string():
                raise InputError(f"{path}: must have a column name of texts, got {kind}")
            check_memory(path, file)
            found = sum(
                len(batch) - batch["name"].null_count
                for batch in file.iter_batches(ROWS_AT_ONCE, columns=["name"], use_threads=False)
            )
    except (OSError, KeyError, pa.ArrowException) as error:  # KeyError: two schemas that differ
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: the names cannot be read as Parquet ({reason})") from error
    if found != rows:
        raise InputError(f"{path}: must hold a name for each of {rows} images, got {found}")


def _check_packed(folder: Path) -> None:
    """Check sizes and places of encoded images."""
    content = read_json(folder / PACKED)
    for name in ("height", "width"):
        side = content.get(name) if isinstance(content, dict) else None
        if type(side) is not int or not 1 <= side <= SIDE:
            raise InputError(f"{folder / PACKED}: {name} must be between 1 and {SIDE:,}, got {side!r:.100}")
    path = folder / INDEX
    if not path.exists():
        return
    _check_names(folder / NAMES, _check_index(path, None))
    shards = sorted(folder.glob("pictures-*.bin"))
    sizes = np.array([shard.stat().st_size if shard.is_file() else 0 for shard in shards], np.int64)
    with pq.ParquetFile(path) as file:
        if not set(PLACES.names) <= set(file.schema_arrow.names):
            return  # open_store says what is missing
        start = 0
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=PLACES.names, use_threads=False):
            if any(not pa.types.is_integer(batch[name].type) for name in PLACES.names):
                return
            shard, offset, length = (batch[name].to_numpy().astype(np.int64) for name in PLACES.names)
            wrong = (shard < 0) | (shard >= len(sizes)) | (length < 1) | (offset < 0)
            wrong |= (
                offset > np.where(wrong, 0, sizes[np.where(wrong, 0, shard)] if len(sizes) else 0) - length
            )
            if wrong.any():
                row = int(wrong.argmax())
                rule = f"an image must lie in one of the {len(sizes)} shards"
                got = f"{length[row]} bytes from {offset[row]} of shard {shard[row]}"
                raise InputError(f"{path}: row {start + row}: {rule}, got {got}")
            start += len(batch)
