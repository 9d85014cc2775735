"""Simulated domains and the scale of a rendered data set, as typed dataclasses.

Values are in domains/<name>.yaml and domains/benchmark*.yaml; domains/unreal.yaml explains their units.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from sttreid.config.conversion import hint, parse, read_yaml
from sttreid.runtime.errors import InputError

CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)
DOMAINS: Final = Path("domains")  # folder of the domain files
BENCHMARK: Final = "benchmark"  # file in that folder: the scale of the pinned sets; NAME-*.yaml: of others
RENAMED: Final = {"clothing.twins": "clothing.look_alikes"}  # former key of a domain -> the key

FIRST_DISTRACTOR: Final = 10_001  # identities count from 1, distractors from here

Count = Annotated[int, Field(ge=1)]
Even = Annotated[int, Field(ge=16, le=8192, multiple_of=2)]
Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo"
]


@dataclass(frozen=True, config=CONFIG)
class Range:
    """Bounds of a uniformly distributed number."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low must not be above high, got {self.low} and {self.high}")


@dataclass(frozen=True, config=CONFIG)
class IntRange:
    """Bounds of a uniformly distributed integer, both included."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low must not be above high, got {self.low} and {self.high}")


@dataclass(frozen=True, config=CONFIG)
class Skin:
    """Relative frequency of each skin tone."""

    fair: Weight
    pale: Weight
    light: Weight
    olive: Weight
    brown: Weight
    dark: Weight
    deep: Weight


@dataclass(frozen=True, config=CONFIG)
class Hair:
    """Relative frequency of each hair colour."""

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
    """Relative frequency of each kind of scene."""

    street: Weight
    campus: Weight
    mall: Weight
    park: Weight


@dataclass(frozen=True, config=CONFIG)
class Clothing:
    """How the identities of a domain dress: probabilities."""

    vivid: Share  # a garment has a saturated colour
    pattern: Share  # the top has a pattern
    coat: Share  # the top is a coat or jacket
    long_coat: Share  # a coat ends below the hip
    long_sleeves: Share  # a top other than a coat has long sleeves
    skirt: Share  # a woman wears a skirt or dress
    shorts: Share  # trousers are short
    backpack: Share
    bag: Share  # a hand bag or shoulder bag
    trolley: Share  # a suitcase on wheels
    logo: Share  # a print on the top
    scarf: Share
    hat: Share  # a cap, a cap with a peak or a hat with a brim
    mask: Share  # a face mask
    look_alikes: Share  # an identity with an even number wears the top of the identity before it


@dataclass(frozen=True, config=CONFIG)
class View:
    """Position of the cameras, and what may hide a pedestrian."""

    height: Range  # of the camera above the ground, metres
    focal: Range  # focal length, as a multiple of the image width
    person: Range  # height of a person in the walking area, as a share of the image height
    occluders: Weight  # mean number of poles, walls and bushes among the pedestrians

    def __post_init__(self) -> None:
        _check("height", self.height, 0.5, 30)
        _check("focal", self.focal, 0.2, 10)
        _check("person", self.person, 0.05, 0.9)


@dataclass(frozen=True, config=CONFIG)
class Light:
    """Light and colour response, drawn per camera."""

    sun: Range  # direct light; at 1 a white sheet that faces the sun is rendered white
    ambient: Range  # light from the sky, in the unit of sun
    white_balance: Weight  # standard deviation of the logarithm of each channel's gain
    exposure: Range  # factor
    saturation: Range  # factor; 1 leaves the colours unchanged
    gamma: Range  # display gamma, about 2.2

    def __post_init__(self) -> None:
        for name in ("sun", "ambient", "saturation"):
            _check(name, getattr(self, name), 0, 10)
        for name in ("exposure", "gamma"):
            _check(name, getattr(self, name), 0.1, 10)


@dataclass(frozen=True, config=CONFIG)
class Sensor:
    """Degradation of the image in the camera, and encoding of the video."""

    noise: Range  # standard deviation of a pixel's brightness, grey levels of 255
    soft: Range  # share of the four neighbours mixed into a pixel
    blur: Share  # exposure time as a share of the time between two frames
    crf: IntRange  # x264 constant rate factor; higher means smaller files
    preset: Preset  # x264 preset; slower means smaller files
    keyframes: Count  # maximum distance of two key frames, frames

    def __post_init__(self) -> None:
        _check("noise", self.noise, 0, 255)
        _check("soft", self.soft, 0, 1)
        _check("crf", self.crf, 0, 51)


@dataclass(frozen=True, config=CONFIG)
class Crowd:
    """Identities per camera, and errors of the detector and the tracker."""

    present: Annotated[float, Field(gt=0)]  # mean number of identities in the image at a time
    cameras: IntRange  # number of cameras that see an identity; a distractor is seen by one
    jitter: Annotated[
        float, Field(ge=0, le=0.2)
    ]  # standard deviation of a box edge, as a share of the box side
    fragments: Share  # of the tracks that the tracker splits by losing the identity for a few frames
    switches: Share  # of the crossings after which the tracker exchanges two identities

    def __post_init__(self) -> None:
        if self.cameras.low < 2:
            raise ValueError(f"cameras.low must be at least 2, got {self.cameras.low}")


@dataclass(frozen=True, config=CONFIG)
class Domain:
    """Distribution of identities, scenes, cameras and tracker errors from which a data set is rendered."""

    skin: Skin
    hair: Hair
    scenes: Scenes
    clothing: Clothing
    view: View
    light: Light
    sensor: Sensor
    crowd: Crowd
    # The domain whose people, cameras and walks are drawn as far as the values above allow; empty: its own.
    same_people_as: Name | None = Field(default=None, exclude_if=lambda name: name is None)

    def drawn_as(self, name: str) -> str:
        """The name that enters every random draw of the domain ``name``."""
        return self.same_people_as or name

    def __post_init__(self) -> None:
        for name in ("skin", "hair", "scenes"):
            if not any(vars(getattr(self, name)).values()):
                raise ValueError(f"{name} must have a weight above 0, got only zeros")


@dataclass(frozen=True, config=CONFIG)
class Scale:
    """Size of a data set."""

    identities: Annotated[int, Field(ge=6, lt=FIRST_DISTRACTOR)]
    distractors: Annotated[int, Field(ge=0, le=100_000)]  # seen by one camera only, for the test gallery
    cameras: Annotated[int, Field(ge=2, le=1000)]
    min_frames: Annotated[int, Field(ge=6)]  # of a tracklet
    max_frames: Annotated[int, Field(ge=1, le=100_000)]  # of a tracklet
    width: Even  # of the videos, pixels; see VideoWriter for widths with reproducible bytes
    height: Even  # of the videos, pixels; the size of persons is proportional to it
    fps: Annotated[int, Field(ge=1, le=1000)]  # frames per second
    seed: Annotated[int, Field(ge=0)]
    train: Share  # of the identities
    validation: Share  # of the identities; the rest is the test split
    # A set from identity 221 shares cameras and distractors, but no identity, with one of 220 identities.
    first_identity: int = Field(default=1, ge=1, kw_only=True, exclude_if=lambda number: number == 1)

    def __post_init__(self) -> None:
        if self.first_identity % 2 == 0:
            raise ValueError(
                "first_identity must be odd, because an even identity may look like the one before, "
                f"got {self.first_identity}"
            )
        if self.last_identity >= FIRST_DISTRACTOR:
            raise ValueError(f"the last identity must be below {FIRST_DISTRACTOR}, got {self.last_identity}")
        if self.min_frames > self.max_frames:
            raise ValueError(
                f"min_frames must not be above max_frames, got {self.min_frames} and {self.max_frames}"
            )
        if not 0 < self.train < self.train + self.validation < 1:
            raise ValueError(
                f"train and validation must leave a test share, got {self.train}, {self.validation}"
            )

    @property
    def last_identity(self) -> int:
        """Identities are numbered from ``first_identity`` to this one."""
        return self.first_identity + self.identities - 1


@dataclass(frozen=True, config=CONFIG)
class Benchmark(Scale):
    """Scale of the pinned target sets.

    Attributes:
        version: the name under which the bytes of the sets never change.
        domains: the domains that are pinned.
    """

    version: Name
    domains: tuple[Name, ...]


DEFAULT_SCALE: Final = Scale(  # of the command `sttreid simulate render`
    identities=100, distractors=0, cameras=4, min_frames=10, max_frames=16, width=640, height=360, fps=12,
    seed=1, train=0.6, validation=0.1,
)  # fmt: skip


def load_domain(name: str, folder: Path = DOMAINS) -> Domain:
    """Read the domain ``name`` from folder/<name>.yaml.

    Numbers given as text are converted by field type, because DVC writes 0.00001 as ``1e-05``, which YAML 1.1
    reads as text.

    Raises:
        InputError: the domain does not exist, the file is not YAML, a key is unknown or missing, or a value
            breaks the rule of its field.
    """
    names = sorted({path.stem for path in folder.glob("*.yaml")} - set(_benchmarks(folder)))
    if name not in names:
        choice = f"one of {', '.join(names)}" if names else "a file of this folder, which holds no domain"
        raise InputError(f"{folder}: the domain must be {choice}, got {name!r}{hint(name, names)}")
    path = folder / f"{name}.yaml"
    domain = read_domain(path)
    if (model := domain.same_people_as) is None:
        return domain
    if model not in names:
        choice = ", ".join(names)
        raise InputError(f"{path}: same_people_as must be one of {choice}, got {model!r}{hint(model, names)}")
    if read_domain(folder / f"{model}.yaml").same_people_as is not None:
        raise InputError(f"{path}: same_people_as must be a domain with people of its own, got {model!r}")
    return domain


def read_domain(path: Path) -> Domain:
    """Read a domain file.

    Raises:
        InputError: as for :func:`load_domain`.
    """
    return parse(Domain, read_yaml(path), str(path), RENAMED)


def load_benchmark(folder: Path = DOMAINS, name: str = BENCHMARK) -> Benchmark:
    """Read the scale of the pinned sets from folder/<name>.yaml.

    Raises:
        InputError: the file cannot be read, a key is unknown or missing, or a value breaks a rule.
    """
    path = folder / f"{name}.yaml"
    return parse(Benchmark, read_yaml(path), str(path))


def benchmark_of(domain: str, folder: Path = DOMAINS) -> Benchmark:
    """The benchmark that pins a domain: that of benchmark.yaml or of a further version, benchmark-*.yaml.

    Raises:
        InputError: no file pins the domain, or two do; or as for :func:`load_benchmark`.
    """
    pinned = [load_benchmark(folder, name) for name in _benchmarks(folder) or [BENCHMARK]]
    found = [each for each in pinned if domain in each.domains]
    if not found:
        names = [name for each in pinned for name in each.domains]
        raise InputError(f"{folder}: a pinned domain must be one of {', '.join(names)}, got {domain!r}")
    if len(found) > 1:
        raise InputError(
            f"{folder}: one benchmark alone must pin {domain!r}, got {', '.join(e.version for e in found)}"
        )
    return found[0]


def scaled(changes: Mapping[str, int | float], where: str) -> Scale:
    """DEFAULT_SCALE with other values; ``where`` names their origin in errors.

    Raises:
        InputError: a key is not a field of Scale, or a value breaks the rule of its field.
    """
    content: dict[str, Any] = {field.name: getattr(DEFAULT_SCALE, field.name) for field in fields(Scale)}
    return parse(Scale, content | dict(changes), where)


def _benchmarks(folder: Path) -> list[str]:
    """The names of the benchmark files of a folder."""
    names = (path.stem for path in folder.glob("*.yaml"))
    return sorted(name for name in names if name == BENCHMARK or name.startswith(f"{BENCHMARK}-"))


def _check(name: str, limits: Range | IntRange, least: float, most: float) -> None:
    if not least <= limits.low <= limits.high <= most:
        raise ValueError(f"{name} must lie between {least} and {most}, got {limits.low} to {limits.high}")
