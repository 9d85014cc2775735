"""Precision, and what a training step keeps in memory."""

from dataclasses import replace

import pytest
import torch

from sttreid.runtime.distributed import SINGLE
from sttreid.training import losses
from sttreid.training.loop import fit
from sttreid.training.step import Step
from tests.sections import COMPUTE, FRAMES, LOSS, small_clips, small_network
from tests.training.runs import RECIPE

CLASSES, TRACKLETS = torch.tensor([0, 0, 1, 1]), torch.tensor([4, 5, 6, 7])


def terms(precision: str, **changes: object) -> tuple[Step, dict[str, torch.Tensor]]:
    step = Step(small_network(**changes), LOSS, replace(COMPUTE, precision=precision), SINGLE.gather).train()
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
    def run(precision: str) -> list[float]:
        recipe = replace(RECIPE, compute=replace(COMPUTE, precision=precision))
        recipe = replace(recipe, schedule=replace(RECIPE.schedule, steps=4, warmup=1))
        network = small_network()
        history = fit(network, store, recipe, 0, SINGLE, validate=lambda *_: {})
        assert all(value.dtype != torch.bfloat16 for value in network.state_dict().values())
        return history["loss"].tolist()

    first, second, full = run("bf16"), run("bf16"), run("fp32")
    assert first == second
    assert first != full
    assert first[0] == pytest.approx(full[0], rel=0.02)


def test_attention_over_all_patches_of_a_clip_is_never_saved():
    """No tensor that is saved for the backward pass has T*N x T*N numbers per head."""
    patches = FRAMES * 8
    saved: list[torch.Size] = []

    def save(value: torch.Tensor) -> torch.Tensor:
        saved.append(value.shape)
        return value

    with torch.autograd.graph.saved_tensors_hooks(save, lambda value: value):
        terms("fp32")
    assert any(patches + 1 in shape for shape in saved)  # GT's tokens are saved
    assert not [
        shape for shape in saved if len(shape) > 1 and min(shape[-2:]) >= patches and shape[-1] <= patches + 1
    ]


@pytest.mark.parametrize(
    ("switches", "weights", "idle"),
    [
        ({}, {}, False),
        ({}, {"spatial_part": 0.0}, True),
        ({}, {"global_identity": 0.0}, True),
        ({}, {"triplet": 0.0, "frame_triplet": 0.0, "entropy": 0.0}, False),  # these train no classifier
        ({"gt": False}, {"global_identity": 0.0}, False),
        ({"stt": False, "gt": False}, {"spatial": 0.0}, False),
        ({"stt": False, "gt": False}, {"identity": 0.0}, True),
    ],
)
def test_a_head_without_its_term_is_idle(switches, weights, idle):
    step = Step(small_network(**switches), replace(LOSS, **weights), COMPUTE, SINGLE.gather)
    assert step.has_idle_heads == idle
    terms = step(small_clips(), CLASSES, TRACKLETS)
    losses.total(terms, step.loss).backward()
    assert any(p.grad is None for p in step.parameters() if p.requires_grad) == idle


def test_the_entropy_sums_over_the_rows_that_the_parameter_names():
    """Of the class token, or of all 1 + T tokens of TT, in all layers and heads."""
    network = small_network(seed=3)
    for parameter in network.branches["stt"].temporal.parameters():
        parameter.data *= 4  # attention that differs from row to row
    clips = small_clips()
    found = {}
    for rows in (False, True):
        step = Step(
            network, replace(LOSS, entropy_all_rows=rows, entropy_threshold=0.25), COMPUTE, SINGLE.gather
        )
        found[rows] = step.train()(clips, CLASSES, TRACKLETS)["entropy"].item()
    attention = network.train()(clips, "all").branches["stt"].attention
    assert attention.shape[-2:] == (1 + FRAMES, 1 + FRAMES)
    collapse = (torch.exp(torch.special.xlogy(attention, attention).sum(-1)) - 0.25).clamp_min(0).detach()
    assert found[True] == pytest.approx(float(collapse.mean()), rel=1e-4)
    assert found[False] == pytest.approx(float(collapse[..., 0].mean()), rel=1e-4)
    assert found[True] != pytest.approx(found[False], rel=1e-2)
