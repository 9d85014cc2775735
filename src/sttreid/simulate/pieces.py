"""What is worn over the body or carried: skirts, coats and hems as sheets, hair, hats, bags and cases."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sttreid.simulate.appearance import Bag, Look
from sttreid.simulate.body import (
    JOINT,
    JOINTS,
    Z_HIP,
    Z_NECK,
    Z_TOP,
    Z_WAIST,
    Floats,
    Ints,
    Part,
    arm_at_rest,
    body,
)  # fmt: skip
from sttreid.simulate.solids import Doubles, band_faces, compose, superellipsoid, turn

_Y: Final = (0.0, 1.0, 0.0)
_PALM: Final = 0.08  # metres from the wrist to what the hand holds
_AROUND: Final = 22  # vertices of a ring of a sheet
_TUCKED: Final = 0.018  # metres by which a coat's sheet begins under the garment that it hangs from
CARRYING: Final = 0.12  # bend of the elbow of an arm with a bag in its hand, radians
_HAND: Final = 0.05  # metres from the line of an arm to the side of its hand
_HAND_BAG: Final = 0.04  # more with a bag in it
_HIP_BAG: Final = 0.055  # half of its thickness
_HIPS: Final = (Z_HIP - 0.08, Z_HIP + 0.08)
_BELOW: Final = 0.06  # metres below the hips at which a hand still hangs beside a skirt
_COAT_FLARE: Final = 0.05
_FOLDS: Final = 0.03  # share of its radius by which a hem waves
_HELD: Final = 0.06  # canonical metres above the hip from which on a sheet follows the legs
_FALLS: Final = 0.12  # and from there to where it follows them fully


@dataclass(frozen=True)
class Piece:
    """One mesh with the weights of all joints."""

    part: int
    vertices: Floats
    faces: Ints
    weights: Floats
    limb: Floats
    canonical: Floats  # where the cloth is looked up


@dataclass(frozen=True)
class Base:
    """The body under the look's skin-tight clothes, on which the other pieces are cut."""

    look: Look
    scale: float
    vertices: Floats
    joints: Floats
    head: NDArray[np.bool_]
    scalp: NDArray[np.bool_]

    def lateral(self, low: float, high: float) -> Floats:
        """Torso vertices between two canonical heights, [N, 3]."""
        z = body().rest[:, 2]
        chosen: Floats = self.vertices[(body().parts == Part.TORSO) & (z > low) & (z < high)]
        return chosen

    def height(self, level: ArrayLike) -> Doubles:
        """Metres at which this body has canonical heights: short legs make short skirts."""
        marks = [JOINT[name] for name in ("footL", "shankL", "thighL", "neck")]
        height: Doubles = np.interp(np.asarray(level), body().joints[marks, 2], self.joints[marks, 2])
        return height

    @cached_property
    def sheets(self) -> list[Piece]:
        """Skirt, and the part of the top below the waist: a coat's, or that of a shirt over trousers."""
        return _sheets(self)

    @property
    def crown(self) -> float:
        """Height of the top of the head."""
        return float(self.vertices[self.head, 2].max())


def pieces(base: Base) -> list[Piece]:
    """All that hangs on a look's body."""
    look = base.look
    pieces = list(base.sheets)
    if look.head.length > 0:
        pieces.append(_loose_hair(base))
    if look.head.bun:
        pieces.append(_bun(base))
    if look.head.hat > 1:
        pieces.append(_brim(base))
    if look.carried.backpack:
        pieces.append(_backpack(base))
    if look.carried.bag:
        pieces.append(_hand_bag(base) if look.carried.bag == Bag.IN_HAND else _shoulder_bag(base))
    if look.carried.trolley:
        pieces.append(_trolley(base))
    return pieces


def _sheets(base: Base) -> list[Piece]:
    look, sheets = base.look, []
    top, bottom = look.top, look.bottom
    if bottom.skirt:
        sheets.append(_sheet(base, Part.SKIRT, (Z_WAIST, bottom.skirt_hem), 0.006, bottom.flare, 0.0))
    if look.coated:
        sheets.append(_sheet(base, Part.COAT, (Z_WAIST + 0.06, top.coat), 0.008, coat_flare(look), _TUCKED))
    elif top.hem < Z_HIP and not bottom.skirt:
        sheets.append(_sheet(base, Part.COAT, (Z_WAIST, top.hem), 0.012, top.thickness, _TUCKED))
    return sheets


def coat_flare(look: Look) -> float:
    """How much further out the hem of a coat hangs than its waist, metres: it goes round a skirt."""
    return max(_COAT_FLARE, look.bottom.flare + 0.01) if look.bottom.skirt else _COAT_FLARE


