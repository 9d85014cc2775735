"""Stage ``measure``: the models of a seed of a learning curve -> rank-1 on training people that all share.

The rank-1 of a history is measured among all identities of its training, so that it is easier with fewer.
"""

import numpy as np
import torch

from sttreid.config import paths
from sttreid.config.params import Ablation, Compute
from sttreid.config.study import Study, counted_schedule, identities_of
from sttreid.embedding import embed_tracklets
from sttreid.model.weights import restore
from sttreid.runtime import numerics
from sttreid.runtime.files import write_json
from sttreid.stages.command import run
from sttreid.tracklets.store import open_store
from sttreid.tracklets.subset import training_subset
from sttreid.training.validation import rank1


def main(seed: int, compute: Compute, ablation: Ablation, study: Study) -> None:
    """Of a curve over synthetic identities nothing is measured: all its models train on the same source."""
    schedule, accuracies = counted_schedule(study, ablation.variants), dict[str, float]()
    if schedule == "finetune":
        numerics.prepare(compute.threads, compute.numerics)
        store = open_store(paths.tracklets(ablation.source))
        available = int(store.of_split("train")["identity"].nunique())
        fewest = min(identities_of(study, schedule, available).values())
        tracklets = training_subset(store, fewest, seed).of_split("train")
        identities, cameras = torch.tensor(tracklets[["identity", "camera"]].to_numpy(np.int64)).unbind(1)
        for variant in ablation.variants:
            network = restore(paths.model("ablation", seed, variant))
            features = embed_tracklets(network, store, tracklets, compute.embed_batch)
            accuracies[variant] = rank1(features, identities, cameras)
    write_json(paths.training_accuracies(seed), accuracies)


if __name__ == "__main__":
    run(main)
