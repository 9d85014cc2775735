"""Files of weights: ``torch.save`` archives and safetensors -> plain content, without executing anything.

A ``.pt`` file of this project holds only tensors and plain values, so it loads with ``weights_only=True``;
a ``.safetensors`` file cannot hold code at all, and carries the architecture as JSON in its header.

``torch.save`` writes the target's file stem into the archive, so a temporary name would change the bytes:
:func:`encode` writes to memory.
"""

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save as encode_safetensors
from torch import Tensor

from sttreid.runtime.errors import InputError

SAFETENSORS = ".safetensors"
ARCHITECTURE = "sttreid-model"  # one key: safetensors writes several in random order
STATE = "state"  # where the content of a file of this project has its tensors
REFUSED = re.compile(r"GLOBAL (\S+)")  # how torch names what it does not unpickle


def encode(architecture: Mapping[str, Any], state: Mapping[str, Tensor], suffix: str) -> bytes:
    """The bytes of a weights file; equal content gives equal bytes.

    Args:
        architecture: plain values.
        state: name -> tensor on the CPU, contiguous.
        suffix: of the file; ``.safetensors`` selects that format.
    """
    if suffix == SAFETENSORS:
        header = {ARCHITECTURE: json.dumps(architecture, sort_keys=True, allow_nan=False)}
        return encode_safetensors(dict(state), metadata=header)
    buffer = io.BytesIO()
    torch.save({**architecture, STATE: state}, buffer)
    return buffer.getvalue()


def read(path: Path) -> dict[Any, Any]:
    """The content of a weights file: tensors and plain values, perhaps nested.

    Both formats of this project give the architecture's keys and ``state``.

    Raises:
        InputError: the file is missing or damaged, holds no mapping, or pickles a class (the error names it);
            nothing of it was executed.
    """
    try:
        content = _safetensors(path) if path.suffix == SAFETENSORS else _archive(path)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such weights file") from error
    except Exception as error:  # torch raises many types for a damaged archive
        raise InputError(f"{path}: cannot be read as a weights file ({type(error).__name__})") from error
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: must hold a mapping of names to tensors, got {type(content).__name__}")
    return dict(content)


def _archive(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        refused = REFUSED.search(str(error))
        if refused is None:
            raise
        raise InputError(
            f"{path}: pickles {refused[1]}, which only executing code of the file could load, so nothing was "
            "loaded; where the file was made, save its tensors alone: torch.save(model.state_dict(), FILE)"
        ) from error


def _safetensors(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
        header = (file.metadata() or {}).get(ARCHITECTURE)
    if header is None:
        return state
    architecture = json.loads(header)
    if not isinstance(architecture, dict):
        raise InputError(f"{path}: the header {ARCHITECTURE!r} must hold a mapping, got {header!r}")
    return {**architecture, STATE: state}
