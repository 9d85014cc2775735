"""The colour of every point of a dressed person: patterns, prints and the layout of the garments (compiled).

Points are given in canonical coordinates (sttreid.simulate.body): x to the left, y to the back, z up,
metres, plus the limb coordinate `a` (0 shoulder or hip, 1 elbow or knee, 2 wrist or ankle).
"""

from enum import IntEnum
from typing import Any, Final

import numpy as np

from sttreid.simulate.body import Z_ANKLE, Z_NECK, Z_TOP, Floats, Part
from sttreid.simulate.kernels import kernel
from sttreid.simulate.noise import frac, lattice, smooth

MATERIAL: Final = np.dtype(
    [
        ("seed", "i4"), ("skin", "f4", 3), ("hair", "f4", 3),
        ("hairline", "f4"), ("beard", "i4"), ("mask", "i4"), ("mask_colour", "f4", 3),
        ("hat", "i4"), ("hat_colour", "f4", 3), ("scarf", "i4"), ("scarf_colour", "f4", 3),
        ("top", "f4", 3), ("top_second", "f4", 3), ("inner", "f4", 3),
        ("top_pattern", "i4"), ("top_frequency", "f4"), ("phase", "f4"),
        ("sleeve", "f4"), ("hem", "f4"), ("opening", "f4"), ("neckline", "f4"), ("fabric", "f4"),
        ("logo", "i4"), ("logo_height", "f4"), ("logo_size", "f4"), ("logo_colour", "f4", 3),
        ("bottom", "f4", 3), ("bottom_second", "f4", 3), ("bottom_pattern", "i4"), ("bottom_frequency", "f4"),
        ("length", "f4"), ("skirt", "i4"), ("skirt_hem", "f4"), ("belt", "i4"),
        ("shoe", "f4", 3), ("shoe_top", "f4"), ("sole", "f4", 3), ("sock_top", "f4"),
        ("backpack", "i4"), ("backpack_colour", "f4", 3), ("strap_side", "f4"), ("bag_colour", "f4", 3),
    ],
    align=True,
)  # fmt: skip


class Pattern(IntEnum):
    """How the two colours of a garment are laid out."""

    PLAIN = 0
    RINGS = 1
    STRIPES = 2
    CHECKS = 3
    DOTS = 4
    FADE = 5
    YOKE = 6
    HALVES = 7
    CAMOUFLAGE = 8
    TARTAN = 9
    DIAGONALS = 10
    CHEST_BAND = 11
    MELANGE = 12
    WIDE_RINGS = 13
    SIDE_STRIPE = 20


class Logo(IntEnum):
    """Prints on the front; those above BOX are on the back as well."""

    NONE = 0
    DISC = 1
    BOX = 2
    TEXT = 3
    DIAMOND = 4
    PICTURE = 5
    RING = 6


class Surface(IntEnum):
    """What a point of the body turns out to be covered with."""

    SKIN = 0
    TOP = 1
    BOTTOM = 2
    SHOE = 3
    SOLE = 4
    HAIR = 5
    SOCK = 6


PATTERNS: Final = 14  # patterns 0 to 13 may be drawn for any garment
SIDE_STRIPE: Final = int(Pattern.SIDE_STRIPE)
_DARK: Final = np.array([0.055, 0.045, 0.04], np.float32)  # eyes, eyebrows and belts


@kernel
def pattern(kind: int, u: float, v: float, y: float, frequency: float, phase: float, seed: int) -> float:
    """Share of the second colour at `u` metres across and `v` metres up; `y` is below 0 in front."""
    if kind == Pattern.RINGS:
        return 1.0 if frac(v * frequency + phase) < 0.5 else 0.0
    if kind == Pattern.STRIPES:
        return 1.0 if frac(u * frequency + phase) < 0.5 else 0.0
    if kind == Pattern.CHECKS:
        across = 0.5 if frac(u * frequency + phase) < 0.5 else 0.0
        return across + (0.5 if frac(v * frequency + phase) < 0.5 else 0.0)
    if kind == Pattern.DOTS:
        a, b = frac(u * frequency) - 0.5, frac(v * frequency) - 0.5
        return 1.0 if a * a + b * b < 0.08 else 0.0
    if kind == Pattern.FADE:
        return min(1.0, max(0.0, (v - 0.2) / 0.45))
    if kind == Pattern.YOKE:
        return 1.0 if v > 0.42 + 0.2 * phase else 0.0
    if kind == Pattern.HALVES:
        return 1.0 if u > 0 else 0.0
    if kind == Pattern.CAMOUFLAGE:
        n = smooth(u * frequency * 0.9 + 7.3, v * frequency * 0.9 + (3.1 if y > 0 else 0.0), seed)
        return 1.0 if n > 0.55 else (0.45 if n > 0.42 else 0.0)
    if kind == Pattern.TARTAN:
        a, b = frac(u * frequency * 0.7 + phase), frac(v * frequency * 0.7)
        return 1.0 if a < 0.12 or b < 0.12 else (0.3 if a < 0.5 else 0.0)
    if kind == Pattern.DIAGONALS:
        return 1.0 if frac((u + v) * frequency * 0.7 + phase) < 0.5 else 0.0
    if kind == Pattern.CHEST_BAND:
        return 1.0 if 0.40 + 0.1 * phase < v < 0.52 + 0.1 * phase else 0.0
    if kind == Pattern.MELANGE:
        return 1.0 if smooth(u * 40, v * 40, seed) > 0.62 else 0.0
    if kind == Pattern.WIDE_RINGS:
        return 1.0 if frac(v * frequency * 0.35 + phase) < 0.22 else 0.0
    if kind == Pattern.SIDE_STRIPE:
        return 1.0 if abs(y + 0.01) < 0.022 and abs(u) > 0.1 else 0.0
    return 0.0


