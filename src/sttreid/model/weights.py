"""Weights in files: our own models, and ImageNet checkpoints for the backbone.

A file holds plain tensors and plain values only, so it loads with ``weights_only=True``. ``torch.save``
writes the target's file stem into the archive, so a temporary name would change the bytes: ``save`` writes to
memory first.
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

UNUSED = ("layer4.", "fc.")  # a torchvision ResNet's parts behind the third stage
SHOWN = 8  # differences that a sentence names


def save(network: Network, model: Model, path: Path) -> None:
    """Write a network's weights with what is needed to build it again; equal weights give equal bytes."""
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    content = {
        "model": dump(model),
        "frames": network.frames,
        "picture": list(network.picture),
        "classes": network.classes,
        "state": state,
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


def restore(path: Path) -> Network:
    """Build the network of a file and load its weights, on the CPU.

    Raises:
        InputError: the file is missing, damaged or not one of ours.
    """
    content = _read(path)
    if not {"model", "frames", "picture", "classes", "state"} <= set(content):
        raise InputError(f"{path}: is not a model of this project (it holds {', '.join(map(str, content))})")
    model = parse(Model, content["model"], str(path))
    try:
        height, width = content["picture"]
        network = Network(model, content["frames"], height, width, content["classes"])
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: describes an architecture that cannot be built ({error})") from error
    _load(network, content["state"], path)
    return network


def start_from(network: Network, path: Path) -> list[str]:
    """Copy the weights of a pre-trained model of the same architecture; classifiers start anew.

    Returns:
        The names of the tensors that were not copied: the classifiers, and nothing else.

    Raises:
        InputError: as :func:`restore`, or the architectures differ.
    """
    return _load_features(network, _read(path).get("state", {}), path)


def transfer(source: Network, target: Network) -> list[str]:
    """As :func:`start_from`, from a network in memory."""
    return _load_features(target, source.state_dict(), Path("the pre-trained network"))


def load_backbone(backbone: nn.Module, path: Path) -> None:
    """Load a torchvision ResNet checkpoint into the backbone; its fourth stage and classifier are left out.

    Args:
        backbone: whose names and shapes are torchvision's.
        path: what ``torch.save`` wrote, or a ``.safetensors`` file.

    Raises:
        InputError: the file is missing or damaged, or names, shapes or kinds of numbers differ.
    """
    state = {k: v for k, v in _read(path).items() if not k.startswith(UNUSED)}
    own = backbone.state_dict()
    # checkpoints of before PyTorch 0.4.1 lack this counter, which inference never reads
    counters = {k: v for k, v in own.items() if k.endswith("num_batches_tracked")}
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
    """Everything but the classifiers, which belong to the identities that were trained on."""
    fresh = {k: v for k, v in network.state_dict().items() if k.endswith("classifier.weight")}
    _load(network, {**{k: v for k, v in state.items() if k not in fresh}, **fresh}, path)
    return list(fresh)


def _load(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """All of ``state``, or none of it and a sentence that names what differs."""
    own = module.state_dict()
    found = [_difference(name, own, state) for name in dict.fromkeys((*own, *state))]
    differences = [sentence for sentence in found if sentence]
    if differences:
        rest = len(differences) - SHOWN
        shown = differences[:SHOWN] + ([f"and {rest} more differences"] if rest > 0 else [])
        raise InputError(f"{path}: {'; '.join(shown)}")
    module.load_state_dict(dict(state))


def _difference(name: str, own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    if name not in state:
        return f"the tensor {name!r} is missing"
    if name not in own:
        return f"the tensor {name!r} has no place in this architecture"
    if not isinstance(state[name], Tensor):
        return f"{name!r} must be a tensor, got {type(state[name]).__name__}"
    expected, got = own[name], state[name]
    if expected.shape != got.shape:
        return f"the tensor {name!r} must have the shape {list(expected.shape)}, got {list(got.shape)}"
    if expected.is_floating_point() != got.is_floating_point():
        return f"the tensor {name!r} must hold {expected.dtype} or the like, got {got.dtype}"
    return ""
