"""Feature rows in two precisions, from wherever they lie."""

import numpy as np
import pytest
import torch

from sttreid.retrieval import rows as module
from sttreid.retrieval.rows import Rows, cosines
from sttreid.runtime.errors import InputError


def table(seed=0, count=20, width=7):
    return np.random.default_rng(seed).standard_normal((count, width)) * 10


@pytest.fixture(
    params=["float16", "float32", "float64", "tensor", "double tensor", "bfloat16", "map", "backwards"]
)
def features(request, tmp_path):
    """One table in many guises."""
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
    if request.param == "backwards":
        return values[::-1][::-1, :]
    return values.astype(request.param)


def test_units_and_directions_are_those_of_the_rows_that_were_asked_for(features, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 3)
    values = (
        (features if isinstance(features, torch.Tensor) else torch.tensor(features)).detach().double().numpy()
    )
    numbers = np.array([19, 3, 3, 0, 11])
    places = np.array([4, 0, 1, 3])
    expected = values[numbers[places]]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    rows = Rows("gallery", features, numbers)
    np.testing.assert_allclose(rows.directions(places), expected, rtol=0, atol=1e-15)
    units = rows.units(places)
    assert units.dtype == np.float32
    np.testing.assert_allclose(units, expected, rtol=2.0**-24, atol=0)  # rounded once


def test_cosines_are_those_of_double_precision(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 4)
    a, b = table(1), table(2)
    every = (a @ b.T) / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    one, other = np.random.default_rng(3).integers(0, 20, (2, 50))
    sides = (Rows("query", a, np.arange(20)), Rows("gallery", b, np.arange(20)))
    np.testing.assert_allclose(cosines(*sides, one, other), every[one, other], rtol=0, atol=1e-14)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e306])
def test_double_precision_is_read_over_its_whole_range(scale):
    rows = Rows("gallery", table() * scale, np.arange(20))
    expected = table() / np.linalg.norm(table(), axis=1, keepdims=True)
    np.testing.assert_allclose(rows.directions(np.arange(20)), expected, rtol=0, atol=1e-15)
    np.testing.assert_allclose(cosines(rows, rows, np.arange(20), np.arange(20)), 1, atol=1e-14)


@pytest.mark.parametrize("scale", [1e-40, 1e-25, 1e-21, 3e-21, 1e-18, 1e18, 1e36])
def test_very_short_and_very_long_rows_keep_their_direction(scale):
    values = (table() * scale).astype(np.float32)
    exact = values.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    np.testing.assert_allclose(Rows("query", values, np.arange(20)).units(np.arange(20)), exact, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_row_that_is_not_finite_is_refused_by_its_number(value, kind):
    values = table().astype(kind)
    values[13, 5] = value
    rows = Rows("gallery", values, np.arange(5, 20))
    for read in (rows.units, rows.directions):
        with pytest.raises(InputError, match="gallery feature, row 13: must be finite and not all 0"):
            read(np.arange(15))
        with pytest.raises(InputError, match=rf"got \[{value}, .* from column 5 on"):
            read(np.arange(15))


def test_a_row_without_direction_is_refused_by_its_number():
    values = table()
    values[2] = 0
    with pytest.raises(InputError, match=r"query feature, row 2: must be .* got \[0.0, 0.0, 0.0\]"):
        Rows("query", values, np.arange(20)).units(np.arange(20))


@pytest.mark.parametrize("shape", [(3,), (3, 0), (3, 2, 1)])
def test_features_have_two_axes(shape):
    with pytest.raises(InputError, match=r"query features must have the shape \[N, D\]"):
        Rows("query", np.zeros(shape), np.arange(3))