@kernel
def printed(kind: int, x: float, z: float, seed: int) -> bool:
    """Whether a print covers the point `x`, `z` from its centre, in units of its size."""
    if kind == Logo.DISC:
        return x * x + z * z < 1
    if kind == Logo.BOX:
        return abs(x) < 1.3 and abs(z) < 0.8
    if kind == Logo.TEXT:
        line = z * 1.6 + 0.3
        letter = lattice(int(np.floor(x * 4)), int(np.floor(line)), seed) > 0.3
        return abs(x) < 1.6 and abs(z) < 0.9 and frac(line) < 0.55 and letter
    if kind == Logo.DIAMOND:
        return abs(x) + abs(z) < 1.2
    if kind == Logo.PICTURE:
        inside = abs(x) <= 1.4 and abs(z) <= 1.4
        return inside and lattice(int(np.floor(abs(x) * 3)), int(np.floor(z * 3)), seed) > 0.45
    if kind == Logo.RING:
        return 0.45 < x * x + z * z < 1.2
    return False


@kernel
def _surface(part: int, x: float, y: float, z: float, a: float, m: Any) -> Surface:
    """The Surface of a point of the torso, an arm or a leg."""
    if part == Part.TORSO:
        if z > Z_NECK - 0.03 - m["neckline"] and y < 0 and abs(x) < 0.055 + 0.2 * m["neckline"]:
            return Surface.SKIN
        return Surface.TOP if z > m["hem"] else Surface.BOTTOM
    if part == Part.UPPER_ARM or part == Part.FOREARM:
        return Surface.TOP if a < m["sleeve"] else Surface.SKIN
    if part == Part.THIGH or part == Part.SHANK or part == Part.FOOT:
        if z < m["shoe_top"] or (part == Part.FOOT and z < Z_ANKLE - 0.03):
            return Surface.SOLE if z < Z_ANKLE - 0.062 else Surface.SHOE
        if z < m["sock_top"]:
            return Surface.SOCK
        if z > m["hem"]:
            return Surface.TOP
        if z > m["length"] or (m["skirt"] and z > m["skirt_hem"] + 0.02):
            return Surface.BOTTOM
    return Surface.SKIN


@kernel
def _copy(colour: Floats, share: float, out: Floats) -> None:
    for c in range(3):
        out[c] = colour[c] * share


@kernel
def _head(x: float, y: float, z: float, m: Any, out: Floats) -> None:
    """Face, hair, mask and cap."""
    down = Z_TOP - z
    if m["hat"] and down < 0.115:
        _copy(m["hat_colour"], 1.0, out)
    elif down < 0.045 + m["hairline"] or (y > -0.075 + down * 0.15 and down < 0.225):
        _hair(x, z, m, out)
    elif y < -0.05 and m["mask"] and down > 0.135:
        _copy(m["mask_colour"], 1.0, out)
    elif y < -0.05 and m["beard"] and down > 0.165:
        _hair(x, z, m, out)
    elif y < -0.11 and abs(down - 0.105) < 0.012 and abs(abs(x) - 0.033) < 0.018:
        _copy(_DARK, 1.0, out)
    elif y < -0.11 and abs(down - 0.183) < 0.007 and abs(x) < 0.025:  # the mouth
        out[0], out[1], out[2] = m["skin"][0] * 0.75, m["skin"][1] * 0.5, m["skin"][2] * 0.5
    else:
        _copy(m["skin"], 1.0, out)


