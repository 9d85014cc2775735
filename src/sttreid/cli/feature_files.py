"""Files of other programs -> metrics: features, distances and labels, or a model and a tracklet store.

Arrays are ``.npy`` or ``.npz``; labels are columns of a CSV or Parquet file, or arrays of the ``.npz`` file.
"""

import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.config.evaluation import Rerank, ResolvedEvaluate
from sttreid.retrieval import Labels, Result, evaluate, evaluate_distances, protocol
from sttreid.retrieval.evaluation import TIE
from sttreid.retrieval.labels import LEFT_OUT
from sttreid.retrieval.metrics import METRICS
from sttreid.retrieval.protocol import Protocol
from sttreid.retrieval.result import COUNTS
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_csv, read_table
from sttreid.runtime.parquet import most_memory

NUMBERS = ("identity", "camera")
FLAGS = ("query", "distractor", "junk")  # optional
ARRAYS = (".npy", ".npz")


@dataclass(frozen=True)
class Files:
    """What to evaluate: features of both sides, distances, or a model and a store; other fields are None.

    Attributes:
        query: features [Q, D]; a ``.npz`` file may hold the labels too.
        gallery: features [G, D].
        distances: [Q, G], smaller is nearer.
        query_labels: one row per query.
        gallery_labels: one row per gallery tracklet.
        model: file or name of a model, as :func:`sttreid.load_model` takes it.
        tracklets: a tracklet store with a test split.
    """

    query: Path | None = None
    gallery: Path | None = None
    distances: Path | None = None
    query_labels: Path | None = None
    gallery_labels: Path | None = None
    model: Path | None = None
    tracklets: Path | None = None


def evaluate_files(files: Files, name: str, rerank: Rerank | None = None, tie: float | None = None) -> Result:
    """Compute the metrics of a protocol.

    Args:
        files: what to evaluate.
        name: of the protocol.
        rerank: how features are re-ranked; None: they are not.
        tie: distances that differ by no more than this are tied; None: as much as rounding changes them, but
            for given distances, which are those of double precision.

    Raises:
        InputError: the files are not a complete set, one breaks a rule of its format or lacks flags that the
            protocol needs, or as :func:`sttreid.retrieval.evaluation.evaluate`.
    """
    rules = protocol(name)
    given = {key for key, path in vars(files).items() if path is not None}
    if given == {"model", "tracklets"}:
        query, gallery, query_labels, gallery_labels = _embedded(files)
    elif {"query", "gallery"} <= given <= {"query", "gallery", "query_labels", "gallery_labels"}:
        query, gallery = (read_array(_path(path), "features") for path in (files.query, files.gallery))
        query_labels = read_labels(_labels(files.query_labels, files.query, "--query-labels"))
        gallery_labels = _gallery_labels(
            _labels(files.gallery_labels, files.gallery, "--gallery-labels"), rules
        )
    elif given == {"distances", "query_labels", "gallery_labels"} and rerank is None:
        distances = read_array(_path(files.distances), "distances")
        sides = read_labels(_path(files.query_labels)), _gallery_labels(_path(files.gallery_labels), rules)
        with _naming(files):
            return evaluate_distances(distances, *sides, rules, tie=TIE if tie is None else tie)
    else:
        got = ", ".join(f"--{key.replace('_', '-')}" for key in vars(files) if key in given) or "none of them"
        raise InputError(
            "give --query and --gallery (features), or --distances with --query-labels and --gallery-labels"
            f" (not re-ranked), or --model and --tracklets; got {got}"
        )
    with _naming(files):
        if rerank is None:
            labels = query_labels, gallery_labels
            return evaluate(query, gallery, *labels, rules, tie=TIE if tie is None else tie)
        from sttreid.retrieval import scoring  # loads torch, which plain features do not need

        settings = ResolvedEvaluate(name, rerank)
        distances = scoring.reranked(query, gallery, query_labels, gallery_labels, settings)
        tie, rules = scoring.RERANKED_TIE if tie is None else tie, scoring.rules(settings)
        return evaluate_distances(distances, query_labels, gallery_labels, rules, tie=tie)


