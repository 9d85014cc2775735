"""Shared by the training stages: a network for a store, and one supervised training run."""

from contextlib import AbstractContextManager

import pandas as pd

from sttreid.config import paths
from sttreid.config.params import Model
from sttreid.model.network import Network
from sttreid.model.weights import initialise
from sttreid.runtime.checkpoints import CheckpointFolder, checkpoint_folder
from sttreid.runtime.distributed import ProcessGroup
from sttreid.runtime.supervisor import supervise
from sttreid.tracklets.store import Store, open_store
from sttreid.tracklets.subset import training_subset
from sttreid.training.loop import Recipe, fit


def training_store(dataset: str, identities: int | None, seed: int) -> Store:
    """A data set with the training identities of a run.

    Raises:
        InputError: the store is missing or damaged, or has fewer identities.
    """
    return training_subset(open_store(paths.tracklets(dataset)), identities, seed)


def network_for(store: Store, model: Model, frames: int, seed: int) -> Network:
    """A network with random weights for the images and training identities of a store.

    Raises:
        InputError: the architecture does not fit the images, or the checkpoint does not fit the architecture.
    """
    height, width = store.frames.shape[1:3]
    classes = int(store.of_split("train")["identity"].nunique())
    return initialise(model, frames, height, width, classes, seed)


def checkpoints(stage: str, *words: object) -> AbstractContextManager[CheckpointFolder]:
    """The folder of a stage's checkpoints; they are removed once its outputs are written."""
    return checkpoint_folder(paths.scratch("-".join((stage, *map(str, words)))))


def train(
    name: str,
    network: Network,
    store: Store,
    recipe: Recipe,
    seed: int,
    folder: CheckpointFolder,
    group: ProcessGroup,
) -> pd.DataFrame:
    """Train a network in place, with progress, checkpoints and graceful interruption; returns its history."""
    with supervise(name, folder, group) as observer:
        return fit(network, store, recipe, seed, group, observer)
