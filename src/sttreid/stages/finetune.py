"""Stage ``finetune``: pre-trained weights + one data set's training tracklets -> weights."""

from sttreid.config import paths
from sttreid.config.params import Augment, Batch, Clip, Compute, Finetune, Loss, Model, Simulate, run
from sttreid.model.weights import initialise, save, start_from
from sttreid.runtime import numerics
from sttreid.runtime.checkpoints import checkpoint_folder
from sttreid.runtime.distributed import process_group
from sttreid.runtime.files import write_text
from sttreid.runtime.launch import launch_torchrun
from sttreid.runtime.progress import history_text, log
from sttreid.runtime.supervisor import supervise
from sttreid.tracklets.store import open_store
from sttreid.tracklets.subset import training_subset
from sttreid.training.loop import Recipe, fit


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
    launch_torchrun(batch.identities)
    device = numerics.prepare(compute.threads)
    store = training_subset(open_store(paths.tracklets(source)), finetune.identities, seed)
    height, width = store.frames.shape[1:3]
    classes = int(store.of_split("train")["identity"].nunique())
    network = initialise(model, clip.frames, height, width, classes, seed)
    start = paths.model(simulate.domain, seed)
    random = start_from(network, start)
    log(f"finetune {source} {seed}: starts from {start}; random weights: {', '.join(random)}")
    network.to(device)
    recipe = Recipe(augment, batch, loss, finetune, compute)
    scratch = paths.scratch(f"finetune-{source}-{seed}")
    with process_group(device) as group, checkpoint_folder(scratch) as folder:
        with supervise(f"finetune {source} {seed}", folder, group) as observer:
            history = fit(network, store, recipe, seed, group, observer)
        if group.first:
            save(network, model, paths.model(source, seed))
            write_text(paths.history(source, seed), history_text(history))


if __name__ == "__main__":
    run(main)
