"""What a data set is in params.yaml: who reads it, and what DVC watches of it.

``root`` is a folder in the workspace, which DVC hashes whole, or the small manifest of a folder that lies
elsewhere (``sets/mars.json``, written by ``python -m sttreid.data.index``): a million pictures need not be
hashed, and no path of a machine stands in a committed file.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)

CAMERAS: Final = "cameras"
Reader = Literal["cameras", "mars", "duke_video", "ls_vid", "ilids_vid", "prid2011", "unreal_person"]
OnError = Literal["raise", "skip"]
OPTIONS: Final[dict[str, tuple[str, ...]]] = {  # reader -> options that it needs, and nobody else takes
    "ilids_vid": ("split",),
    "prid2011": ("split",),
    "unreal_person": ("gap",),
}


@dataclass(frozen=True, config=CONFIG)
class Dataset:
    """One data set. An option that only some readers have is left out for the others.

    Attributes:
        reader: of its layout; ``cameras`` are whole-camera videos with their tracks.
        root: its folder, or the manifest of a folder elsewhere; relative to the repository.
        split: of the two-camera sets, the official split.
        gap: of UnrealPerson: frames from one picture of a tracklet to its next at most.
    """

    reader: Reader
    root: Path
    split: Annotated[int, Field(ge=1, le=10)] | None = None
    gap: Annotated[int, Field(ge=1)] | None = None

    def __post_init__(self) -> None:
        needed = OPTIONS.get(self.reader, ())
        for option in ("split", "gap"):
            given = getattr(self, option) is not None
            if given != (option in needed):
                verb = "needs" if option in needed else "has no"
                raise ValueError(f"the reader {self.reader} {verb} {option}")
        if "$" in str(self.root) or str(self.root).startswith("~"):
            raise ValueError(
                f"root must be a folder of the repository, or, for one elsewhere, its manifest, such as"
                f" sets/mars.json (python -m sttreid.data.index says where it lies), got {str(self.root)!r}"
            )

    @property
    def elsewhere(self) -> bool:
        """Whether ``root`` is the manifest of a folder outside of the repository."""
        return self.root.suffix == ".json"


@dataclass(frozen=True, config=CONFIG)
class Validation:
    """Which training identities validate, where a published set has no validation split."""

    share: Annotated[float, Field(gt=0, lt=1)]
    seed: Annotated[int, Field(ge=0)]
