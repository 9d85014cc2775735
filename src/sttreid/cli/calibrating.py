"""What the command ``calibrate`` does, and what a calibration says in the terminal."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sttreid.catalogue.shelf import locate, published_name
from sttreid.cli.wording import columns
from sttreid.inference import embed_store, load_model, open_store
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import check_apart, check_writable
from sttreid.search.calibration import (
    RATE,
    Calibration,
    Labelled,
    calibrate,
    calibration_path,
    check_rate,
    read_calibration,
)
from sttreid.search.gallery import Gallery, check_model
from sttreid.search.videos import refer_to


def write_calibration(
    model: str,
    stores: Sequence[Path],
    galleries: Sequence[Path],
    rate: float | None,
    real: bool | None,
    output: Path | None,
) -> Iterator[str]:
    """Calibrate a model on validation identities of stores, or on labelled galleries.

    Raises:
        InputError: the result cannot be written, or would replace that of a published model.
    """
    rate = RATE if rate is None else rate
    check_rate(rate)
    weights = locate(model)
    path = output or calibration_path(weights)
    if output is None and path.exists() and (name := published_name(weights)):
        raise InputError(f"{path}: belongs to the published model {name}: give another file with --output")
    check_apart([path], [weights, *galleries])
    if weights.is_file():
        check_writable(path)
    network = load_model(weights)
    reference = refer_to(network, weights.name)
    sets = []
    for source in galleries:
        gallery = Gallery.read(source)
        check_model(gallery.model, reference, f"{source}: the gallery and the model")
        rows = np.flatnonzero(gallery.tracklets["identity"].notna())
        table = gallery.tracklets.iloc[rows]
        sets.append(Labelled(gallery.embeddings[rows], _text(table["identity"]), _text(table["camera"])))
    for source in stores:
        store = open_store(source)
        table = store.of_split("validation")
        features = embed_store(network, store, table)
        sets.append(Labelled(features, _text(table["identity"]), _text(table["camera"])))
    names = ", ".join(source.name for source in (*stores, *galleries))
    people = f"validation identities of {names}" if stores else f"labelled tracklets of {names}"
    rendered = bool(stores) if real is None else not real
    found = calibrate(sets, reference.sha256, people, rendered=rendered, rate=rate)
    found.write(path)
    yield from describe_calibration(found)
    yield f"{path}: written"


def calibration_beside(model: Path) -> Calibration | None:
    """The calibration of a model's file, if there is one."""
    path = calibration_path(model)
    return read_calibration(path) if path.exists() else None


def describe_calibration(calibration: Calibration | None) -> list[str]:
    """A calibration as lines of text."""
    return columns({"calibration": "none"} if calibration is None else calibration.summary())


def _text(values: pd.Series) -> np.ndarray[Any, np.dtype[Any]]:
    text: np.ndarray[Any, np.dtype[Any]] = values.astype(str).to_numpy(object)
    return text
