"""Meshes of dressed people: the body blown up where cloth lies on it, and sheets and solids for the rest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.appearance import Bag, Look
from sttreid.simulate.body import (
    JOINT,
    Z_ANKLE,
    Z_HIP,
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
from sttreid.simulate.pieces import Base, pieces, spread

_SHOE = 0.008  # thickness of a shoe, metres
_CAP = 0.022
_TUCKED_IN = 0.004  # thickness of a shirt under a skirt
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
    spread: tuple[float, float]  # least angle between left, right arm and the vertical that clears the hips


def figure(look: Look) -> Figure:
    """Dresses a look."""
    naked, joints, scale = shaped(look.physique.coefficients, look.physique.height)
    person = body()
    scalp = _scalp()
    dressed = naked + normals(naked, person.faces) * _thickness(look, scalp)[:, None]
    base = Base(look, scale, dressed, joints, person.parts == Part.HEAD, scalp)
    extras = pieces(base)
    count = len(dressed)
    starts = np.cumsum([count, *(len(piece.vertices) for piece in extras)])[:-1]
    vertices = np.concatenate([dressed, *(piece.vertices for piece in extras)])
    faces = np.concatenate([person.faces, *(p.faces + s for p, s in zip(extras, starts, strict=True))])
    influences, weights = _strongest(np.concatenate([person.weights, *(piece.weights for piece in extras)]))
    worn = [np.full(len(p.vertices), p.part not in (Part.BAG, Part.TROLLEY, Part.BACKPACK)) for p in extras]
    return Figure(
        look=look,
        joints=joints,
        vertices=vertices,
        normals=normals(vertices, faces),
        faces=faces.astype(np.int32),
        face_parts=np.concatenate(
            [person.face_parts, *(np.full(len(p.faces), p.part, np.uint8) for p in extras)]
        ),
        canonical=np.concatenate([person.rest, *(piece.canonical for piece in extras)]).astype(np.float32),
        limb=np.concatenate([person.limb, *(piece.limb for piece in extras)]),
        influences=influences,
        weights=weights,
        material=material(look),
        person=np.flatnonzero(np.concatenate([np.ones(count, bool), *worn])).astype(np.int32),
        soles=np.flatnonzero((person.parts == Part.FOOT) & (person.rest[:, 2] < Z_ANKLE - 0.05)).astype(
            np.int32
        ),
        leg=float(joints[JOINT["thighL"], 2] - naked[:, 2].min()),
        spread=(spread(base, "L"), spread(base, "R")),
    )


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
    if bottom.skirt and not look.coated:
        lift[torso & (z < Z_WAIST)] = _TUCKED_IN
    lift[np.isin(parts, (Part.UPPER_ARM, Part.FOREARM)) & (person.limb < top.sleeve)] = top.thickness * 0.9
    leg = np.isin(parts, (Part.THIGH, Part.SHANK)) & (z > bottom.length)
    below = (torso & (z <= top.hem)) | leg
    loose = 0.0 if bottom.skirt else bottom.thickness  # stockings cling, and a shirt tucked into a skirt
    down = (Z_HIP - z) / (Z_HIP - Z_ANKLE)  # 0 at the hip, 1 at the ankle: trousers widen on the way
    lift[below] = 0.006 + loose * np.clip(0.35 + 0.65 * down, 0.2, 1)[below]
    lift[parts == Part.FOOT] = _SHOE
    lift[scalp] = look.head.volume
    if look.head.hat:
        lift[(parts == Part.HEAD) & (Z_TOP - z < 0.115)] = _CAP
    return lift


def _strongest(dense: Floats) -> tuple[Ints, Floats]:
    order = np.argsort(-dense, 1, kind="stable")[:, :_INFLUENCES]
    weights = np.take_along_axis(dense, order, 1)
    return order.astype(np.int32), (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def material(look: Look) -> NDArray[np.void]:
    """The look as one MATERIAL record, [1]: what the compiled drawing reads."""
    top, bottom, head, feet, carried = look.top, look.bottom, look.head, look.feet, look.carried
    side = 1.0 if carried.bag_left else -1.0
    # what lies under a skirt or coat has its colour, so that no leg shows through a thin place
    hem = top.coat + 0.03 if look.coated else max(top.hem, Z_WAIST - 0.02) if bottom.skirt else top.hem
    values = {
        "seed": look.seed, "skin": look.physique.skin, "hair": head.hair,
        "hairline": head.hairline, "beard": head.beard, "mask": head.mask, "mask_colour": head.mask_colour,
        "hat": head.hat, "hat_colour": head.hat_colour, "scarf": head.scarf,
        "scarf_colour": head.scarf_colour,
        "top": top.colour, "top_second": top.second, "inner": top.inner,
        "top_pattern": top.pattern, "top_frequency": top.frequency, "phase": top.phase,
        "sleeve": top.sleeve, "hem": hem, "opening": top.opening, "neckline": top.neckline,
        "fabric": top.fabric, "logo": top.logo, "logo_height": top.logo_height, "logo_size": top.logo_size,
        "logo_colour": top.logo_colour, "bottom": bottom.colour, "bottom_second": bottom.second,
        "bottom_pattern": bottom.pattern, "bottom_frequency": bottom.frequency, "length": bottom.length,
        "skirt": bottom.skirt, "skirt_hem": bottom.skirt_hem, "belt": bottom.belt and top.hem > Z_HIP,
        "shoe": feet.shoe, "shoe_top": feet.shoe_top, "sole": feet.sole, "sock_top": feet.sock_top,
        "backpack": carried.backpack > 0, "backpack_colour": carried.backpack_colour,
        "strap_side": side if carried.bag == Bag.AT_HIP else 0.0, "bag_colour": carried.bag_colour,
    }  # fmt: skip
    record = np.zeros(1, MATERIAL)
    for name in MATERIAL.names or ():
        record[name] = values[name]
    return record
