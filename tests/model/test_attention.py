"""Attention, its weights and the layers on it, against loops and against PyTorch's own module."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sttreid.model.attention import Attention, Layer, Transformer


@torch.no_grad()
def naive(attention, x):
    """Output [B, L, D] and weights [B, heads, L, L], one row and one head at a time."""
    b, tokens, width = x.shape
    size = width // attention.heads
    output = torch.zeros_like(x)
    weights = torch.zeros(b, attention.heads, tokens, tokens, dtype=x.dtype)
    for clip in range(b):
        projected = x[clip] @ attention.qkv.weight.T + attention.qkv.bias
        q, k, v = projected[:, :width], projected[:, width : 2 * width], projected[:, 2 * width :]
        for head in range(attention.heads):
            part = slice(head * size, (head + 1) * size)
            for i in range(tokens):
                scores = [float(q[i, part] @ k[j, part]) / math.sqrt(size) for j in range(tokens)]
                top = max(scores)
                shares = [math.exp(score - top) for score in scores]
                for j in range(tokens):
                    weights[clip, head, i, j] = shares[j] / sum(shares)
                    output[clip, i, part] += weights[clip, head, i, j] * v[j, part]
    return output @ attention.proj.weight.T + attention.proj.bias, weights


def problem(b=2, tokens=5, width=6, heads=3):
    torch.manual_seed(0)
    return Attention(width, heads).double(), 3 * torch.randn(b, tokens, width, dtype=torch.float64)


def test_output_and_weights_equal_the_loop():
    attention, x = problem()
    expected, expected_weights = naive(attention, x)
    output, weights = attention(x, "all")
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(weights, expected_weights)


def test_the_first_row_is_the_first_token_s_of_all_rows():
    attention, x = problem()
    row = attention(x, "first")[1]
    assert row.shape == (2, 3, 5)
    torch.testing.assert_close(row, attention(x, "all")[1][:, :, 0])


def test_asking_for_weights_changes_no_output():
    attention, x = problem()
    output, weights = attention(x)
    assert weights is None
    assert all(torch.equal(attention(x, which)[0], output) for which in ("first", "all"))


def test_output_and_weights_equal_pytorch_s_module_with_the_same_weights():
    attention, x = problem(width=12, heads=4)
    other = torch.nn.MultiheadAttention(12, 4, batch_first=True, dtype=torch.float64)
    other.load_state_dict(
        {
            "in_proj_weight": attention.qkv.weight,
            "in_proj_bias": attention.qkv.bias,
            "out_proj.weight": attention.proj.weight,
            "out_proj.bias": attention.proj.bias,
        }
    )
    expected, expected_weights = other(x, x, x, average_attn_weights=False)
    output, weights = attention(x, "all")
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(weights, expected_weights)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.floats(0, 1e4), st.integers(0, 2**31))
def test_rows_sum_to_one_however_large_the_tokens_are(tokens, scale, seed):
    torch.manual_seed(seed)
    attention = Attention(4, 2)
    weights = attention(scale * torch.randn(1, tokens, 4), "all")[1]
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 2, tokens))
    assert (weights >= 0).all()


def test_the_weights_pass_gradients_on():
    attention, x = problem()
    attention(x, "first")[1].square().sum().backward()
    width = x.shape[2]
    assert attention.qkv.weight.grad[: 2 * width].any(1).all()
    assert not attention.qkv.weight.grad[2 * width :].any()  # values have no part in them


def test_a_width_that_the_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match=r"model\.width must be a multiple of model\.heads, got 8 and 3"):
        Attention(8, 3)


def test_a_layer_norms_before_attention_and_mlp_and_adds():
    torch.manual_seed(0)
    layer = Layer(8, 2, 1.5, 0.0).double()
    assert layer.mlp[0].out_features == 12
    x = torch.randn(2, 4, 8, dtype=torch.float64)
    y = x + naive(layer.attention, layer.norm1(x))[0]
    expected = y + layer.mlp(layer.norm2(y))
    torch.testing.assert_close(layer(x)[0], expected)


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    layer = Layer(8, 2, 2.0, 0.5)
    x = torch.randn(2, 4, 8)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])


def test_a_transformer_stacks_the_weights_of_its_layers_in_order():
    torch.manual_seed(0)
    transformer = Transformer(8, 2, 3, 2.0, 0.0)
    x = torch.randn(2, 5, 8)
    output, rows = transformer(x, "first")
    assert rows.shape == (2, 3, 2, 5)
    assert transformer(x, "all")[1].shape == (2, 3, 2, 5, 5)
    assert transformer(x)[1] is None
    for number, layer in enumerate(transformer.layers):
        x, expected = layer(x, "first")
        assert torch.equal(rows[:, number], expected)
    assert torch.equal(output, transformer.norm(x))


@pytest.mark.parametrize("layers", [1, 3])
def test_the_first_token_alone_equals_the_first_of_all_with_its_gradients(layers):
    torch.manual_seed(0)
    transformer = Transformer(8, 2, layers, 1.5, 0.0).double()
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(3, 7, 8, dtype=torch.float64, requires_grad=True)
    outputs, rows, gradients = [], [], []
    for first_only in (False, True):
        y, attention = transformer(x, "first", first_only)
        outputs.append(y[:, 0])
        rows.append(attention)
        leaves = [x, *transformer.parameters()]
        loss = y[:, 0].cos().sum() + attention.square().sum()
        gradients.append(torch.autograd.grad(loss, leaves))
    assert y.shape == (3, 1, 8)
    torch.testing.assert_close(outputs[0], outputs[1])
    torch.testing.assert_close(rows[0], rows[1])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-7)


def test_all_rows_of_the_attention_need_all_tokens():
    transformer = Transformer(8, 2, 2, 1.5, 0.0).eval()
    x = torch.randn(2, 5, 8)
    y, attention = transformer(x, "all", first_only=True)
    assert (y.shape, attention.shape) == ((2, 5, 8), (2, 2, 2, 5, 5))
    torch.testing.assert_close(y, transformer(x, "all")[0])
