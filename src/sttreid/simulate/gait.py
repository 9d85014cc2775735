"""Walking: joint angles over the phase of a double step, and the joint matrices that they make.

The phase counts double steps: at 0 the left heel strikes, at 0.5 the right one.
"""

from functools import cache
from typing import Final

import numpy as np

from sttreid.simulate.body import JOINT, JOINTS, Floats, body
from sttreid.simulate.clothing import Figure
from sttreid.simulate.looks import Arm, Walk
from sttreid.simulate.solids import Doubles, turn

# Degrees at twelve equal steps of the phase, after the usual curves of gait analysis (flexion positive).
_HIP: Final = (30, 28, 22, 13, 4, -5, -10, -5, 10, 24, 32, 33)
_KNEE: Final = (5, 15, 16, 10, 6, 7, 16, 40, 60, 50, 22, 6)
_ANKLE: Final = (0, -5, 1, 6, 9, 11, 2, -17, -9, -1, 2, 1)
_X: Final = (1.0, 0.0, 0.0)  # to the person's left
_Y: Final = (0.0, 1.0, 0.0)  # to the back
_Z: Final = (0.0, 0.0, 1.0)  # up
_TABLE: Final = 48  # phases of a double step at which the progress is measured
_STEADY: Final = 0.05  # radians that a leg stays bent forward when the stride is short


def joint_matrices(figure: Figure, phase: Doubles, position: Doubles, yaw: Doubles, glance: float) -> Floats:
    """Matrices [T, J, 3, 4] from the rest pose to the world.

    `phase` [T] double steps, `position` [T, 2] on the ground in metres, `yaw` [T] heading in radians from
    the x axis, `glance` turn of the head in radians. The lowest sole stands on the ground z = 0.
    """
    local = _local_turns(figure.look.walk, phase, glance)
    turns, origins = _chain(figure, local, yaw)
    matrices = np.empty((len(phase), len(JOINTS), 3, 4), np.float32)
    matrices[..., :3] = turns
    matrices[..., 3] = origins - np.einsum("tjab,jb->tja", turns, figure.joints)
    matrices[..., 2, 3] -= _lowest_sole(figure, matrices)[:, None]
    matrices[..., :2, 3] += position[:, None]
    return matrices


def progress(figure: Figure, phase: Doubles) -> Doubles:
    """Metres walked from phase 0 to each phase [T], such that the foot on the ground does not slide."""
    table = _progress_table(figure)
    whole = np.floor(phase)
    walked: Doubles = whole * table[-1] + np.interp((phase - whole) * _TABLE, np.arange(_TABLE + 1), table)
    return walked


def _progress_table(figure: Figure) -> Doubles:
    """Progress at _TABLE + 1 phases from 0 to 1: how far the lower foot moves back under the body."""
    phase = np.arange(_TABLE + 1) / _TABLE
    _, origins = _chain(figure, _local_turns(figure.look.walk, phase, 0.0), np.zeros(_TABLE + 1))
    feet = [JOINT["footL"], JOINT["footR"]]
    ahead, height = origins[:, feet, 0], origins[:, feet, 2]
    lower = height[:-1].argmin(1)
    steps = (ahead[:-1] - ahead[1:])[np.arange(_TABLE), lower]
    return np.concatenate([[0.0], np.cumsum(np.maximum(steps, 0))])


def _chain(figure: Figure, local: Doubles, yaw: Doubles) -> tuple[Doubles, Doubles]:
    """Turns [T, J, 3, 3] and origins [T, J, 3] in the world of the joints, the pelvis at the origin."""
    turns, origins = np.empty_like(local), np.zeros((*local.shape[:2], 3))
    heading = turn(_Z, yaw + np.pi / 2)  # the rest pose looks along -y
    for joint, parent in enumerate(body().parents):
        above = heading if parent < 0 else turns[:, parent]
        turns[:, joint] = np.einsum("tab,tbc->tac", above, local[:, joint])
        if parent >= 0:
            bone = figure.joints[joint] - figure.joints[parent]
            origins[:, joint] = origins[:, parent] + np.einsum("tab,b->ta", turns[:, parent], bone)
    return turns, origins


