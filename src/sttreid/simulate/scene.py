"""The still world of one camera: solids, light, lens and sensor, drawn from the domain."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sttreid.config.domain import Domain, Scale
from sttreid.simulate.draws import Generator, uniform, weighted_choice
from sttreid.simulate.geometry import Floats
from sttreid.simulate.optics import camera_record, light_record
from sttreid.simulate.rays import SOLID, Shape, SolidKind, photograph
from sttreid.simulate.textures import Texture, rgb_of_hsv

Solid = NDArray[np.void]

_STATURE: Final = 1.7  # metres, height of the person whose height in pixels sets the distance
_RAYS: Final = 2  # per pixel, in each direction
_GRASS: Final = ((0.16, 0.26, 0.08), (0.28, 0.34, 0.12))
_LEAVES: Final = ((0.06, 0.13, 0.04), (0.22, 0.34, 0.11))
_BARK: Final = ((0.22, 0.15, 0.10), (0.20, 0.12, 0.10))
_GLASS: Final = ((0.06, 0.07, 0.09), (0.10, 0.10, 0.10))
_RUBBER: Final = ((0.03, 0.03, 0.03), (0.03, 0.03, 0.03))
_BLOBS: Final = 9  # ellipsoids on the surface of a bush or crown
_GOLDEN: Final = 0.618  # turns from one of them to the next
_GROUNDS: Final = {
    "street": (Texture.PLASTER, Texture.TILES, Texture.BRICKS),
    "campus": (Texture.PLASTER, Texture.TILES, Texture.STRIPES),
    "mall": (Texture.TILES, Texture.CHESS),
}
_WALLS: Final = {
    "street": (Texture.BRICKS, Texture.WINDOWS, Texture.SHOPS),
    "campus": (Texture.BRICKS, Texture.WINDOWS, Texture.WINDOWS),
    "mall": (Texture.SHOPS, Texture.SHOPS, Texture.PLASTER, Texture.WINDOWS),
}


@dataclass(frozen=True)
class Scene:
    """A camera and its empty scene."""

    camera: NDArray[np.void]  # [1] CAMERA
    light: NDArray[np.void]  # [1] LIGHT
    solids: NDArray[np.void]  # [N] SOLID, the ground first
    obstacles: NDArray[np.float64]  # [M, 2] positions on the ground that pedestrians avoid
    distance: float  # of the middle of the walking area, metres
    heights: tuple[float, float]  # minimum and maximum height of a person, pixels
    heading: float  # main direction of the pedestrians, radians
    spread: float  # standard deviation of their headings, radians
    shadow: float  # factor on the brightness of the ground in a shadow
    noise: float  # standard deviation, grey levels
    soft: float  # share of the four neighbours mixed into a pixel
    vignette: float  # darkening of the corners
    crf: int  # of x264


@dataclass(frozen=True)
class Backdrop:
    """The rendered empty scene."""

    image: Floats  # [H, W, 3] display values
    depth: Floats  # [H, W] metres
    ground: Floats  # [H, W, 2] position on the ground, OPEN_AIR elsewhere
    kinds: NDArray[np.uint8]  # [H, W] SolidKind


def draw_scene(rng: Generator, domain: Domain, scale: Scale) -> Scene:
    """A scene of the domain; equal generators give equal scenes."""
    style = weighted_choice(rng, domain.scenes)
    view, sensor = domain.view, domain.sensor
    height, focal = uniform(rng, view.height), uniform(rng, view.focal) * scale.width
    distance = focal * _STATURE / (uniform(rng, view.person) * scale.height)
    pitch = float(np.arctan2(height - 1.0, distance) + rng.uniform(-0.02, 0.03))
    light = light_record(rng, domain.light, indoor=style == "mall")
    standing = _surroundings(rng, style, distance)
    occluders = _occluders(rng, view.occluders, distance, scale.width / focal)
    sun, sky = float(light["sun"][0]), float(light["sky"][0])
    return Scene(
        camera=camera_record(height, pitch, focal, scale.width, scale.height),
        light=light,
        solids=np.concatenate([*standing, *chain.from_iterable(occluders)]),
        obstacles=np.array([parts[0]["centre"][0, :2] for parts in occluders], np.float64).reshape(-1, 2),
        distance=distance,
        heights=(view.person.low * scale.height * 0.85, view.person.high * scale.height * 1.2),
        heading=rng.uniform(0, 2 * np.pi),
        spread=rng.uniform(0.25, 0.9),
        shadow=1 - 0.55 * min(1.0, sun / (sky + 0.2)),
        noise=uniform(rng, sensor.noise),
        soft=uniform(rng, sensor.soft),
        vignette=rng.uniform(0, 0.18),
        crf=int(rng.integers(sensor.crf.low, sensor.crf.high + 1)),
    )


def backdrop(rng: Generator, scene: Scene, scale: Scale) -> Backdrop:
    """Render the empty scene."""
    shape = (scale.height, scale.width)
    still = Backdrop(
        np.zeros((*shape, 3), np.float32),
        np.zeros(shape, np.float32),
        np.zeros((*shape, 2), np.float32),
        np.zeros(shape, np.uint8),
    )
    zenith = rng.uniform(0.6, 0.95) * np.array([0.85, 0.93, 1.0])
    sky = np.minimum(np.stack([zenith, zenith * 1.2]), 1).astype(np.float32)
    photograph(
        scene.solids, scene.camera, scene.light, sky, _RAYS,
        still.image, still.depth, still.ground, still.kinds,
    )  # fmt: skip
    return still


def _surroundings(rng: Generator, style: str, distance: float) -> list[Solid]:
    far = distance + rng.uniform(5, 14)
    solids = [_ground(rng, style)]
    if style == "park":  # a path, and one hedge across the view
        path = _random_colour(rng, 0.35, 0.55), _random_colour(rng, 0.3, 0.5)
        yaw = rng.uniform(-0.3, 0.3)
        surface = Texture.PLASTER, path, 1.0
        solids.append(
            _solid(rng, SolidKind.OPEN, Shape.BOX, (0, distance, 0.001), (30, 1.6, 0.004), yaw, *surface)
        )
    count = 1 if style == "park" else int(rng.integers(1, 3))
    solids += [_wall(rng, style, far, (number - 0.5) * 14 * (count > 1)) for number in range(count)]
    for _ in range(rng.integers(2, 6)):
        solids += _clutter(rng, style, float(rng.uniform(-9, 9)), float(rng.uniform(distance + 1.5, far)))
    return solids


def _ground(rng: Generator, style: str) -> Solid:
    centre, half = (0, 0, 0), (1, 1, 1)
    if style == "park":
        surface = Texture.GRASS, _GRASS, rng.uniform(0.4, 1.6)
        return _solid(rng, SolidKind.OPEN, Shape.GROUND, centre, half, 0.0, *surface)
    colour = _random_colour(rng, 0.2, 0.6)
    colours = colour, colour * rng.uniform(0.5, 0.85)
    texture, yaw = int(rng.choice(_GROUNDS[style])), rng.uniform(-0.7, 0.7)
    return _solid(
        rng, SolidKind.OPEN, Shape.GROUND, centre, half, yaw, texture, colours, rng.uniform(0.4, 1.6)
    )  # fmt: skip


def _wall(rng: Generator, style: str, far: float, aside: float) -> Solid:
    centre = (rng.uniform(-6, 6) + aside, far + rng.uniform(0, 5), 4)
    half, yaw = (rng.uniform(7, 25), 1.5, rng.uniform(3.5, 9)), rng.uniform(-0.35, 0.35)
    if style == "park":
        return _solid(rng, SolidKind.BUSH, Shape.BOX, centre, half, yaw, Texture.LEAVES, _LEAVES, 1.0)
    colour = _random_colour(rng, 0.25, 0.8, 0.15)
    surface = (colour, colour * rng.uniform(0.15, 0.6)), rng.uniform(0.7, 2.2)
    texture = int(rng.choice(_WALLS[style]))
    return _solid(rng, SolidKind.BUILDING, Shape.BOX, centre, half, yaw, texture, *surface)


def _clutter(rng: Generator, style: str, x: float, y: float) -> list[Solid]:
    """A tree, a car or a box behind the pedestrians."""
    if style in ("campus", "park") and rng.random() < 0.6:
        return _tree(rng, x, y)
    if style == "street" and rng.random() < 0.5:
        return _car(rng, x, y)
    size = rng.uniform(0.3, 1.0)
    half = (size * rng.uniform(0.3, 1), size * rng.uniform(0.3, 1), size)
    texture = int(rng.choice([Texture.PLASTER, Texture.TILES, Texture.SHOPS, Texture.STRIPES]))
    surface = texture, (_random_colour(rng, 0.1, 0.9, 0.4), _random_colour(rng, 0.1, 0.9, 0.4))
    yaw, unit = rng.uniform(0, 1.5), rng.uniform(0.2, 0.8)
    return [_solid(rng, SolidKind.BOX, Shape.BOX, (x, y, size), half, yaw, *surface, unit)]


def _tree(rng: Generator, x: float, y: float) -> list[Solid]:
    half = (0.13, 0.13, 1.4)
    trunk = _solid(
        rng, SolidKind.TREE, Shape.CYLINDER, (x, y, 1.4), half, 0.0, Texture.PLASTER, _BARK, 0.5
    )  # fmt: skip
    crown = rng.uniform(1.1, 1.7)
    height = crown * rng.uniform(0.8, 1.2)
    return [trunk, *_foliage(rng, SolidKind.TREE, (x, y, 2.0 + height), (crown, crown, height), 1.0)]


def _foliage(
    rng: Generator, kind: SolidKind, centre: Sequence[float], half: Sequence[float], unit: float
) -> list[Solid]:
    """Foliage: an ellipsoid with smaller ellipsoids on its surface."""
    surface = Texture.LEAVES, _LEAVES, unit
    core = _solid(rng, kind, Shape.ELLIPSOID, centre, np.multiply(half, 0.72), 0.0, *surface)
    growth = _generator_of(core)
    blobs = [core]
    for number in range(_BLOBS):
        turn = 2 * np.pi * number * _GOLDEN + growth.uniform(-0.4, 0.4)  # no two lie above each other
        rise = 1.7 * (number + 0.5) / _BLOBS - 0.85
        around = np.sqrt(1 - rise * rise)
        reach = np.array([around * np.cos(turn), around * np.sin(turn), rise]) * growth.uniform(0.5, 0.68)
        radii = np.multiply(half, growth.uniform(0.32, 0.5))
        blobs.append(
            _solid(growth, kind, Shape.ELLIPSOID, centre + reach * half, radii, turn, *surface)
        )  # fmt: skip
    return blobs


def _car(rng: Generator, x: float, y: float) -> list[Solid]:
    """A car: a hull with round ends, four wheels, windows and a roof."""
    colour = rgb_of_hsv(rng.random(), rng.uniform(0, 0.8), rng.uniform(0.1, 0.8))
    paint, glass = (Texture.PLASTER, (colour, colour), 5.0), (Texture.PLASTER, _GLASS, 0.9)
    rubber = Texture.PLASTER, _RUBBER, 0.9
    yaw = rng.uniform(-0.3, 0.3)
    along, across = np.array([np.cos(yaw), np.sin(yaw), 0]), np.array([-np.sin(yaw), np.cos(yaw), 0])
    middle = np.array([x, y, 0])
    hull = _solid(rng, SolidKind.CAR, Shape.BOX, (x, y, 0.58), (1.6, 0.85, 0.28), yaw, *paint)
    cabin = _solid(rng, SolidKind.CAR, Shape.BOX, (x, y, 1.1), (1.05, 0.74, 0.24), yaw, *glass)
    details = _generator_of(hull)
    parts = [hull, cabin]
    for shape, ahead, height, half, surface in (
        (Shape.ELLIPSOID, 1.55, 0.58, (0.55, 0.84, 0.29), paint),  # bonnet and boot
        (Shape.ELLIPSOID, -1.55, 0.58, (0.55, 0.84, 0.29), paint),
        (Shape.ELLIPSOID, 1.0, 1.0, (0.6, 0.72, 0.3), glass),  # windscreen and rear window
        (Shape.ELLIPSOID, -1.0, 1.0, (0.6, 0.72, 0.3), glass),
        (Shape.BOX, 0.0, 1.37, (1.0, 0.72, 0.04), paint),
    ):
        centre = middle + along * ahead + (0, 0, height)
        parts.append(_solid(details, SolidKind.CAR, shape, centre, half, yaw, *surface))
    for ahead in (-1.25, 1.25):
        for aside in (-0.8, 0.8):
            centre = middle + along * ahead + across * aside + (0, 0, 0.32)
            parts.append(
                _solid(details, SolidKind.CAR, Shape.ELLIPSOID, centre, (0.32, 0.12, 0.32), yaw, *rubber)
            )
    return parts


def _occluders(rng: Generator, mean: float, distance: float, width: float) -> list[list[Solid]]:
    """Poles, low walls and bushes among the pedestrians, each as a list of solids.

    Args:
        rng: of the scene.
        mean: mean number of occluders.
        distance: of the middle of the walking area, metres.
        width: of the view at a distance of 1 metre.
    """
    occluders = []
    for _ in range(rng.poisson(mean)):
        y = distance * rng.uniform(0.55, 0.98)
        x = rng.uniform(-0.42, 0.42) * width * y
        kind = rng.choice(["pole", "wall", "bush"], p=[0.45, 0.35, 0.2])
        colours = _random_colour(rng, 0.15, 0.75, 0.2), _random_colour(rng, 0.2, 0.8, 0.2)
        if kind == "pole":
            radius, texture = rng.uniform(0.06, 0.25), int(rng.choice([Texture.PLASTER, Texture.STRIPES]))
            surface = texture, colours, 0.3
            half = (radius, radius, 2.2)
            pole = _solid(rng, SolidKind.POLE, Shape.CYLINDER, (x, y, 2.0), half, 0.0, *surface)
            occluders.append([pole])
        elif kind == "wall":
            half = (rng.uniform(0.3, 1.1), 0.25, rng.uniform(0.35, 0.6))
            texture = int(rng.choice([Texture.PLASTER, Texture.BRICKS, Texture.STRIPES]))
            yaw = rng.uniform(-0.5, 0.5)
            wall = _solid(rng, SolidKind.WALL, Shape.BOX, (x, y, 0.45), half, yaw, texture, colours, 0.3)
            occluders.append([wall])
        else:
            half = (1.25 * rng.uniform(0.35, 0.7), 0.55, rng.uniform(0.45, 0.8))
            centre = x, y, 0.4 * half[2]  # widest near the ground
            occluders.append(_foliage(rng, SolidKind.BUSH, centre, (half[0], half[1], 1.2 * half[2]), 0.7))
    return occluders


def _generator_of(solid: Solid) -> Generator:
    """A generator for the parts of a solid, so that their number does not change the rest of the scene."""
    return np.random.default_rng(int(solid["seed"][0]))


def _solid(
    rng: Generator, kind: SolidKind, shape: Shape, centre: ArrayLike, half: ArrayLike, yaw: float,
    texture: int, colours: tuple[ArrayLike, ArrayLike], unit: float,
) -> Solid:  # fmt: skip
    """One SOLID record [1] with a random texture seed."""
    solid = np.zeros(1, SOLID)
    solid["kind"], solid["shape"], solid["texture"] = kind, shape, texture
    solid["seed"] = rng.integers(1, 9999)
    solid["centre"], solid["half"] = centre, half
    solid["cosine"], solid["sine"] = np.cos(yaw), np.sin(yaw)
    solid["first"], solid["second"], solid["unit"] = *colours, unit
    return solid


def _random_colour(rng: Generator, low: float, high: float, tint: float = 0.06) -> NDArray[np.float64]:
    colour: NDArray[np.float64] = np.clip(rng.uniform(low, high) * rng.uniform(1 - tint, 1 + tint, 3), 0, 1)
    return colour
