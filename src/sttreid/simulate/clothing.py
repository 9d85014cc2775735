"""Meshes of dressed people: the body blown up where cloth lies on it, and sheets and solids for the rest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.body import (
    JOINT,
    JOINTS,
    Z_ANKLE,
    Z_HIP,
    Z_KNEE,
    Z_NECK,
    Z_TOP,
    Z_WAIST,
    Floats,
    Ints,
    Part,
    body,
    normals,
    shaped,
)  # fmt: skip
from sttreid.simulate.cloth import MATERIAL
from sttreid.simulate.looks import Look
from sttreid.simulate.solids import Doubles, band_faces, superellipsoid, turn_between

_SHOE = 0.008  # thickness of a shoe, metres
_CAP = 0.022
_INFLUENCES = 4  # joints that move a vertex


@dataclass(frozen=True)
class Figure:
    """A dressed person in the rest pose. V vertices, F triangles, J joints; metres."""

    look: Look
    joints: Floats  # [J, 3]
    vertices: Floats  # [V, 3]
    normals: Floats  # [V, 3]
    faces: Ints  # [F, 3]
    face_parts: NDArray[np.uint8]  # [F] Part
    canonical: Floats  # [V, 3] where the cloth is looked up
    limb: Floats  # [V] limb coordinate
    influences: Ints  # [V, 4] joints that move a vertex
    weights: Floats  # [V, 4] and how much, rows sum to 1
    material: NDArray[np.void]  # [1] of MATERIAL
    person: Ints  # vertices that a detector takes for the person: all but bags and trolley
    soles: Ints  # vertices that touch the ground
    leg: float  # length


@dataclass(frozen=True)
class _Piece:
    """One mesh with all joints' weights; put together in `figure`."""

    part: int
    vertices: Floats
    faces: Ints
    weights: Floats
    limb: Floats


@dataclass(frozen=True)
class _Base:
    """The body under the look's skin-tight clothes, on which the other pieces are cut."""

    look: Look
    scale: float
    vertices: Floats
    joints: Floats
    head: NDArray[np.bool_]
    scalp: NDArray[np.bool_]

    def lateral(self, low: float, high: float) -> Floats:
        """Torso vertices between two canonical heights."""
        z = body().rest[:, 2]
        chosen: Floats = self.vertices[(body().parts == Part.TORSO) & (z > low) & (z < high)]
        return chosen

    @property
    def crown(self) -> float:
        return float(self.vertices[self.head, 2].max())


def figure(look: Look) -> Figure:
    """Dresses a look."""
    naked, joints, scale = shaped(look.physique.coefficients, look.physique.height)
    person = body()
    scalp = _scalp()
    dressed = naked + normals(naked, person.faces) * _thickness(look, scalp)[:, None]
    base = _Base(look, scale, dressed, joints, person.parts == Part.HEAD, scalp)
    pieces = _pieces(base)
    count = len(dressed)
    starts = np.cumsum([count, *(len(piece.vertices) for piece in pieces)])[:-1]
    vertices = np.concatenate([dressed, *(piece.vertices for piece in pieces)])
    faces = np.concatenate([person.faces, *(p.faces + s for p, s in zip(pieces, starts, strict=True))])
    influences, weights = _strongest(np.concatenate([person.weights, *(piece.weights for piece in pieces)]))
    worn = [np.full(len(p.vertices), p.part not in (Part.BAG, Part.TROLLEY, Part.BACKPACK)) for p in pieces]
    return Figure(
        look=look,
        joints=joints,
        vertices=vertices,
        normals=normals(vertices, faces),
        faces=faces.astype(np.int32),
        face_parts=np.concatenate(
            [person.face_parts, *(np.full(len(p.faces), p.part, np.uint8) for p in pieces)]
        ),
        canonical=np.concatenate([person.rest, *(piece.vertices / scale for piece in pieces)]).astype(
            np.float32
        ),
        limb=np.concatenate([person.limb, *(piece.limb for piece in pieces)]),
        influences=influences,
        weights=weights,
        material=material(look),
        person=np.flatnonzero(np.concatenate([np.ones(count, bool), *worn])).astype(np.int32),
        soles=np.flatnonzero((person.parts == Part.FOOT) & (person.rest[:, 2] < Z_ANKLE - 0.05)).astype(
            np.int32
        ),
        leg=float(joints[JOINT["thighL"], 2] - naked[:, 2].min()),
    )