def _local_turns(walk: Walk, phase: Doubles, glance: float) -> Doubles:
    """Turns [T, J, 3, 3] of every joint against its parent."""
    local = np.tile(np.eye(3), (len(phase), len(JOINTS), 1, 1))
    for side, sign, lead, arm in (("L", 1, 0.0, walk.left), ("R", -1, 0.5, walk.right)):
        _leg(local, walk, side, sign, phase + lead)
        _arm(local, walk, side, sign, phase + lead, arm)
    cycle = 2 * np.pi * phase
    sway = walk.hip_yaw * np.cos(cycle)
    local[:, JOINT["pelvis"]] = _compose(turn(_Z, sway), turn(_Y, 0.03 * np.sin(cycle)))
    local[:, JOINT["spine1"]] = _compose(turn(_X, walk.lean), turn(_Z, -0.5 * sway))
    local[:, JOINT["chest"]] = _compose(turn(_Z, -1.3 * sway), turn(_X, walk.hunch))
    local[:, JOINT["neck"]] = turn(_X, -walk.hunch - 0.5 * walk.lean)
    nod = turn(_X, walk.nod + 0.02 * np.sin(2 * cycle))
    local[:, JOINT["head"]] = _compose(nod, turn(_Z, glance + 0.05 * np.sin(cycle)))
    return local


def _leg(local: Doubles, walk: Walk, side: str, sign: int, phase: Doubles) -> None:
    hip = _curve(_HIP, phase) * walk.stride + _STEADY * (1 - walk.stride)
    knee = _curve(_KNEE, phase) * (0.4 + 0.6 * walk.stride) * walk.knee
    ankle = _curve(_ANKLE, phase) * walk.stride * walk.ankle
    local[:, JOINT["thigh" + side]] = _compose(turn(_X, -hip), turn(_Y, sign * walk.base))
    local[:, JOINT["shank" + side]] = turn(_X, knee)
    local[:, JOINT["foot" + side]] = _compose(turn(_X, -ankle), turn(_Z, sign * walk.toe_out))


def _arm(local: Doubles, walk: Walk, side: str, sign: int, phase: Doubles, arm: Arm) -> None:
    down, axis, rest = _arm_at_rest(side)
    wave = np.cos(2 * np.pi * (phase + 0.5))  # an arm swings with the leg of the other side
    swing, elbow = _arm_angles(walk, wave, arm)
    spread = turn(_Y, sign * (down - walk.abduction))
    local[:, JOINT["uarm" + side]] = _compose(turn(_X, -swing), spread)
    local[:, JOINT["larm" + side]] = turn(axis, elbow - rest)


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
        return 0.2 * walk.swing * wave, still + 0.12
    return walk.swing * wave, walk.elbow + 0.25 * walk.swing * (1 + wave)


@cache
def _arm_at_rest(side: str) -> tuple[float, tuple[float, float, float], float]:
    """Angle of the upper arm from straight down, axis of the elbow and its bend, all in the rest pose."""
    joints = body().joints.astype(np.float64)
    upper = joints[JOINT["larm" + side]] - joints[JOINT["uarm" + side]]
    lower = joints[JOINT["hand" + side]] - joints[JOINT["larm" + side]]
    upper, lower = upper / np.linalg.norm(upper), lower / np.linalg.norm(lower)
    axis = np.cross(upper, lower)
    bend = float(np.arctan2(np.linalg.norm(axis), (upper * lower).sum()))
    x, y, z = axis / np.linalg.norm(axis)
    return float(np.arctan2(abs(upper[0]), -upper[2])), (float(x), float(y), float(z)), bend


def _lowest_sole(figure: Figure, matrices: Floats) -> Floats:
    """Height [T] of the lowest point of the shoes."""
    points, weights = figure.vertices[figure.soles], figure.weights[figure.soles]
    rows = matrices[:, figure.influences[figure.soles], 2]  # [T, V, 4 influences, 4]
    height = np.einsum("vk,tvkj,vj->tv", weights, rows[..., :3], points)
    lowest: Floats = (height + np.einsum("vk,tvk->tv", weights, rows[..., 3])).min(1)
    return lowest


def _curve(degrees: tuple[int, ...], phase: Doubles) -> Doubles:
    """Smooth periodic curve through the values, in radians."""
    harmonics = np.fft.rfft(degrees) / len(degrees)
    order = np.arange(1, len(degrees) // 2)
    waves = np.exp(2j * np.pi * phase[:, None] * order) * harmonics[order]
    curve: Doubles = np.deg2rad(harmonics[0].real + 2 * waves.real.sum(1))
    return curve


def _compose(first: Doubles, second: Doubles) -> Doubles:
    """Matrix products of turns [T or 1, 3, 3], the second applied first."""
    product: Doubles = np.einsum("tab,tbc->tac", *np.broadcast_arrays(first, second))
    return product
