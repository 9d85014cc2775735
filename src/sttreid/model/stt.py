"""The three transformers of the paper's section 3: spatial (ST), temporal (TT) and global (GT).

Axis letters: B clips, T frames, N = h*w patches of a frame, D width. Position embeddings are learned (our
choice).
"""

import torch
from torch import Tensor, nn

from sttreid.model.attention import Rows, Transformer

EMBED_STD = 0.02  # initial standard deviation of tokens and position embeddings, as in ViT


def _embedding(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape) * EMBED_STD)


class SpatialTransformer(nn.Module):
    """ST: within each frame, attention over its patches and a spatial class token."""

    def __init__(
        self, patches: int, width: int, heads: int, layers: int, mlp_ratio: float, dropout: float
    ) -> None:
        super().__init__()
        self.cls_token = _embedding(1, 1, width)
        self.pos_embed = _embedding(1, patches, width)
        self.transformer = Transformer(width, heads, layers, mlp_ratio, dropout)

    def forward(
        self, x: Tensor, rows: Rows = "none", tokens_only: bool = False
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """[M, N, D] patches of M = B*T frames -> [M, D] frame tokens, [M, N, D] patches, attention.

        With ``tokens_only`` the patches are not computed, and there may be none.
        """
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x + self.pos_embed], dim=1)
        x, attention = self.transformer(x, rows, tokens_only)
        return x[:, 0], x[:, 1:], attention


class TemporalTransformer(nn.Module):
    """TT: attention over the T frame tokens and a temporal class token."""

    def __init__(
        self, frames: int, width: int, heads: int, layers: int, mlp_ratio: float, dropout: float
    ) -> None:
        super().__init__()
        self.cls_token = _embedding(1, 1, width)
        self.pos_embed = _embedding(1, frames, width)
        self.transformer = Transformer(width, heads, layers, mlp_ratio, dropout)

    def forward(self, x: Tensor, rows: Rows = "none") -> tuple[Tensor, Tensor | None]:
        """[B, T, D] frame tokens -> [B, D] clip tokens and TT's attention.

        With ``rows="first"`` the attention is that of the class token, [B, layers, heads, 1 + T], which the
        attention-entropy loss penalises.
        """
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x + self.pos_embed], dim=1)
        x, attention = self.transformer(x, rows, first_only=True)
        return x[:, 0], attention


class GlobalTransformer(nn.Module):
    """GT: attention over all T*N patches of the clip at once and a global class token.

    A patch's position embedding is the sum of a spatial one, shared by all frames, and a temporal one, shared
    by all patches of a frame.
    """

    def __init__(
        self, frames: int, patches: int, width: int, heads: int, layers: int, mlp_ratio: float, dropout: float
    ) -> None:
        super().__init__()
        self.cls_token = _embedding(1, 1, width)
        self.pos_embed = _embedding(1, 1, patches, width)
        self.temporal_embed = _embedding(1, frames, 1, width)
        self.transformer = Transformer(width, heads, layers, mlp_ratio, dropout)

    def forward(self, x: Tensor, rows: Rows = "none") -> tuple[Tensor, Tensor | None]:
        """[B, T, N, D] patches -> [B, D] clip tokens, attention."""
        x = (x + self.pos_embed + self.temporal_embed).flatten(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        x, attention = self.transformer(x, rows, first_only=True)
        return x[:, 0], attention
