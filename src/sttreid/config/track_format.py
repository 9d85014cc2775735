"""How the tracks of a data set are written: ``datasets.NAME.tracks`` in params.yaml."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, field_validator
from pydantic.dataclasses import dataclass

FlavourName = Literal[
    "mot_gt",
    "mot_results",
    "cvat",
    "visdrone",
    "yolo",
    "boxmot",
    "bytetrack",
    "deepsort",
    "trackeval",
    "motmetrics",
    "kitti",
    "csv",
]
Column = Literal[
    "frame",
    "id",
    "left",
    "top",
    "width",
    "height",
    "right",
    "bottom",
    "x_center",
    "y_center",
    "conf",
    "flag",
    "class",
    "visibility",
    "unused",
]
Separator = Literal["comma", "semicolon", "tab", "space"]
Plausibility = Literal["raise", "warn"]
ALL: Final = "all"  # every class
AXES: Final = (  # two columns of one set give the extent of a box along an axis
    ({"left", "width"}, {"left", "right"}, {"x_center", "width"}),
    ({"top", "height"}, {"top", "bottom"}, {"y_center", "height"}),
)


@dataclass(frozen=True, config=ConfigDict(extra="forbid", populate_by_name=True))
class TrackFormat:
    """The format of all tracks files of a data set; what is None is detected, and printed.

    Attributes:
        flavour: who wrote the files (:mod:`sttreid.data.tracks.flavours`).
        first_frame: the number that the tracks give to the first frame of a video or folder of images.
        classes: ``class`` in params.yaml: the classes that are persons, as numbers or names; ``all``: every
            box is.
        columns: name of each column; ``unused`` for those that are ignored.
        separator: of the columns.
        plausibility: whether boxes that cannot be what they are taken for stop the reader, or give a warning.
    """

    flavour: FlavourName | None = None
    first_frame: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    classes: Annotated[int | str | list[int | str] | None, Field(alias="class")] = None
    columns: list[Column] | None = None
    separator: Separator | None = None
    plausibility: Plausibility = "raise"

    @field_validator("columns")
    @classmethod
    def _columns_give_a_box(cls, value: list[Column] | None) -> list[Column] | None:
        if value is None:
            return None
        names = [name for name in value if name != "unused"]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"a column must be named once, got {repeated[0]!r} twice")
        if not gives_boxes(names):
            raise ValueError(
                "columns must name frame, id, and two of left, right, x_center, width, and two of top,"
                f" bottom, y_center, height, got {', '.join(value)}"
            )
        return value

    @property
    def persons(self) -> tuple[int | str, ...] | None:
        """The classes that are persons, names in lower case; None: not given."""
        given = self.classes if isinstance(self.classes, list) else [self.classes]
        words = tuple(word.lower() if isinstance(word, str) else word for word in given if word is not None)
        return (
            tuple(int(word) if isinstance(word, str) and word.isdigit() else word for word in words) or None
        )


def gives_boxes(names: Sequence[str]) -> bool:
    """Whether some columns give a frame, an identity and a box."""
    axes = all(any(pair <= set(names) for pair in axis) for axis in AXES)
    return axes and {"frame", "id"} <= set(names)
