"""Learning rates by hand, and which parameters decay at which lr."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sttreid.training.optimisation import average_with_start, build_optimiser, lr_factor, set_lr
from tests.sections import SCHEDULE, small_network

TEN = replace(SCHEDULE, steps=14, warmup=4)


def test_warm_up_and_cosine_by_hand():
    assert [lr_factor(step, TEN) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert lr_factor(4, TEN) == 1.0
    assert lr_factor(9, TEN) == pytest.approx(0.505)  # half way down: (1 + 0.01) / 2
    assert lr_factor(14, TEN) == pytest.approx(0.01)
    third = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * 0.3))
    assert lr_factor(7, TEN) == pytest.approx(third)


@given(st.integers(1, 300), st.integers(0, 400))
def test_the_lr_rises_to_its_peak_then_falls_and_stays_positive(steps, warmup):
    schedule = replace(SCHEDULE, steps=steps, warmup=warmup)
    values = [lr_factor(step, schedule) for step in range(steps)]
    assert all(0 < value <= 1 for value in values)
    assert values[:warmup] == sorted(values[:warmup])
    assert values[warmup:] == sorted(values[warmup:], reverse=True)
    if warmup < steps:
        assert values[warmup] == 1.0


def test_every_trainable_parameter_is_in_exactly_one_group():
    network = small_network()
    grouped = [id(p) for group in build_optimiser(network, SCHEDULE).param_groups for p in group["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(p) for p in network.parameters() if p.requires_grad}
    assert any(not p.requires_grad for p in network.parameters())


def test_matrices_decay_and_norms_biases_tokens_and_position_embeddings_do_not():
    network = small_network()
    decays = {}
    for group in build_optimiser(network, SCHEDULE).param_groups:
        decays |= dict.fromkeys(map(id, group["params"]), group["weight_decay"])
    expected = {}
    for owner, module in network.named_modules():
        is_matrix = isinstance(module, torch.nn.Linear | torch.nn.Conv2d)
        for name, p in module.named_parameters(recurse=False):
            if p.requires_grad:
                decayed = is_matrix and name == "weight"
                expected[f"{owner}.{name}"] = (id(p), SCHEDULE.weight_decay if decayed else 0.0)
    assert {name: decays[key] for name, (key, _) in expected.items()} == {
        n: d for n, (_, d) in expected.items()
    }
    embeddings = ("cls_token", "pos_embed", "temporal_embed")
    assert sum(name.endswith(embeddings) for name in expected) == 2 + 2 + 3


def test_the_backbone_has_its_own_lr():
    network = small_network()
    optimiser = build_optimiser(network, SCHEDULE)
    set_lr(optimiser, 0, SCHEDULE)  # the first of two warm-up steps: half the peak
    backbone = {id(p) for p in network.backbone.parameters()}
    for group in optimiser.param_groups:
        lrs = {0.5 * (0.005 if id(p) in backbone else 0.01) for p in group["params"]}
        assert lrs == {group["lr"]}


def test_groups_have_the_same_order_for_every_network():
    summaries = []
    for changes in ({}, {"gt": False}, {"stt": False, "gt": False}):
        groups = build_optimiser(small_network(**changes), SCHEDULE).param_groups
        summaries.append([(group["peak_lr"], group["weight_decay"]) for group in groups])
    assert summaries == [[(0.01, 0.0), (0.01, 0.01), (0.005, 0.0), (0.005, 0.01)]] * 3


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_average_with_the_start_covers_weights_and_statistics_but_no_counter(share):
    network, other = small_network(seed=0), small_network(seed=1)
    start = {name: value.clone() for name, value in other.state_dict().items()}
    trained = {name: value.clone() for name, value in network.state_dict().items()}
    for name in trained:
        if name.endswith("num_batches_tracked"):
            trained[name] += 7
    network.load_state_dict(trained)
    average_with_start(network, start, share)
    for name, value in network.state_dict().items():
        expected = trained[name]
        if value.is_floating_point():
            expected = share * start[name] + (1 - share) * trained[name]
        torch.testing.assert_close(value, expected)
