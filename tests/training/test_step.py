"""Precision, and what a training step keeps in memory."""

from dataclasses import replace

import pytest
import torch

from sttreid.runtime.distributed import ALONE
from sttreid.training.loop import fit
from sttreid.training.step import Step
from tests.sections import COMPUTE, FRAMES, LOSS, small_clips, small_network
from tests.training.runs import RECIPE

CLASSES, TRACKLETS = torch.tensor([0, 0, 1, 1]), torch.tensor([4, 5, 6, 7])


def terms(precision: str, **changes: object) -> tuple[Step, dict[str, torch.Tensor]]:
    step = Step(small_network(**changes), LOSS, replace(COMPUTE, precision=precision), ALONE.gather).train()
    return step, step(small_clips(), CLASSES, TRACKLETS)


def test_bf16_rounds_the_network_s_products_alone():
    (_, full), (step, mixed) = terms("fp32"), terms("bf16")
    assert full.keys() == mixed.keys()
    assert all(value.dtype == torch.float32 for value in mixed.values())
    assert any(not torch.equal(full[name], mixed[name]) for name in full)
    for name in full:
        assert mixed[name].item() == pytest.approx(full[name].item(), rel=0.05, abs=0.05), name
    torch.stack(list(mixed.values())).sum().backward()
    assert all(p.dtype == torch.float32 for p in step.parameters())
    assert all(p.grad.dtype == torch.float32 for p in step.parameters() if p.grad is not None)


def test_a_bf16_run_repeats_itself_and_is_not_the_fp32_run(store):
    def losses(precision: str) -> list[float]:
        recipe = replace(RECIPE, compute=replace(COMPUTE, precision=precision))
        recipe = replace(recipe, schedule=replace(RECIPE.schedule, steps=4, warmup=1))
        network = small_network()
        history = fit(network, store, recipe, 0, lambda _: {}, "test")
        assert all(value.dtype != torch.bfloat16 for value in network.state_dict().values())
        return history["loss"].tolist()

    first, second, full = losses("bf16"), losses("bf16"), losses("fp32")
    assert first == second
    assert first != full
    assert first[0] == pytest.approx(full[0], rel=0.02)


def test_attention_over_all_patches_of_a_clip_is_never_kept():
    """What a backward pass needs is all that lives on: nothing of it has T*N x T*N numbers a head."""
    patches = FRAMES * 8
    kept: list[torch.Size] = []

    def note(value: torch.Tensor) -> torch.Tensor:
        kept.append(value.shape)
        return value

    with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
        terms("fp32")
    assert any(patches + 1 in shape for shape in kept)  # GT's tokens are among it
    assert not [
        shape for shape in kept if len(shape) > 1 and min(shape[-2:]) >= patches and shape[-1] <= patches + 1
    ]
