"""Feature rows in two precisions, from any kind of array."""

import numpy as np
import pytest
import torch

from sttreid.retrieval import features as module
from sttreid.retrieval.features import FeatureRows, cosines
from sttreid.runtime.errors import InputError

ALL = np.arange(20)


def table(seed=0, count=20, width=7):
    return np.random.default_rng(seed).standard_normal((count, width)) * 10


@pytest.fixture(
    params=[
        "float16",
        "float32",
        "float64",
        ">f4",
        ">f8",
        "longdouble",
        "tensor",
        "double tensor",
        "bfloat16",
        "map",
        "reversed",
        "columns",
    ]
)
def features(request, tmp_path):
    """The same table in many types and layouts."""
    values = table()
    if request.param == "tensor":
        return torch.from_numpy(values).float().requires_grad_()
    if request.param == "double tensor":
        return torch.from_numpy(values)
    if request.param == "bfloat16":
        return torch.from_numpy(values).bfloat16()
    if request.param == "map":
        np.save(tmp_path / "features.npy", values)
        return np.load(tmp_path / "features.npy", mmap_mode="r")
    if request.param == "reversed":
        return values[::-1][::-1, :]
    if request.param == "columns":
        return np.asfortranarray(values)
    return values.astype(request.param)


def test_rows_have_length_1_in_both_precisions(features, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 3)
    given = features.detach().double().numpy() if isinstance(features, torch.Tensor) else features
    values = np.array(given, np.float64)
    rows = np.array([19, 3, 3, 0, 11])
    index = np.array([4, 0, 1, 3])
    expected = values[rows[index]]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    chosen = FeatureRows("gallery", features, rows)
    np.testing.assert_allclose(chosen.unit64(index), expected, rtol=0, atol=1e-15)
    single = chosen.unit32(index)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=2.0**-24, atol=0)  # rounded once


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_the_order_of_bytes_changes_no_bit(kind):
    values = table().astype(kind)
    rows = [FeatureRows("gallery", values.astype(order + kind), ALL).unit64(ALL) for order in "<>"]
    assert np.array_equal(*rows)


def test_cosines_are_those_of_double_precision(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 4)
    a, b = table(1), table(2)
    matrix = (a @ b.T) / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    query, column = np.random.default_rng(3).integers(0, 20, (2, 50))
    sides = FeatureRows("query", a, ALL), FeatureRows("gallery", b, ALL)
    np.testing.assert_allclose(cosines(*sides, query, column), matrix[query, column], rtol=0, atol=1e-14)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e306])
def test_double_precision_is_read_over_its_whole_range(scale):
    rows = FeatureRows("gallery", table() * scale, ALL)
    expected = table() / np.linalg.norm(table(), axis=1, keepdims=True)
    np.testing.assert_allclose(rows.unit64(ALL), expected, rtol=0, atol=1e-15)
    np.testing.assert_allclose(cosines(rows, rows, ALL, ALL), 1, atol=1e-14)


@pytest.mark.parametrize("scale", [1e-40, 1e-25, 1e-21, 3e-21, 1e-18, 1e18, 1e36])
def test_very_short_and_very_long_rows_keep_their_direction(scale):
    values = (table() * scale).astype(np.float32)
    exact = values.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    np.testing.assert_allclose(FeatureRows("query", values, ALL).unit32(ALL), exact, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_row_that_is_not_finite_is_refused_by_its_number(value, kind):
    values = table().astype(kind)
    values[13, 5] = value
    rows = FeatureRows("gallery", values, np.arange(5, 20))
    for read in (rows.unit32, rows.unit64):
        with pytest.raises(InputError, match="gallery feature, row 13: must be finite and not all 0"):
            read(np.arange(15))
        with pytest.raises(InputError, match=rf"got \[{value}, .* from column 5 on"):
            read(np.arange(15))


def test_a_row_of_zeros_is_refused_by_its_number():
    values = table()
    values[2] = 0
    with pytest.raises(InputError, match=r"query feature, row 2: must be .* got \[0.0, 0.0, 0.0\]"):
        FeatureRows("query", values, ALL).unit32(ALL)


@pytest.mark.parametrize("shape", [(3,), (3, 0), (3, 2, 1)])
def test_features_have_two_axes(shape):
    with pytest.raises(InputError, match=r"query features must have the shape \[N, D\]"):
        FeatureRows("query", np.zeros(shape), np.arange(3))
