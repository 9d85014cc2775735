"""Meshes of pedestrians: the body, thickened where cloth covers it, with sheets and solids attached."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.appearance import Appearance, Bag
from sttreid.simulate.attachments import BaseMesh, arm_clearance, attachments
from sttreid.simulate.body import JOINT, Z_ANKLE, Z_HIP, Z_TOP, Z_WAIST, MeshPart, body, shaped
from sttreid.simulate.cloth import MATERIAL
from sttreid.simulate.geometry import Floats, Ints, vertex_normals

_SHOE = 0.008  # thickness of a shoe, metres
_CAP = 0.022  # thickness of a cap, metres
_TUCKED_IN = 0.004  # thickness of a shirt under a skirt, metres
_BAGS = (MeshPart.BAG, MeshPart.TROLLEY, MeshPart.BACKPACK)
_INFLUENCES = 4  # joints that influence a vertex

KEPT: Final = 256  # pedestrians in memory, about 150 kB each


@dataclass(frozen=True, eq=False)
class Pedestrian:
    """A dressed person in the rest pose. V vertices, F triangles, J joints; metres."""

    appearance: Appearance
    joints: Floats  # [J, 3]
    vertices: Floats  # [V, 3]
    normals: Floats  # [V, 3]
    faces: Ints  # [F, 3]
    face_parts: NDArray[np.uint8]  # [F] MeshPart of a triangle
    canonical: Floats  # [V, 3] canonical position, at which the cloth is looked up
    limb: Floats  # [V] limb coordinate
    influences: Ints  # [V, 4] joints that influence a vertex
    weights: Floats  # [V, 4] their weights, rows sum to 1
    material: NDArray[np.void]  # [1] MATERIAL
    person: Ints  # vertices inside a detector's box: all but bags and trolley
    soles: Ints  # vertices that touch the ground
    leg: float  # length of a leg
    arm_clearance: tuple[float, float]  # left, right: minimum angle of the arm that clears the hips, radians


def build_pedestrian(appearance: Appearance) -> Pedestrian:
    """Build the mesh of an appearance."""
    naked, joints, scale = shaped(appearance.physique.coefficients, appearance.physique.height)
    model = body()
    scalp = _scalp()
    dressed = naked + vertex_normals(naked, model.faces) * _thickness(appearance, scalp)[:, None]
    base = BaseMesh(appearance, scale, dressed, joints, model.parts == MeshPart.HEAD, scalp)
    extras = attachments(base)
    count = len(dressed)
    starts = np.cumsum([count, *(len(extra.vertices) for extra in extras)])[:-1]
    vertices = np.concatenate([dressed, *(extra.vertices for extra in extras)])
    faces = np.concatenate([model.faces, *(extra.faces + s for extra, s in zip(extras, starts, strict=True))])
    strongest = [_body_influences(), *(_strongest(extra.weights) for extra in extras)]
    influences, weights = (np.concatenate(parts) for parts in zip(*strongest, strict=True))
    worn = [np.full(len(extra.vertices), extra.part not in _BAGS) for extra in extras]
    return Pedestrian(
        appearance=appearance,
        joints=joints,
        vertices=vertices,
        normals=vertex_normals(vertices, faces),
        faces=faces.astype(np.int32),
        face_parts=np.concatenate(
            [model.face_parts, *(np.full(len(extra.faces), extra.part, np.uint8) for extra in extras)]
        ),
        canonical=np.concatenate([model.rest, *(extra.canonical for extra in extras)]).astype(np.float32),
        limb=np.concatenate([model.limb, *(extra.limb for extra in extras)]),
        influences=influences,
        weights=weights,
        material=material(appearance),
        person=np.flatnonzero(np.concatenate([np.ones(count, bool), *worn])).astype(np.int32),
        soles=np.flatnonzero((model.parts == MeshPart.FOOT) & (model.rest[:, 2] < Z_ANKLE - 0.05)).astype(
            np.int32
        ),
        leg=float(joints[JOINT["thighL"], 2] - naked[:, 2].min()),
        arm_clearance=(arm_clearance(base, "L"), arm_clearance(base, "R")),
    )


def _scalp() -> NDArray[np.bool_]:
    rest = body().rest
    down, y = Z_TOP - rest[:, 2], rest[:, 1]
    scalp: NDArray[np.bool_] = (body().parts == MeshPart.HEAD) & (
        (down < 0.10) | ((y > -0.06 + down * 0.15) & (down < 0.23))
    )
    return scalp


def _thickness(appearance: Appearance, scalp: NDArray[np.bool_]) -> Floats:
    """Thickness [V] of cloth, hair and shoes above the skin, metres."""
    model, top, bottom = body(), appearance.top, appearance.bottom
    z, parts = model.rest[:, 2], model.parts
    torso = parts == MeshPart.TORSO
    lift = np.zeros(len(z), np.float32)
    lift[torso & (z > top.hem)] = top.thickness
    if bottom.skirt and not appearance.coated:
        lift[torso & (z < Z_WAIST)] = _TUCKED_IN
    lift[np.isin(parts, (MeshPart.UPPER_ARM, MeshPart.FOREARM)) & (model.limb < top.sleeve)] = (
        top.thickness * 0.9
    )
    leg = np.isin(parts, (MeshPart.THIGH, MeshPart.SHANK)) & (z > bottom.length)
    below = (torso & (z <= top.hem)) | leg
    loose = 0.0 if bottom.skirt else bottom.thickness  # stockings and a tucked-in shirt are tight
    down = (Z_HIP - z) / (Z_HIP - Z_ANKLE)  # 0 at the hip, 1 at the ankle: trousers widen downward
    lift[below] = 0.006 + loose * np.clip(0.35 + 0.65 * down, 0.2, 1)[below]
    lift[parts == MeshPart.FOOT] = _SHOE
    lift[scalp] = appearance.head.volume
    if appearance.head.hat:
        lift[(parts == MeshPart.HEAD) & (Z_TOP - z < 0.115)] = _CAP
    return lift


@cache
def _body_influences() -> tuple[Ints, Floats]:
    return _strongest(body().weights)


def _strongest(dense: Floats) -> tuple[Ints, Floats]:
    order = np.argsort(-dense, 1, kind="stable")[:, :_INFLUENCES]
    weights = np.take_along_axis(dense, order, 1)
    return order.astype(np.int32), (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def material(appearance: Appearance) -> NDArray[np.void]:
    """An appearance as one MATERIAL record [1], which the compiled shading reads."""
    top, bottom, head, feet, carried = (
        appearance.top,
        appearance.bottom,
        appearance.head,
        appearance.feet,
        appearance.carried,
    )
    side = 1.0 if carried.bag_left else -1.0
    # the body under a skirt or coat has its colour, so that no leg shows where both surfaces touch
    hem = top.coat + 0.03 if appearance.coated else max(top.hem, Z_WAIST - 0.02) if bottom.skirt else top.hem
    values = {
        "seed": appearance.seed, "skin": appearance.physique.skin, "hair": head.hair,
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
