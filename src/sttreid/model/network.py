"""Clips -> features: backbone, ST + TT, GT and the heads that training needs.

clips [B, T, 3, H, W]
  -> backbone map -> patch tokens [B, T, N, D]
     -> ST per frame -> frame tokens [B, T, D] and patches -> P stripes
     -> TT over frame tokens -> [B, D]     (branch "stt")
     -> GT over all T*N patches -> [B, D]  (branch "gt")
     -> neither: mean over frames and places -> [B, C], the CNN baseline (branch "cnn")
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sttreid.config.params import Model
from sttreid.model.attention import Weights
from sttreid.model.backbone import Backbone
from sttreid.model.stt import GlobalTransformer, SpatialTransformer, TemporalTransformer

FLATNESS = 0.1  # added to a channel's deviation: a clip of one colour must not turn to noise


@dataclass(frozen=True)
class Output:
    """What one forward pass gives; parts of branches that are off are None.

    Attributes:
        features: [B, D'] test feature: the branches' normalised BN-neck outputs, side by side, L2-normalised.
        branches: branch name -> [B, D] tracklet feature before its BN-neck (for triplets).
        logits: branch name -> [B, classes].
        frames: [B, T, D] ST's frame tokens.
        frame_logits: [B, T, classes] from the spatial token.
        part_logits: [P, B, T, classes] from the stripes.
        temporal_attention: [B, layers, heads, 1 + T], the temporal token's rows in TT.
    """

    features: Tensor
    branches: dict[str, Tensor]
    logits: dict[str, Tensor]
    frames: Tensor | None
    frame_logits: Tensor | None
    part_logits: Tensor | None
    temporal_attention: Tensor | None


class Head(nn.Module):
    """BN-neck and classifier (our choice): triplets see the feature before the norm, cross entropy after."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.norm.bias.requires_grad_(False)  # a neck without shift keeps the classes' hyperplanes through 0
        self.classifier = nn.Linear(width, classes, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.01)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, D] -> normed [B, D], logits [B, classes]."""
        x = self.norm(x)
        return x, self.classifier(x)


class Network(nn.Module):
    """The whole model; which branches exist is decided by ``model.stt`` and ``model.gt``."""

    def __init__(self, model: Model, frames: int, height: int, width: int, classes: int) -> None:
        super().__init__()
        self.standardise = model.standardise
        self.frames = frames
        self.picture = height, width
        self.classes = classes
        self.parts = model.parts
        depths = (model.backbone.layer1, model.backbone.layer2, model.backbone.layer3)
        self.backbone = Backbone(model.backbone.width, depths, model.backbone.last_stride)
        self.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # half the time on CPUs
        rows, columns = _map_size(self.backbone, height, width)
        self.map_size = rows, columns
        channels, d = self.backbone.channels, model.width
        shape = (d, model.heads)
        rest = (model.mlp_ratio, model.dropout)
        self.heads = nn.ModuleDict()
        if model.stt or model.gt:
            self.project = nn.Sequential(nn.Linear(channels, d), nn.LayerNorm(d))
        if model.stt:
            if rows % model.parts:
                raise ValueError(f"model.parts must divide the map's {rows} rows, got {model.parts}")
            self.spatial = SpatialTransformer(rows * columns, *shape, model.spatial_layers, *rest)
            self.temporal = TemporalTransformer(frames, *shape, model.temporal_layers, *rest)
            self.frame_head = Head(d, classes)
            self.part_heads = nn.ModuleList(Head(d, classes) for _ in range(model.parts))
            self.heads["stt"] = Head(d, classes)
        if model.gt:
            self.global_ = GlobalTransformer(frames, rows * columns, *shape, model.global_layers, *rest)
            self.heads["gt"] = Head(d, classes)
        if not self.heads:
            self.heads["cnn"] = Head(channels, classes)

    def forward(self, clips: Tensor, weights: Weights = "none") -> Output:
        """[B, T, 3, H, W] -> Output; ``weights="first"`` also gives TT's attention rows."""
        b, t = clips.shape[:2]
        if self.standardise:
            clips = _standardise(clips)
        pictures = clips.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        maps = self.backbone(pictures)  # [B*T, C, h, w]
        branches: dict[str, Tensor] = {}
        frames = stripes = attention = None
        if "cnn" in self.heads:
            branches["cnn"] = maps.mean((2, 3)).view(b, t, -1).mean(1)
        else:
            patches = self.project(maps.flatten(2).transpose(1, 2))  # [B*T, N, D]
        if "stt" in self.heads:
            frames, outputs, _ = self.spatial(patches)
            frames = frames.view(b, t, -1)  # [B, T, D]
            stripes = self._stripes(outputs)
            branches["stt"], attention = self.temporal(frames, weights)
        if "gt" in self.heads:
            branches["gt"], _ = self.global_(patches.unflatten(0, (b, t)))
        return self._output(branches, frames, stripes, attention)

    def encode(self, clips: Tensor) -> Tensor:
        """[B, T, 3, H, W] -> [B, D'] test features."""
        return cast(Tensor, self(clips).features)

    def _stripes(self, patches: Tensor) -> Tensor:
        """ST's patches [M, N, D] -> [P, M, D]: the map's rows cut into P horizontal stripes, averaged."""
        m, _, d = patches.shape
        return patches.view(m, self.parts, -1, d).mean(2).transpose(0, 1)

    def _output(
        self,
        branches: dict[str, Tensor],
        frames: Tensor | None,
        stripes: Tensor | None,
        attention: Tensor | None,
    ) -> Output:
        heads = {name: self.heads[name](x) for name, x in branches.items()}
        normed = [F.normalize(x, dim=1) for x, _ in heads.values()]
        features = F.normalize(torch.cat(normed, dim=1), dim=1)
        logits = {name: y for name, (_, y) in heads.items()}
        frame_logits = part_logits = None
        if self.training and frames is not None and stripes is not None:  # only losses look at these
            b, t, _ = frames.shape
            frame_logits = self.frame_head(frames.flatten(0, 1))[1].view(b, t, -1)
            parts = [head(x)[1] for head, x in zip(self.part_heads, stripes, strict=True)]
            part_logits = torch.stack(parts).view(self.parts, b, t, -1)
        return Output(features, branches, logits, frames, frame_logits, part_logits, attention)


def _standardise(clips: Tensor) -> Tensor:
    """[B, T, 3, H, W]: each channel of a clip to mean 0 and deviation 1, against cameras' light."""
    mean = clips.mean((1, 3, 4), keepdim=True)
    spread = clips.std((1, 3, 4), keepdim=True)
    return (clips - mean) / (spread + FLATNESS)


def _map_size(backbone: Backbone, height: int, width: int) -> tuple[int, int]:
    """The backbone's map for a picture, checked."""
    if height % backbone.stride or width % backbone.stride:
        raise ValueError(f"crops must be multiples of {backbone.stride} pixels, got {height}x{width}")
    return height // backbone.stride, width // backbone.stride
