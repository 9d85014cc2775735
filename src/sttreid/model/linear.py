"""A linear layer whose products have the same bits on every x86-64 processor.

torch gives matrix products to MKL, which is bit-identical across vendors only with its slow kernels. oneDNN's
are as fast as MKL's with AVX2, and their bits depend on the instruction set alone.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sttreid.runtime import numerics


class Linear(nn.Linear):
    """``nn.Linear``; on the portable path of a CPU, in float32, its three products run in oneDNN."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D']."""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``F.linear`` as in :class:`Linear`: [..., D], [D', D] and [D'] -> [..., D']."""
    if _uses_onednn(x):
        return cast(Tensor, _OneDnn.apply(x, weight, bias))  # type: ignore[no-untyped-call]
    return F.linear(x, weight, bias)


def _uses_onednn(x: Tensor) -> bool:
    """Not under autocast, nor while a graph is exported: others know only torch's own operator."""
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    traced = torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export() or torch._C._is_tracing()
    return plain and not traced and numerics.current() == "portable"


class _OneDnn(torch.autograd.Function):
    """y = x w^T + b, and its gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.biased = bias is not None
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        rows = gradients[0].reshape(-1, weight.shape[0])
        for_x = _product(rows, weight.t()).view_as(x) if ctx.needs_input_grad[0] else None
        for_weight = _transposed_product(rows, x) if ctx.needs_input_grad[1] else None
        return for_x, for_weight, rows.sum(0) if ctx.biased else None


def _transposed_product(rows: Tensor, x: Tensor) -> Tensor:
    """[N, D'] and [..., D] with N rows -> rows^T x: [D', D]."""
    columns = x.reshape(-1, x.shape[-1])
    if columns.is_contiguous() or columns.t().is_contiguous():
        return _product(rows.t(), columns.t())
    return _sum_of_outer_products(rows, columns)


def _sum_of_outer_products(rows: Tensor, columns: Tensor) -> Tensor:
    """[N, D'] and [N, D] -> rows^T columns, with the bits of oneDNN's reference kernel.

    oneDNN has no fast kernel where there are gaps between rows, as between the temporal tokens of clips. Its
    reference kernel adds one product after the other, rounded; so does this, in a fiftieth of the time.
    """
    total = rows.new_zeros(rows.shape[1], columns.shape[1])
    term = torch.empty_like(total)
    for row, column in zip(rows.unsqueeze(2), columns.unsqueeze(1), strict=True):
        total.add_(torch.mul(row, column, out=term))  # addcmul may round once only
    return total


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """[..., D] and [D', D] -> x w^T + b: [..., D']."""
    return cast(Tensor, torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], ""))
