"""Where a training run starts: random weights, or an ImageNet checkpoint for the backbone."""

from pathlib import Path

import torch

from sttreid.config.params import Model
from sttreid.model.network import Network
from sttreid.model.weights import load_backbone
from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import Store


def initialise(model: Model, frames: int, store: Store, seed: int) -> Network:
    """A network for a store's pictures and training identities, on the CPU.

    Args:
        model: its architecture; ``model.backbone.weights`` names a torchvision checkpoint, or is None.
        frames: T.
        store: gives the size of the pictures and the number of training identities.
        seed: of the random weights.

    Raises:
        InputError: the architecture does not fit the pictures, or the checkpoint not the architecture.
    """
    torch.manual_seed(seed)
    height, width = store.frames.shape[1:3]
    classes = int(store.of_split("train")["identity"].nunique())
    try:
        network = Network(model, frames, height, width, classes)
    except ValueError as error:
        raise InputError(f"params.yaml: {error}") from error
    if model.backbone.weights:
        load_backbone(network.backbone, Path(model.backbone.weights))
    return network
