"""The three transformers of the paper's section 3: spatial (ST), temporal (TT) and global (GT).

Axis letters: B clips, T frames, N = h*w patches of a frame, D width. Position embeddings are learned (our
choice).
"""

import torch
from torch import Tensor, nn

from sttreid.model.attention import Transformer, Weights

TOKEN_STD = 0.02  # initial spread of tokens and positions, as in ViT


def _token(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape) * TOKEN_STD)


class SpatialTransformer(nn.Module):
    """ST: within each frame, attention over its patches and an additional spatial token."""

    def __init__(
        self, patches: int, width: int, heads: int, layers: int, mlp_ratio: float, dropout: float
    ) -> None:
        super().__init__()
        self.token = _token(1, 1, width)
        self.positions = _token(1, patches, width)
        self.transformer = Transformer(width, heads, layers, mlp_ratio, dropout)

    def forward(self, x: Tensor, weights: Weights = "none") -> tuple[Tensor, Tensor, Tensor | None]:
        """[M, N, D] patches of M = B*T frames -> [M, D] frame tokens, [M, N, D] patches, attention."""
        x = torch.cat([self.token.expand(len(x), -1, -1), x + self.positions], dim=1)
        x, attention = self.transformer(x, weights)
        return x[:, 0], x[:, 1:], attention


class TemporalTransformer(nn.Module):
    """TT: attention over the T frame tokens and an additional temporal token."""

    def __init__(
        self, frames: int, width: int, heads: int, layers: int, mlp_ratio: float, dropout: float
    ) -> None:
        super().__init__()
        self.token = _token(1, 1, width)
        self.positions = _token(1, frames, width)
        self.transformer = Transformer(width, heads, layers, mlp_ratio, dropout)

    def forward(self, x: Tensor, weights: Weights = "none") -> tuple[Tensor, Tensor | None]:
        """[B, T, D] frame tokens -> [B, D] clip tokens and TT's attention weights.

        With ``weights="first"`` these are the temporal token's rows, [B, layers, heads, 1 + T]: what the
        attention entropy term looks at.
        """
        x = torch.cat([self.token.expand(len(x), -1, -1), x + self.positions], dim=1)
        x, attention = self.transformer(x, weights)
        return x[:, 0], attention


class GlobalTransformer(nn.Module):
    """GT: attention over all T*N patches of the clip at once, and a token of its own.

    A patch's position is the sum of its place in the frame and its frame in the clip.
    """

    def __init__(
        self, frames: int, patches: int, width: int, heads: int, layers: int, mlp_ratio: float, dropout: float
    ) -> None:
        super().__init__()
        self.token = _token(1, 1, width)
        self.places = _token(1, 1, patches, width)
        self.times = _token(1, frames, 1, width)
        self.transformer = Transformer(width, heads, layers, mlp_ratio, dropout)

    def forward(self, x: Tensor, weights: Weights = "none") -> tuple[Tensor, Tensor | None]:
        """[B, T, N, D] patches -> [B, D] clip tokens, attention weights."""
        x = (x + self.places + self.times).flatten(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
        x, attention = self.transformer(x, weights)
        return x[:, 0], attention
