"""Stage ``pretrain``: synthetic tracklets -> weights."""

from functools import partial

from sttreid import machine, paths
from sttreid.data.store import open_store
from sttreid.data.subset import learnt
from sttreid.files import write_text
from sttreid.model.weights import save
from sttreid.params import Augment, Batch, Clip, Compute, Loss, Model, Pretrain, Simulate, run
from sttreid.retrieval.embedding import embed_tracklets
from sttreid.training.checkpoints import kept
from sttreid.training.looks import accuracies
from sttreid.training.loop import Recipe, fit, history_text
from sttreid.training.ranks import joined
from sttreid.training.start import initialise


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
    machine.spread(batch.identities)
    device = machine.prepare(compute.threads)
    store = learnt(open_store(paths.tracklets(simulate.domain)), pretrain.identities, seed)
    network = initialise(model, clip.frames, store, seed).to(device)
    look = partial(accuracies, store=store, embed=partial(embed_tracklets, batch=compute.clips))
    recipe = Recipe(augment, batch, loss, pretrain, compute)
    with joined(device) as ranks, kept(paths.scratch(f"pretrain-{seed}")) as scratch:
        history = fit(network, store, recipe, seed, look, f"pretrain {seed}", scratch, ranks)
        if ranks.first:
            save(network, model, paths.model(simulate.domain, seed))
            write_text(paths.history(simulate.domain, seed), history_text(history))


if __name__ == "__main__":
    run(main)
