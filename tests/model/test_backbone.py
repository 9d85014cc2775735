"""ResNet-50's first three stages, by name, shape and value."""

import pytest
import torch
from torch.nn import functional as F

from sttreid.model.backbone import ResNetBackbone

BLOCKS = (3, 4, 6)


def norm(name, channels):
    shapes = {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
    return shapes | {f"{name}.num_batches_tracked": ()}


def resnet50_names():
    """Names and shapes of torchvision's ResNet-50 up to layer3, from the published structure."""
    shapes = {"conv1.weight": (64, 3, 7, 7)} | norm("bn1", 64)
    channels = 64
    for stage, depth in enumerate(BLOCKS, start=1):
        inner = 64 * 2 ** (stage - 1)
        for block in range(depth):
            name = f"layer{stage}.{block}"
            shapes |= {f"{name}.conv1.weight": (inner, channels, 1, 1)} | norm(f"{name}.bn1", inner)
            shapes |= {f"{name}.conv2.weight": (inner, inner, 3, 3)} | norm(f"{name}.bn2", inner)
            shapes |= {f"{name}.conv3.weight": (4 * inner, inner, 1, 1)} | norm(f"{name}.bn3", 4 * inner)
            if block == 0:
                shapes |= {f"{name}.downsample.0.weight": (4 * inner, channels, 1, 1)}
                shapes |= norm(f"{name}.downsample.1", 4 * inner)
            channels = 4 * inner
    return shapes


def test_names_and_shapes_are_those_of_resnet50_up_to_its_third_stage():
    with torch.device("meta"):
        backbone = ResNetBackbone(64, BLOCKS, 2)
    assert {name: tuple(value.shape) for name, value in backbone.state_dict().items()} == resnet50_names()


def test_resnet50_has_its_published_number_of_parameters():
    with torch.device("meta"):
        backbone = ResNetBackbone(64, BLOCKS, 2)
    whole, fourth_stage, classifier = 25_557_032, 14_964_736, 2_049_000
    assert sum(p.numel() for p in backbone.parameters()) == whole - fourth_stage - classifier


@pytest.mark.parametrize(("last_stride", "stride"), [(2, 16), (1, 8)])
def test_the_map_has_the_stated_stride_and_channels(last_stride, stride):
    backbone = ResNetBackbone(2, (1, 1, 1), last_stride)
    assert (backbone.stride, backbone.channels) == (stride, 32)
    maps = backbone(torch.randn(3, 3, 64, 32))
    assert maps.shape == (3, 32, 64 // stride, 32 // stride)


def naive(state, depths, last_stride, x):
    """The network in evaluation mode, written with functions and the names of its weights."""

    def norm(x, name):
        parts = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(state[f"{name}.{part}"] for part in parts))

    x = F.relu(norm(F.conv2d(x, state["conv1.weight"], stride=2, padding=3), "bn1"))
    x = F.max_pool2d(x, 3, 2, 1)
    for stage, depth in enumerate(depths, start=1):
        for block in range(depth):
            name = f"layer{stage}.{block}"
            stride = (1, 2, last_stride)[stage - 1] if block == 0 else 1
            shortcut = x
            if block == 0:
                shortcut = F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=stride)
                shortcut = norm(shortcut, f"{name}.downsample.1")
            x = F.relu(norm(F.conv2d(x, state[f"{name}.conv1.weight"]), f"{name}.bn1"))
            x = F.conv2d(x, state[f"{name}.conv2.weight"], stride=stride, padding=1)
            x = F.relu(norm(x, f"{name}.bn2"))
            x = F.relu(norm(F.conv2d(x, state[f"{name}.conv3.weight"]), f"{name}.bn3") + shortcut)
    return x


@pytest.mark.parametrize("last_stride", [1, 2])
def test_maps_equal_those_of_the_written_out_network(last_stride):
    torch.manual_seed(0)
    backbone = ResNetBackbone(3, (2, 1, 2), last_stride).double()
    x = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    for _ in range(3):
        backbone(x + torch.randn_like(x))  # statistics that are not those of the start
    backbone.eval()
    expected = naive(backbone.state_dict(), (2, 1, 2), last_stride, x)
    torch.testing.assert_close(backbone(x), expected)


def test_training_reaches_every_weight():
    torch.manual_seed(0)
    backbone = ResNetBackbone(3, (2, 2, 2), 2)
    backbone(torch.randn(2, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in backbone.parameters())
