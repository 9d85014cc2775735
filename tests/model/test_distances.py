"""Distances against Python's own arithmetic, and where they are tight."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sttreid.model.distances import cosine, euclidean


def noise(seed, rows, columns=4):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 6), st.floats(0.01, 1000))
def test_distances_equal_the_loop(seed, m, n, scale):
    a, b = scale * noise(seed, m), noise(seed + 1, n)
    for i, x in enumerate(a.tolist()):
        for j, y in enumerate(b.tolist()):
            assert float(euclidean(a, b)[i, j]) == pytest.approx(math.dist(x, y), rel=1e-6, abs=1e-5)
            product = sum(p * q for p, q in zip(x, y, strict=True)) / math.hypot(*x) / math.hypot(*y)
            assert float(cosine(a, b)[i, j]) == pytest.approx(1 - product)


def test_cosine_ignores_lengths_and_runs_from_zero_to_two():
    a = torch.tensor([[2.0, 0.0]])
    b = torch.tensor([[5.0, 0.0], [0.0, 3.0], [-0.1, 0.0]])
    torch.testing.assert_close(cosine(a, b), torch.tensor([[0.0, 1.0, 2.0]]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_coinciding_rows_are_almost_at_zero_with_a_finite_gradient(dtype):
    rows = torch.nn.functional.normalize(noise(0, 30, 64), dim=1).to(dtype).requires_grad_()
    distances = euclidean(rows, rows)
    assert (distances.diagonal() >= 1e-6 * 0.999).all()
    assert (distances.diagonal() < 1e-3).all()
    distances.sum().backward()
    assert rows.grad.isfinite().all()
