"""Crops in the order of a film -> one embedding per tracklet: the mean over its clips, mirrored ones too.

The tracklets of a film overlap in time, so a store of crops would be needed to embed one after the other.
Here each tracklet collects the crops of its next clip only.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from sttreid.embedding import encoder
from sttreid.model.network import Network
from sttreid.runtime.errors import InputError
from sttreid.tracklets.clips import consecutive_clips, normalise

ROUNDING: Final = 1e-6  # relative rounding error of float32 sums, with a margin

Pixels = NDArray[np.uint8]


class ClipAverager:
    """Embeds tracklets that are given crop by crop, in any interleaving.

    Memory: one batch of clips, at most T crops per tracklet that has not ended, and a sum per tracklet.

    Args:
        network: is set to evaluation mode.
        batch: clips that are embedded at once.
    """

    def __init__(self, network: Network, batch: int) -> None:
        self._network = network
        self._encoder = encoder(network, flip=True)
        self._clips = torch.empty((batch, network.frames, 3, *network.image_size))
        self._owners: list[int] = []
        self._crops: dict[int, list[Pixels]] = {}
        self._sums: dict[int, NDArray[np.float64]] = {}  # last: of the norms

    def add(self, tracklet: int, crop: Pixels) -> None:
        """The next crop [H, W, 3] of a tracklet."""
        crops = self._crops.setdefault(tracklet, [])
        crops.append(crop)
        if len(crops) == self._network.frames:
            self._push(tracklet, self._crops.pop(tracklet))

    def end(self, tracklet: int) -> None:
        """The tracklet has no more crops: its last clip repeats those that are left from their start."""
        if tracklet in self._crops:
            self._push(tracklet, self._crops.pop(tracklet))

    def finish(self, names: list[str]) -> NDArray[np.float32]:
        """[G, D'] L2-normalised embeddings of the tracklets 0 to G - 1, which must have ended.

        Args:
            names: of the tracklets, for errors.

        Raises:
            InputError: an embedding is not finite, is zero, or is only rounding error because the features of
                its clips cancel.
        """
        self._encode()
        rows = np.array([self._sums[tracklet] for tracklet in range(len(names))])
        vectors, lengths = rows[:, :-1], rows[:, -1]
        norms = np.linalg.norm(vectors, axis=1)
        broken = np.flatnonzero(~(norms > ROUNDING * lengths))  # also true for NaN, infinities and zeros
        if len(broken):
            row = int(broken[0])
            rule = "its embedding must be finite and not all zero, nor may those of its clips cancel"
            raise InputError(f"tracklet {names[row]}: {rule}, got {vectors[row, :3].tolist()} ...")
        unit: NDArray[np.float32] = (vectors / norms[:, None]).astype(np.float32)
        return unit

    def _push(self, tracklet: int, crops: list[Pixels]) -> None:
        clip = np.stack([crops[place] for place in consecutive_clips(len(crops), self._network.frames)[0]])
        normalise(clip, self._clips[len(self._owners)].numpy())
        self._owners.append(tracklet)
        if len(self._owners) == len(self._clips):
            self._encode()

    def _encode(self) -> None:
        if not self._owners:
            return
        with torch.inference_mode():
            features = self._encoder(self._clips[: len(self._owners)]).double().cpu().numpy()
        norms = np.linalg.norm(features, axis=1, keepdims=True)
        for tracklet, values in zip(self._owners, np.hstack([features, norms]), strict=True):
            self._sums[tracklet] = self._sums.get(tracklet, 0.0) + values
        self._owners.clear()
