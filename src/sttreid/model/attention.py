"""Multi-head self-attention and the transformer layer built on it.

The fused kernel does not return attention weights. For losses and figures, :meth:`Attention.forward` also
computes the first token's row, O(L), or the whole matrix, O(L^2).
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sttreid.model.linear import Linear, linear

Rows = Literal["none", "first", "all"]  # rows of the attention matrix that a forward pass returns


class Attention(nn.Module):
    """Scaled dot-product self-attention over L tokens of D channels."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"model.width must be a multiple of model.heads, got {width} and {heads}")
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)

    def forward(
        self, x: Tensor, rows: Rows = "none", first_only: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """[B, L, D] -> [B, L, D], and the requested rows of the attention matrix.

        These are None, [B, heads, L] (the first token's row) or [B, heads, L, L]; each row sums to 1. With
        ``first_only`` the output is that of the first token alone, [B, 1, D], at a fraction of the cost; then
        ``rows`` must not be "all".
        """
        if first_only:
            y, attention = self._first(x)
            return self.proj(y), None if rows == "none" else attention
        b, tokens, width = x.shape
        q, k, v = self.qkv(x).view(b, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).reshape(b, tokens, width)), _attention(q, k, rows)

    def _first(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The first token's values [B, 1, D], before the projection, and its row [B, heads, L].

        No key or value is formed: q (W x) = (q W) x, and sum a (W x) = W (sum a x). The bias of the keys adds
        the same number to all scores of a row, so it cancels.
        """
        b, _, width = x.shape
        size = width // self.heads
        weights = self.qkv.weight.view(3, self.heads, size, width)  # [3, heads, D / heads, D]
        q = linear(x[:, 0], self.qkv.weight[:width], self.qkv.bias[:width]).view(b, self.heads, size)
        keys = (q.transpose(0, 1) @ weights[1]).transpose(0, 1)  # [B, heads, D]
        attention = torch.softmax(keys @ x.transpose(1, 2) * size**-0.5, dim=-1)
        mean = (attention @ x).transpose(0, 1)  # [heads, B, D]
        values = (mean @ weights[2].transpose(1, 2)).transpose(0, 1).reshape(b, 1, width)
        return values + self.qkv.bias[2 * width :], attention


def _attention(q: Tensor, k: Tensor, rows: Rows) -> Tensor | None:
    """The requested rows of softmax(q k^T / sqrt(d))."""
    if rows == "none":
        return None
    queries = q[:, :, :1] if rows == "first" else q
    attention = torch.softmax(queries @ k.transpose(-2, -1) * q.shape[-1] ** -0.5, dim=-1)
    return attention[:, :, 0] if rows == "first" else attention


class Layer(nn.Module):
    """A pre-norm transformer layer (our choice: the paper does not say where the norms are)."""

    def __init__(self, width: int, heads: int, mlp_ratio: float, dropout: float) -> None:
        super().__init__()
        hidden = int(width * mlp_ratio)
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), Linear(hidden, width))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, rows: Rows = "none", first_only: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """[B, L, D] -> [B, L, D], or [B, 1, D] of the first token alone, and the requested rows."""
        y, attention = self.attention(self.norm1(x), rows, first_only)
        x = (x[:, :1] if first_only else x) + self.dropout(y)
        return x + self.dropout(self.mlp(self.norm2(x))), attention


class Transformer(nn.Module):
    """Layers and a final norm over tokens; the caller puts its class token first."""

    def __init__(self, width: int, heads: int, layers: int, mlp_ratio: float, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(width, heads, mlp_ratio, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(
        self, x: Tensor, rows: Rows = "none", first_only: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """[B, L, D] -> [B, L, D], and the requested rows of all layers, stacked: [B, layers, heads, ...].

        With ``first_only`` the last layer computes the output of the first token alone, [B, 1, D], unless all
        rows of the attention are requested.
        """
        attentions = []
        for number, layer in enumerate(self.layers, 1):
            x, attention = layer(x, rows, first_only and number == len(self.layers) and rows != "all")
            attentions.append(attention)
        return self.norm(x), None if rows == "none" else torch.stack(attentions, dim=1)
