"""Stage ``finetune``: pre-trained weights + one data set's training tracklets -> weights."""

from functools import partial

from sttreid.config import paths
from sttreid.config.params import Augment, Batch, Clip, Compute, Finetune, Loss, Model, Simulate, run
from sttreid.embedding import embed_tracklets
from sttreid.model.weights import save, start_from
from sttreid.runtime import numerics
from sttreid.runtime.checkpoints import kept, tell
from sttreid.runtime.distributed import joined
from sttreid.runtime.files import write_text
from sttreid.tracklets.store import open_store
from sttreid.tracklets.subset import training_subset
from sttreid.training.loop import Recipe, fit, history_text
from sttreid.training.start import initialise
from sttreid.training.validation import accuracies


def main(
    source: str,
    seed: int,
    simulate: Simulate,
    clip: Clip,
    augment: Augment,
    batch: Batch,
    model: Model,
    loss: Loss,
    finetune: Finetune,
    compute: Compute,
) -> None:
    """Go on from the synthetic set's weights; classifiers start anew, for the new identities."""
    numerics.spread(batch.identities)
    device = numerics.prepare(compute.threads)
    store = training_subset(open_store(paths.tracklets(source)), finetune.identities, seed)
    network = initialise(model, clip.frames, store, seed)
    start = paths.model(simulate.domain, seed)
    anew = start_from(network, start)
    tell(f"finetune {source} {seed}: starts from {start}; new are {', '.join(anew)}")
    network.to(device)
    look = partial(accuracies, store=store, embed=partial(embed_tracklets, batch=compute.embed_batch))
    recipe = Recipe(augment, batch, loss, finetune, compute)
    with joined(device) as ranks, kept(paths.scratch(f"finetune-{source}-{seed}")) as scratch:
        history = fit(network, store, recipe, seed, look, f"finetune {source} {seed}", scratch, ranks)
        if ranks.first:
            save(network, model, paths.model(source, seed))
            write_text(paths.history(source, seed), history_text(history))


if __name__ == "__main__":
    run(main)
