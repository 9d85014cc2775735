"""A module's tensors are found under any prefix and wrapper; a file that does not fit loads nothing."""

from pathlib import Path

import pytest
import torch
from torch import nn

from sttreid.model.backbone import ResNetBackbone
from sttreid.model.state_dicts import load
from sttreid.runtime.errors import InputError

PATH = Path("field.pth")


def backbone(seed=0):
    torch.manual_seed(seed)
    return ResNetBackbone(2, (1, 2, 1), 1)


def prefixed(state, prefix):
    return {f"{prefix}{name}": value for name, value in state.items()}


def copied(state):
    return {name: value.clone() for name, value in state.items()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


WRAPPERS = {
    "bare": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3, "best": 0.5},
    "model": lambda state: {"model": state},
    "net in state_dict": lambda state: {"state_dict": {"net": state}, "names": ["a", "b"]},
    "DataParallel": lambda state: prefixed(state, "module."),
    "every prefix": lambda state: {"model": prefixed(state, "module.model.backbone.base.")},
    "an optimiser beside it": lambda state: {
        "state_dict": prefixed(state, "module.base."),
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]},
    },
    "a classifier": lambda state: {
        **prefixed(state, "base."),
        "classifier.weight": torch.zeros(3, 8),
        "bottleneck.weight": torch.zeros(8),
    },
    "a classifier of its own": lambda state: {**state, "fc.weight": torch.zeros(3, 8)},
    "registered twice": lambda state: {**prefixed(state, "base."), **prefixed(copied(state), "backbone.")},
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_tensors_are_found_under_wrappers_and_prefixes(name):
    module, state = backbone(0), backbone(1).state_dict()
    assert not equal(module.state_dict(), state)
    load(module, WRAPPERS[name](state), PATH)
    assert equal(module.state_dict(), state)


def refused(module, content, **options):
    """The sentence of the error; the module must be as before."""
    before = copied(module.state_dict())
    with pytest.raises(InputError) as caught:
        load(module, content, PATH, **options)
    assert equal(module.state_dict(), before)
    assert str(caught.value).startswith("field.pth: ")
    return str(caught.value)


def test_what_is_missing_is_shown_beside_what_the_file_holds():
    state = {name: value for name, value in backbone().state_dict().items() if "bn1" not in name}
    extra = {f"head{i}.weight": torch.zeros(1) for i in range(5)}
    sentence = refused(backbone(), {"net": {**prefixed(state, "module."), **extra}})
    looked, held = sentence.split("looked for ")[1].split("the file holds ")
    assert looked.count("'net.module.") == 3
    assert "'net.module.bn1.weight'" in looked
    assert all(f"'net.head{i}.weight'" in held for i in range(3))
    assert "'net.head3.weight'" not in held


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"model": {"name": "resnet"}}])
def test_a_file_without_tensors_says_so(content):
    assert "the file holds no tensor" in refused(backbone(), content)


def test_tensors_of_another_network_are_named():
    sentence = refused(backbone(), {"encoder.0.weight": torch.zeros(1), "encoder.0.bias": torch.zeros(1)})
    assert "'encoder.0.weight', 'encoder.0.bias'" in sentence


def test_two_copies_with_other_values_are_ambiguous():
    state = {
        **prefixed(backbone(1).state_dict(), "student."),
        **prefixed(backbone(2).state_dict(), "teacher."),
    }
    assert "'student.', 'teacher.'" in refused(backbone(), state)


def test_a_deeper_network_is_refused_but_other_parts_are_ignored():
    state = backbone(1).state_dict()
    module = backbone()
    assert "'layer3.1.conv1.weight'" in refused(module, {**state, "layer3.1.conv1.weight": torch.zeros(1)})
    load(module, {**state, "layer4.0.conv1.weight": torch.zeros(1)}, PATH)
    assert equal(module.state_dict(), state)


def test_shapes_types_and_values_that_do_not_fit_are_named():
    state = backbone(1).state_dict()
    changes = {
        "conv1.weight": torch.zeros(2, 3, 5, 5),
        "bn1.weight": torch.zeros(2, dtype=torch.int64),
        "bn1.bias": 3,
        "layer1.0.bn1.bias": torch.zeros(7),
    }
    sentence = refused(backbone(), {**state, **changes})
    assert "'conv1.weight' must have the shape [2, 3, 7, 7], got [2, 3, 5, 5]" in sentence
    assert "'bn1.weight' must hold torch.float32" in sentence
    assert "'bn1.bias' must be a tensor, got int" in sentence
    assert "and 1 more differences" in sentence


def test_half_precision_is_converted():
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in backbone(1).state_dict().items()
    }
    module = backbone()
    load(module, state, PATH)
    assert module.conv1.weight.dtype == torch.float32
    assert torch.equal(module.conv1.weight, state["conv1.weight"].float())


def test_kept_tensors_stay_and_optional_ones_may_be_missing():
    module, other = nn.ModuleDict(), nn.ModuleDict()
    for each in (module, other):
        each["body"], each["head"] = nn.Linear(2, 2), nn.Linear(2, 3)
    before, given = copied(module.state_dict()), other.state_dict()
    load(module, given, PATH, kept=["head.weight", "head.bias"])
    assert torch.equal(module["head"].weight, before["head.weight"])
    assert torch.equal(module["body"].weight, given["body.weight"])
    body = {name: value for name, value in given.items() if name.startswith("body.")}
    load(module, body, PATH, optional=("head.weight", "head.bias"))
    assert "'head.weight'" in refused(module, body)


def test_nesting_without_end_ends():
    content = {"state": backbone(1).state_dict()}
    content["self"] = content
    module = backbone()
    load(module, content, PATH)
    assert equal(module.state_dict(), content["state"])
