"""Files of results, histories and verdicts, checked as they are read: nothing that is needed is missing.

A file may be cut, edited by hand, or of another version. Keys and columns that nobody reads may be there.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr
from pydantic.dataclasses import dataclass

from sttreid.analysis.results import COUNTS, Content
from sttreid.config.conversion import parse
from sttreid.retrieval.metrics import METRICS
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_csv, read_json, read_table

CONFIG: Final = ConfigDict(allow_inf_nan=False)
NUMBERS: Final = ("query", "identity", "first_hit", "ap", "inp", "seed")  # of a per-query table
FURTHER: Final = ("length", "visibility", "stranger_distance", "there_distance")  # may be missing
LABELS: Final = {"sources": ("source", "target"), "variants": ("variant", "moment", "target")}
HISTORY: Final = ("step", "loss", "train_rank1", "validation_rank1")
LARGEST: Final = 2**53  # whole number that a float holds

Text = StrictStr
Whole = StrictInt
Number = StrictFloat | StrictInt
Numbers = dict[Text, Number]


@dataclass(frozen=True, config=CONFIG)
class _Protocol:
    name: Text
    source: Text
    gallery: Text
    excluded: Text
    average_precision: Text
    unmatched: Literal["drop", "zero"]
    ties: Text


@dataclass(frozen=True, config=CONFIG)
class _Variant:
    composition: list[Text]
    pretrain_steps: Whole
    steps: Whole
    moments: dict[Text, dict[Text, Numbers]]


@dataclass(frozen=True, config=CONFIG)
class _Result:
    protocol: dict[Text, _Protocol]
    seed: Whole
    sources: dict[Text, dict[Text, Numbers]] | None = None
    variants: dict[Text, _Variant] | None = None


@dataclass(frozen=True, config=CONFIG)
class _Question:
    verdict: dict[Text, Text]
    paper: Text
    read_in: Text


@dataclass(frozen=True, config=CONFIG)
class _Effect:
    effect: Number
    low: Number
    high: Number
    verdict: Text


@dataclass(frozen=True, config=CONFIG)
class _Contrast:
    question: Text
    ours: Text
    theirs: Text
    confirmatory: StrictBool


@dataclass(frozen=True, config=CONFIG)
class _Claims:
    seeds: Whole
    source: Text
    questions: dict[Text, _Question]
    contrasts: dict[Text, dict[Text, Any]]
    trained_on: Text | None = None


@dataclass(frozen=True, config=CONFIG)
class _Domains:
    accuracy: dict[Text, Numbers]
    standard_error: dict[Text, Numbers]


def read_result(path: Path) -> Content:
    """What the stage ``evaluate`` wrote for one group and seed.

    Raises:
        InputError: the file cannot be read; a key is missing, or its value is of another kind; a model lacks
            a number; the results and the protocols are not of the same targets.
    """
    content: Content = read_json(path)
    found = parse(_Result, content, str(path))
    models = dict(found.sources or {})
    for name, variant in (found.variants or {}).items():
        models |= {f"{name}, {moment}": targets for moment, targets in variant.moments.items()}
    if not models:
        raise InputError(f"{path}: must hold 'sources' or 'variants', got neither")
    for model, targets in models.items():
        if set(targets) != set(found.protocol):
            rule = f"{model} must have numbers of each target with a protocol, {', '.join(found.protocol)}"
            raise InputError(f"{path}: {rule}, got {', '.join(targets) or 'none'}")
        for target, numbers in targets.items():
            _check_numbers(f"{path}: {model} on {target}", numbers)
    return content


def _check_numbers(where: str, numbers: Mapping[str, float]) -> None:
    for metric in METRICS:
        if not 0 <= numbers.get(metric.name, -1) <= 1:
            raise InputError(
                f"{where}: {metric.name} must be between 0 and 1, got {numbers.get(metric.name)}"
            )
    for name in COUNTS:
        count = numbers.get(name, -1)
        if not (0 <= count < LARGEST and float(count).is_integer()):
            raise InputError(f"{where}: {name} must be a number of tracklets, got {numbers.get(name)}")


def read_queries(path: Path, kind: Literal["sources", "variants"]) -> pd.DataFrame:
    """The per-query results beside :func:`read_result`.

    Args:
        path: of the Parquet file.
        kind: what was tested: the models of sources, or variants.

    Raises:
        InputError: the file cannot be read, or a column is missing, of another kind, or has gaps.
    """
    table = read_table(path)
    for name in (*NUMBERS, *FURTHER):
        if name in table or name in NUMBERS:
            _check_number(path, table, name)
    for name in LABELS[kind]:
        if name not in table or not table[name].map(lambda value: isinstance(value, str)).all():
            raise InputError(f"{path}: the column {name!r} must hold text in every row")
    for name in ("first_hit", "seed", "identity", "query"):
        values = table[name].to_numpy(np.float64)
        if not (np.isfinite(values) & (np.abs(values) < LARGEST) & (values == np.floor(values))).all():
            raise InputError(f"{path}: the column {name!r} must hold a whole number in every row")
    for name in ("ap", "inp", *(["visibility"] if "visibility" in table else [])):
        if not table[name].dropna().between(0, 1).all():
            raise InputError(f"{path}: the column {name!r} must hold numbers between 0 and 1")
    if not table["ap"].isna().equals(table["inp"].isna()):
        raise InputError(f"{path}: the columns 'ap' and 'inp' must be empty in the same rows")
    if "there_correct" in table and not pd.api.types.is_bool_dtype(table["there_correct"]):
        raise InputError(f"{path}: the column 'there_correct' must hold true or false in every row")
    return table


def read_accuracies(path: Path, variants: Sequence[str]) -> dict[str, float]:
    """Variant -> rank-1 on training identities, as the stage ``measure`` writes it.

    Raises:
        InputError: the file cannot be read, a value is no fraction, or one of the variants is missing.
    """
    found = parse(dict[Text, Annotated[float, Field(ge=0, le=1)]], read_json(path), str(path))
    if missing := [name for name in variants if name not in found]:
        raise InputError(f"{path}: must have rank-1 of {', '.join(variants)}, got none of {missing[0]}")
    return found


def read_history(path: Path) -> pd.DataFrame:
    """A row for each step of a training.

    Raises:
        InputError: the file cannot be read, has no row, or a column is missing or no number; the steps do not
            ascend.
    """
    table = read_csv(path, sep="\t")
    for name in dict.fromkeys((*HISTORY, *table.columns)):
        _check_number(path, table, str(name))
    steps = table["step"].to_numpy(np.float64)
    if not len(table) or not (np.isfinite(steps) & (steps == np.floor(steps)) & (steps < LARGEST)).all():
        raise InputError(f"{path}: the column 'step' must hold a whole number in every row, of at least one")
    if (np.diff(steps) <= 0).any():
        raise InputError(f"{path}: the steps must ascend")
    return table


def _check_number(path: Path, table: pd.DataFrame, name: str) -> None:
    if (table.columns == name).sum() != 1:
        raise InputError(f"{path}: must have one column {name!r}, got {(table.columns == name).sum()}")
    kind = table[name].dtype
    if not pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_complex_dtype(kind):
        raise InputError(f"{path}: the column {name!r} must hold numbers, got {kind}")
    if pd.api.types.is_bool_dtype(kind):
        raise InputError(f"{path}: the column {name!r} must hold numbers, got true and false")
    if np.isinf(table[name].to_numpy(np.float64)).any():
        raise InputError(f"{path}: the column {name!r} must hold finite numbers, got an infinity")


def read_claims(path: Path, questions: Sequence[str]) -> Content:
    """A ``claims.json``, also of an early version, which leaves out what contrasts compare.

    Args:
        path: of the file.
        questions: names of those that there are.

    Raises:
        InputError: the file cannot be read; a key is missing, or its value is of another kind.
    """
    content: Content = read_json(path)
    found = parse(_Claims, content, str(path))
    for name in found.questions:
        if name not in questions:
            raise InputError(f"{path}: a question must be one of {', '.join(questions)}, got {name!r:.100}")
    for name, contrast in found.contrasts.items():
        where = f"{path}: contrasts.{name}"
        if "confirmatory" in contrast:
            keys = ("question", "ours", "theirs", "confirmatory")
            parse(_Contrast, {key: value for key, value in contrast.items() if key in keys}, where)
        for setting, measures in contrast.items():
            if isinstance(measures, dict) and "effect" in (rank1 := measures.get("rank1", {})):
                parse(_Effect, rank1, f"{where}.{setting}.rank1")
            elif isinstance(measures, dict) and not isinstance(measures.get("rank1", {}), dict):
                raise InputError(
                    f"{where}.{setting}: rank1 must hold numbers, got {measures['rank1']!r:.100}"
                )
    return content


def read_domains(path: Path) -> Content:
    """``domains.json``: accuracy of the classifier that separates the crops of two data sets.

    Raises:
        InputError: the file cannot be read; a key is missing, or its value is of another kind.
    """
    content: Content = read_json(path)
    parse(_Domains, content, str(path))
    return content
