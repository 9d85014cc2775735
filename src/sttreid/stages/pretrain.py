"""Stage ``pretrain``: synthetic tracklets -> weights."""

from functools import partial

from sttreid.config import paths
from sttreid.config.params import Augment, Batch, Clip, Compute, Loss, Model, Pretrain, Simulate, run
from sttreid.embedding import embed_tracklets
from sttreid.model.weights import save
from sttreid.runtime import numerics
from sttreid.runtime.checkpoints import kept
from sttreid.runtime.distributed import joined
from sttreid.runtime.files import write_text
from sttreid.tracklets.store import open_store
from sttreid.tracklets.subset import training_subset
from sttreid.training.loop import Recipe, fit, history_text
from sttreid.training.start import initialise
from sttreid.training.validation import accuracies


def main(
    seed: int,
    simulate: Simulate,
    clip: Clip,
    augment: Augment,
    batch: Batch,
    model: Model,
    loss: Loss,
    pretrain: Pretrain,
    compute: Compute,
) -> None:
    """Train from random weights (or the backbone checkpoint that params name) on the synthetic set."""
    numerics.spread(batch.identities)
    device = numerics.prepare(compute.threads)
    store = training_subset(open_store(paths.tracklets(simulate.domain)), pretrain.identities, seed)
    network = initialise(model, clip.frames, store, seed).to(device)
    look = partial(accuracies, store=store, embed=partial(embed_tracklets, batch=compute.embed_batch))
    recipe = Recipe(augment, batch, loss, pretrain, compute)
    with joined(device) as ranks, kept(paths.scratch(f"pretrain-{seed}")) as scratch:
        history = fit(network, store, recipe, seed, look, f"pretrain {seed}", scratch, ranks)
        if ranks.first:
            save(network, model, paths.model(simulate.domain, seed))
            write_text(paths.history(simulate.domain, seed), history_text(history))


if __name__ == "__main__":
    run(main)
