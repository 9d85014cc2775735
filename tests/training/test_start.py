"""Where a run starts: seeded random weights that fit the store, with an ImageNet backbone if one is named."""

from dataclasses import replace

import pytest
import torch

from sttreid.model.backbone import Backbone
from sttreid.runtime.errors import InputError
from sttreid.training.start import initialise
from tests.sections import BACKBONE, FRAMES, HEIGHT, MODEL, WIDTH


def test_the_network_fits_the_store(store):
    network = initialise(MODEL, FRAMES, store, 0)
    assert (network.picture, network.frames, network.classes) == ((HEIGHT, WIDTH), FRAMES, 4)  # train alone


def test_the_seed_decides_the_weights(store):
    torch.randn(3)
    one, two, other = (initialise(MODEL, FRAMES, store, seed).state_dict() for seed in (4, 4, 5))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["spatial.token"], other["spatial.token"])


def test_a_named_checkpoint_fills_the_backbone_alone(store, tmp_path):
    checkpoint = Backbone(2, (1, 1, 1), 1).state_dict()
    torch.save({**checkpoint, "fc.weight": torch.zeros(2)}, tmp_path / "resnet.pth")
    model = replace(MODEL, backbone=replace(BACKBONE, weights=str(tmp_path / "resnet.pth")))
    network, random = initialise(model, FRAMES, store, 0), initialise(MODEL, FRAMES, store, 0)
    assert all(torch.equal(value, checkpoint[name]) for name, value in network.backbone.state_dict().items())
    assert torch.equal(network.project[0].weight, random.project[0].weight)


def test_a_checkpoint_that_is_missing_is_named(store):
    model = replace(MODEL, backbone=replace(BACKBONE, weights="none.pth"))
    with pytest.raises(InputError, match=r"none\.pth: no such weights file"):
        initialise(model, FRAMES, store, 0)


def test_an_architecture_that_does_not_fit_the_pictures_names_the_parameter(store):
    with pytest.raises(InputError, match=r"params\.yaml: model\.parts must divide the map's 4 rows, got 3"):
        initialise(replace(MODEL, parts=3), FRAMES, store, 0)
