import numpy as np
import pytest
import torch
from torch import nn

from bench.clips import random_images
from bench.training import Files, network_of, operations, parameters, report

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def params():
    return parameters("smoke", 2, 2)


def test_the_profile_and_the_batch_are_those_given(params):
    assert (params.clip.frames, params.batch.identities, params.batch.clips) == (2, 2, 2)
    assert parameters("paper", None, None).decode.height == 256
    assert parameters("", None, None).decode.height == 64


def test_the_report_compares_all_cases(params):
    lines = report(params, CPU, steps=1, workers=0, compiled=False).splitlines()
    assert lines[0].startswith("CPU, torch ")
    rows = {line.split(" | ")[0].strip("| "): line for line in lines if line.startswith("| ")}
    assert list(rows) == ["step", "usual", "fp32", "bf16", "share of the step"]
    ratios = [float(line.split("|")[3]) for line in lines[4:7]]
    assert ratios[0] == 1.0
    assert min(ratios) > 0
    for line in lines[-2:]:
        assert sum(float(cell.strip(" %")) for cell in line.split("|")[2:-1]) == pytest.approx(100, abs=0.5)


def test_both_ways_read_the_same_images(params, tmp_path):
    store = random_images(tmp_path, params.decode.height, params.decode.width)
    files = Files(tmp_path, store.of_split("train"), params, [3])
    clip, identity, tracklet = files[0]
    assert clip.shape == (2, 3, params.decode.height, params.decode.width)
    assert (identity, tracklet) == (1, 3)
    for number in (0, len(store.frames) - 1):
        x = files._image(number, np.random.default_rng(1))  # not mirrored, and shifted
        assert np.isfinite(x.numpy()).all()
    assert len(list(tmp_path.glob("*.jpg"))) == len(store.frames)


def test_operations_of_the_backbone_are_those_of_its_convolutions(params):
    network = network_of(params, CPU)
    counted = 0

    def count(module: nn.Conv2d, _: object, output: torch.Tensor) -> None:
        nonlocal counted
        k = module.kernel_size[0] * module.kernel_size[1]
        counted += 2 * k * module.in_channels * output.numel()

    hooks = [m.register_forward_hook(count) for m in network.backbone.modules() if isinstance(m, nn.Conv2d)]
    size = params.clip.frames, 3, params.decode.height, params.decode.width
    network.backbone(torch.zeros(size))
    for hook in hooks:
        hook.remove()
    counts = operations(params, network, CPU)
    assert counts["backbone"] == counted
    assert counts["transformers"] > 0
