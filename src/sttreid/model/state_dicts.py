"""A module's tensors in the content of a checkpoint, wherever its writer put them.

Projects nest the tensors (``state_dict``, ``model``, ``net``) and prefix their names (``module.`` of
DataParallel, ``backbone.``, ``base.``). Nested keys and prefixes are treated alike: the dotted prefix under
which most of the module's names occur is the module's. Other parts of the checkpoint (classifiers,
optimisers, the fourth stage of a ResNet) lie outside of the module and are ignored.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sttreid.runtime.errors import InputError

SHOWN = 3  # names that an error shows
DEPTH = 8  # of nested mappings that are searched
COUNTER = "num_batches_tracked"  # inference never reads it; checkpoints from before PyTorch 0.4.1 lack it


def load(
    module: nn.Module,
    content: Mapping[Any, Any],
    path: Path,
    kept: Collection[str] = (),
    optional: tuple[str, ...] = (COUNTER,),
) -> None:
    """Load a module's tensors from a checkpoint, or raise an error and load nothing.

    Args:
        module: receives the tensors.
        content: the checkpoint, as :func:`sttreid.model.weight_files.read` returns it.
        path: its file, for errors.
        kept: names of the module's tensors that stay as they are.
        optional: ends of the names of tensors that stay as they are where the checkpoint lacks them.

    Raises:
        InputError: tensors are missing, or have another shape or number type; the checkpoint has further
            tensors in the module's own parts (it is deeper); or two parts of it fit and differ.
    """
    own = module.state_dict()
    wanted = {name: value for name, value in own.items() if name not in kept}
    found = dict(_leaves(content))
    prefix, *others = _prefixes(found, wanted)
    given = {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}
    missing = [name for name in wanted if name not in given and not name.endswith(optional)]
    state = {name: given[name] for name in wanted if name in given}
    problem = (
        _missing(missing, own, found, prefix)
        or _copies(found, wanted, prefix, others)
        or _further(given, own)
        or _differences(wanted, state)
    )
    if problem:
        raise InputError(f"{path}: {problem}")
    module.load_state_dict({**own, **state})


def _leaves(content: Mapping[Any, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Dotted name -> value of everything in nested mappings."""
    for key, value in content.items():
        if not isinstance(value, Mapping):
            yield f"{prefix}{key}", value
        elif depth < DEPTH:
            yield from _leaves(value, f"{prefix}{key}.", depth + 1)


def _prefixes(found: Collection[str], wanted: Collection[str]) -> list[str]:
    """The prefixes under which most of the wanted names occur, the shortest first."""
    hits = Counter(start for name in found for start in _starts(name) if name.removeprefix(start) in wanted)
    most = max(hits.values(), default=0)
    return sorted((start for start, count in hits.items() if count == most), key=len) or [""]


def _starts(name: str) -> Iterator[str]:
    """Everything that may stand before a name of the module: nothing, or words that end with a dot."""
    yield ""
    for position, character in enumerate(name):
        if character == ".":
            yield name[: position + 1]


def _missing(missing: list[str], own: Collection[str], found: Mapping[str, Any], prefix: str) -> str:
    """Which tensors are missing, beside what the file holds in their place; empty if none is."""
    if not missing:
        return ""
    tensors = [name for name, value in found.items() if isinstance(value, Tensor)]
    unused = [name for name in tensors if name.removeprefix(prefix) not in own]
    return (
        f"lacks {len(missing)} of {len(own)} tensors of this architecture: "
        f"looked for {_few([prefix + name for name in missing])}; "
        f"the file holds {_few(unused or tensors) or 'no tensor'}"
    )


def _copies(found: Mapping[str, Any], wanted: Collection[str], prefix: str, others: list[str]) -> str:
    """Which other prefixes hold the module with other values; a module may be registered twice."""
    differ = [
        other
        for other in others
        if not all(_same(found.get(prefix + name), found.get(other + name)) for name in wanted)
    ]
    if not differ:
        return ""
    return f"holds different weights of this architecture under {_few([prefix, *differ])}; keep one of them"


def _same(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    return one is other


def _further(given: Collection[str], own: Collection[str]) -> str:
    """Which tensors the module's own parts have in the file only: it is deeper, or has other branches."""
    parts = {name.partition(".")[0] for name in own}
    further = [name for name in given if name not in own and name.partition(".")[0] in parts]
    return f"holds tensors that do not exist in this architecture: {_few(further)}" if further else ""


def _differences(wanted: Mapping[str, Tensor], state: Mapping[str, Any]) -> str:
    """How tensors of the file differ from those of the module in shape or number type."""
    differences = [text for name, value in state.items() if (text := _difference(name, wanted[name], value))]
    rest = len(differences) - SHOWN
    return "; ".join(differences[:SHOWN] + ([f"and {rest} more differences"] if rest > 0 else []))


def _difference(name: str, wanted: Tensor, given: object) -> str:
    """What is wrong with one tensor of a checkpoint; empty if nothing is."""
    if not isinstance(given, Tensor):
        return f"{name!r} must be a tensor, got {type(given).__name__}"
    if wanted.shape != given.shape:
        return f"the tensor {name!r} must have the shape {list(wanted.shape)}, got {list(given.shape)}"
    if wanted.is_floating_point() != given.is_floating_point():
        return f"the tensor {name!r} must hold {wanted.dtype} or a similar type, got {given.dtype}"
    return ""


def _few(names: list[str]) -> str:
    """The first names, and how many more there are."""
    rest = len(names) - SHOWN
    return ", ".join(map(repr, names[:SHOWN])) + (f" and {rest} more" if rest > 0 else "")
