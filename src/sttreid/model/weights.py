"""Weights: random initialisation, files of this project, checkpoints of others.

A file of this project is a ``.pt`` archive or a ``.safetensors`` file (:mod:`sttreid.model.weight_files`);
checkpoints are read as they come in the field (:mod:`sttreid.model.state_dicts`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sttreid.config.conversion import dump, parse
from sttreid.config.params import Model
from sttreid.model import state_dicts, weight_files
from sttreid.model.network import Network
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_bytes

CLASSIFIER = "classifier.weight"  # belongs to the training identities; no test feature reads it


@dataclass(frozen=True)
class Architecture:
    """What a file of this project says about its network.

    Attributes:
        model: section of params.yaml.
        frames: T.
        image_size: (H, W) of an image in pixels.
        classes: number of training identities.
    """

    model: Model
    frames: int
    image_size: tuple[int, int]
    classes: int

    def build(self) -> Network:
        """A network with random weights.

        Raises:
            ValueError: the architecture does not fit the size of the images.
        """
        return Network(self.model, self.frames, *self.image_size, self.classes)


def initialise(model: Model, frames: int, height: int, width: int, classes: int, seed: int) -> Network:
    """A network with random weights, on the CPU; the backbone may start from a checkpoint.

    Args:
        model: the architecture; ``model.backbone.weights`` is the path of a checkpoint, or None.
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
    """Write a network's weights and architecture; equal weights give equal bytes.

    Args:
        network: on any device.
        model: its architecture.
        path: the suffix ``.safetensors`` selects that format, any other ``torch.save``.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    architecture = {
        "model": dump(model),
        "frames": network.frames,
        "image_size": list(network.image_size),
        "classes": network.classes,
    }
    write_bytes(path, weight_files.encode(architecture, state, path.suffix))


def restore(path: Path, like: Path | None = None) -> Network:
    """Build the network of a file and load its weights, on the CPU.

    Args:
        path: a model of this project; with ``like``, any checkpoint of such a network: with prefixes, inside
            other mappings, with or without classifiers (which keep random weights).
        like: a model of this project with the checkpoint's architecture, for a file that does not say it.

    Raises:
        InputError: a file is missing, damaged or not a model of this project, or the weights do not fit the
            architecture.
    """
    content = weight_files.read(path)
    network = _build(content, path) if like is None else _build(weight_files.read(like), like)
    kept = _classifiers(network) if like is not None else []
    state_dicts.load(network, content, path, kept, (CLASSIFIER, state_dicts.COUNTER))
    return network


def read_architecture(path: Path) -> Architecture:
    """The architecture of a model of this project.

    Raises:
        InputError: the file is missing, damaged or not a model of this project.
    """
    return _architecture(weight_files.read(path), path)


def start_from(network: Network, path: Path) -> list[str]:
    """Copy the weights of a pre-trained model of the same architecture, except its classifiers.

    Returns:
        The names of the tensors that keep their random weights: the classifiers.

    Raises:
        InputError: the file is missing or damaged, or the architectures differ.
    """
    fresh = _classifiers(network)
    state_dicts.load(network, weight_files.read(path), path, fresh)
    return fresh


def transfer(source: Network, target: Network) -> list[str]:
    """Like :func:`start_from`, from a network in memory."""
    fresh = _classifiers(target)
    state_dicts.load(target, source.state_dict(), Path("the pre-trained network"), fresh)
    return fresh


def load_backbone(backbone: nn.Module, path: Path) -> None:
    """Load a ResNet's first three stages from a checkpoint, for instance torchvision's.

    Args:
        backbone: names and shapes of its tensors are torchvision's.
        path: written by ``torch.save``, or a ``.safetensors`` file; the ResNet may be a part of a larger
            model, such as a model of this project.

    Raises:
        InputError: the file is missing or damaged, or names, shapes or number types differ.
    """
    state_dicts.load(backbone, weight_files.read(path), path)


def _classifiers(network: Network) -> list[str]:
    return [name for name in network.state_dict() if name.endswith(CLASSIFIER)]


def _build(content: dict[Any, Any], path: Path) -> Network:
    try:
        return _architecture(content, path).build()
    except InputError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: describes an architecture that cannot be built ({error})") from error


def _architecture(content: dict[Any, Any], path: Path) -> Architecture:
    names = ("model", "frames", "image_size", "classes")
    if not {*names, weight_files.STATE} <= set(content):
        keys = ", ".join([str(key) for key in content][:3])
        raise InputError(
            f"{path}: is not a model of this project (its keys are {keys}, ...); weights alone need a "
            "model whose architecture they have"
        )
    return parse(Architecture, {name: content[name] for name in names}, str(path))