@kernel
def _hair(x: float, z: float, m: Any, out: Floats) -> None:
    _copy(m["hair"], 0.85 + 0.3 * smooth(x * 60, z * 12, m["seed"]), out)


@kernel
def _top(part: int, x: float, y: float, z: float, a: float, m: Any, out: Floats) -> None:
    """Shirt or coat with what lies on it: opening, print, straps."""
    u, v = x, z
    if part == Part.UPPER_ARM or part == Part.FOREARM:  # the pattern of the chest runs on along the sleeve
        u, v = y * 1.3 + 0.03, 0.62 - 0.28 * a
    t = pattern(m["top_pattern"], u, v, y, m["top_frequency"], m["phase"], m["seed"])
    for c in range(3):
        out[c] = m["top"][c] * (1 - t) + m["top_second"][c] * t
    if part != Part.TORSO and part != Part.COAT:
        return
    size = m["logo_size"] * (1.0 if y < 0 else 1.3)
    on_side = y < 0 or (m["logo"] > Logo.BOX and y > 0)
    if m["opening"] > 0 and y < 0 and abs(x) < m["opening"] * (1.0 + 1.2 * max(0.0, z - 0.4)):
        if part == Part.COAT and z < 0.02:
            _copy(m["bottom"], 0.8, out)
        else:
            _copy(m["inner"], 1.0, out)
    elif m["logo"] and on_side and printed(m["logo"], x / size, (z - m["logo_height"]) / size, m["seed"]):
        _copy(m["logo_colour"], 1.0, out)
    if m["backpack"] and y < 0.03 and z > 0.33 and abs(abs(x) - 0.105 - 0.03 * (z - 0.5)) < 0.022:
        _copy(m["backpack_colour"], 0.8, out)
    if m["strap_side"] != 0 and abs((x * m["strap_side"] + 0.12) * 1.9 + z - 0.70) < 0.045:
        _copy(m["bag_colour"], 0.8, out)


@kernel
def _bottom(part: int, x: float, y: float, z: float, m: Any, out: Floats) -> None:
    if part == Part.TORSO and m["belt"] and z > m["hem"] - 0.035:
        _copy(_DARK, 1.0, out)
        return
    t = pattern(m["bottom_pattern"], x, z, y, m["bottom_frequency"], 0.3, m["seed"] + 5)
    for c in range(3):
        out[c] = m["bottom"][c] * (1 - t) + m["bottom_second"][c] * t


@kernel
def albedo(part: int, x: float, y: float, z: float, a: float, m: Any, out: Floats) -> None:
    """Writes the reflectance of a point of `part` into `out` [3]; `m` is one MATERIAL record."""
    if part == Part.HEAD:
        return _head(x, y, z, m, out)
    if part == Part.HAT:
        return _copy(m["hat_colour"], 1.0, out)
    if part == Part.BACKPACK:
        pocket = frac(z * 6) < 0.08 or (y > 0.25 and abs(z - 0.42) < 0.05 and abs(x) < 0.09)
        return _copy(m["backpack_colour"], 0.75 if pocket else 1.0, out)
    if part == Part.BAG or part == Part.TROLLEY:
        return _copy(m["bag_colour"], 0.7 if frac(z * 9) < 0.1 else 1.0, out)
    if part == Part.NECK and m["scarf"]:
        return _copy(m["scarf_colour"], 1.0, out)
    if part == Part.HAIR or (part == Part.NECK and y > 0.02 and z > Z_NECK + 0.05):
        return _hair(x, z, m, out)
    surface = _surface(part, x, y, z, a, m)
    if part == Part.SKIRT:
        surface = Surface.BOTTOM
    elif part == Part.COAT:
        surface = Surface.TOP
    if surface == Surface.SKIN:
        return _copy(m["skin"], 1.0, out)
    if surface == Surface.SHOE:
        return _copy(m["shoe"], 1.0, out)
    if surface == Surface.SOLE:
        return _copy(m["sole"], 1.0, out)
    if surface == Surface.SOCK:
        out[0], out[1], out[2] = 0.8, 0.8, 0.8
        return None
    if surface == Surface.TOP:
        _top(part, x, y, z, a, m, out)
    else:
        _bottom(part, x, y, z, m, out)
    folds = 1.6 * (smooth(x * 9 + 3.3, z * 7 + y * 5, m["seed"] + 11) - 0.5)
    weave = 0.8 * (smooth(x * 38, z * 22 + y * 30, m["seed"] + 12) - 0.5)
    for c in range(3):
        out[c] *= 1 + m["fabric"] * (folds + weave)
    return None
