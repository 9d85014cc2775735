"""Clips -> features: backbone, the branches ST + TT and GT (or the CNN baseline), and identity heads.

clips [B, T, 3, H, W]
  -> backbone feature map -> patch tokens [B*T, N, D]
     -> ST per frame -> frame tokens [B, T, D] and patches -> P stripes
     -> TT over frame tokens -> [B, D]          (branch "stt")
     -> GT over all T*N patches -> [B, D]       (branch "gt")
     -> neither: mean over frames and positions -> [B, C], the CNN baseline (branch "cnn")
  -> BN-neck of each branch, normalised, concatenated -> feature [B, D']
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sttreid.config.branches import CNN, enabled
from sttreid.config.params import Model
from sttreid.model.attention import Rows
from sttreid.model.backbone import ResNetBackbone
from sttreid.model.branches import MODULES, BranchOutput, IdentityHead, Sizes
from sttreid.model.linear import Linear

POSITIONS = ("pos_embed", "temporal_embed")  # names of the position embeddings
MIN_STD = 0.1  # added to a channel's standard deviation, so that the noise of a uniform clip is not amplified


@dataclass(frozen=True)
class Output:
    """Output of one forward pass.

    Attributes:
        features: [B, D'] test feature: the branches' normalised BN-neck outputs, concatenated, L2-normalised.
        logits: branch name -> [B, classes] of its identity head.
        branches: branch name -> output of the branch.
    """

    features: Tensor
    logits: dict[str, Tensor]
    branches: dict[str, BranchOutput]


class Network(nn.Module):
    """The whole model; ``model.stt`` and ``model.gt`` switch its branches on.

    Args:
        model: the architecture.
        frames: T.
        height: H, of an image in pixels.
        width: W.
        classes: number of training identities.

    Raises:
        ValueError: the architecture does not fit the size of the images.
    """

    def __init__(self, model: Model, frames: int, height: int, width: int, classes: int) -> None:
        super().__init__()
        self.standardise = model.standardise
        self.frames = frames
        self.image_size = height, width
        self.classes = classes
        depths = (model.backbone.layer1, model.backbone.layer2, model.backbone.layer3)
        self.backbone = ResNetBackbone(model.backbone.width, depths, model.backbone.last_stride)
        self.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # half the time on CPUs
        self.map_size = _map_size(self.backbone, height, width)
        sizes = Sizes(frames, *self.map_size, self.backbone.channels, classes)
        self.identity_heads = nn.ModuleDict()
        self.project: nn.Module | None = None
        if enabled(model) != (CNN,):
            self.project = nn.Sequential(Linear(sizes.channels, model.width), nn.LayerNorm(model.width))
        self.branches = nn.ModuleDict()
        self._undecayed = {branch.name: branch.no_weight_decay for branch in enabled(model)}
        embedding_width = sizes.channels if self.project is None else model.width
        for branch in enabled(model):  # the order decides which random numbers become which weights
            self.branches[branch.name] = MODULES[branch.name](model, sizes)
            self.identity_heads[branch.name] = IdentityHead(embedding_width, classes)
        if model.no_positions:
            _remove_positions(self)

    def forward(self, clips: Tensor, rows: Rows = "none") -> Output:
        """[B, T, 3, H, W] -> Output; ``rows="first"`` also returns TT's attention."""
        if self.standardise:
            clips = _standardise(clips)
        images = clips.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        maps = self.backbone(images)  # [B*T, C, h, w]
        patches = None if self.project is None else self.project(maps.flatten(2).transpose(1, 2))
        outputs = {name: branch(maps, patches, rows) for name, branch in self.branches.items()}
        heads = {name: self.identity_heads[name](output.embedding) for name, output in outputs.items()}
        normed = [F.normalize(x, dim=1) for x, _ in heads.values()]
        features = F.normalize(torch.cat(normed, dim=1), dim=1)
        return Output(features, {name: logits for name, (_, logits) in heads.items()}, outputs)

    def encode(self, clips: Tensor) -> Tensor:
        """[B, T, 3, H, W] -> [B, D'] test features."""
        return cast(Tensor, self(clips).features)

    def no_weight_decay(self) -> set[str]:
        """Names of the class tokens and position embeddings, which the optimiser does not decay."""
        return {
            name
            for branch, last_parts in self._undecayed.items()
            for name, _ in self.branches[branch].named_parameters(prefix=f"branches.{branch}")
            if name.rsplit(".", 1)[-1] in last_parts
        }


def _standardise(clips: Tensor) -> Tensor:
    """[B, T, 3, H, W], mean 0 and standard deviation 1 per channel of a clip, against camera lighting."""
    mean = clips.mean((1, 3, 4), keepdim=True)
    std = clips.std((1, 3, 4), keepdim=True)
    return (clips - mean) / (std + MIN_STD)


def _remove_positions(network: nn.Module) -> None:
    """Set the position embeddings to zeros that are not trained."""
    for name, parameter in network.named_parameters():
        if name.rsplit(".", 1)[-1] in POSITIONS:
            nn.init.zeros_(parameter)
            parameter.requires_grad_(False)


def _map_size(backbone: ResNetBackbone, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the backbone's map for an image, after a check of its size."""
    if height % backbone.stride or width % backbone.stride:
        raise ValueError(f"crops must be multiples of {backbone.stride} pixels, got {height}x{width}")
    return height // backbone.stride, width // backbone.stride
