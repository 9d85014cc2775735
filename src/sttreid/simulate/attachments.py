"""Meshes attached to the body: skirts, coats and shirt hems as sheets; hair, hats, bags and suitcases."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sttreid.simulate.appearance import Appearance, Bag
from sttreid.simulate.body import JOINT, JOINTS, Z_HIP, Z_NECK, Z_TOP, Z_WAIST, MeshPart, arm_at_rest, body
from sttreid.simulate.geometry import Doubles, Floats, Ints, band_faces, compose, superellipsoid, turn

_Y: Final = (0.0, 1.0, 0.0)
_PALM: Final = 0.08  # metres from the wrist to an object in the hand
_AROUND: Final = 22  # vertices per ring of a sheet
_TUCKED: Final = 0.018  # metres by which the upper edge of a coat's sheet lies inside the garment
CARRYING: Final = 0.12  # bend of the elbow of an arm that carries a bag, radians
_HAND: Final = 0.05  # metres from the axis of an arm to the side of its hand
_HAND_BAG: Final = 0.04  # further metres with a bag in the hand
_HIP_BAG: Final = 0.055  # half the thickness of a bag at the hip, metres
_HIPS: Final = (Z_HIP - 0.08, Z_HIP + 0.08)  # canonical heights
_BELOW: Final = 0.06  # metres below the hips to which a hand reaches next to a skirt
_COAT_FLARE: Final = 0.05  # metres
_FOLDS: Final = 0.03  # amplitude of the folds of a hem, as a share of its radius
_HELD: Final = 0.06  # canonical metres above the hip at which a sheet begins to follow the legs
_FALLS: Final = 0.12  # canonical metres below that at which it follows them fully


@dataclass(frozen=True)
class Attachment:
    """One mesh with the weights of all joints. V vertices, F triangles, J joints."""

    part: int  # MeshPart
    vertices: Floats  # [V, 3] metres
    faces: Ints  # [F, 3]
    weights: Floats  # [V, J]
    limb: Floats  # [V] limb coordinate
    canonical: Floats  # [V, 3] canonical position, at which the cloth is looked up


@dataclass(frozen=True)
class BaseMesh:
    """The body with its tight clothes, to which the other meshes are fitted. V vertices, J joints."""

    appearance: Appearance
    scale: float  # from canonical to real metres
    vertices: Floats  # [V, 3]
    joints: Floats  # [J, 3]
    head: NDArray[np.bool_]  # [V]
    scalp: NDArray[np.bool_]  # [V]

    def lateral(self, low: float, high: float) -> Floats:
        """Torso vertices between two canonical heights, [N, 3]."""
        z = body().rest[:, 2]
        vertices: Floats = self.vertices[(body().parts == MeshPart.TORSO) & (z > low) & (z < high)]
        return vertices

    def height(self, level: ArrayLike) -> Doubles:
        """Heights of this body, in metres, at canonical heights ``level``: short legs make short skirts."""
        marks = [JOINT[name] for name in ("footL", "shankL", "thighL", "neck")]
        height: Doubles = np.interp(np.asarray(level), body().joints[marks, 2], self.joints[marks, 2])
        return height

    @cached_property
    def sheets(self) -> list[Attachment]:
        """The skirt, and the part of a coat or shirt that hangs below the waist."""
        return _sheets(self)

    @property
    def crown(self) -> float:
        """Height of the top of the head."""
        return float(self.vertices[self.head, 2].max())


def attachments(base: BaseMesh) -> list[Attachment]:
    """All meshes attached to the body of an appearance."""
    appearance = base.appearance
    meshes = list(base.sheets)
    if appearance.head.length > 0:
        meshes.append(_loose_hair(base))
    if appearance.head.bun:
        meshes.append(_bun(base))
    if appearance.head.hat > 1:
        meshes.append(_brim(base))
    if appearance.carried.backpack:
        meshes.append(_backpack(base))
    if appearance.carried.bag:
        meshes.append(_hand_bag(base) if appearance.carried.bag == Bag.IN_HAND else _shoulder_bag(base))
    if appearance.carried.trolley:
        meshes.append(_trolley(base))
    return meshes


def _sheets(base: BaseMesh) -> list[Attachment]:
    appearance, sheets = base.appearance, []
    top, bottom = appearance.top, appearance.bottom
    if bottom.skirt:
        sheets.append(_sheet(base, MeshPart.SKIRT, (Z_WAIST, bottom.skirt_hem), 0.006, bottom.flare, 0.0))
    if appearance.coated:
        sheets.append(
            _sheet(base, MeshPart.COAT, (Z_WAIST + 0.06, top.coat), 0.008, coat_flare(appearance), _TUCKED)
        )
    elif top.hem < Z_HIP and not bottom.skirt:
        sheets.append(_sheet(base, MeshPart.COAT, (Z_WAIST, top.hem), 0.012, top.thickness, _TUCKED))
    return sheets


def coat_flare(appearance: Appearance) -> float:
    """By how much the hem of a coat is wider than its waist, metres; it encloses a skirt."""
    return max(_COAT_FLARE, appearance.bottom.flare + 0.01) if appearance.bottom.skirt else _COAT_FLARE


def _sheet(
    base: BaseMesh, part: MeshPart, ends: tuple[float, float], gap: float, flare: float, tucked: float
) -> Attachment:
    """A sheet around the hips between two canonical heights ``ends`` (upper, lower); lengths in metres.

    ``gap`` is its distance from the body, ``flare`` the widening of its hem, ``tucked`` the narrowing of its
    top.
    """
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
    return Attachment(
        part=part,
        vertices=vertices.astype(np.float32),
        faces=band_faces(rings, _AROUND, closed=True),
        weights=_sheet_weights(np.tile(angle, rings), np.repeat(levels, _AROUND)),
        limb=np.repeat(down, _AROUND, 1).ravel().astype(np.float32),
        canonical=np.column_stack([vertices[:, :2] / base.scale, np.repeat(levels, _AROUND)]).astype(
            np.float32
        ),
    )


def _envelope(base: BaseMesh, angle: Doubles, heights: Doubles, centre: float) -> Doubles:
    """Radius [rings, around] in metres of the body and of the cloth above, in every direction."""
    points = base.vertices[np.isin(body().parts, (MeshPart.TORSO, MeshPart.THIGH, MeshPart.SHANK))]
    reach = np.zeros((len(heights), len(angle)))
    for ring, z in enumerate(heights):
        near = points[np.abs(points[:, 2] - z) < 0.05 * base.scale]
        out = np.cos(angle)[:, None] * near[:, 0] + np.sin(angle)[:, None] * (near[:, 1] - centre)
        reach[ring] = np.maximum(reach[ring - 1], out.max(1, initial=0.0))
    # a ring of cloth is convex: no direction reaches further than the tangents of all other directions
    facing = np.cos(angle[:, None] - angle)
    sides = np.where(facing > 0.1, reach[:, None] / np.maximum(facing, 0.1), np.inf)
    edge: Doubles = sides.min(2)
    return edge


def _sheet_weights(angle: Doubles, level: Doubles) -> Floats:
    """Weights [V, J] of a sheet on the pelvis; its front follows the front leg, its back the rear leg."""
    weights = np.zeros((len(angle), len(JOINTS)), np.float32)
    follows = np.clip((Z_HIP + _HELD - level) / _FALLS, 0, 1)
    front = np.clip(0.5 - 0.8 * np.sin(angle), 0, 1)
    weights[:, JOINT["pelvis"]] = 1 - follows
    weights[:, JOINT["sheetF"]] = follows * front
    weights[:, JOINT["sheetB"]] = follows * (1 - front)
    return weights


def _loose_hair(base: BaseMesh) -> Attachment:
    across, rows = 13, 6
    hair, scale = base.appearance.head, base.scale
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
    return Attachment(
        MeshPart.HAIR,
        vertices.astype(np.float32),
        band_faces(rows, across, closed=False),
        weights,
        np.zeros(len(vertices), np.float32),
        (vertices / scale).astype(np.float32),
    )


def _bun(base: BaseMesh) -> Attachment:
    knot = base.appearance.head.bun == 1
    centre = (
        0.0,
        base.vertices[base.scalp, 1].max() + 0.01,
        base.crown - (0.06 if knot else 0.16 * base.scale),
    )
    return _solid(base, MeshPart.HAIR, centre, (0.05, 0.05, 0.05 if knot else 0.13), 2.0, head=1.0)


def _brim(base: BaseMesh) -> Attachment:
    front, middle = base.vertices[base.head, 1].min() + 0.01, body().rest[base.head, 1].mean() * base.scale
    if base.appearance.head.hat == 2:
        return _solid(
            base,
            MeshPart.HAT,
            (0.0, front, base.crown - 0.085 * base.scale),
            (0.085, 0.10, 0.012),
            2.0,
            head=1.0,
        )
    return _solid(
        base, MeshPart.HAT, (0.0, middle, base.crown - 0.09 * base.scale), (0.17, 0.19, 0.014), 2.0, head=1.0
    )


def _backpack(base: BaseMesh) -> Attachment:
    size = base.appearance.carried.backpack
    back = float(base.lateral(Z_NECK - 0.3, Z_TOP)[:, 1].max())
    centre = (0.0, back + 0.085 * size, float(base.height(Z_NECK - 0.16)) - 0.06 * size)
    return _solid(
        base, MeshPart.BACKPACK, centre, (0.155, 0.105 * size, 0.235 * size), 4.0, chest=0.8, spine2=0.2
    )


def _hand_bag(base: BaseMesh) -> Attachment:
    side = "L" if base.appearance.carried.bag_left else "R"
    sign = 1.0 if base.appearance.carried.bag_left else -1.0
    wrist, elbow = base.joints[JOINT["hand" + side]], base.joints[JOINT["larm" + side]]
    along = (wrist - elbow) / np.linalg.norm(wrist - elbow)
    solid = _solid(base, MeshPart.BAG, (0.0, 0.0, 0.0), (0.05, 0.15, 0.13), 5.0, **{"hand" + side: 1.0})
    down, axis, bend = arm_at_rest(side)
    hanging = compose(
        turn(_Y, sign * (down - max(base.appearance.gait.abduction, arm_clearance(base, side)))),
        turn(axis, CARRYING - bend),
    )[0]
    upright = solid.vertices - np.array([0.0, 0.0, 0.13])  # the bag hangs vertically when the arm does
    turned = np.einsum("ji,vj->vi", hanging, upright) + wrist + _PALM * along
    return replace(solid, vertices=turned.astype(np.float32))


def _shoulder_bag(base: BaseMesh) -> Attachment:
    side = 1.0 if base.appearance.carried.bag_left else -1.0
    centre = (
        side * (_girth(base) + _HIP_BAG),
        base.joints[JOINT["pelvis"], 1] + 0.02,
        float(base.height(Z_HIP + 0.06)),
    )
    return _solid(base, MeshPart.BAG, centre, (_HIP_BAG, 0.17, 0.13), 5.0, pelvis=1.0)


def _girth(base: BaseMesh) -> float:
    """Half width of the hips with coat or skirt, metres."""
    points = np.concatenate([base.lateral(*_HIPS), *(sheet.vertices for sheet in base.sheets)])
    return float(points[points[:, 2] > base.lateral(*_HIPS)[:, 2].min() - _BELOW, 0].max())


def arm_clearance(base: BaseMesh, side: str) -> float:
    """Minimum angle of an arm, radians, at which hand and bag clear hips, coat and a bag at the hip."""
    carried = base.appearance.carried
    shoulder, elbow, hand = (base.joints[JOINT[name + side]] for name in ("uarm", "larm", "hand"))
    arm = float(np.sqrt(((elbow - shoulder) ** 2).sum()) + np.sqrt(((hand - elbow) ** 2).sum()))
    width = _girth(base) + _HAND
    if carried.bag_left == (side == "L"):
        width += {Bag.NONE: 0.0, Bag.IN_HAND: _HAND_BAG, Bag.AT_HIP: 2 * _HIP_BAG}[carried.bag]
    return float(np.arcsin(np.clip((width - abs(float(shoulder[0]))) / arm, 0, 0.6)))


def _trolley(base: BaseMesh) -> Attachment:
    side = 1.0 if base.appearance.carried.bag_left else -1.0
    centre = (0.28 * side, 0.45, float(base.vertices[:, 2].min()) + 0.33)
    return _solid(base, MeshPart.TROLLEY, centre, (0.17, 0.12, 0.30), 6.0, pelvis=1.0)


def _solid(
    base: BaseMesh,
    part: MeshPart,
    centre: tuple[float, ...],
    radii: tuple[float, ...],
    power: float,
    **joints: float,
) -> Attachment:
    vertices, faces = superellipsoid(np.array(centre), np.array(radii), power)
    weights = np.zeros((len(vertices), len(JOINTS)), np.float32)
    for name, weight in joints.items():
        weights[:, JOINT[name]] = weight
    return Attachment(
        part, vertices, faces, weights, np.zeros(len(vertices), np.float32), vertices / base.scale
    )
