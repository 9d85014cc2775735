"""Parameter sections and a network that are small enough to be checked by hand."""

from dataclasses import replace
from typing import Any

import torch

from sttreid.config.params import Augment, Backbone, Batch, Compute, Loss, Model, Schedule
from sttreid.model.network import Network
from sttreid.runtime import numerics

FRAMES, HEIGHT, WIDTH, CLASSES = 3, 32, 16, 5  # the feature map is 4 x 2: eight patches per frame

BACKBONE = Backbone(width=2, layer1=1, layer2=1, layer3=1, last_stride=1, weights=None)
MODEL = Model(
    standardise=False,
    stt=True,
    gt=True,
    width=8,
    heads=2,
    spatial_layers=1,
    temporal_layers=2,
    global_layers=1,
    mlp_ratio=2.0,
    dropout=0.0,
    parts=2,
    backbone=BACKBONE,
)
LOSS = Loss(
    identity=1.0,
    triplet=1.0,
    spatial=1.0,
    spatial_part=1.0,
    frame_triplet=1.0,
    entropy=0.2,
    global_identity=1.0,
    global_triplet=1.0,
    label_smoothing=0.1,
    margin=0.3,
    entropy_threshold=0.3,
)
SCHEDULE = Schedule(
    steps=6,
    identities=None,
    lr=0.01,
    backbone_lr=0.005,
    warmup=2,
    weight_decay=0.01,
    max_grad_norm=5.0,
    eval_every=3,
)
BATCH = Batch(identities=2, clips=2)
COMPUTE = Compute(
    numerics=numerics.current(), threads=1, embed_batch=64, precision="fp32", sync_batch_norm=False
)
PLAIN = Augment(  # no augmentation at all
    flip=0.0,
    pad=0,
    brightness=0.0,
    contrast=0.0,
    saturation=0.0,
    white_balance=0.0,
    gamma=0.0,
    erase=0.0,
    erase_area_low=0.1,
    erase_area_high=0.2,
    erase_aspect=2.0,
)


def small_network(seed: int = 0, **changes: Any) -> Network:
    """The small model with some fields changed, on random weights."""
    torch.manual_seed(seed)
    return Network(replace(MODEL, **changes), FRAMES, HEIGHT, WIDTH, CLASSES)


def small_clips(clips: int = 4, seed: int = 1) -> torch.Tensor:
    """[B, T, 3, H, W] of noise."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(clips, FRAMES, 3, HEIGHT, WIDTH, generator=generator)
