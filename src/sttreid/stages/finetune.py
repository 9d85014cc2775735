"""Stage ``finetune``: pre-trained weights + one data set's training tracklets -> weights."""

from sttreid.config import paths
from sttreid.config.params import Augment, Batch, Clip, Compute, Loss, Model, Schedule, Simulate
from sttreid.model.weights import save, start_from
from sttreid.runtime import numerics
from sttreid.runtime.distributed import process_group
from sttreid.runtime.files import write_text
from sttreid.runtime.launch import launch_torchrun
from sttreid.runtime.progress import history_text, log
from sttreid.stages.command import record_machine, run
from sttreid.stages.training_run import checkpoints, network_for, train, training_store
from sttreid.training.loop import Recipe


def main(
    source: str,
    seed: int,
    simulate: Simulate,
    clip: Clip,
    augment: Augment,
    batch: Batch,
    model: Model,
    loss: Loss,
    finetune: Schedule,
    compute: Compute,
) -> None:
    """Fine-tune the synthetic set's weights; the classifiers start from random weights."""
    launch_torchrun(batch.identities)
    device = numerics.prepare(compute.threads, compute.numerics)
    store = training_store(source, finetune.identities, seed)
    network = network_for(store, model, clip.frames, seed)
    pretrained = paths.model("cross_domain", seed, simulate.domain)
    random = start_from(network, pretrained)
    log(f"finetune {source} {seed}: starts from {pretrained}; random weights: {', '.join(random)}")
    recipe = Recipe(augment, batch, loss, finetune, compute)
    with process_group(device) as group, checkpoints("finetune", source, seed) as folder:
        history = train(f"finetune {source} {seed}", network.to(device), store, recipe, seed, folder, group)
        if group.first:
            save(network, model, paths.model("cross_domain", seed, source))
            write_text(paths.history("cross_domain", seed, source), history_text(history))
            record_machine("finetune", source, seed)


if __name__ == "__main__":
    run(main)