def _pieces(base: _Base) -> list[_Piece]:
    look, pieces = base.look, []
    if look.bottom.skirt:
        pieces.append(
            _skirt(base, Z_WAIST - 0.02, look.bottom.skirt_hem, look.bottom.flare, 0.012, Part.SKIRT)
        )
    if look.top.coat < look.top.hem - 0.03:
        pieces.append(_skirt(base, Z_WAIST, look.top.coat, 0.05, look.top.thickness + 0.012, Part.COAT))
    if look.head.length > 0:
        pieces.append(_loose_hair(base))
    if look.head.bun:
        pieces.append(_bun(base))
    if look.head.hat > 1:
        pieces.append(_brim(base))
    if look.carried.backpack:
        pieces.append(_backpack(base))
    if look.carried.bag:
        pieces.append(_hand_bag(base) if look.carried.bag == 1 else _shoulder_bag(base))
    if look.carried.trolley:
        pieces.append(_trolley(base))
    return pieces


def _scalp() -> NDArray[np.bool_]:
    rest = body().rest
    down, y = Z_TOP - rest[:, 2], rest[:, 1]
    scalp: NDArray[np.bool_] = (body().parts == Part.HEAD) & (
        (down < 0.10) | ((y > -0.06 + down * 0.15) & (down < 0.23))
    )
    return scalp


def _thickness(look: Look, scalp: NDArray[np.bool_]) -> Floats:
    """How far cloth, hair and shoes lift each vertex off the skin, [V] metres."""
    person, top, bottom = body(), look.top, look.bottom
    z, parts = person.rest[:, 2], person.parts
    torso = parts == Part.TORSO
    lift = np.zeros(len(z), np.float32)
    lift[torso & (z > top.hem)] = top.thickness
    lift[np.isin(parts, (Part.UPPER_ARM, Part.FOREARM)) & (person.limb < top.sleeve)] = top.thickness * 0.9
    leg = np.isin(parts, (Part.THIGH, Part.SHANK)) & (z > bottom.length)
    below = (torso & (z <= top.hem)) | leg
    down = (Z_HIP - z) / (Z_HIP - Z_ANKLE)  # 0 at the hip, 1 at the ankle: trousers widen on the way
    lift[below] = 0.006 + bottom.thickness * np.clip(0.35 + 0.65 * down, 0.2, 1)[below]
    lift[parts == Part.FOOT] = _SHOE
    lift[scalp] = look.head.volume
    if look.head.hat:
        lift[(parts == Part.HEAD) & (Z_TOP - z < 0.115)] = _CAP
    return lift


def _skirt(base: _Base, top: float, hem: float, flare: float, thickness: float, part: Part) -> _Piece:
    """A sheet around the hips from canonical height `top` to `hem`: outside the body, wider below."""
    around, rings = 22, 7
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
    heights = np.linspace(top, hem, rings) * base.scale
    down = np.linspace(0, 1, rings)[:, None]
    centre = float(base.joints[JOINT["pelvis"], 1])
    radius = _envelope(base, angle, heights, centre) + thickness + flare * down**1.3
    radius = radius * (1 + 0.035 * down * np.cos(angle * 7)[None])  # folds
    height = np.repeat(heights[:, None], around, 1)
    vertices = np.stack([radius * np.cos(angle), centre + radius * np.sin(angle), height], -1).reshape(-1, 3)
    return _Piece(
        part=part,
        vertices=vertices.astype(np.float32),
        faces=band_faces(rings, around, closed=True),
        weights=_skirt_weights(base, vertices, np.repeat(down, around, 1).ravel(), hem),
        limb=np.repeat(down, around, 1).ravel().astype(np.float32),
    )


