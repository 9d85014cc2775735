"""Stage ``pretrain``: synthetic tracklets -> weights."""

from sttreid.config import paths
from sttreid.config.params import Augment, Batch, Clip, Compute, Loss, Model, Schedule, Simulate
from sttreid.model.weights import save
from sttreid.runtime import numerics
from sttreid.runtime.distributed import process_group
from sttreid.runtime.files import write_text
from sttreid.runtime.launch import launch_torchrun
from sttreid.runtime.progress import history_text
from sttreid.stages.command import record_machine, run
from sttreid.stages.training_run import checkpoints, network_for, train, training_store
from sttreid.training.loop import Recipe


def main(
    seed: int,
    simulate: Simulate,
    clip: Clip,
    augment: Augment,
    batch: Batch,
    model: Model,
    loss: Loss,
    pretrain: Schedule,
    compute: Compute,
) -> None:
    """Train from random weights, or from the backbone checkpoint that params.yaml names."""
    launch_torchrun(batch.identities)
    device = numerics.prepare(compute.threads, compute.numerics)
    store = training_store(simulate.domain, pretrain.identities, seed)
    network = network_for(store, model, clip.frames, seed).to(device)
    recipe = Recipe(augment, batch, loss, pretrain, compute)
    with process_group(device) as group, checkpoints("pretrain", seed) as folder:
        history = train(f"pretrain {seed}", network, store, recipe, seed, folder, group)
        if group.first:
            save(network, model, paths.model("cross_domain", seed, simulate.domain))
            write_text(paths.history("cross_domain", seed, simulate.domain), history_text(history))
            record_machine("pretrain", seed)


if __name__ == "__main__":
    run(main)
