"""Data sets in params.yaml: the reader of each, its folder, and how it is stored and compared.

``root`` is a folder of the repository, which DVC hashes, or the manifest of a folder elsewhere
(``sets/mars.json``, written by ``sttreid index``). With a manifest, DVC hashes one small file instead of a
million images, and no committed file holds a path of a machine.
"""

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs

from sttreid.config.bounds import LARGEST, Count, Seed, Side
from sttreid.runtime.errors import InputError

CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)

OnError = Literal["raise", "skip"]
Decoder = Literal["decord", "pyav"]


@dataclass(frozen=True, config=CONFIG)
class Dataset:
    """One data set.

    In params.yaml the reader's options are next to the other keys. Each reader declares its options and their
    types (:mod:`sttreid.data.registry` checks them).

    Attributes:
        reader: name of the reader of its layout, a module of :mod:`sttreid.data.readers`.
        root: its folder, or the manifest of a folder elsewhere; relative to the repository.
        protocol: its evaluation protocol; None: that of the reader.
        options: the reader's options, as params.yaml gives them.
    """

    reader: str
    root: Path
    protocol: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")] | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, content: Any) -> Any:
        """Move the keys that belong to the reader into ``options``."""
        values = content.kwargs if isinstance(content, ArgsKwargs) else content
        if not isinstance(values, Mapping):
            return content
        generic = {field.name for field in fields(cls)}
        options = {str(key): value for key, value in values.items() if key not in generic}
        if not options:
            return content
        kept = {key: value for key, value in values.items() if key in generic}
        values = kept | {"options": {**kept.get("options", {}), **options}}
        return ArgsKwargs(content.args, values) if isinstance(content, ArgsKwargs) else values

    def __post_init__(self) -> None:
        text = str(self.root)
        outside = "$" in text or text.startswith("~") or self.root.is_absolute() or ".." in self.root.parts
        if outside:
            raise ValueError(
                "root must be a folder of the repository, or, for a folder elsewhere, its manifest, such as"
                f" sets/mars.json (`sttreid index` writes it), got {text!r}"
            )

    @property
    def has_manifest(self) -> bool:
        """Whether ``root`` is the manifest of a folder elsewhere."""
        return self.root.suffix == ".json"


def root_variable(name: str) -> str:
    """The environment variable that names the folder of a data set which has a manifest."""
    return f"STTREID_ROOT_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"


def check_root_variables(path: Path, datasets: Mapping[str, Dataset]) -> None:
    """Check that no two data sets share a :func:`root_variable`.

    Raises:
        InputError: two do; the error names the parameter file ``path``.
    """
    owners: dict[str, str] = {}
    for name in (name for name, dataset in datasets.items() if dataset.has_manifest):
        owner = owners.setdefault(root_variable(name), name)
        if owner != name:
            rule = f"two data sets must not share the environment variable {root_variable(name)}"
            raise InputError(f"{path}: datasets: {rule}, got {owner!r} and {name!r}")


@dataclass(frozen=True, config=CONFIG)
class Validation:
    """How validation identities are drawn from the training split of a set without validation split."""

    share: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed


@dataclass(frozen=True, config=CONFIG)
class Decode:
    """How a data set becomes a tracklet store.

    Attributes:
        height: of a crop, in pixels.
        width: of a crop, in pixels.
        strict: published sets: a count that differs from the official one is an error.
        on_error: whether missing or damaged files stop the stage, or are skipped and listed.
        check: published sets: whether the structure of each image file is checked, or every pixel is decoded.
        validation: for all sets without a validation split; its seed also draws the test of ``footage``.
        decoder: of videos.
    """

    height: Side
    width: Side
    strict: bool
    on_error: OnError
    check: Literal["structure", "pixels"]
    validation: Validation
    decoder: Decoder = "decord"


@dataclass(frozen=True, config=CONFIG)
class Compare:
    """The classifier that separates the crops of two data sets: crops per camera, folds, seed."""

    crops: Count
    folds: Annotated[int, Field(ge=2, le=LARGEST)]
    seed: Seed
