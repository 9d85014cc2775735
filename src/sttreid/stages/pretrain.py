"""Stage ``pretrain``: synthetic tracklets -> weights."""

from sttreid.config import paths
from sttreid.config.params import Augment, Batch, Clip, Compute, Loss, Model, Pretrain, Simulate, run
from sttreid.model.weights import initialise, save
from sttreid.runtime import numerics
from sttreid.runtime.checkpoints import checkpoint_folder
from sttreid.runtime.distributed import process_group
from sttreid.runtime.files import write_text
from sttreid.runtime.launch import launch_torchrun
from sttreid.runtime.progress import history_text
from sttreid.runtime.supervisor import supervise
from sttreid.tracklets.store import open_store
from sttreid.tracklets.subset import training_subset
from sttreid.training.loop import Recipe, fit


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
    launch_torchrun(batch.identities)
    device = numerics.prepare(compute.threads)
    store = training_subset(open_store(paths.tracklets(simulate.domain)), pretrain.identities, seed)
    height, width = store.frames.shape[1:3]
    classes = int(store.of_split("train")["identity"].nunique())
    network = initialise(model, clip.frames, height, width, classes, seed).to(device)
    recipe = Recipe(augment, batch, loss, pretrain, compute)
    with process_group(device) as group, checkpoint_folder(paths.scratch(f"pretrain-{seed}")) as folder:
        with supervise(f"pretrain {seed}", folder, group) as observer:
            history = fit(network, store, recipe, seed, group, observer)
        if group.first:
            save(network, model, paths.model(simulate.domain, seed))
            write_text(paths.history(simulate.domain, seed), history_text(history))


if __name__ == "__main__":
    run(main)