def _envelope(base: _Base, angle: NDArray[np.float64], heights: NDArray[np.float64], centre: float) -> Floats:
    """How far the body and all that hangs above reach out in every direction, [rings, around] metres."""
    points = base.vertices[np.isin(body().parts, (Part.TORSO, Part.THIGH, Part.SHANK))]
    reach = np.zeros((len(heights), len(angle)), np.float32)
    for ring, z in enumerate(heights):
        near = points[np.abs(points[:, 2] - z) < 0.05 * base.scale]
        if ring:
            reach[ring] = reach[ring - 1] * (0.98 if ring < 2 else 1)
        if len(near):
            out = np.cos(angle)[:, None] * near[:, 0] + np.sin(angle)[:, None] * (near[:, 1] - centre)
            reach[ring] = np.maximum(reach[ring], out.max(1))
    return reach


def _skirt_weights(base: _Base, vertices: Doubles, down: Doubles, hem: float) -> Floats:
    """The hem follows the legs: each side its own thigh, and below the knee the shank by half."""
    weights = np.zeros((len(vertices), len(JOINTS)), np.float32)
    follows = np.clip((down - 0.12) * 1.15, 0, 0.85)
    left = np.clip(0.5 + vertices[:, 0] / 0.22, 0, 1)
    weights[:, JOINT["pelvis"]] = 1 - follows
    shank = np.zeros(len(vertices))
    if hem < Z_KNEE - 0.05:
        shank = np.clip((Z_KNEE * base.scale - vertices[:, 2]) / 0.3, 0, 1) * 0.5
    for side, share in (("L", left), ("R", 1 - left)):
        weights[:, JOINT["thigh" + side]] = follows * share * (1 - shank)
        weights[:, JOINT["shank" + side]] = follows * share * shank
    return weights


def _loose_hair(base: _Base) -> _Piece:
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
    return _Piece(
        Part.HAIR,
        vertices.astype(np.float32),
        band_faces(rows, across, closed=False),
        weights,
        np.zeros(len(vertices), np.float32),
    )


def _bun(base: _Base) -> _Piece:
    knot = base.look.head.bun == 1
    centre = (
        0.0,
        base.vertices[base.scalp, 1].max() + 0.01,
        base.crown - (0.06 if knot else 0.16 * base.scale),
    )
    return _solid(Part.HAIR, centre, (0.05, 0.05, 0.05 if knot else 0.13), 2.0, head=1.0)


def _brim(base: _Base) -> _Piece:
    front, middle = base.vertices[base.head, 1].min() + 0.01, body().rest[base.head, 1].mean() * base.scale
    if base.look.head.hat == 2:
        return _solid(
            Part.HAT, (0.0, front, base.crown - 0.085 * base.scale), (0.085, 0.10, 0.012), 2.0, head=1.0
        )
    return _solid(Part.HAT, (0.0, middle, base.crown - 0.09 * base.scale), (0.17, 0.19, 0.014), 2.0, head=1.0)


def _backpack(base: _Base) -> _Piece:
    size = base.look.carried.backpack
    back = float(base.lateral(Z_NECK - 0.3, Z_TOP)[:, 1].max())
    centre = (0.0, back + 0.085 * size, (Z_NECK - 0.16) * base.scale - 0.06 * size)
    return _solid(Part.BACKPACK, centre, (0.155, 0.105 * size, 0.235 * size), 4.0, chest=0.8, spine2=0.2)