def _sheet(
    base: Base, part: Part, ends: tuple[float, float], gap: float, flare: float, tucked: float
) -> Piece:
    """A sheet around the hips from one canonical height down to another, `gap` off the body, wider below."""
    rings = max(4, round((ends[0] - ends[1]) / 0.09) + 1)
    angle = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    levels = np.linspace(*ends, rings)
    heights = base.height(levels)
    down = np.linspace(0, 1, rings)[:, None]
    centre = float(base.joints[JOINT["pelvis"], 1])
    radius = _envelope(base, angle, heights, centre) + gap + flare * down**1.3
    radius = radius * (1 + _FOLDS * down * np.cos(angle * 7)[None])
    radius[0] -= tucked
    height = np.repeat(heights[:, None], _AROUND, 1)
    vertices = np.stack([radius * np.cos(angle), centre + radius * np.sin(angle), height], -1).reshape(-1, 3)
    return Piece(
        part=part,
        vertices=vertices.astype(np.float32),
        faces=band_faces(rings, _AROUND, closed=True),
        weights=_sheet_weights(np.tile(angle, rings), np.repeat(levels, _AROUND)),
        limb=np.repeat(down, _AROUND, 1).ravel().astype(np.float32),
        canonical=np.column_stack([vertices[:, :2] / base.scale, np.repeat(levels, _AROUND)]).astype(
            np.float32
        ),
    )


def _envelope(base: Base, angle: Doubles, heights: Doubles, centre: float) -> Doubles:
    """How far the body and all that hangs above reach in every direction, [rings, around] metres."""
    points = base.vertices[np.isin(body().parts, (Part.TORSO, Part.THIGH, Part.SHANK))]
    reach = np.zeros((len(heights), len(angle)))
    for ring, z in enumerate(heights):
        near = points[np.abs(points[:, 2] - z) < 0.05 * base.scale]
        out = np.cos(angle)[:, None] * near[:, 0] + np.sin(angle)[:, None] * (near[:, 1] - centre)
        reach[ring] = np.maximum(reach[ring - 1], out.max(1, initial=0.0))
    # a ring of cloth lies on the corners of what is inside: no further out than the tangents of all sides
    facing = np.cos(angle[:, None] - angle)
    sides = np.where(facing > 0.1, reach[:, None] / np.maximum(facing, 0.1), np.inf)
    edge: Doubles = sides.min(2)
    return edge


def _sheet_weights(angle: Doubles, level: Doubles) -> Floats:
    """Cloth hangs from the pelvis; its front goes with the leg in front, its back with the leg behind."""
    weights = np.zeros((len(angle), len(JOINTS)), np.float32)
    follows = np.clip((Z_HIP + _HELD - level) / _FALLS, 0, 1)
    front = np.clip(0.5 - 0.8 * np.sin(angle), 0, 1)
    weights[:, JOINT["pelvis"]] = 1 - follows
    weights[:, JOINT["sheetF"]] = follows * front
    weights[:, JOINT["sheetB"]] = follows * (1 - front)
    return weights


def _loose_hair(base: Base) -> Piece:
    across, rows = 13, 6
    hair, scale = base.look.head, base.scale
    angle = np.linspace(np.deg2rad(-20), np.deg2rad(200), across)
    height = np.linspace(base.crown - 0.07 * scale, base.crown - 0.16 * scale - hair.length, rows)[:, None]
    down = np.linspace(0, 1, rows)[:, None]
    wide = 0.088 * scale + hair.volume + 0.02 * np.sin(down * np.pi)
    deep = 0.105 * scale + hair.volume - 0.02 * down
    centre = base.vertices[base.scalp, 1].mean() - 0.03
    x, y = wide * np.cos(angle), centre + deep * np.sin(angle) + 0.02 * down
    vertices = np.stack([x, y, np.repeat(height, across, 1)], -1).reshape(-1, 3)
    chest = np.repeat(np.clip((down * (0.16 * scale + hair.length) - 0.2) / 0.25, 0, 0.6), across, 1).ravel()
    weights = np.zeros((len(vertices), len(JOINTS)), np.float32)
    weights[:, JOINT["head"]], weights[:, JOINT["chest"]] = 1 - chest, chest
    return Piece(
        Part.HAIR,
        vertices.astype(np.float32),
        band_faces(rows, across, closed=False),
        weights,
        np.zeros(len(vertices), np.float32),
        (vertices / scale).astype(np.float32),
    )


def _bun(base: Base) -> Piece:
    knot = base.look.head.bun == 1
    centre = (
        0.0,
        base.vertices[base.scalp, 1].max() + 0.01,
        base.crown - (0.06 if knot else 0.16 * base.scale),
    )
    return _solid(base, Part.HAIR, centre, (0.05, 0.05, 0.05 if knot else 0.13), 2.0, head=1.0)


