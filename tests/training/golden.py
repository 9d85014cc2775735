"""The golden runs: 20 steps of every variant on tiny stores, as losses and a SHA-256 of the weights.

``python -m tests.training.golden [STEPS]`` prints them as JSON; :mod:`tests.training.test_golden` runs it on
one pinned numeric path, :mod:`bench.numerics` on many.
"""

import hashlib
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from sttreid.model.network import Network
from sttreid.model.weights import initialise, transfer
from sttreid.runtime import numerics
from sttreid.runtime.distributed import SINGLE
from sttreid.tracklets.store import Store, write_store
from sttreid.training.loop import Recipe, fit
from tests.sections import BACKBONE, BATCH, COMPUTE, FRAMES, HEIGHT, LOSS, MODEL, PLAIN, SCHEDULE, WIDTH

STEPS, SEED = 20, 3
SPATIAL = {"spatial": 0.0, "spatial_part": 0.0}
TEMPORAL = {"frame_triplet": 0.0, "entropy": 0.0}
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # changes of ``model`` and of ``loss``
    "full": ({}, {}),
    "vanilla": ({"gt": False}, {**SPATIAL, **TEMPORAL}),
    "spatial": ({"gt": False}, TEMPORAL),
    "temporal": ({"gt": False}, SPATIAL),
    "constrained": ({"gt": False}, {}),
    "global": ({"stt": False}, {"margin": None}),
    "cnn": ({"stt": False, "gt": False}, {}),
}
PRETRAINED = ("full", "cnn")  # are first trained on another store

MODEL_OF_ALL = replace(MODEL, standardise=True, width=16, dropout=0.1, backbone=replace(BACKBONE, width=4))
AUGMENT = replace(
    PLAIN,
    flip=0.5,
    pad=2,
    brightness=0.4,
    contrast=0.3,
    saturation=0.5,
    white_balance=0.15,
    gamma=0.3,
    erase=0.3,
)
RECIPE = Recipe(
    augment=AUGMENT,
    batch=replace(BATCH, identities=4, clips=3),
    loss=LOSS,
    schedule=replace(SCHEDULE, steps=STEPS, lr=0.002, backbone_lr=0.001, warmup=4, eval_every=10),
    compute=COMPUTE,
)


def make_store(folder: Path, seed: int, identities: int) -> Store:
    """Two-coloured identities in three cameras, with noise, written and read back."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[int, int, int, int, str, float]] = []
    crops = []
    for number in range(3 * (identities + 3)):
        identity, camera = divmod(number, 3)
        if camera == 0:
            top, bottom = rng.integers(30, 225, (2, 3))
        split = "train" if identity < identities else "validation"
        for frame in range(1, int(rng.integers(4, 9)) + 1):
            rows.append((number, identity, camera, frame, split, 1.0))
            crop = rng.integers(-20, 20, (HEIGHT, WIDTH, 3))
            crop[: HEIGHT // 2] += top
            crop[HEIGHT // 2 :] += bottom
            crops.append(crop.astype(np.uint8))
    columns = ["tracklet", "identity", "camera", "frame", "split", "visibility"]
    return write_store(folder, pd.DataFrame(rows, columns=columns), enumerate(crops), HEIGHT, WIDTH)


def train(variant: str, first: Store, second: Store, steps: int) -> dict[str, Any]:
    """The losses of all steps of a variant, and the SHA-256 of its weights in the order of the state_dict."""
    model_changes, loss_changes = VARIANTS[variant]
    model = replace(MODEL_OF_ALL, **model_changes)
    schedule = replace(RECIPE.schedule, steps=steps)
    recipe = replace(RECIPE, loss=replace(LOSS, **loss_changes), schedule=schedule)
    losses: list[float] = []
    start: Network | None = None
    for store in (first, second) if variant in PRETRAINED else (second,):
        classes = int(store.of_split("train")["identity"].nunique())
        network = initialise(model, FRAMES, HEIGHT, WIDTH, classes, SEED)
        if start is not None:
            transfer(start, network)
        losses += fit(network, store, recipe, SEED, SINGLE)["loss"].tolist()
        start = network
    return {"losses": losses, "weights": digest(network)}


def digest(network: Network) -> str:
    """SHA-256 of shapes and bytes of all weights; their names do not count."""
    sha = hashlib.sha256()
    for value in network.state_dict().values():
        sha.update(repr(tuple(value.shape)).encode())
        sha.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def main(steps: int) -> None:
    """Print the versions and, for every variant, losses and weights."""
    numerics.prepare(1, numerics.current())
    with tempfile.TemporaryDirectory() as folder:
        first = make_store(Path(folder) / "first", 0, 8)
        second = make_store(Path(folder) / "second", 1, 6)
        variants = {variant: train(variant, first, second, steps) for variant in VARIANTS}
    versions = {"torch": torch.__version__.split("+")[0], "numpy": np.__version__}
    json.dump({"versions": versions, "variants": variants}, sys.stdout, indent=1)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else STEPS)