@contextmanager
def _naming(files: Files) -> Iterator[None]:
    """Name the files in the errors of the evaluator, which knows sides and rows alone."""
    try:
        yield
    except InputError as error:
        raise InputError(
            f"{', '.join(str(path) for path in vars(files).values() if path)}: {error}"
        ) from error


def _labels(labels: Path | None, features: Path | None, option: str) -> Path:
    """The file with the labels of one side: a ``.npz`` file of features may hold them."""
    if labels is None and _path(features).suffix == ".npy":
        raise InputError(f"{features}: a .npy file holds no labels: give {option}")
    return labels or _path(features)


def _gallery_labels(path: Path, rules: Protocol) -> Labels:
    """Labels of the gallery; a protocol that leaves tracklets out must be told which."""
    flags = [flag for flag, word in LEFT_OUT.items() if word in rules.gallery]
    return read_labels(path, flags, f"protocol {rules.name} (gallery {rules.gallery})")


def as_table(result: Result, rerank: Rerank | None = None) -> str:
    """The metrics, the counts that they depend on, and the rules of the protocol and of re-ranking."""
    values = result.metrics
    metrics = {metric.label: f"{metric.text(values[metric.name])} {metric.unit}" for metric in METRICS}
    counts = {name: getattr(result, name) for name in COUNTS}
    rules = {field.name: getattr(result.protocol, field.name) for field in fields(result.protocol)[2:]}
    rules["ties"] = f"{result.protocol.ties}, within {result.tie:g}"
    if rerank is not None:
        rules["re-ranking"] = f"k1 {rerank.k1}, k2 {rerank.k2}, weight {rerank.weight:g}"
    return "\n".join(
        [*_lines(metrics), "", *_lines(counts), "", f"protocol {result.protocol.name}:", *_lines(rules)]
    )


def _lines(values: Mapping[str, object]) -> list[str]:
    """Names and values in two columns."""
    return [f"{name.replace('_', ' '):<18} {value}".rstrip() for name, value in values.items()]


def as_json(result: Result, rerank: Rerank | None = None) -> str:
    """The metrics and counts, rates as fractions, and what they depend on."""
    content: dict[str, object] = {"protocol": result.protocol.name, "tie": result.tie, **result.numbers()}
    if rerank is not None:
        content["rerank"] = {"k1": rerank.k1, "k2": rerank.k2, "weight": rerank.weight}
    return json.dumps(content, indent=1)


def _embedded(files: Files) -> tuple[NDArray[Any], NDArray[Any], Labels, Labels]:
    """Features and labels of both sides of a store's test."""
    from sttreid.inference import embed_store, load_model, open_store
    from sttreid.retrieval.scoring import labels_of

    store = open_store(_path(files.tracklets))
    table = store.gallery()
    features = embed_store(load_model(_path(files.model)), store, table)
    query, gallery = (features[table[role].to_numpy(bool)] for role in ("query", "gallery"))
    return query, gallery, *labels_of(table)


def _path(path: Path | None) -> Path:
    """A path whose presence the caller has checked."""
    assert path is not None
    return path


def read_array(path: Path, name: str) -> NDArray[Any]:
    """A matrix from a file.

    Args:
        path: a ``.npy`` file, which is memory-mapped, or a ``.npz`` file.
        name: of the array in a ``.npz`` file: "features" or "distances".

    Raises:
        InputError: the file cannot be read, has no such array, or the array is not a matrix of numbers.
    """
    array = _arrays(path, (name,))[name] if path.suffix == ".npz" else _load(path)
    if isinstance(array, np.memmap) and (end := array.offset + array.nbytes) != path.stat().st_size:
        raise InputError(
            f"{path}: must hold one array and nothing behind it, got {end:,} of {path.stat().st_size:,} bytes"
        )
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind not in "fiu":
        got = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else "another kind of file"
        raise InputError(f"{path}: {name} must be a matrix of numbers, got {got}")
    return array


