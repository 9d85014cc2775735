"""Weights: random ones, files of our own with equal bytes, foreign checkpoints, and invalid files."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sttreid.config.conversion import dump, parse
from sttreid.model.backbone import ResNetBackbone
from sttreid.model.network import Network
from sttreid.model.weights import (
    initialise,
    load_backbone,
    read_architecture,
    restore,
    save,
    start_from,
    transfer,
)
from sttreid.runtime.errors import InputError
from tests.sections import BACKBONE, CLASSES, FRAMES, HEIGHT, MODEL, WIDTH, small_clips, small_network

ROOT = Path(__file__).parents[2]


SIZES = (FRAMES, HEIGHT, WIDTH, CLASSES)


def stt(network):
    return network.branches["stt"]


def trained(seed=0, **changes):
    """A network whose norms have statistics and whose shifts are not zero."""
    network = small_network(seed, **changes).train()
    network(small_clips(seed=seed))
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.01 * torch.randn_like(p))
    return network.eval()


def test_a_random_network_has_the_given_sizes():
    network = initialise(MODEL, *SIZES, 0)
    assert (network.image_size, network.frames, network.classes) == ((HEIGHT, WIDTH), FRAMES, CLASSES)


def test_the_seed_alone_decides_the_random_weights():
    torch.randn(3)
    first, second, other = (initialise(MODEL, *SIZES, seed).state_dict() for seed in (4, 4, 5))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["project.0.weight"], other["project.0.weight"])


def test_a_named_checkpoint_fills_the_backbone_only(tmp_path):
    state = ResNetBackbone(2, (1, 1, 1), 1).state_dict()
    torch.save({**state, "fc.weight": torch.zeros(2)}, tmp_path / "resnet.pth")
    model = replace(MODEL, backbone=replace(BACKBONE, weights=str(tmp_path / "resnet.pth")))
    network, random = initialise(model, *SIZES, 0), initialise(MODEL, *SIZES, 0)
    assert all(torch.equal(value, state[name]) for name, value in network.backbone.state_dict().items())
    assert torch.equal(network.project[0].weight, random.project[0].weight)


def test_a_missing_checkpoint_is_named():
    model = replace(MODEL, backbone=replace(BACKBONE, weights="none.pth"))
    with pytest.raises(InputError, match=r"none\.pth: no such weights file"):
        initialise(model, *SIZES, 0)


def test_an_architecture_that_does_not_fit_the_images_names_the_parameter():
    with pytest.raises(InputError, match=r"params\.yaml: model\.parts must divide the map's 4 rows, got 3"):
        initialise(replace(MODEL, parts=3), *SIZES, 0)


def test_a_saved_network_comes_back_with_equal_features(tmp_path):
    network = trained()
    save(network, MODEL, tmp_path / "a" / "model.pt")
    restored = restore(tmp_path / "a" / "model.pt").eval()
    assert torch.equal(restored.encode(small_clips()), network.encode(small_clips()))
    assert restored.state_dict().keys() == network.state_dict().keys()


def test_both_formats_hold_the_same_model(tmp_path):
    network = trained()
    save(network, MODEL, tmp_path / "model.pt")
    save(network, MODEL, tmp_path / "model.safetensors")
    architecture = read_architecture(tmp_path / "model.safetensors")
    assert architecture == read_architecture(tmp_path / "model.pt")
    assert (architecture.model, architecture.frames, architecture.classes) == (MODEL, FRAMES, CLASSES)
    save(restore(tmp_path / "model.safetensors"), architecture.model, tmp_path / "again.pt")
    assert (tmp_path / "again.pt").read_bytes() == (tmp_path / "model.pt").read_bytes()
    save(restore(tmp_path / "model.pt"), architecture.model, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


@pytest.mark.parametrize("classifiers", ["same", "other", "none"])
def test_weights_without_their_architecture_take_it_from_another_model(tmp_path, classifiers):
    network = trained()
    save(trained(1), MODEL, tmp_path / "like.safetensors")
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    for name in [name for name in state if name.endswith("classifier.weight")]:
        if classifiers == "other":
            state[name] = torch.zeros(CLASSES + 4, state[name].shape[1])
        elif classifiers == "none":
            del state[name]
    torch.save({"epoch": 7, "state_dict": state}, tmp_path / "field.pth")
    with pytest.raises(InputError, match=r"field\.pth: is not a model of this project"):
        restore(tmp_path / "field.pth")
    restored = restore(tmp_path / "field.pth", like=tmp_path / "like.safetensors").eval()
    assert torch.equal(restored.encode(small_clips()), network.encode(small_clips()))


def test_the_backbone_of_a_model_of_this_project_is_a_checkpoint(tmp_path):
    network = trained()
    save(network, MODEL, tmp_path / "model.safetensors")
    backbone = ResNetBackbone(2, (1, 1, 1), 1)
    load_backbone(backbone, tmp_path / "model.safetensors")
    assert all(
        torch.equal(value, backbone.state_dict()[name])
        for name, value in network.backbone.state_dict().items()
    )


WRITE = """
import sys
from pathlib import Path
import torch
from tests.sections import MODEL, small_network
from sttreid.model.weights import save
torch.randn(int(sys.argv[2]))
save(small_network(7), MODEL, Path(sys.argv[1]))
"""


def test_equal_weights_give_equal_bytes_under_any_name_in_any_process(tmp_path):
    save(small_network(7), MODEL, tmp_path / "here.pt")
    other = tmp_path / "deep" / "a longer name.weights"
    command = [sys.executable, "-c", WRITE, str(other), "5"]
    own = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PYTHONHASHSEED": "12", "OMP_NUM_THREADS": "1"}
    environment = os.environ | own  # with its instruction set, which decides the random numbers' last bits
    subprocess.run(command, check=True, env=environment, cwd=ROOT)
    assert (tmp_path / "here.pt").read_bytes() == other.read_bytes()


def test_saving_what_was_restored_gives_equal_bytes(tmp_path):
    save(trained(), MODEL, tmp_path / "one.pt")
    save(restore(tmp_path / "one.pt"), parse(type(MODEL), dump(MODEL), ""), tmp_path / "two.pt")
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "two.pt").read_bytes()


def test_other_weights_give_other_bytes(tmp_path):
    for seed in (0, 1):
        save(small_network(seed), MODEL, tmp_path / f"{seed}.pt")
    assert (tmp_path / "0.pt").read_bytes() != (tmp_path / "1.pt").read_bytes()


@pytest.mark.parametrize("how", ["file", "memory"])
def test_starting_from_weights_leaves_the_classifiers_fresh(tmp_path, how):
    source = trained()
    torch.manual_seed(3)
    network = Network(MODEL, FRAMES, HEIGHT, WIDTH, CLASSES + 2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    if how == "file":
        save(source, MODEL, tmp_path / "source.pt")
        listed = start_from(network, tmp_path / "source.pt")
    else:
        listed = transfer(source, network)
    given, fresh = source.state_dict(), []
    for name, value in network.state_dict().items():
        if name.endswith("classifier.weight"):
            fresh.append(name)
            assert torch.equal(value, before[name]), name
        else:
            assert torch.equal(value, given[name]), name
    assert len(fresh) == 3 + MODEL.parts
    assert listed == fresh


def test_a_transfer_copies(tmp_path):
    source, target = trained(0), trained(1)
    transfer(source, target)
    with torch.no_grad():
        stt(source).spatial.cls_token.add_(1)
    assert not torch.equal(stt(source).spatial.cls_token, stt(target).spatial.cls_token)


def test_starting_from_another_architecture_names_the_first_tensor_that_differs(tmp_path):
    save(trained(stt=False), MODEL, tmp_path / "gt.pt")
    head = r"'identity_heads\.stt\.norm\.weight'"
    with pytest.raises(
        InputError, match=r"gt\.pt: lacks .* looked for 'state\.identity_heads\.stt\.norm\.weight'"
    ):
        start_from(small_network(), tmp_path / "gt.pt")
    save(trained(), MODEL, tmp_path / "both.pt")
    with pytest.raises(InputError, match=rf"do not exist in this architecture: {head}"):
        start_from(small_network(stt=False), tmp_path / "both.pt")
    with pytest.raises(InputError, match=rf"{head} must have the shape \[12\], got \[8\]"):
        start_from(small_network(width=12), tmp_path / "both.pt")


def checkpoint(backbone):
    """What torchvision would save for the ResNet whose first three stages are ``backbone``."""
    state = {name: torch.rand(value.shape) for name, value in backbone.state_dict().items()}
    state = {k: torch.tensor(9) if k.endswith("num_batches_tracked") else v for k, v in state.items()}
    rest = {"layer4.0.conv1.weight": torch.rand(16, 32, 1, 1), "fc.weight": torch.rand(9, 64)}
    return state | rest | {"fc.bias": torch.rand(9)}


def test_a_torchvision_checkpoint_loads_without_its_fourth_stage_and_classifier(tmp_path):
    backbone = ResNetBackbone(2, (1, 2, 1), 2)
    state = checkpoint(backbone)
    torch.save(state, tmp_path / "resnet.pth")
    load_backbone(backbone, tmp_path / "resnet.pth")
    assert all(torch.equal(value, state[name]) for name, value in backbone.state_dict().items())


def test_an_old_checkpoint_without_counters_loads(tmp_path):
    backbone = ResNetBackbone(2, (1, 1, 1), 1)
    state = {k: v for k, v in checkpoint(backbone).items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "old.pth")
    load_backbone(backbone, tmp_path / "old.pth")
    loaded = backbone.state_dict()
    assert all(torch.equal(loaded[name], state[name]) for name in state.keys() & loaded.keys())
    assert loaded["bn1.num_batches_tracked"] == 0


def torchvision_s_resnet50() -> dict[str, list[int]]:
    """Names and shapes of the ImageNet checkpoint, written down from the architecture's definition."""
    shapes = {"conv1.weight": [64, 3, 7, 7], **norm("bn1", 64)}
    channels = 64
    for stage, (inner, depth) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
        for block in range(depth):
            prefix = f"layer{stage}.{block}"
            for number, shape in enumerate(
                ([inner, channels, 1, 1], [inner, inner, 3, 3], [4 * inner, inner, 1, 1]), start=1
            ):
                shapes[f"{prefix}.conv{number}.weight"] = shape
                shapes |= norm(f"{prefix}.bn{number}", shape[0])
            if block == 0:
                shapes[f"{prefix}.downsample.0.weight"] = [4 * inner, channels, 1, 1]
                shapes |= norm(f"{prefix}.downsample.1", 4 * inner)
            channels = 4 * inner
    return shapes | {"fc.weight": [1000, 2048], "fc.bias": [1000]}


