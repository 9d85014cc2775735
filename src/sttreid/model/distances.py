"""Embeddings -> distances; one definition for the triplet losses and for retrieval."""

import torch
from torch import Tensor
from torch.nn import functional as F


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """1 - cosine similarity, between 0 and 2.

    Args:
        a: [M, D] rows of any nonzero norm.
        b: [N, D].

    Returns:
        [M, N].
    """
    return 1.0 - F.normalize(a, dim=1) @ F.normalize(b, dim=1).t()


def euclidean(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distance, with a finite gradient where two rows coincide.

    Args:
        a: [M, D].
        b: [N, D].

    Returns:
        [M, N], at least 1e-6, because the square root has no gradient at 0. Rounding in float32 gives equal
        L2-normalised rows a distance of up to about 5e-4.
    """
    squared = a.square().sum(1, keepdim=True) + b.square().sum(1) - 2.0 * a @ b.t()
    squared = squared.clamp_min(1e-12)
    return squared * torch.rsqrt(squared)  # torch.sqrt has other bits on other processors
