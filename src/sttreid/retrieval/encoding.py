"""How a trained network embeds what it is tested on: optionally the mean of a clip and its mirror image."""

import pandas as pd
import torch
from torch import Tensor

from sttreid.embedding import Encoder, Precision, embed
from sttreid.model.network import Network
from sttreid.runtime import numerics
from sttreid.tracklets.store import Store


def encoder_for_test(network: Network, precision: Precision = "fp32", *, flip: bool) -> Encoder:
    """The function that maps clips to features, on the network's device.

    Args:
        network: is set to evaluation mode.
        precision: of the network's matrix products, as for :func:`sttreid.embedding.embed_tracklets`.
        flip: a feature is the sum of those of the clip and of its mirror image, which embedding
            normalises. It costs twice the time.

    Returns:
        [B, T, 3, H, W] normalised float32 clips -> [B, D'] features of any norm.
    """
    network.eval()
    device = next(network.parameters()).device
    half = precision == "bf16" and device.type == "cuda"

    def encode(clips: Tensor) -> Tensor:
        with numerics.full_precision(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            here = clips.to(device)
            features = network.encode(here)
            return features + network.encode(here.flip(-1)) if flip else features

    return encode


def embed_for_test(
    network: Network,
    store: Store,
    tracklets: pd.DataFrame,
    batch: int,
    precision: Precision = "fp32",
    *,
    flip: bool,
) -> Tensor:
    """Embed tracklets for a test, see :func:`encoder_for_test` and :func:`sttreid.embedding.embed`.

    Args:
        network: is set to evaluation mode.
        store: holds the frames.
        tracklets: G >= 1 rows of ``store.tracklets``.
        batch: B, clips that are embedded at once.
        precision: of the network's matrix products.
        flip: whether the mirror image of each clip is embedded too.

    Returns:
        [G, D'] float32 L2-normalised rows, on the CPU.

    Raises:
        InputError: as :func:`sttreid.embedding.embed`.
    """
    encoder = encoder_for_test(network, precision, flip=flip)
    return embed(encoder, store, tracklets, network.frames, batch)
