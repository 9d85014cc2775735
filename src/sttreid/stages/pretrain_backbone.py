"""Stage ``pretrain_backbone``: images of a rendered set -> the backbone that all variants of a seed load.

The paper's networks start from ImageNet. This is our counterpart (C). It favours no variant: it has seen no
clip and no data set of the comparison.
"""

from dataclasses import replace

from sttreid.config import paths
from sttreid.config.params import Augment, Compute, Loss, Model, Start
from sttreid.model.weights import save
from sttreid.runtime import numerics
from sttreid.runtime.distributed import process_group
from sttreid.runtime.files import write_text
from sttreid.runtime.launch import launch_torchrun
from sttreid.runtime.progress import history_text
from sttreid.stages.command import record_machine, run
from sttreid.stages.training_run import checkpoints, network_for, train, training_store
from sttreid.training.loop import Recipe

FRAMES = 1  # an image is a clip of one frame


def main(seed: int, start: Start, augment: Augment, model: Model, loss: Loss, compute: Compute) -> None:
    """Train the backbone with a mean over its feature map and cross entropy alone, from random weights."""
    launch_torchrun(start.batch.identities)
    device = numerics.prepare(compute.threads, compute.numerics)
    classifier = replace(model, stt=False, gt=False, backbone=replace(model.backbone, weights=None))
    terms = Loss(label_smoothing=loss.label_smoothing, margin=loss.margin, identity=1.0)
    store = training_store(start.dataset, start.schedule.identities, seed)
    network = network_for(store, classifier, FRAMES, seed).to(device)
    recipe = Recipe(augment, start.batch, terms, start.schedule, compute)
    with process_group(device) as group, checkpoints("pretrain_backbone", seed) as folder:
        history = train(f"pretrain_backbone {seed}", network, store, recipe, seed, folder, group)
        if group.first:
            save(network, classifier, paths.backbone(seed))
            write_text(paths.backbone(seed).with_suffix(".tsv"), history_text(history))
            record_machine("pretrain_backbone", seed)


if __name__ == "__main__":
    run(main)
