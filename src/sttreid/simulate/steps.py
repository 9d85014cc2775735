"""Steps: where the feet stand, roll and swing, and legs that reach from the pelvis to them.

A foot is planted before the legs are bent, so it cannot slide: from its heel's strike to its toe's leave it
rolls over the ground without slipping, as a stiff sole does. The frame is that of the rest pose (x to the
left, y to the back, z up from the ground, metres) around a body that moves forward evenly. The phase counts
double steps: at 0 the left heel strikes, at 0.5 the right one.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.appearance import Walk
from sttreid.simulate.body import JOINT, Z_ANKLE, Z_HIP, Z_KNEE
from sttreid.simulate.clothing import Figure
from sttreid.simulate.pieces import coat_flare
from sttreid.simulate.solids import Doubles, compose, turn

_X: Final = (1.0, 0.0, 0.0)
_Y: Final = (0.0, 1.0, 0.0)
_Z: Final = (0.0, 0.0, 1.0)
_FLAT: Final = 0.09  # phase from the heel's strike to the whole sole on the ground
_RISING: Final = 0.27  # phase from the heel's rise to the toe's leave
_FOLLOWS: Final = 0.05  # phase from the toe's leave to the steepest foot
_READY: Final = 0.05  # phase before the heel's strike from which the foot keeps its pitch
_GRID: Final = np.deg2rad(np.arange(-100.0, 61.0))  # pitches at which the rolling of a sole is measured
_TABLE: Final = 48  # phases of a double step at which the reach of the legs is measured
_HARMONICS: Final = 4  # of the pelvis' height
_REACH: Final = 0.998  # of a leg's full length; nobody walks with locked knees
_KNEE_FOLLOWS: Final = 0.6  # share of the toe-out by which the knee points outward
_SHIFTED: Final = 0.3  # phase, of the foot's own, at which the pelvis is furthest over a foot


@dataclass(frozen=True)
class Legs:
    """Pelvis and legs over T phases."""

    pelvis: Doubles  # [T, 3] its place
    turns: dict[str, Doubles]  # joint -> [T, 3, 3] from the rest pose


@dataclass(frozen=True)
class _Foot:
    """One foot and its part in the walk."""

    side: str
    sign: float  # 1 left, -1 right
    lead: float  # what makes the foot's own phase, 0 at its heel's strike, of the body's
    ahead: float  # metres by which it stands further forward than an even walk would have it
    toe_out: float
    sole: Doubles  # [S, 2] to the back and up from the ankle
    rolled: Doubles  # [len(_GRID)] metres by which the ankle lies forward of where it is on a flat foot


def double_step(figure: Figure) -> float:
    """Length of a double step in metres."""
    return figure.look.walk.stride * figure.leg


def legs(figure: Figure, phase: Doubles) -> Legs:
    """Pelvis and legs at the phases [T]."""
    walk, feet = figure.look.walk, _feet(figure)
    ankles = [_ankle(figure, foot, phase) for foot in feet]
    turns = {"pelvis": _pelvis_turn(walk, phase)}
    pelvis = np.stack([_sway(walk, phase), np.zeros(len(phase)), _height(figure, feet, phase)], 1)
    for foot, (ankle, sole) in zip(feet, ankles, strict=True):
        hip = pelvis + _hip(figure, foot, turns["pelvis"])
        thigh, shank = _reached(figure, foot, ankle - hip)
        turns |= {"thigh" + foot.side: thigh, "shank" + foot.side: shank, "foot" + foot.side: sole}
    front, back = _swept(figure, turns)
    return Legs(pelvis, turns | {"sheetF": turn(_X, -front), "sheetB": turn(_X, -back)})


def _feet(figure: Figure) -> list[_Foot]:
    walk = figure.look.walk
    feet = []
    for side, sign, lead in (("L", 1.0, 0.0), ("R", -1.0, 0.5)):
        points = figure.vertices[figure.soles].astype(np.float64)
        sole = (points[points[:, 0] * sign > 0] - figure.joints[JOINT["foot" + side]])[:, 1:]
        toe_out = walk.toe_out + sign * walk.uneven_toes
        feet.append(_Foot(side, sign, lead, sign * walk.uneven_step, toe_out, sole, _rolled(sole)))
    return feet


def _rolled(sole: Doubles) -> Doubles:
    """Where the ankle comes to lie as the sole rolls: its lowest point stays where it is."""
    back, up = _pitched(sole, _GRID)
    lowest = (up[1:] + up[:-1]).argmin(1)
    pairs = np.arange(len(lowest))
    way = np.concatenate([[0.0], np.cumsum(back[pairs + 1, lowest] - back[pairs, lowest])])
    rolled: Doubles = way - np.interp(0.0, _GRID, way)
    return rolled


def _pitched(sole: Doubles, pitch: Doubles) -> tuple[Doubles, Doubles]:
    """To the back and up from the ankle, [T, S] each, of a sole with its toe raised by `pitch`."""
    cosine, sine = np.cos(pitch)[:, None], np.sin(pitch)[:, None]
    return sole[:, 0] * cosine + sole[:, 1] * sine, sole[:, 1] * cosine - sole[:, 0] * sine


def _pitch(walk: Walk, own: Doubles) -> Doubles:
    """How far the toe is raised, radians [T]: at the strike, on the flat sole, at the leave, in the air."""
    knots = (0.0, _FLAT, walk.stance - _RISING, walk.stance + _FOLLOWS, 1 - _READY, 1.0)
    values = np.array([walk.strike, 0.0, 0.0, -walk.push, walk.strike, walk.strike])
    place = np.clip(np.searchsorted(knots, own, side="right") - 1, 0, len(knots) - 2)
    start, end = np.take(knots, place), np.take(knots, place + 1)
    eased = _eased((own - start) / (end - start))
    pitch: Doubles = values[place] * (1 - eased) + values[place + 1] * eased
    return pitch


def _ankle(figure: Figure, foot: _Foot, phase: Doubles) -> tuple[Doubles, Doubles]:
    """Place [T, 3] of an ankle and turn [T, 3, 3] of its foot."""
    walk, length = figure.look.walk, double_step(figure)
    own = (phase + foot.lead) % 1
    swing = np.clip((own - walk.stance) / (1 - walk.stance), 0, 1)
    raised = np.sin(np.pi * swing) ** 2
    pitch = _pitch(walk, own)
    up = -_pitched(foot.sole, pitch)[1].min(1) + walk.lift * raised
    forward = (walk.reach - own + _eased(swing)) * length + foot.ahead
    along = _along(walk, foot, own, pitch, swing)  # the foot's own direction
    place = np.stack(
        [
            foot.sign * (walk.base + walk.circle * raised + along * np.sin(foot.toe_out)),
            -forward - along * np.cos(foot.toe_out),
            up,
        ],
        1,
    )
    return place, compose(turn(_Z, foot.sign * foot.toe_out), turn(_X, -pitch))


def _along(walk: Walk, foot: _Foot, own: Doubles, pitch: Doubles, swing: Doubles) -> Doubles:
    """Metres [T] by which rolling has moved the ankle along the foot; in the air, between two rollings."""
    ends = np.array([walk.stance - 1e-3, walk.stance, 1.0])
    before, last, following = np.interp(_pitch(walk, ends), _GRID, foot.rolled)
    slope = (last - before) / 1e-3 * (1 - walk.stance)
    in_air = last + (following - last) * _eased(swing) + slope * swing * (1 - swing) ** 2
    return np.where(own < walk.stance, np.interp(pitch, _GRID, foot.rolled), in_air)


def _pelvis_turn(walk: Walk, phase: Doubles) -> Doubles:
    cycle = 2 * np.pi * phase
    return compose(turn(_Z, walk.hip_yaw * np.cos(cycle)), turn(_Y, walk.hip_drop * np.sin(cycle)))


def _sway(walk: Walk, phase: Doubles) -> Doubles:
    """Metres [T] by which the pelvis lies to the left: over the standing foot."""
    sway: Doubles = walk.sway * np.cos(2 * np.pi * (phase - _SHIFTED))
    return sway


def _height(figure: Figure, feet: list[_Foot], phase: Doubles) -> Doubles:
    """Height [T] of the pelvis: as high as both legs allow, smoothed, and evened as the walk has it."""
    walk, table = figure.look.walk, np.arange(_TABLE) / _TABLE
    turned, sway = _pelvis_turn(walk, table), _sway(walk, table)
    limits = []
    for foot in feet:
        hip = _hip(figure, foot, turned)
        apart = _ankle(figure, foot, table)[0] - hip
        apart[:, 0] -= sway
        level = apart[:, 0] ** 2 + apart[:, 1] ** 2
        limits.append(apart[:, 2] + np.sqrt(np.maximum((_REACH * _longest(figure, foot)) ** 2 - level, 0.0)))
    limit = np.min(limits, axis=0)
    waves = np.fft.rfft(limit)[: _HARMONICS + 1] / _TABLE
    waves[1:] *= 2 * walk.bounce
    highest = (_series(waves, table) - limit).max()
    height: Doubles = _series(waves, phase) - highest
    return height


def _series(waves: NDArray[np.complex128], phase: Doubles) -> Doubles:
    order = np.arange(len(waves))
    value: Doubles = (waves * np.exp(2j * np.pi * phase[:, None] * order)).real.sum(1)
    return value


def _hip(figure: Figure, foot: _Foot, pelvis: Doubles) -> Doubles:
    """From the pelvis to a hip, [T, 3]."""
    bone = figure.joints[JOINT["thigh" + foot.side]] - figure.joints[JOINT["pelvis"]]
    hip: Doubles = np.einsum("tab,b->ta", pelvis, bone)
    return hip


def _bones(figure: Figure, foot: _Foot) -> tuple[Doubles, Doubles]:
    """Thigh and shank [3] in the rest pose."""
    hip, knee, ankle = (
        figure.joints[JOINT[name + foot.side]].astype(np.float64) for name in ("thigh", "shank", "foot")
    )
    return knee - hip, ankle - knee


def _longest(figure: Figure, foot: _Foot) -> float:
    """From the hip to the ankle with the knee straight."""
    constant, swing, _ = _law_of_cosines(figure, foot)
    return float(np.sqrt(constant + swing))


def _law_of_cosines(figure: Figure, foot: _Foot) -> tuple[float, float, float]:
    """a, b and c of the squared distance a + b cos(knee - c) from hip to ankle at a turn of the knee."""
    thigh, shank = _bones(figure, foot)
    cosine = 2 * (thigh[1] * shank[1] + thigh[2] * shank[2])
    sine = 2 * (thigh[2] * shank[1] - thigh[1] * shank[2])
    constant = (thigh**2).sum() + (shank**2).sum() + 2 * thigh[0] * shank[0]
    return float(constant), float(np.hypot(cosine, sine)), float(np.arctan2(sine, cosine))


def _reached(figure: Figure, foot: _Foot, way: Doubles) -> tuple[Doubles, Doubles]:
    """Turns [T, 3, 3] of thigh and shank that take the ankle to `way` [T, 3] from the hip."""
    thigh, shank = _bones(figure, foot)
    constant, swing, straight = _law_of_cosines(figure, foot)
    knee = straight + np.arccos(np.clip(((way**2).sum(1) - constant) / swing, -1, 1))
    bend = turn(_X, knee)
    bent = thigh + np.einsum("tab,b->ta", bend, shank)
    outward = turn(_Z, foot.sign * _KNEE_FOLLOWS * foot.toe_out)[:, :, 0]
    here, there = _frames(bent, np.array([_X])), _frames(way, outward)
    turned = np.einsum("tab,tcb->tac", there, here)
    return turned, compose(turned, bend)


def _swept(figure: Figure, turns: dict[str, Doubles]) -> tuple[Doubles, Doubles]:
    """How far forward, radians [T] each, the legs hold the front and the back of what hangs around them."""
    look = figure.look
    share = float(np.clip((Z_KNEE - look.lowest_hem) / (Z_KNEE - Z_ANKLE), 0, 1))
    flare = coat_flare(look) if look.coated else look.bottom.flare * look.bottom.skirt
    slack = np.arctan(flare / max(Z_HIP - look.lowest_hem, 0.1))  # a wide hem is out of the legs' way
    front, back = [], []
    for side in "LR":
        hip, knee, ankle = (figure.joints[JOINT[name + side]] for name in ("thigh", "shank", "foot"))
        to_knee = np.einsum("tab,b->ta", turns["thigh" + side], knee - hip)
        to_hem = to_knee + share * np.einsum("tab,b->ta", turns["shank" + side], ankle - knee)
        upper, whole = (np.arctan2(-point[:, 1], -point[:, 2]) for point in (to_knee, to_hem))
        front.append((upper + whole) / 2)  # from a raised knee cloth hangs straight down
        back.append(np.minimum(upper, whole))
    return np.maximum(np.max(front, axis=0) - slack, 0), np.minimum(np.min(back, axis=0) + slack, 0)


def _frames(along: Doubles, aside: Doubles) -> Doubles:
    """Bases [T, 3, 3] whose first column is `along` [T, 3] and whose second is towards `aside` [1, 3]."""
    first = along / np.sqrt((along**2).sum(1, keepdims=True))
    second = aside - first * (first * aside).sum(1, keepdims=True)
    second /= np.sqrt((second**2).sum(1, keepdims=True))
    return np.stack([first, second, np.cross(first, second)], 2)


def _eased(share: Doubles) -> Doubles:
    """From 0 to 1 with a slow start and a slow end."""
    eased: Doubles = share * share * (3 - 2 * share)
    return eased
