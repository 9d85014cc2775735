"""What params.yaml says of data sets: who reads one, what DVC watches of it, how it is stored and compared.

``root`` is a folder in the workspace, which DVC hashes whole, or the small manifest of a folder that lies
elsewhere (``sets/mars.json``, written by ``python -m sttreid.data.index``): a million pictures need not be
hashed, and no path of a machine stands in a committed file.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from sttreid.runtime.errors import InputError

CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)

CAMERAS: Final = "cameras"
FOOTAGE: Final = "footage"
Reader = Literal[
    "cameras", "footage", "mars", "duke_video", "ls_vid", "ilids_vid", "prid2011", "unreal_person"
]
OnError = Literal["raise", "skip"]
Numbers = Literal["shared", "own"]
OPTIONS: Final[dict[str, tuple[str, ...]]] = {  # reader -> options that it needs; other readers refuse them
    "footage": ("gap", "test", "numbers"),
    "ilids_vid": ("split",),
    "prid2011": ("split",),
    "unreal_person": ("gap",),
}
PROTOCOLS: Final = {  # reader -> the protocol that tests of its sets follow unless params.yaml says another
    CAMERAS: "embedded",
    FOOTAGE: "market",
    "mars": "mars-official",
    "duke_video": "duke-official",
    "ls_vid": "lsvid-official",
    "ilids_vid": "ilids-{split}",
    "prid2011": "prid-{split}",
    "unreal_person": "market",  # never asked for: all its tracklets train
}


@dataclass(frozen=True, config=CONFIG)
class Dataset:
    """One data set. An option that only some readers have is left out for the others.

    Attributes:
        reader: of its layout; ``cameras`` are whole-camera videos, their tracks and a manifest; ``footage``
            are a user's own, without a manifest.
        root: its folder, or the manifest of a folder elsewhere; relative to the repository.
        split: of the two-camera sets, the official split.
        gap: of UnrealPerson and footage: frames from one picture of a tracklet to its next at most.
        test: of footage: the share of the people that is drawn for the test; 0 if the set only trains.
        numbers: of footage: a number in the tracks is one person before all cameras (``shared``), or each
            camera counts for itself (``own``), so that nobody is seen by two and the set can only train.
        protocol: that its tests follow; left out for that of its reader, see :attr:`rules`.
    """

    reader: Reader
    root: Path
    split: Annotated[int, Field(ge=1, le=10)] | None = None
    gap: Annotated[int, Field(ge=1)] | None = None
    test: Annotated[float, Field(ge=0, lt=1)] | None = None
    numbers: Numbers | None = None
    protocol: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")] | None = None

    def __post_init__(self) -> None:
        needed = OPTIONS.get(self.reader, ())
        for option in ("split", "gap", "test", "numbers"):
            given = getattr(self, option) is not None
            if given != (option in needed):
                verb = "needs" if option in needed else "has no"
                raise ValueError(f"the reader {self.reader} {verb} {option}")
        if self.numbers == "own" and self.test:
            raise ValueError(
                "test must be 0 where each camera has numbers of its own: nobody is seen by two,"
                f" got {self.test}"
            )
        told = "$" in str(self.root) or str(self.root).startswith("~")
        if told or self.root.is_absolute() or ".." in self.root.parts:
            raise ValueError(
                f"root must be a folder of the repository, or, for one elsewhere, its manifest, such as"
                f" sets/mars.json (python -m sttreid.data.index says where it lies), got {str(self.root)!r}"
            )

    @property
    def rules(self) -> str:
        """The name of the protocol that its tests follow."""
        return (self.protocol or PROTOCOLS[self.reader]).format(split=self.split)

    @property
    def elsewhere(self) -> bool:
        """Whether ``root`` is the manifest of a folder outside of the repository."""
        return self.root.suffix == ".json"


def variable(name: str) -> str:
    """The environment variable that says where a data set lies."""
    return f"STTREID_ROOT_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"


def check_variables(path: Path, datasets: Mapping[str, Dataset]) -> None:
    """Raises InputError, naming the parameter file, if one variable would say where two sets lie."""
    known: dict[str, str] = {}
    for name in (name for name, dataset in datasets.items() if dataset.elsewhere):
        earlier = known.setdefault(variable(name), name)
        if earlier != name:
            rule = f"two of datasets must not share the variable {variable(name)}"
            raise InputError(f"{path}: {rule}, got {earlier!r} and {name!r}")


@dataclass(frozen=True, config=CONFIG)
class Validation:
    """Which training identities validate, where a set has no validation split."""

    share: Annotated[float, Field(gt=0, lt=1)]
    seed: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, config=CONFIG)
class Decode:
    """How a set becomes a store.

    Attributes:
        height: of a crop, in pixels.
        width: of a crop, in pixels.
        strict: of published sets: a count that is off is an error.
        on_error: what becomes of anything that is missing or damaged.
        check: of published sets: how pictures are looked at that are packed.
        validation: of all sets without a validation split; its seed also draws who tests in footage.
    """

    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    strict: bool
    on_error: OnError
    check: Literal["structure", "pixels"]
    validation: Validation


@dataclass(frozen=True, config=CONFIG)
class Compare:
    """How well a small classifier tells the crops of two data sets apart: how many, drawn how."""

    crops: Annotated[int, Field(ge=1)]
    folds: Annotated[int, Field(ge=2)]
    seed: Annotated[int, Field(ge=0)]
