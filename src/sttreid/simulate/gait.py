"""The walk: feet, legs, trunk and arms over the phase of a double step, as joint matrices.

The phase counts double steps: at 0 the left heel strikes, at 0.5 the right one. A foot is placed before the
legs are bent, so it cannot slide: from heel strike to toe off it rolls over the ground without slipping, like
a stiff sole. Below _posed, coordinates are those of the rest pose (x to the person's left, y to the back, z
up from the ground, metres) around a body that moves forward at constant speed.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.appearance import ArmPose, Gait
from sttreid.simulate.attachments import CARRYING, coat_flare
from sttreid.simulate.body import JOINT, JOINTS, Z_ANKLE, Z_HIP, Z_KNEE, arm_at_rest, body
from sttreid.simulate.geometry import Doubles, Floats, compose, turn
from sttreid.simulate.pedestrian import KEPT, Pedestrian

_X: Final = (1.0, 0.0, 0.0)  # to the person's left
_Y: Final = (0.0, 1.0, 0.0)  # to the back
_Z: Final = (0.0, 0.0, 1.0)  # up
_FLAT: Final = 0.09  # phase from heel strike to the flat sole
_RISING: Final = 0.27  # phase from heel rise to toe off
_FOLLOWS: Final = 0.05  # phase from toe off to the steepest foot
_READY: Final = 0.05  # phase before heel strike in which the foot keeps its pitch
_GRID: Final = np.deg2rad(np.arange(-100.0, 61.0))  # pitches at which the rolling of a sole is tabulated
_TABLE: Final = 48  # phases of a double step at which the reach of the legs is tabulated
_HARMONICS: Final = 4  # of the height of the pelvis
_REACH: Final = 0.998  # of the full length of a leg: knees are never locked
_KNEE_FOLLOWS: Final = 0.6  # share of the toe-out by which the knee points outward
_SHIFTED: Final = 0.3  # phase of a foot at which the pelvis is furthest over it


@dataclass(frozen=True)
class Legs:
    """Pelvis and legs over T phases."""

    pelvis: Doubles  # [T, 3] its position
    turns: dict[str, Doubles]  # joint -> [T, 3, 3] from the rest pose


@dataclass(frozen=True)
class _Foot:
    """One foot and its parameters."""

    side: str
    sign: float  # 1 left, -1 right
    lead: float  # added to the phase of the body, gives the phase of the foot: 0 at its heel strike
    ahead: float  # metres by which it is set further forward than in an even walk
    toe_out: float
    sole: Doubles  # [S, 2] relative to the ankle: to the back and up
    rolled: Doubles  # [len(_GRID)] metres by which rolling moves the ankle forward


def joint_matrices(
    pedestrian: Pedestrian, phase: Doubles, position: Doubles, yaw: Doubles, glance: float
) -> Floats:
    """Matrices [T, J, 3, 4] from the rest pose to the world.

    Args:
        pedestrian: the pedestrian.
        phase: [T] double steps.
        position: [T, 2] on the ground, metres.
        yaw: [T] heading from the x axis, radians.
        glance: turn of the head, radians.

    The lowest sole is on the ground z = 0.
    """
    turns, origins = _posed(pedestrian, phase, glance)
    matrices = np.empty((len(phase), len(JOINTS), 3, 4))
    matrices[..., :3] = turns
    matrices[..., 3] = origins - np.einsum("tjab,jb->tja", turns, pedestrian.joints)
    heading = turn(_Z, yaw + np.pi / 2)  # the rest pose faces -y
    matrices = np.einsum("tab,tjbc->tjac", heading, matrices)
    matrices[..., :2, 3] += position[:, None]
    return np.asarray(matrices, np.float32)


def distance_walked(pedestrian: Pedestrian, phase: Doubles) -> Doubles:
    """Metres [T] walked from phase 0 to each phase [T], so that feet on the ground do not slide."""
    return double_step(pedestrian) * phase


def _posed(pedestrian: Pedestrian, phase: Doubles, glance: float) -> tuple[Doubles, Doubles]:
    """Rotations [T, J, 3, 3] and origins [T, J, 3] of the joints of a body above the origin that faces -y."""
    below, above = legs(pedestrian, phase), _local_turns(pedestrian, phase, glance)
    turns, origins = np.empty((len(phase), len(JOINTS), 3, 3)), np.empty((len(phase), len(JOINTS), 3))
    for joint, (name, parent) in enumerate(zip(JOINTS, body().parents, strict=True)):
        if name in below.turns:
            turns[:, joint] = below.turns[name]
        else:
            turns[:, joint] = compose(turns[:, parent], above[name]) if name in above else turns[:, parent]
        if parent < 0:
            origins[:, joint] = below.pelvis
        else:
            bone = pedestrian.joints[joint] - pedestrian.joints[parent]
            origins[:, joint] = origins[:, parent] + np.einsum("tab,b->ta", turns[:, parent], bone)
    return turns, origins


def _local_turns(pedestrian: Pedestrian, phase: Doubles, glance: float) -> dict[str, Doubles]:
    """Rotations [T or 1, 3, 3], relative to their parents, of the moving joints above the pelvis."""
    gait, cycle = pedestrian.appearance.gait, 2 * np.pi * phase
    wave = np.cos(cycle)
    nod = turn(_X, gait.nod + gait.bob * np.sin(2 * cycle))
    local = {
        "spine1": compose(turn(_X, gait.lean), turn(_Z, -0.5 * gait.hip_yaw * wave)),
        "spine2": turn(_Y, gait.tilt - gait.hip_drop * np.sin(cycle)),  # the shoulders stay level
        "chest": compose(turn(_Z, -(0.5 * gait.hip_yaw + gait.twist) * wave), turn(_X, gait.hunch)),
        "neck": turn(_X, -gait.hunch - 0.5 * gait.lean),
        "head": compose(nod, turn(_Z, glance + gait.twist * wave)),
    }
    for side, sign, lead, arm in (("L", 1.0, 0.0, gait.left), ("R", -1.0, 0.5, gait.right)):
        local |= _arm(pedestrian, side, sign, phase + lead, arm)
    return local


def _arm(pedestrian: Pedestrian, side: str, sign: float, phase: Doubles, arm: ArmPose) -> dict[str, Doubles]:
    gait = pedestrian.appearance.gait
    down, axis, rest = arm_at_rest(side)
    wave = np.cos(2 * np.pi * (phase + 0.5))  # an arm swings with the opposite leg
    swing, elbow = _arm_angles(gait, wave * (1 + sign * gait.uneven_arms), arm)
    abduction = max(gait.abduction, pedestrian.arm_clearance[0 if sign > 0 else 1])
    sideways = turn(_Y, sign * (down - abduction))
    return {
        "uarm" + side: compose(turn(_X, -swing), sideways),
        "larm" + side: turn(axis, elbow - rest),
    }


def _arm_angles(gait: Gait, wave: Doubles, arm: ArmPose) -> tuple[Doubles, Doubles]:
    """Forward angle of the upper arm and bend of the elbow, [T] each, radians."""
    still = np.zeros_like(wave)
    if arm == ArmPose.PHONE_IN_FRONT:
        return still + 0.35, still + 1.75
    if arm == ArmPose.PHONE_AT_EAR:
        return still + 0.75, still + 2.35
    if arm == ArmPose.IN_POCKET:
        return 0.25 * gait.swing * wave - 0.1, still + 0.75
    if arm == ArmPose.CARRIES:
        return 0.2 * gait.swing * wave, still + CARRYING
    return gait.swing * wave, gait.elbow + 0.25 * gait.swing * (1 + wave)


def double_step(pedestrian: Pedestrian) -> float:
    """Length of a double step in metres."""
    return pedestrian.appearance.gait.stride * pedestrian.leg


def legs(pedestrian: Pedestrian, phase: Doubles) -> Legs:
    """Pelvis and legs at the phases [T]."""
    gait, feet = pedestrian.appearance.gait, _feet(pedestrian)
    ankles = [_ankle(pedestrian, foot, phase) for foot in feet]
    turns = {"pelvis": _pelvis_turn(gait, phase)}
    pelvis = np.stack([_sway(gait, phase), np.zeros(len(phase)), _height(pedestrian, phase)], 1)
    for foot, (ankle, sole) in zip(feet, ankles, strict=True):
        hip = pelvis + _hip(pedestrian, foot, turns["pelvis"])
        thigh, shank = _reached(pedestrian, foot, ankle - hip)
        turns |= {"thigh" + foot.side: thigh, "shank" + foot.side: shank, "foot" + foot.side: sole}
    front, back = _swept(pedestrian, turns)
    return Legs(pelvis, turns | {"sheetF": turn(_X, -front), "sheetB": turn(_X, -back)})


@lru_cache(KEPT)
def _feet(pedestrian: Pedestrian) -> tuple[_Foot, ...]:
    gait = pedestrian.appearance.gait
    feet = []
    for side, sign, lead in (("L", 1.0, 0.0), ("R", -1.0, 0.5)):
        points = pedestrian.vertices[pedestrian.soles].astype(np.float64)
        sole = (points[points[:, 0] * sign > 0] - pedestrian.joints[JOINT["foot" + side]])[:, 1:]
        toe_out = gait.toe_out + sign * gait.uneven_toes
        feet.append(_Foot(side, sign, lead, sign * gait.uneven_step, toe_out, sole, _rolled(sole)))
    return tuple(feet)


def _rolled(sole: Doubles) -> Doubles:
    """Forward motion [len(_GRID)] of the ankle as the sole rolls without slipping."""
    back, up = _pitched(sole, _GRID)
    lowest = (up[1:] + up[:-1]).argmin(1)
    pairs = np.arange(len(lowest))
    forward = np.concatenate([[0.0], np.cumsum(back[pairs + 1, lowest] - back[pairs, lowest])])
    rolled: Doubles = forward - np.interp(0.0, _GRID, forward)
    return rolled


def _pitched(sole: Doubles, pitch: Doubles) -> tuple[Doubles, Doubles]:
    """A sole with its toe raised by ``pitch`` [T], relative to the ankle: to the back and up, [T, S] each."""
    cosine, sine = np.cos(pitch)[:, None], np.sin(pitch)[:, None]
    return sole[:, 0] * cosine + sole[:, 1] * sine, sole[:, 1] * cosine - sole[:, 0] * sine


def _pitch(gait: Gait, foot_phase: Doubles) -> Doubles:
    """Angle [T] of the raised toe, radians, from heel strike over flat sole and toe off to swing."""
    knots = (0.0, _FLAT, gait.stance - _RISING, gait.stance + _FOLLOWS, 1 - _READY, 1.0)
    values = np.array([gait.strike, 0.0, 0.0, -gait.push, gait.strike, gait.strike])
    segment = np.clip(np.searchsorted(knots, foot_phase, side="right") - 1, 0, len(knots) - 2)
    start, end = np.take(knots, segment), np.take(knots, segment + 1)
    eased = _eased((foot_phase - start) / (end - start))
    pitch: Doubles = values[segment] * (1 - eased) + values[segment + 1] * eased
    return pitch


def _ankle(pedestrian: Pedestrian, foot: _Foot, phase: Doubles) -> tuple[Doubles, Doubles]:
    """Position [T, 3] of an ankle and rotation [T, 3, 3] of its foot."""
    gait, length = pedestrian.appearance.gait, double_step(pedestrian)
    foot_phase = (phase + foot.lead) % 1
    swing = np.clip((foot_phase - gait.stance) / (1 - gait.stance), 0, 1)
    raised = np.sin(np.pi * swing) ** 2
    pitch = _pitch(gait, foot_phase)
    up = -_pitched(foot.sole, pitch)[1].min(1) + gait.lift * raised
    forward = (gait.reach - foot_phase + _eased(swing)) * length + foot.ahead
    along = _along(gait, foot, foot_phase, pitch, swing)  # in the direction of the foot
    position = np.stack(
        [
            foot.sign * (gait.base + gait.circle * raised + along * np.sin(foot.toe_out)),
            -forward - along * np.cos(foot.toe_out),
            up,
        ],
        1,
    )
    return position, compose(turn(_Z, foot.sign * foot.toe_out), turn(_X, -pitch))


def _along(gait: Gait, foot: _Foot, foot_phase: Doubles, pitch: Doubles, swing: Doubles) -> Doubles:
    """Metres [T] by which rolling has moved the ankle along the foot; interpolated during the swing."""
    ends = np.array([gait.stance - 1e-3, gait.stance, 1.0])
    before, last, following = np.interp(_pitch(gait, ends), _GRID, foot.rolled)
    slope = (last - before) / 1e-3 * (1 - gait.stance)
    in_air = last + (following - last) * _eased(swing) + slope * swing * (1 - swing) ** 2
    return np.where(foot_phase < gait.stance, np.interp(pitch, _GRID, foot.rolled), in_air)


def _pelvis_turn(gait: Gait, phase: Doubles) -> Doubles:
    cycle = 2 * np.pi * phase
    return compose(turn(_Z, gait.hip_yaw * np.cos(cycle)), turn(_Y, gait.hip_drop * np.sin(cycle)))


def _sway(gait: Gait, phase: Doubles) -> Doubles:
    """Metres [T] by which the pelvis is displaced to the left, toward the standing foot."""
    sway: Doubles = gait.sway * np.cos(2 * np.pi * (phase - _SHIFTED))
    return sway


def _height(pedestrian: Pedestrian, phase: Doubles) -> Doubles:
    """Height [T] of the pelvis: as high as both legs allow, smoothed, its motion scaled by ``bounce``."""
    waves, highest = _rise(pedestrian)
    height: Doubles = _series(waves, phase) - highest
    return height


@lru_cache(KEPT)
def _rise(pedestrian: Pedestrian) -> tuple[NDArray[np.complex128], float]:
    """The waves of the height of the pelvis over a double step, and what they must be lowered by, metres."""
    gait, table = pedestrian.appearance.gait, np.arange(_TABLE) / _TABLE
    turned, sway = _pelvis_turn(gait, table), _sway(gait, table)
    limits = []
    for foot in _feet(pedestrian):
        hip = _hip(pedestrian, foot, turned)
        apart = _ankle(pedestrian, foot, table)[0] - hip
        apart[:, 0] -= sway
        level = apart[:, 0] ** 2 + apart[:, 1] ** 2
        reach = _REACH * _longest(pedestrian, foot)
        limits.append(apart[:, 2] + np.sqrt(np.maximum(reach**2 - level, 0.0)))
    limit = np.min(limits, axis=0)
    waves = np.fft.rfft(limit)[: _HARMONICS + 1] / _TABLE
    waves[1:] *= 2 * gait.bounce
    return waves, (_series(waves, table) - limit).max()


def _series(waves: NDArray[np.complex128], phase: Doubles) -> Doubles:
    order = np.arange(len(waves))
    value: Doubles = (waves * np.exp(2j * np.pi * phase[:, None] * order)).real.sum(1)
    return value


def _hip(pedestrian: Pedestrian, foot: _Foot, pelvis: Doubles) -> Doubles:
    """Vector [T, 3] from the pelvis to a hip."""
    bone = pedestrian.joints[JOINT["thigh" + foot.side]] - pedestrian.joints[JOINT["pelvis"]]
    hip: Doubles = np.einsum("tab,b->ta", pelvis, bone)
    return hip


def _bones(pedestrian: Pedestrian, foot: _Foot) -> tuple[Doubles, Doubles]:
    """Thigh and shank, vectors [3] in the rest pose."""
    hip, knee, ankle = (
        pedestrian.joints[JOINT[name + foot.side]].astype(np.float64) for name in ("thigh", "shank", "foot")
    )
    return knee - hip, ankle - knee


def _longest(pedestrian: Pedestrian, foot: _Foot) -> float:
    """Distance from hip to ankle with a straight knee."""
    constant, swing, _ = _law_of_cosines(pedestrian, foot)
    return float(np.sqrt(constant + swing))


def _law_of_cosines(pedestrian: Pedestrian, foot: _Foot) -> tuple[float, float, float]:
    """a, b, c of the squared distance a + b cos(knee - c) between hip and ankle at a knee angle."""
    thigh, shank = _bones(pedestrian, foot)
    cosine = 2 * (thigh[1] * shank[1] + thigh[2] * shank[2])
    sine = 2 * (thigh[2] * shank[1] - thigh[1] * shank[2])
    constant = (thigh**2).sum() + (shank**2).sum() + 2 * thigh[0] * shank[0]
    return float(constant), float(np.hypot(cosine, sine)), float(np.arctan2(sine, cosine))


def _reached(pedestrian: Pedestrian, foot: _Foot, to_ankle: Doubles) -> tuple[Doubles, Doubles]:
    """Rotations [T, 3, 3] of thigh and shank that put the ankle at ``to_ankle`` [T, 3] from the hip."""
    thigh, shank = _bones(pedestrian, foot)
    constant, swing, straight = _law_of_cosines(pedestrian, foot)
    knee = straight + np.arccos(np.clip(((to_ankle**2).sum(1) - constant) / swing, -1, 1))
    bend = turn(_X, knee)
    bent = thigh + np.einsum("tab,b->ta", bend, shank)
    outward = turn(_Z, foot.sign * _KNEE_FOLLOWS * foot.toe_out)[:, :, 0]
    from_basis, to_basis = _frames(bent, np.array([_X])), _frames(to_ankle, outward)
    turned = np.einsum("tab,tcb->tac", to_basis, from_basis)
    return turned, compose(turned, bend)


def _swept(pedestrian: Pedestrian, turns: dict[str, Doubles]) -> tuple[Doubles, Doubles]:
    """Forward angles [T] of the front and the back of a skirt or coat, as the legs push them, radians."""
    appearance = pedestrian.appearance
    share = float(np.clip((Z_KNEE - appearance.lowest_hem) / (Z_KNEE - Z_ANKLE), 0, 1))
    flare = coat_flare(appearance) if appearance.coated else appearance.bottom.flare * appearance.bottom.skirt
    slack = np.arctan(flare / max(Z_HIP - appearance.lowest_hem, 0.1))  # legs move freely inside a wide hem
    front, back = [], []
    for side in "LR":
        hip, knee, ankle = (pedestrian.joints[JOINT[name + side]] for name in ("thigh", "shank", "foot"))
        to_knee = np.einsum("tab,b->ta", turns["thigh" + side], knee - hip)
        to_hem = to_knee + share * np.einsum("tab,b->ta", turns["shank" + side], ankle - knee)
        upper, whole = (np.arctan2(-point[:, 1], -point[:, 2]) for point in (to_knee, to_hem))
        front.append((upper + whole) / 2)  # cloth hangs vertically from a raised knee
        back.append(np.minimum(upper, whole))
    return np.maximum(np.max(front, axis=0) - slack, 0), np.minimum(np.min(back, axis=0) + slack, 0)


def _frames(along: Doubles, aside: Doubles) -> Doubles:
    """Bases [T, 3, 3] with first column along ``along`` [T, 3], second toward ``aside`` [1 or T, 3]."""
    first = along / np.sqrt((along**2).sum(1, keepdims=True))
    second = aside - first * (first * aside).sum(1, keepdims=True)
    second /= np.sqrt((second**2).sum(1, keepdims=True))
    return np.stack([first, second, np.cross(first, second)], 2)


def _eased(share: Doubles) -> Doubles:
    """Smooth step from 0 to 1."""
    eased: Doubles = share * share * (3 - 2 * share)
    return eased
