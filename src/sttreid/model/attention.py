"""Multi-head self-attention and the transformer layer built on it.

The fused kernel never shows its weights. Where a loss or a picture needs them, :meth:`Attention.forward`
computes the first token's row (or the whole matrix) beside the fused output: one row costs O(L), the matrix
O(L^2).
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Weights = Literal["none", "first", "all"]


class Attention(nn.Module):
    """Scaled dot-product self-attention over L tokens of D channels."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"model.width must be a multiple of model.heads, got {width} and {heads}")
        self.heads = heads
        self.inputs = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x: Tensor, weights: Weights = "none") -> tuple[Tensor, Tensor | None]:
        """[B, L, D] -> [B, L, D], and the attention weights asked for.

        Weights are None, [B, heads, L] (the first token's row) or [B, heads, L, L]; rows sum to 1.
        """
        b, tokens, width = x.shape
        q, k, v = self.inputs(x).view(b, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.output(y.transpose(1, 2).reshape(b, tokens, width)), _attention(q, k, weights)


def _attention(q: Tensor, k: Tensor, weights: Weights) -> Tensor | None:
    """Softmax rows of q k^T / sqrt(d): none of them, the first or all."""
    if weights == "none":
        return None
    rows = q[:, :, :1] if weights == "first" else q
    attention = torch.softmax(rows @ k.transpose(-2, -1) * q.shape[-1] ** -0.5, dim=-1)
    return attention[:, :, 0] if weights == "first" else attention


class Layer(nn.Module):
    """A pre-norm transformer layer (norm placement: our choice, the paper is silent)."""

    def __init__(self, width: int, heads: int, mlp_ratio: float, dropout: float) -> None:
        super().__init__()
        inner = int(width * mlp_ratio)
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, inner), nn.GELU(), nn.Dropout(dropout), nn.Linear(inner, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, weights: Weights = "none") -> tuple[Tensor, Tensor | None]:
        """[B, L, D] -> [B, L, D], and the attention weights asked for."""
        y, attention = self.attention(self.norm1(x), weights)
        x = x + self.dropout(y)
        return x + self.dropout(self.mlp(self.norm2(x))), attention


class Transformer(nn.Module):
    """Layers and a last norm over tokens; the first token is the class token of the caller."""

    def __init__(self, width: int, heads: int, layers: int, mlp_ratio: float, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(width, heads, mlp_ratio, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, weights: Weights = "none") -> tuple[Tensor, Tensor | None]:
        """[B, L, D] -> [B, L, D], and the weights of all layers, stacked: [B, layers, heads, ...]."""
        attentions = []
        for layer in self.layers:
            x, attention = layer(x, weights)
            attentions.append(attention)
        return self.norm(x), None if weights == "none" else torch.stack(attentions, dim=1)