def read_labels(path: Path, needed: Sequence[str] = (), reason: str = "") -> Labels:
    """Labels of one side, one row per tracklet.

    Args:
        path: CSV (``.csv``), Parquet (``.parquet``) or ``.npz``, with the whole numbers identity and camera,
            and perhaps the flags query, distractor and junk (true and false, or 1 and 0).
        needed: flags that must not be left out.
        reason: what needs them.

    Raises:
        InputError: the file cannot be read, a column is missing, or a value is of the wrong kind.
    """
    readers = {".csv": _csv, ".parquet": _parquet, ".npz": _npz}
    if path.suffix not in readers:
        raise InputError(f"{path}: labels must be in a .csv, .parquet or .npz file, got {path.suffix!r}")
    columns = readers[path.suffix](path)
    missing = [name for name in NUMBERS if name not in columns]
    if missing:
        raise InputError(f"{path}: must have the columns identity and camera, got {', '.join(columns)}")
    for name in needed:
        if name not in columns:
            rule = f"{reason} needs the column {name}, true or false (1 or 0)"
            raise InputError(f"{path}: {rule}, got {', '.join(columns)}")
    flags = {name: _flag(path, name, columns[name]) for name in FLAGS if name in columns}
    try:
        return Labels(columns["identity"], columns["camera"], **flags)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _load(path: Path) -> Any:
    if path.suffix not in ARRAYS:
        raise InputError(f"{path}: arrays must be in a .npy or .npz file, got {path.suffix!r}")
    try:
        return np.load(path, mmap_mode="r" if path.suffix == ".npy" else None, allow_pickle=False)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (
        Exception
    ) as error:  # NumPy raises many types for damaged headers, even those of Python's tokeniser
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: must be a NumPy file without pickled objects ({reason})") from error


def _arrays(path: Path, needed: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """All arrays of a ``.npz`` file that the evaluator can use."""
    loaded = _load(path)
    if not isinstance(loaded, np.lib.npyio.NpzFile):
        raise InputError(f"{path}: must hold several arrays, as numpy.savez writes them, got one")
    with loaded as archive:
        name, count = Counter(archive.files).most_common(1)[0] if archive.files else ("", 0)
        if count > 1:
            raise InputError(f"{path}: the arrays must have different names, got {name!r:.100} {count} times")
        missing = [name for name in needed if name not in archive]
        if missing:
            raise InputError(f"{path}: must hold {' and '.join(needed)}, got {', '.join(archive.files)}")
        if needed == NUMBERS:
            _check_flag_names(path, archive.files)
        wanted = {*needed, *(FLAGS if needed == NUMBERS else ())}
        return {name: _member(path, archive, name) for name in archive.files if name in wanted}


def _member(path: Path, archive: Any, name: str) -> NDArray[Any]:
    """An array of an archive, whose length is checked before it takes memory."""
    with zipfile.ZipFile(path) as file:
        lengths = {entry.filename: entry.file_size for entry in file.infolist()}
    most, length = most_memory(path), lengths.get(f"{name}.npy", lengths.get(name, 0))
    if length > most:
        raise InputError(f"{path}: {name} must take at most {most:,} bytes of memory, got {length:,}")
    try:
        array = archive[name]
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: {name} must be an array without pickled objects ({reason})") from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: {name} must be an array, got other bytes")
    return array


def _npz(path: Path) -> Mapping[str, NDArray[Any]]:
    return _arrays(path, NUMBERS)


def _csv(path: Path) -> Mapping[str, NDArray[Any]]:
    return _columns(path, read_csv(path))


def _parquet(path: Path) -> Mapping[str, NDArray[Any]]:
    return _columns(path, read_table(path))


def _columns(path: Path, table: pd.DataFrame) -> dict[str, NDArray[Any]]:
    _check_flag_names(path, map(str, table.columns))
    return {str(name): table[name].to_numpy() for name in table.columns}


def _check_flag_names(path: Path, names: Iterable[str]) -> None:
    """Refuse a flag under another spelling, which would be ignored: the metrics would be those without it."""
    for written in names:
        name = "".join(filter(str.isalpha, written.casefold())).removeprefix("is").removesuffix("s")
        if name in FLAGS and written != name:
            raise InputError(f"{path}: the column {written!r} must be called {name}, or have another name")


def _flag(path: Path, name: str, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Text files hold flags as 0 and 1 as well."""
    if values.dtype.kind in "iu" and np.isin(values, (0, 1)).all():
        return values.astype(bool)
    if values.dtype.kind != "b":
        raise InputError(f"{path}: {name} must be true or false (1 or 0) in every row, got {values.dtype}")
    return values
