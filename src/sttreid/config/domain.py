"""What a simulated domain is (people, scenes, cameras, light) and how large a data set is, in plain numbers.

Every value comes from params.yaml: nothing here has a default.
"""

from typing import Annotated, Final

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)

FIRST_DISTRACTOR: Final = 10_001  # identities count from 1, distractors from here on

Count = Annotated[int, Field(ge=1)]
Even = Annotated[int, Field(ge=16, multiple_of=2)]
Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Preset = Annotated[
    str, Field(pattern=r"^(ultrafast|superfast|veryfast|faster|fast|medium|slow|slower|veryslow|placebo)$")
]


@dataclass(frozen=True, config=CONFIG)
class Range:
    """A number is drawn evenly between the two ends."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low must not be above high, got {self.low} and {self.high}")


@dataclass(frozen=True, config=CONFIG)
class Whole:
    """A whole number is drawn evenly from low to high, both included."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low must not be above high, got {self.low} and {self.high}")


@dataclass(frozen=True, config=CONFIG)
class Skin:
    """How common each skin tone is, as weights."""

    fair: Weight
    pale: Weight
    light: Weight
    olive: Weight
    brown: Weight
    dark: Weight
    deep: Weight


@dataclass(frozen=True, config=CONFIG)
class Hair:
    """How common each hair colour is, as weights."""

    black: Weight
    espresso: Weight
    brown: Weight
    chestnut: Weight
    blond: Weight
    grey: Weight
    white: Weight
    red: Weight


@dataclass(frozen=True, config=CONFIG)
class Scenes:
    """How common each kind of scene is, as weights."""

    street: Weight
    campus: Weight
    mall: Weight
    park: Weight


@dataclass(frozen=True, config=CONFIG)
class Clothing:
    """How the people of a domain dress: probabilities."""

    vivid: Share  # a garment has a saturated colour
    pattern: Share  # the top is patterned
    coat: Share  # the top is a coat or jacket
    long_coat: Share  # a coat reaches below the hip
    long_sleeves: Share  # a top that is no coat has long sleeves
    skirt: Share  # a woman wears a skirt or dress
    shorts: Share  # trousers are short
    backpack: Share
    bag: Share  # a hand bag or shoulder bag
    trolley: Share  # a suitcase on wheels
    logo: Share  # a print on the top
    scarf: Share
    hat: Share  # a cap, a cap with a peak or a hat with a brim
    mask: Share  # a face mask
    twins: Share  # an identity of even number wears the top of the identity before it


@dataclass(frozen=True, config=CONFIG)
class View:
    """Where the cameras hang and what stands before them."""

    height: Range  # of the camera above the ground, metres
    focal: Range  # focal length, as a multiple of the picture's width
    person: Range  # height of a person in the walking area, as a share of the picture's height
    occluders: Weight  # mean number of poles, walls and bushes among the walkers

    def __post_init__(self) -> None:
        _check("height", self.height, 0.5, 30)
        _check("focal", self.focal, 0.2, 10)
        _check("person", self.person, 0.05, 0.9)


@dataclass(frozen=True, config=CONFIG)
class Light:
    """Light and colour response, drawn once a camera."""

    sun: Range  # direct light, 1 = a white sheet facing it is white
    ambient: Range  # light from the sky, same unit
    white_balance: Weight  # standard deviation of the logarithm of a channel's gain
    exposure: Range  # factor
    saturation: Range  # factor, 1 = as it is
    gamma: Range  # display gamma, about 2.2

    def __post_init__(self) -> None:
        for name in ("sun", "ambient", "saturation"):
            _check(name, getattr(self, name), 0, 10)
        for name in ("exposure", "gamma"):
            _check(name, getattr(self, name), 0.1, 10)


@dataclass(frozen=True, config=CONFIG)
class Sensor:
    """What the camera does to the picture, and how it is encoded."""

    noise: Range  # standard deviation of a pixel's brightness, grey levels of 255
    soft: Range  # share of the four neighbours mixed into a pixel
    blur: Share  # exposure time as a share of the time between two frames
    crf: Whole  # x264 constant rate factor: higher is smaller and coarser
    preset: Preset  # x264 preset: slower is smaller
    keyframes: Count  # frames from one key frame to the next at most

    def __post_init__(self) -> None:
        _check("noise", self.noise, 0, 255)
        _check("soft", self.soft, 0, 1)
        _check("crf", self.crf, 0, 51)


@dataclass(frozen=True, config=CONFIG)
class Crowd:
    """Who walks when, and the mistakes of the detector and the tracker."""

    present: Annotated[float, Field(gt=0)]  # people in the picture at a time, mean
    cameras: Whole  # cameras that see an identity; a distractor is seen by one
    jitter: Annotated[float, Field(ge=0, le=0.2)]  # standard deviation of a box edge as a share of the box
    fragments: Share  # of the walks on which the tracker loses the person for a while
    switches: Share  # of the crossings after which two people go on under each other's number

    def __post_init__(self) -> None:
        if self.cameras.low < 2:
            raise ValueError(f"cameras.low must be at least 2, got {self.cameras.low}")


@dataclass(frozen=True, config=CONFIG)
class Domain:
    """One look of the world."""

    skin: Skin
    hair: Hair
    scenes: Scenes
    clothing: Clothing
    view: View
    light: Light
    sensor: Sensor
    crowd: Crowd

    def __post_init__(self) -> None:
        for name in ("skin", "hair", "scenes"):
            if not any(vars(getattr(self, name)).values()):
                raise ValueError(f"{name} must have a weight above 0, got only zeros")


@dataclass(frozen=True, config=CONFIG)
class Scale:
    """How large a data set is."""

    identities: Annotated[int, Field(ge=6, lt=FIRST_DISTRACTOR)]
    distractors: Annotated[int, Field(ge=0)]  # people seen by one camera only, for the gallery of the test
    cameras: Annotated[int, Field(ge=2)]
    shortest: Annotated[int, Field(ge=6)]  # tracklet, frames
    longest: Count  # tracklet, frames
    width: Even  # of the videos, pixels
    height: Even  # of the videos, pixels; people grow with it
    fps: Count  # frames a second
    seed: Annotated[int, Field(ge=0)]
    train: Share  # of the identities
    validation: Share  # of the identities; the rest is the test split

    def __post_init__(self) -> None:
        if self.shortest > self.longest:
            raise ValueError(f"shortest must not be above longest, got {self.shortest} and {self.longest}")
        if not 0 < self.train < self.train + self.validation < 1:
            raise ValueError(
                f"train and validation must leave a test share, got {self.train}, {self.validation}"
            )


def _check(name: str, limits: Range | Whole, least: float, most: float) -> None:
    if not least <= limits.low <= limits.high <= most:
        raise ValueError(f"{name} must lie between {least} and {most}, got {limits.low} to {limits.high}")