def _brim(base: Base) -> Piece:
    front, middle = base.vertices[base.head, 1].min() + 0.01, body().rest[base.head, 1].mean() * base.scale
    if base.look.head.hat == 2:
        return _solid(
            base, Part.HAT, (0.0, front, base.crown - 0.085 * base.scale), (0.085, 0.10, 0.012), 2.0, head=1.0
        )
    return _solid(
        base, Part.HAT, (0.0, middle, base.crown - 0.09 * base.scale), (0.17, 0.19, 0.014), 2.0, head=1.0
    )


def _backpack(base: Base) -> Piece:
    size = base.look.carried.backpack
    back = float(base.lateral(Z_NECK - 0.3, Z_TOP)[:, 1].max())
    centre = (0.0, back + 0.085 * size, float(base.height(Z_NECK - 0.16)) - 0.06 * size)
    return _solid(
        base, Part.BACKPACK, centre, (0.155, 0.105 * size, 0.235 * size), 4.0, chest=0.8, spine2=0.2
    )


def _hand_bag(base: Base) -> Piece:
    side = "L" if base.look.carried.bag_left else "R"
    sign = 1.0 if base.look.carried.bag_left else -1.0
    wrist, elbow = base.joints[JOINT["hand" + side]], base.joints[JOINT["larm" + side]]
    along = (wrist - elbow) / np.linalg.norm(wrist - elbow)
    solid = _solid(base, Part.BAG, (0.0, 0.0, 0.0), (0.05, 0.15, 0.13), 5.0, **{"hand" + side: 1.0})
    down, axis, bend = arm_at_rest(side)
    hanging = compose(
        turn(_Y, sign * (down - max(base.look.walk.abduction, spread(base, side)))),
        turn(axis, CARRYING - bend),
    )[0]
    upright = solid.vertices - np.array([0.0, 0.0, 0.13])  # hangs straight down once the arm does
    turned = np.einsum("ji,vj->vi", hanging, upright) + wrist + _PALM * along
    return replace(solid, vertices=turned.astype(np.float32))


def _shoulder_bag(base: Base) -> Piece:
    side = 1.0 if base.look.carried.bag_left else -1.0
    centre = (
        side * (_girth(base) + _HIP_BAG),
        base.joints[JOINT["pelvis"], 1] + 0.02,
        float(base.height(Z_HIP + 0.06)),
    )
    return _solid(base, Part.BAG, centre, (_HIP_BAG, 0.17, 0.13), 5.0, pelvis=1.0)


def _girth(base: Base) -> float:
    """How far hips and coat or skirt reach to the side, metres."""
    points = np.concatenate([base.lateral(*_HIPS), *(sheet.vertices for sheet in base.sheets)])
    return float(points[points[:, 2] > base.lateral(*_HIPS)[:, 2].min() - _BELOW, 0].max())


def spread(base: Base, side: str) -> float:
    """How far an arm must stand off, radians, for hand and bag to pass the hips, the coat and a bag there."""
    carried = base.look.carried
    shoulder, elbow, hand = (base.joints[JOINT[name + side]] for name in ("uarm", "larm", "hand"))
    arm = float(np.sqrt(((elbow - shoulder) ** 2).sum()) + np.sqrt(((hand - elbow) ** 2).sum()))
    width = _girth(base) + _HAND
    if carried.bag_left == (side == "L"):
        width += {Bag.NONE: 0.0, Bag.IN_HAND: _HAND_BAG, Bag.AT_HIP: 2 * _HIP_BAG}[carried.bag]
    return float(np.arcsin(np.clip((width - abs(float(shoulder[0]))) / arm, 0, 0.6)))


def _trolley(base: Base) -> Piece:
    side = 1.0 if base.look.carried.bag_left else -1.0
    centre = (0.28 * side, 0.45, float(base.vertices[:, 2].min()) + 0.33)
    return _solid(base, Part.TROLLEY, centre, (0.17, 0.12, 0.30), 6.0, pelvis=1.0)


def _solid(
    base: Base, part: Part, centre: tuple[float, ...], radii: tuple[float, ...], power: float, **joints: float
) -> Piece:
    vertices, faces = superellipsoid(np.array(centre), np.array(radii), power)
    weights = np.zeros((len(vertices), len(JOINTS)), np.float32)
    for name, weight in joints.items():
        weights[:, JOINT[name]] = weight
    return Piece(part, vertices, faces, weights, np.zeros(len(vertices), np.float32), vertices / base.scale)