def norm(prefix: str, channels: int) -> dict[str, list[int]]:
    names = ("weight", "bias", "running_mean", "running_var")
    return {f"{prefix}.{name}": [channels] for name in names} | {f"{prefix}.num_batches_tracked": []}


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_torchvision_s_resnet50_fits_by_every_name_and_shape(tmp_path, suffix):
    shapes = torchvision_s_resnet50()
    learned = [s for name, s in shapes.items() if not name.endswith(("_mean", "_var", "_tracked"))]
    assert sum(torch.Size(shape).numel() for shape in learned) == 25_557_032  # as torchvision documents
    assert len(shapes) == 320
    state = {name: torch.full(shape, 0.5) for name, shape in shapes.items()}
    state = {k: torch.tensor(7) if k.endswith("tracked") else v for k, v in state.items()}
    path = tmp_path / f"resnet50.{suffix}"
    (torch.save if suffix == "pth" else save_file)(state, path)
    backbone = ResNetBackbone(64, (3, 4, 6), 2)
    load_backbone(backbone, path)
    loaded = backbone.state_dict()
    assert set(loaded) == {name for name in shapes if not name.startswith(("layer4.", "fc."))}
    assert all(torch.equal(value, state[name]) for name, value in loaded.items())


BREAKS = {
    "missing": (
        lambda state: state.pop("layer2.0.bn1.weight"),
        r"looked for 'layer2\.0\.bn1\.weight'; the file holds 'layer4",
    ),
    "shape": (
        lambda state: state.update({"layer1.0.conv2.weight": torch.zeros(2, 2, 1, 1)}),
        r"'layer1\.0\.conv2\.weight' must have the shape \[2, 2, 3, 3\], got \[2, 2, 1, 1\]",
    ),
    "deeper": (
        lambda state: state.update({"layer1.1.conv1.weight": torch.zeros(2, 8, 1, 1)}),
        r"do not exist in this architecture: 'layer1\.1\.conv1\.weight'",
    ),
    "several": (
        lambda state: [state.pop("bn1.bias"), state.pop("bn1.weight")],
        r"lacks 2 of .* looked for 'bn1\.weight', 'bn1\.bias'; ",
    ),
    "integers": (
        lambda state: state.update({"bn1.bias": torch.zeros(2, dtype=torch.int64)}),
        r"'bn1\.bias' must hold torch\.float32 or a similar type, got torch\.int64",
    ),
    "all": (
        lambda state: state.clear(),
        r"looked for 'conv1\.weight', .* and \d\d more; the file holds no tensor$",
    ),
    "number": (lambda state: state.update({"bn1.bias": 3}), r"'bn1\.bias' must be a tensor, got int"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_checkpoint_that_does_not_fit_names_file_and_tensor(tmp_path, name):
    backbone = ResNetBackbone(2, (1, 1, 1), 1)
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    state = checkpoint(backbone)
    change, message = BREAKS[name]
    change(state)
    torch.save(state, tmp_path / "bad.pth")
    with pytest.raises(InputError, match=r"bad\.pth: .*" + message):
        load_backbone(backbone, tmp_path / "bad.pth")
    assert all(torch.equal(value, before[k]) for k, value in backbone.state_dict().items())


def truncated(path):
    save(small_network(), MODEL, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


FILES = {
    "truncated": (truncated, "cannot be read as a weights file"),
    "text": (lambda path: path.write_text("these are no weights\n"), "cannot be read as a weights file"),
    "empty": (lambda path: path.write_bytes(b""), "cannot be read as a weights file"),
    "missing": (Path.exists, "no such weights file"),
    "folder": (lambda path: path.mkdir(), "cannot be read as a weights file"),
    "code": (lambda path: torch.save({"state": Path("x")}, path), r"pickles pathlib\..*torch\.save"),
    "list": (lambda path: torch.save([torch.zeros(1)], path), "must hold a mapping .* got list"),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("reader", ["restore", "start_from", "load_backbone"])
def test_a_file_that_holds_no_weights_is_refused_by_name(tmp_path, kind, reader):
    path = tmp_path / "weights.pt"
    make, message = FILES[kind]
    make(path)
    calls = {
        "restore": lambda: restore(path),
        "start_from": lambda: start_from(small_network(), path),
        "load_backbone": lambda: load_backbone(ResNetBackbone(2, (1, 1, 1), 1), path),
    }
    with pytest.raises(InputError, match=rf"weights\.pt: {message}"):
        calls[reader]()


def test_a_foreign_checkpoint_is_no_model_of_ours(tmp_path):
    torch.save(checkpoint(ResNetBackbone(2, (1, 1, 1), 1)), tmp_path / "resnet.pth")
    with pytest.raises(InputError, match=r"resnet\.pth: is not a model of this project"):
        restore(tmp_path / "resnet.pth")
    with pytest.raises(InputError, match=r"resnet\.pth: lacks .* the file holds 'conv1\.weight', "):
        start_from(small_network(), tmp_path / "resnet.pth")
