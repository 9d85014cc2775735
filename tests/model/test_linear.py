"""Linear layers against a matrix product in float64, on the numeric path of the tests' process."""

import copy

import pytest
import torch
from torch import nn

from sttreid.model import linear
from sttreid.model.linear import Linear
from sttreid.runtime import numerics


@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 7), (2, 3, 4, 7), (1, 7)])
@pytest.mark.parametrize("bias", [True, False])
def test_output_and_gradients_equal_the_product(shape, bias):
    torch.manual_seed(0)
    layer = Linear(7, 6, bias=bias)
    exact = nn.Linear(7, 6, bias=bias, dtype=torch.float64)
    exact.load_state_dict(layer.state_dict())
    x = torch.randn(shape, requires_grad=True)
    y = x.detach().double().requires_grad_()
    for module, leaf in ((layer, x), (exact, y)):
        output = module(leaf)
        (output * torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)).sum().backward()
    torch.testing.assert_close(layer(x).double(), exact(y), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(x.grad.double(), y.grad, rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(layer.parameters(), exact.parameters(), strict=True):
        torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(numerics.current() != "portable", reason="the native path uses torch's own product")
def test_only_float32_on_a_cpu_uses_onednn(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "sttreid.model.linear._product", lambda x, w, b=None: calls.append(1) or x @ w.t() + b
    )
    layer = Linear(4, 3)
    layer(torch.ones(2, 4))
    assert len(calls) == 1
    copy.deepcopy(layer).double()(torch.ones(2, 4).double())
    with torch.autocast("cpu", torch.bfloat16):
        layer(torch.ones(2, 4))
    monkeypatch.setattr(numerics, "current", lambda: "native")
    layer(torch.ones(2, 4))
    assert len(calls) == 1


def test_a_frozen_weight_and_a_plain_input_need_no_gradient():
    layer = Linear(4, 3)
    layer.weight.requires_grad_(False)
    layer(torch.ones(2, 4)).sum().backward()
    assert layer.weight.grad is None
    torch.testing.assert_close(layer.bias.grad, torch.full((3,), 2.0))


@pytest.mark.skipif(numerics.current() != "portable", reason="the native path uses torch's own product")
@pytest.mark.parametrize("gap", [0, 1, 61])
@pytest.mark.parametrize(("rows", "wide", "narrow"), [(1, 5, 7), (7, 33, 17), (24, 96, 24), (40, 16, 64)])
def test_the_gradient_of_rows_with_gaps_has_the_bits_of_the_reference_kernel(rows, wide, narrow, gap):
    """Published weights depend on them."""
    torch.manual_seed(0)
    x = (torch.randn(rows, narrow + gap) * torch.randn(rows, 1).exp())[:, :narrow]
    gradient = torch.randn(rows, wide)
    onednn = linear._product(gradient.t(), x.t())
    assert torch.equal(linear._transposed_product(gradient, x), onednn)


@pytest.mark.skipif(numerics.current() != "portable", reason="the native path uses torch's own product")
def test_rows_with_gaps_never_reach_onednn_s_reference_kernel(monkeypatch):
    """It takes 50 times as long: a temporal token is one row of each clip."""
    given = []
    product = linear._product
    monkeypatch.setattr(
        "sttreid.model.linear._product", lambda x, w, b=None: given.append(w) or product(x, w, b)
    )
    clips = torch.randn(6, 5, 4, requires_grad=True)
    Linear(4, 3)(clips[:, 0]).sum().backward()
    assert given
    assert all(weight.is_contiguous() or weight.t().is_contiguous() for weight in given)
