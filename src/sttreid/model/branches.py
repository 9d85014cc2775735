"""The branches as modules: backbone maps and patch tokens -> one embedding per clip, and what losses need.

Each is declared under the same name in :mod:`sttreid.config.branches`. Axis letters as in
:mod:`sttreid.model.stt`; P parts, C channels of the backbone, h x w its map.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sttreid.config.params import Model
from sttreid.model.attention import Rows
from sttreid.model.linear import Linear
from sttreid.model.stt import GlobalTransformer, SpatialTransformer, TemporalTransformer


@dataclass(frozen=True)
class Sizes:
    """Sizes that do not come from ``model``.

    Attributes:
        frames: T.
        rows: h.
        columns: w.
        channels: C.
        classes: training identities.
    """

    frames: int
    rows: int
    columns: int
    channels: int
    classes: int


@dataclass(frozen=True)
class BranchOutput:
    """Output of one branch for a batch; None for a part that the branch does not have.

    Attributes:
        embedding: [B, D], or [B, C] of the CNN baseline; before the BN-neck (for triplets).
        frames: [B, T, D] ST's frame tokens.
        frame_logits: [B, T, classes] of the frame tokens, in training only.
        part_logits: [P, B, T, classes] of the stripes, in training only.
        attention: [B, layers, heads, 1 + T] of TT's class token, or [B, layers, heads, 1 + T, 1 + T], if
            requested.
    """

    embedding: Tensor
    frames: Tensor | None = None
    frame_logits: Tensor | None = None
    part_logits: Tensor | None = None
    attention: Tensor | None = None


class IdentityHead(nn.Module):
    """BN-neck and classifier (our choice): triplets use features before the norm, cross entropy after."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.norm.bias.requires_grad_(False)  # without a shift the class hyperplanes pass through the origin
        self.classifier = Linear(width, classes, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.01)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, D] -> normed [B, D], logits [B, classes]."""
        x = self.norm(x)
        return x, self.classifier(x)


class SpatioTemporalBranch(nn.Module):
    """ST within each frame, then TT over its frame tokens; classifiers of frames and of P stripes.

    Raises:
        ValueError: P does not divide the rows of the map.
    """

    def __init__(self, model: Model, sizes: Sizes) -> None:
        super().__init__()
        if sizes.rows % model.parts:
            raise ValueError(f"model.parts must divide the map's {sizes.rows} rows, got {model.parts}")
        self.parts, self.frames = model.parts, sizes.frames
        shape, rest = (model.width, model.heads), (model.mlp_ratio, model.dropout)
        self.spatial = SpatialTransformer(sizes.rows * sizes.columns, *shape, model.spatial_layers, *rest)
        self.temporal = TemporalTransformer(sizes.frames, *shape, model.temporal_layers, *rest)
        self.frame_head = IdentityHead(model.width, sizes.classes)
        self.part_heads = nn.ModuleList(IdentityHead(model.width, sizes.classes) for _ in range(model.parts))

    def forward(self, _: Tensor, patches: Tensor, rows: Rows) -> BranchOutput:
        """[B*T, C, h, w] maps (unused) and [B*T, N, D] patches -> BranchOutput."""
        tokens, patches, _ = self.spatial(patches, tokens_only=not self.training)
        frames = tokens.unflatten(0, (-1, self.frames))  # [B, T, D]
        embedding, attention = self.temporal(frames, rows)
        if not self.training:  # only losses read logits
            return BranchOutput(embedding, frames, attention=attention)
        frame_logits, part_logits = self._logits(frames, patches)
        return BranchOutput(embedding, frames, frame_logits, part_logits, attention)

    def stripes(self, patches: Tensor) -> Tensor:
        """ST's patches [M, N, D] -> [P, M, D]: the map's rows cut into P horizontal stripes, averaged."""
        m, _, d = patches.shape
        return patches.view(m, self.parts, -1, d).mean(2).transpose(0, 1)

    def _logits(self, frames: Tensor, patches: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, classes] of the frame tokens and [P, B, T, classes] of the stripes."""
        b, t, _ = frames.shape
        frame_logits = self.frame_head(frames.flatten(0, 1))[1].view(b, t, -1)
        pairs = zip(self.part_heads, self.stripes(patches), strict=True)
        part_logits = torch.stack([head(stripe)[1] for head, stripe in pairs])
        return frame_logits, part_logits.view(self.parts, b, t, -1)


class GlobalBranch(nn.Module):
    """GT over all patches of a clip."""

    def __init__(self, model: Model, sizes: Sizes) -> None:
        super().__init__()
        self.frames = sizes.frames
        self.global_ = GlobalTransformer(
            sizes.frames,
            sizes.rows * sizes.columns,
            model.width,
            model.heads,
            model.global_layers,
            model.mlp_ratio,
            model.dropout,
        )

    def forward(self, _: Tensor, patches: Tensor, __: Rows) -> BranchOutput:
        """[B*T, C, h, w] maps (unused) and [B*T, N, D] patches -> BranchOutput."""
        return BranchOutput(self.global_(patches.view(-1, self.frames, *patches.shape[1:]))[0])


class CnnBranch(nn.Module):
    """The baseline without transformers: the mean of the backbone's map over frames and positions."""

    def __init__(self, _: Model, sizes: Sizes) -> None:
        super().__init__()
        self.frames = sizes.frames

    def forward(self, maps: Tensor, _: Tensor, __: Rows) -> BranchOutput:
        """[B*T, C, h, w] maps -> BranchOutput; patches are unused."""
        return BranchOutput(maps.mean((2, 3)).view(-1, self.frames, maps.shape[1]).mean(1))


MODULES: dict[str, type[nn.Module]] = {"stt": SpatioTemporalBranch, "gt": GlobalBranch, "cnn": CnnBranch}
