"""A gallery: the embedded tracklets of several videos, in one Parquet file.

Each row is a tracklet: where and when it was seen, its embedding, and perhaps a film strip of its images. The
metadata of the file's schema name the format, and the model that computed the embeddings: embeddings of
different models must not be compared.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sttreid.config.conversion import dump, parse
from sttreid.runtime.documents import parse_json
from sttreid.runtime.errors import InputError
from sttreid.runtime.parquet import check_memory
from sttreid.search.calibration import Calibration

FORMAT: Final = "sttreid-gallery/1"
METADATA: Final = b"sttreid"
COLUMNS: Final = pa.schema(
    [
        ("video", pa.string()),  # file name
        ("camera", pa.string()),
        ("track", pa.string()),  # as the tracker calls it
        ("first", pa.int64()),  # frame, from 1
        ("last", pa.int64()),
        ("start", pa.float64()),  # seconds from the video's first frame
        ("end", pa.float64()),
        ("boxes", pa.int64()),
        ("height", pa.float64()),  # median height of the boxes, in pixels
        ("border", pa.float64()),  # share of the boxes that the border of the frame cuts
        ("identity", pa.string()),  # null where it is not known
    ]
)
KEY: Final = ["video", "track", "first"]  # what names a tracklet
EMBEDDING: Final = "embedding"
STRIP: Final = "strip"
ROWS: Final = 1 << 14  # of a row group
NORM: Final = 1e-3  # largest difference of an embedding's norm from 1

Embeddings = NDArray[np.float32]


@dataclass(frozen=True)
class ModelReference:
    """The model that computed a gallery's embeddings.

    Attributes:
        name: of its file.
        sha256: of its weights.
        height: of its images, in pixels.
        width: of its images, in pixels.
        frames: T, frames of a clip.
        dimensions: D', of an embedding.
    """

    name: str
    sha256: str
    height: int
    width: int
    frames: int
    dimensions: int


@dataclass(frozen=True, eq=False)
class Gallery:
    """G tracklets.

    Attributes:
        tracklets: [G] rows numbered from 0, with the columns ``COLUMNS``.
        embeddings: [G, D'] float32, L2-normalised.
        model: that computed them.
        strips: a JPEG per tracklet, at most eight of its images side by side; or nothing.
        calibration: of this model, if there was one when the tracklets were embedded.
    """

    tracklets: pd.DataFrame
    embeddings: Embeddings
    model: ModelReference
    strips: tuple[bytes, ...] = ()
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        """Raises InputError: the parts disagree, or a value breaks a rule of :data:`COLUMNS`."""
        check_gallery(self, "the gallery")

    def __len__(self) -> int:
        """G."""
        return len(self.tracklets)

    def strip(self, row: int) -> bytes:
        """The film strip of a tracklet; empty if the gallery has none."""
        return self.strips[row] if self.strips else b""

    def take(self, rows: NDArray[np.integer]) -> "Gallery":
        """The tracklets of these rows, in this order."""
        strips = tuple(self.strips[row] for row in rows) if self.strips else ()
        table = self.tracklets.iloc[rows].reset_index(drop=True)
        return replace(self, tracklets=table, embeddings=self.embeddings[rows], strips=strips)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What queries call the tracklets, [G]: VIDEO:TRACK, and @FRAME where a track has several."""
        table = self.tracklets
        whole = table["video"] + ":" + table["track"]
        full = whole.where(~whole.duplicated(keep=False), whole + "@" + table["first"].astype(str))
        return tuple(full.tolist())

    def find(self, name: str) -> list[int]:
        """The rows that a name means: all tracklets of VIDEO:TRACK, or that of VIDEO:TRACK@FRAME.

        Raises:
            InputError: no tracklet has this name.
        """
        table = self.tracklets
        whole = table["video"] + ":" + table["track"]
        rows = np.flatnonzero((whole == name) | (whole + "@" + table["first"].astype(str) == name))
        if not len(rows):
            near = whole[table["video"] == name.rpartition(":")[0]]
            shown = ", ".join(near.drop_duplicates().head(3)) or ", ".join(whole.drop_duplicates().head(3))
            rule = "a query must name a tracklet of the gallery, as VIDEO:TRACK or VIDEO:TRACK@FRAME"
            raise InputError(f"{rule} (for example {shown}), got {name!r}")
        return [int(row) for row in rows]

    def write(self, path: Path | str) -> None:
        """Write one Parquet file; the previous file stays as it is until the new one is complete.

        Raises:
            InputError: the file cannot be written, for example because the disk is full.
        """
        path = Path(path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(_table(self), temporary, row_group_size=ROWS, compression="zstd")
            temporary.replace(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: Path | str, *, may_be_empty: bool = False) -> "Gallery":
        """Read a gallery and check every value; a part of one may be empty.

        Raises:
            InputError: the file is missing, damaged or no gallery, holds no tracklet, or a value breaks a
                rule; the error names the row, from 0.
        """
        path = Path(path)
        try:
            with pq.ParquetFile(path) as file:
                check_memory(path, file)
            table = pq.read_table(path)
        except FileNotFoundError:
            raise InputError(f"{path}: no such gallery") from None
        except (OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{path}: cannot be read as a gallery ({reason})") from error
        model, calibration = _metadata(path, table.schema)
        _check_schema(path, table.schema, model.dimensions)
        if not len(table) and not may_be_empty:
            raise InputError(f"{path}: a gallery must hold at least 1 tracklet, got none")
        for name in table.column_names:
            if name != "identity" and table[name].null_count:
                raise InputError(f"{path}: {name} must be given in every row, got null")
        values = table[EMBEDDING].combine_chunks()
        if values.flatten().null_count:
            raise InputError(f"{path}: {EMBEDDING} must hold numbers, got null")
        embeddings = values.flatten().to_numpy(zero_copy_only=False).reshape(-1, model.dimensions)
        strips = tuple(table[STRIP].to_pylist()) if STRIP in table.column_names else ()
        frame = table.select(COLUMNS.names).to_pandas()
        frame["identity"] = frame["identity"].astype(object).where(frame["identity"].notna(), None)
        try:
            return cls(frame, embeddings, model, strips, calibration)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error


def concatenate(galleries: Sequence[Gallery]) -> Gallery:
    """One gallery of several, in their order.

    Raises:
        InputError: there is none, their models or calibrations differ, only some have film strips, or two
            hold the same tracklet.
    """
    if not galleries:
        raise InputError("there must be at least 1 gallery, got 0")
    for gallery in galleries[1:]:
        check_model(gallery.model, galleries[0].model, "the galleries")
        if gallery.calibration != galleries[0].calibration:
            raise InputError("the galleries must have one calibration, or none, got different ones")
    if len({bool(gallery.strips) for gallery in galleries if len(gallery)}) > 1:
        raise InputError("either all galleries must have film strips or none, got both kinds")
    return Gallery(
        pd.concat([g.tracklets for g in galleries if len(g)] or [empty_table()], ignore_index=True),
        np.concatenate([gallery.embeddings for gallery in galleries]),
        galleries[0].model,
        tuple(strip for gallery in galleries for strip in gallery.strips),
        galleries[0].calibration,
    )


def check_model(model: ModelReference, expected: ModelReference, what: str) -> None:
    """Check that embeddings may be compared.

    Raises:
        InputError: the models differ, in their weights or in the clips that they take.
    """
    if replace(model, name=expected.name) != expected:
        raise InputError(f"{what} must be of one model, got {_words(model)} and {_words(expected)}")


def _words(model: ModelReference) -> str:
    return f"{model.name} ({model.sha256[:12]}, {model.frames} frames of {model.height}x{model.width})"


def empty_table() -> pd.DataFrame:
    """A table of tracklets without rows."""
    return COLUMNS.empty_table().to_pandas()


def check_gallery(gallery: Gallery, what: str) -> None:
    """Check the parts of a gallery against each other, and every value.

    Raises:
        InputError: a rule is broken; the error names the row, from 0.
    """
    table, embeddings = gallery.tracklets, gallery.embeddings
    missing = [name for name in COLUMNS.names if name not in table.columns]
    if missing:
        raise InputError(f"{what} must have the columns {', '.join(COLUMNS.names)}, got no {missing[0]}")
    expected = (len(table), gallery.model.dimensions)
    if embeddings.shape != expected or embeddings.dtype != np.float32:
        got = f"{embeddings.dtype} {embeddings.shape}"
        raise InputError(f"{what} must have an embedding per tracklet, float32 {expected}, got {got}")
    if len(gallery.strips) not in (0, len(table)):
        raise InputError(f"{what} must have {len(table)} film strips or none, got {len(gallery.strips)}")
    _check_rows(table, _broken_embeddings(embeddings))


def _check_rows(table: pd.DataFrame, embedding: NDArray[np.bool_]) -> None:
    times = table[["start", "end"]].to_numpy(np.float64)
    rules: dict[str, Any] = {
        "video, camera and track must be given": table[["video", "camera", "track"]].isna().any(axis=1),
        "frames must count from 1, and last must not be before first": (table["first"] < 1)
        | (table["last"] < table["first"]),
        "start and end must be finite seconds in order": ~np.isfinite(times).all(axis=1)
        | (times[:, 0] > times[:, 1]),
        "boxes must be at least 1": table["boxes"] < 1,
        "height must be above 0 and border between 0 and 1": ~(
            (table["height"] > 0) & np.isfinite(table["height"]) & table["border"].between(0, 1)
        ),
        "a tracklet must occur once": table.duplicated(KEY),
        "an embedding must be finite and of norm 1": embedding,
    }
    for rule, broken in rules.items():
        if np.any(broken):
            row = int(np.argmax(np.asarray(broken)))
            values = ", ".join(f"{name} {table[name].iloc[row]}" for name in COLUMNS.names)
            raise InputError(f"row {row}: {rule}, got {values}")


def _broken_embeddings(embeddings: Embeddings) -> NDArray[np.bool_]:
    """Whether a row is not finite or not of norm 1, [G]; in blocks, because a gallery may fill the memory."""
    broken = np.zeros(len(embeddings), np.bool_)
    for start in range(0, len(embeddings), ROWS):
        block = embeddings[start : start + ROWS].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            broken[start : start + ROWS] = ~(np.abs(np.sqrt(np.square(block).sum(axis=1)) - 1) <= NORM)
    return broken


def _table(gallery: Gallery) -> pa.Table:
    table = pa.Table.from_pandas(
        gallery.tracklets[COLUMNS.names], COLUMNS, preserve_index=False
    ).replace_schema_metadata(None)
    values = pa.array(np.ascontiguousarray(gallery.embeddings).reshape(-1), pa.float32())
    lists = pa.FixedSizeListArray.from_arrays(values, gallery.model.dimensions)
    table = table.append_column(EMBEDDING, lists)
    if gallery.strips:
        table = table.append_column(STRIP, pa.array(list(gallery.strips), pa.binary()))
    calibration = dump(gallery.calibration) if gallery.calibration else None
    content = {"format": FORMAT, "model": asdict(gallery.model), "calibration": calibration}
    return table.replace_schema_metadata({METADATA: json.dumps(content, sort_keys=True).encode()})


def _metadata(path: Path, schema: pa.Schema) -> tuple[ModelReference, Calibration | None]:
    """The model that the file's metadata name, and its calibration."""
    text = (schema.metadata or {}).get(METADATA, b"")
    content = parse_json(text, f"{path}: the metadata") if text else None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        got = content.get("format") if isinstance(content, dict) else "another kind of Parquet file"
        raise InputError(f"{path}: the format must be {FORMAT!r}, got {got!r}")
    model = parse(ModelReference, content.get("model", {}), f"{path}: model")
    calibration: Calibration | None = None
    if content.get("calibration") is not None:
        calibration = parse(Calibration, content["calibration"], f"{path}: calibration")
    return model, calibration


def _check_schema(path: Path, schema: pa.Schema, dimensions: int) -> None:
    if len(set(schema.names)) < len(schema.names):
        raise InputError(f"{path}: a column must be there once, got {', '.join(schema.names)}")
    expected: Iterable[pa.Field] = [*COLUMNS, pa.field(EMBEDDING, pa.list_(pa.float32(), dimensions))]
    if STRIP in schema.names:
        expected = [*expected, pa.field(STRIP, pa.binary())]
    for field in expected:
        if field.name not in schema.names:
            raise InputError(f"{path}: must have the column {field.name}, got {', '.join(schema.names)}")
        kind = schema.field(field.name).type
        if kind != field.type:
            raise InputError(f"{path}: {field.name} must be {field.type}, got {kind}")
