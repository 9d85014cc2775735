"""Weights: random initialisation, files of this project, ImageNet checkpoints of the backbone.

A file holds only tensors and plain values, so it loads with ``weights_only=True``. ``torch.save`` writes the
target's file stem into the archive, so a temporary name would change the bytes: ``save`` writes to memory
first.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sttreid.config.conversion import dump, parse
from sttreid.config.params import Model
from sttreid.model.network import Network
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_bytes

UNUSED = ("layer4.", "fc.")  # a torchvision ResNet's parts after the third stage
SHOWN = 8  # differences that an error names


def initialise(model: Model, frames: int, height: int, width: int, classes: int, seed: int) -> Network:
    """A network with random weights, on the CPU; the backbone may start from a checkpoint.

    Args:
        model: the architecture; ``model.backbone.weights`` is the path of a torchvision checkpoint, or None.
        frames: T.
        height: H, of an image in pixels.
        width: W.
        classes: number of training identities.
        seed: of the random weights.

    Raises:
        InputError: the architecture does not fit the images, or the checkpoint does not fit the architecture.
    """
    torch.manual_seed(seed)
    try:
        network = Network(model, frames, height, width, classes)
    except ValueError as error:
        raise InputError(f"params.yaml: {error}") from error
    if model.backbone.weights:
        load_backbone(network.backbone, Path(model.backbone.weights))
    return network


def save(network: Network, model: Model, path: Path) -> None:
    """Write a network's weights and architecture; equal weights give equal bytes."""
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    content = {
        "model": dump(model),
        "frames": network.frames,
        "image_size": list(network.image_size),
        "classes": network.classes,
        "state": state,
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


def restore(path: Path) -> Network:
    """Build the network of a file and load its weights, on the CPU.

    Raises:
        InputError: the file is missing, damaged or not a model of this project.
    """
    content = _read(path)
    if not {"model", "frames", "image_size", "classes", "state"} <= set(content):
        raise InputError(
            f"{path}: is not a model of this project (its keys are {', '.join(map(str, content))})"
        )
    model = parse(Model, content["model"], str(path))
    try:
        height, width = content["image_size"]
        network = Network(model, content["frames"], height, width, content["classes"])
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: describes an architecture that cannot be built ({error})") from error
    _load(network, content["state"], path)
    return network


def start_from(network: Network, path: Path) -> list[str]:
    """Copy the weights of a pre-trained model of the same architecture, except its classifiers.

    Returns:
        The names of the tensors that keep their random weights: the classifiers.

    Raises:
        InputError: as :func:`restore`, or the architectures differ.
    """
    return _load_features(network, _read(path).get("state", {}), path)


def transfer(source: Network, target: Network) -> list[str]:
    """Like :func:`start_from`, from a network in memory."""
    return _load_features(target, source.state_dict(), Path("the pre-trained network"))


def load_backbone(backbone: nn.Module, path: Path) -> None:
    """Load a torchvision ResNet checkpoint into the backbone, without its fourth stage and classifier.

    Args:
        backbone: names and shapes of its tensors are torchvision's.
        path: written by ``torch.save``, or a ``.safetensors`` file.

    Raises:
        InputError: the file is missing or damaged, or names, shapes or number types differ.
    """
    state = {k: v for k, v in _read(path).items() if not k.startswith(UNUSED)}
    # checkpoints from before PyTorch 0.4.1 lack this counter, which inference never reads
    counters = {k: v for k, v in backbone.state_dict().items() if k.endswith("num_batches_tracked")}
    _load(backbone, {**counters, **state}, path)


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such weights file") from error
    except Exception as error:  # torch raises many types for a damaged archive
        raise InputError(f"{path}: cannot be read as a weights file ({type(error).__name__})") from error
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: must hold a mapping of names to tensors, got {type(content).__name__}")
    return dict(content)


def _load_features(network: Network, state: Mapping[str, Tensor], path: Path) -> list[str]:
    """Load everything except the classifiers, which belong to the training identities."""
    fresh = {k: v for k, v in network.state_dict().items() if k.endswith("classifier.weight")}
    _load(network, {**{k: v for k, v in state.items() if k not in fresh}, **fresh}, path)
    return list(fresh)


def _load(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load all of ``state``, or raise an error that names the differences and load nothing."""
    expected = module.state_dict()
    sentences = [_difference(name, expected, state) for name in dict.fromkeys((*expected, *state))]
    differences = [sentence for sentence in sentences if sentence]
    if differences:
        rest = len(differences) - SHOWN
        shown = differences[:SHOWN] + ([f"and {rest} more differences"] if rest > 0 else [])
        raise InputError(f"{path}: {'; '.join(shown)}")
    module.load_state_dict(dict(state))


def _difference(name: str, expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """What is wrong with one tensor of ``state``; empty if nothing is."""
    if name not in state:
        return f"the tensor {name!r} is missing"
    if name not in expected:
        return f"the tensor {name!r} does not exist in this architecture"
    if not isinstance(state[name], Tensor):
        return f"{name!r} must be a tensor, got {type(state[name]).__name__}"
    wanted, given = expected[name], state[name]
    if wanted.shape != given.shape:
        return f"the tensor {name!r} must have the shape {list(wanted.shape)}, got {list(given.shape)}"
    if wanted.is_floating_point() != given.is_floating_point():
        return f"the tensor {name!r} must hold {wanted.dtype} or a similar type, got {given.dtype}"
    return ""
