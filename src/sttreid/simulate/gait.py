"""Walking: trunk and arms over the phase of a double step, and with the legs the joint matrices of a walk.

The phase counts double steps: at 0 the left heel strikes, at 0.5 the right one.
"""

from typing import Final

import numpy as np

from sttreid.simulate.appearance import Arm, Walk
from sttreid.simulate.body import JOINTS, Floats, arm_at_rest, body
from sttreid.simulate.clothing import Figure
from sttreid.simulate.pieces import CARRYING
from sttreid.simulate.solids import Doubles, compose, turn
from sttreid.simulate.steps import double_step, legs

_X: Final = (1.0, 0.0, 0.0)  # to the person's left
_Y: Final = (0.0, 1.0, 0.0)  # to the back
_Z: Final = (0.0, 0.0, 1.0)  # up


def joint_matrices(figure: Figure, phase: Doubles, position: Doubles, yaw: Doubles, glance: float) -> Floats:
    """Matrices [T, J, 3, 4] from the rest pose to the world.

    `phase` [T] double steps, `position` [T, 2] on the ground in metres, `yaw` [T] heading in radians from
    the x axis, `glance` turn of the head in radians. The lowest sole is on the ground z = 0.
    """
    turns, origins = _posed(figure, phase, glance)
    matrices = np.empty((len(phase), len(JOINTS), 3, 4))
    matrices[..., :3] = turns
    matrices[..., 3] = origins - np.einsum("tjab,jb->tja", turns, figure.joints)
    heading = turn(_Z, yaw + np.pi / 2)  # the rest pose looks along -y
    matrices = np.einsum("tab,tjbc->tjac", heading, matrices)
    matrices[..., :2, 3] += position[:, None]
    return np.asarray(matrices, np.float32)


def progress(figure: Figure, phase: Doubles) -> Doubles:
    """Metres walked from phase 0 to each phase [T], such that the feet on the ground do not slide."""
    return double_step(figure) * phase


def _posed(figure: Figure, phase: Doubles, glance: float) -> tuple[Doubles, Doubles]:
    """Turns [T, J, 3, 3] and origins [T, J, 3] of a body that looks along -y above the origin."""
    below, above = legs(figure, phase), _local_turns(figure, phase, glance)
    turns, origins = np.empty((len(phase), len(JOINTS), 3, 3)), np.empty((len(phase), len(JOINTS), 3))
    for joint, (name, parent) in enumerate(zip(JOINTS, body().parents, strict=True)):
        if name in below.turns:
            turns[:, joint] = below.turns[name]
        else:
            turns[:, joint] = compose(turns[:, parent], above[name]) if name in above else turns[:, parent]
        if parent < 0:
            origins[:, joint] = below.pelvis
        else:
            bone = figure.joints[joint] - figure.joints[parent]
            origins[:, joint] = origins[:, parent] + np.einsum("tab,b->ta", turns[:, parent], bone)
    return turns, origins


def _local_turns(figure: Figure, phase: Doubles, glance: float) -> dict[str, Doubles]:
    """Turns [T or 1, 3, 3] against their parents of the joints above the pelvis that move."""
    walk, cycle = figure.look.walk, 2 * np.pi * phase
    wave = np.cos(cycle)
    nod = turn(_X, walk.nod + walk.bob * np.sin(2 * cycle))
    local = {
        "spine1": compose(turn(_X, walk.lean), turn(_Z, -0.5 * walk.hip_yaw * wave)),
        "spine2": turn(_Y, walk.tilt - walk.hip_drop * np.sin(cycle)),  # the shoulders stay level
        "chest": compose(turn(_Z, -(0.5 * walk.hip_yaw + walk.twist) * wave), turn(_X, walk.hunch)),
        "neck": turn(_X, -walk.hunch - 0.5 * walk.lean),
        "head": compose(nod, turn(_Z, glance + walk.twist * wave)),
    }
    for side, sign, lead, arm in (("L", 1.0, 0.0, walk.left), ("R", -1.0, 0.5, walk.right)):
        local |= _arm(figure, side, sign, phase + lead, arm)
    return local


def _arm(figure: Figure, side: str, sign: float, phase: Doubles, arm: Arm) -> dict[str, Doubles]:
    walk = figure.look.walk
    down, axis, rest = arm_at_rest(side)
    wave = np.cos(2 * np.pi * (phase + 0.5))  # an arm swings with the leg of the other side
    swing, elbow = _arm_angles(walk, wave * (1 + sign * walk.uneven_arms), arm)
    off = max(walk.abduction, figure.spread[0 if sign > 0 else 1])
    spread = turn(_Y, sign * (down - off))
    return {
        "uarm" + side: compose(turn(_X, -swing), spread),
        "larm" + side: turn(axis, elbow - rest),
    }


def _arm_angles(walk: Walk, wave: Doubles, arm: Arm) -> tuple[Doubles, Doubles]:
    """Angle forward of the upper arm and bend of the elbow, [T] each."""
    still = np.zeros_like(wave)
    if arm == Arm.PHONE_IN_FRONT:
        return still + 0.35, still + 1.75
    if arm == Arm.PHONE_AT_EAR:
        return still + 0.75, still + 2.35
    if arm == Arm.IN_POCKET:
        return 0.25 * walk.swing * wave - 0.1, still + 0.75
    if arm == Arm.CARRIES:
        return 0.2 * walk.swing * wave, still + CARRYING
    return walk.swing * wave, walk.elbow + 0.25 * walk.swing * (1 + wave)