def _hand_bag(base: _Base) -> _Piece:
    side = "L" if base.look.carried.bag_left else "R"
    wrist, elbow = base.joints[JOINT["hand" + side]], base.joints[JOINT["larm" + side]]
    along = (wrist - elbow) / np.linalg.norm(wrist - elbow)
    solid = _solid(Part.BAG, (0.0, 0.0, 0.0), (0.05, 0.15, 0.13), 5.0, **{"hand" + side: 1.0})
    turn = turn_between(np.array([0.0, 0.0, -1.0]), along)  # hangs straight down when the arm does
    turned = np.einsum("ij,vj->vi", turn, solid.vertices) + wrist + (wrist - elbow) * 0.5 + along * 0.13
    return _Piece(Part.BAG, turned.astype(np.float32), solid.faces, solid.weights, solid.limb)


def _shoulder_bag(base: _Base) -> _Piece:
    side = 1.0 if base.look.carried.bag_left else -1.0
    hip = float(base.lateral(Z_HIP - 0.08, Z_HIP + 0.08)[:, 0].max())
    centre = (side * (hip + 0.06), base.joints[JOINT["pelvis"], 1] + 0.02, (Z_HIP + 0.06) * base.scale)
    return _solid(Part.BAG, centre, (0.055, 0.17, 0.13), 5.0, pelvis=1.0)


def _trolley(base: _Base) -> _Piece:
    side = 1.0 if base.look.carried.bag_left else -1.0
    centre = (0.28 * side, 0.45, float(base.vertices[:, 2].min()) + 0.33)
    return _solid(Part.TROLLEY, centre, (0.17, 0.12, 0.30), 6.0, pelvis=1.0)


def _solid(
    part: Part, centre: tuple[float, ...], radii: tuple[float, ...], power: float, **joints: float
) -> _Piece:
    vertices, faces = superellipsoid(np.array(centre), np.array(radii), power)
    weights = np.zeros((len(vertices), len(JOINTS)), np.float32)
    for name, weight in joints.items():
        weights[:, JOINT[name]] = weight
    return _Piece(part, vertices, faces, weights, np.zeros(len(vertices), np.float32))


def _strongest(dense: Floats) -> tuple[Ints, Floats]:
    order = np.argsort(-dense, 1, kind="stable")[:, :_INFLUENCES]
    weights = np.take_along_axis(dense, order, 1)
    return order.astype(np.int32), (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def material(look: Look) -> NDArray[np.void]:
    """The look as one MATERIAL record, [1]: what the compiled drawing reads."""
    top, bottom, head, feet, carried = look.top, look.bottom, look.head, look.feet, look.carried
    side = 1.0 if carried.bag_left else -1.0
    values = {
        "seed": look.seed, "skin": look.physique.skin, "hair": head.hair,
        "hairline": head.hairline, "beard": head.beard, "mask": head.mask, "mask_colour": head.mask_colour,
        "hat": head.hat, "hat_colour": head.hat_colour, "scarf": head.scarf,
        "scarf_colour": head.scarf_colour,
        "top": top.colour, "top_second": top.second, "inner": top.inner,
        "top_pattern": top.pattern, "top_frequency": top.frequency, "phase": top.phase,
        "sleeve": top.sleeve, "hem": top.hem, "opening": top.opening, "neckline": top.neckline,
        "fabric": top.fabric, "logo": top.logo, "logo_height": top.logo_height, "logo_size": top.logo_size,
        "logo_colour": top.logo_colour, "bottom": bottom.colour, "bottom_second": bottom.second,
        "bottom_pattern": bottom.pattern, "bottom_frequency": bottom.frequency, "length": bottom.length,
        "skirt": bottom.skirt, "skirt_hem": bottom.skirt_hem, "belt": bottom.belt,
        "shoe": feet.shoe, "shoe_top": feet.shoe_top, "sole": feet.sole, "sock_top": feet.sock_top,
        "backpack": carried.backpack > 0, "backpack_colour": carried.backpack_colour,
        "strap_side": side if carried.bag == 2 else 0.0, "bag_colour": carried.bag_colour,
    }  # fmt: skip
    record = np.zeros(1, MATERIAL)
    for name in MATERIAL.names or ():
        record[name] = values[name]
    return record
