"""The colour of every point of a dressed person: layout of the garments, patterns and prints (compiled).

Points are in canonical coordinates (sttreid.simulate.body): x to the left, y to the back, z up, metres, with
the limb coordinate ``a`` (0 shoulder or hip, 1 elbow or knee, 2 wrist or ankle).
"""

from enum import IntEnum
from typing import Any, Final

import numpy as np

from sttreid.simulate.body import Z_ANKLE, Z_NECK, Z_TOP, MeshPart
from sttreid.simulate.geometry import Floats
from sttreid.simulate.kernels import kernel
from sttreid.simulate.textures import Colour, frac, lattice, smooth

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
    """The pattern in which a garment combines its two colours."""

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
    MOTIF = 5
    RING = 6


class Surface(IntEnum):
    """What covers a point of the body."""

    SKIN = 0
    TOP = 1
    BOTTOM = 2
    SHOE = 3
    SOLE = 4
    HAIR = 5
    SOCK = 6


PATTERNS: Final = 14  # patterns 0 to 13 are drawn for any garment
SIDE_STRIPE: Final = int(Pattern.SIDE_STRIPE)
_DARK: Final = (0.055, 0.045, 0.04)  # eyes, eyebrows and belts
_SOCK: Final = (0.8, 0.8, 0.8)


@kernel
def pattern(kind: int, u: float, v: float, y: float, frequency: float, phase: float, seed: int) -> float:
    """Share of the second colour at ``u`` metres across and ``v`` metres up; ``y`` is negative in front."""
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
    """Whether a print covers the point ``x``, ``z``, relative to its centre in units of its size."""
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
    if kind == Logo.MOTIF:
        inside = abs(x) <= 1.4 and abs(z) <= 1.4
        return inside and lattice(int(np.floor(abs(x) * 3)), int(np.floor(z * 3)), seed) > 0.45
    if kind == Logo.RING:
        return 0.45 < x * x + z * z < 1.2
    return False


@kernel
def _surface(part: int, x: float, y: float, z: float, a: float, m: Any) -> Surface:
    """The Surface of a point of the torso, an arm, a leg, a skirt or a coat."""
    if part == MeshPart.SKIRT:
        return Surface.BOTTOM
    if part == MeshPart.COAT:
        return Surface.TOP
    if part == MeshPart.TORSO:
        if z > Z_NECK - 0.03 - m["neckline"] and y < 0 and abs(x) < 0.055 + 0.2 * m["neckline"]:
            return Surface.SKIN
        return Surface.TOP if z > m["hem"] else Surface.BOTTOM
    if part == MeshPart.UPPER_ARM or part == MeshPart.FOREARM:
        return Surface.TOP if a < m["sleeve"] else Surface.SKIN
    if part == MeshPart.THIGH or part == MeshPart.SHANK or part == MeshPart.FOOT:
        if z < m["shoe_top"] or (part == MeshPart.FOOT and z < Z_ANKLE - 0.03):
            return Surface.SOLE if z < Z_ANKLE - 0.062 else Surface.SHOE
        if z < m["sock_top"]:
            return Surface.SOCK
        if z > m["hem"]:
            return Surface.TOP
        if z > m["length"] or (m["skirt"] and z > m["skirt_hem"] + 0.02):
            return Surface.BOTTOM
    return Surface.SKIN


@kernel
def _times(colour: Floats, share: float) -> Colour:
    return colour[0] * share, colour[1] * share, colour[2] * share


@kernel
def _mixed(first: Floats, second: Floats, t: float) -> Colour:
    s = 1 - t
    return (
        first[0] * s + second[0] * t,
        first[1] * s + second[1] * t,
        first[2] * s + second[2] * t,
    )


@kernel
def _head(x: float, y: float, z: float, m: Any) -> Colour:
    """Face, hair, mask and cap."""
    down = Z_TOP - z
    if m["hat"] and down < 0.115:
        return _times(m["hat_colour"], 1.0)
    if down < 0.045 + m["hairline"] or (y > -0.075 + down * 0.15 and down < 0.225):
        return _hair(x, z, m)
    if y < -0.05 and m["mask"] and down > 0.135:
        return _times(m["mask_colour"], 1.0)
    if y < -0.05 and m["beard"] and down > 0.165:
        return _hair(x, z, m)
    if y < -0.11 and abs(down - 0.105) < 0.012 and abs(abs(x) - 0.033) < 0.018:
        return _DARK
    skin = m["skin"]
    if y < -0.11 and abs(down - 0.183) < 0.007 and abs(x) < 0.025:  # the mouth
        return skin[0] * 0.75, skin[1] * 0.5, skin[2] * 0.5
    return _times(skin, 1.0)


@kernel
def _hair(x: float, z: float, m: Any) -> Colour:
    return _times(m["hair"], 0.85 + 0.3 * smooth(x * 60, z * 12, m["seed"]))


@kernel
def _top(part: int, x: float, y: float, z: float, a: float, m: Any) -> Colour:
    """Shirt or coat with straps, opening and print."""
    chest = part == MeshPart.TORSO or part == MeshPart.COAT
    if chest and m["strap_side"] != 0 and abs((x * m["strap_side"] + 0.12) * 1.9 + z - 0.70) < 0.045:
        return _times(m["bag_colour"], 0.8)
    if chest and m["backpack"] and y < 0.03 and z > 0.33 and abs(abs(x) - 0.105 - 0.03 * (z - 0.5)) < 0.022:
        return _times(m["backpack_colour"], 0.8)
    if chest and m["opening"] > 0 and y < 0 and abs(x) < m["opening"] * (1.0 + 1.2 * max(0.0, z - 0.4)):
        if part == MeshPart.COAT and z < 0.02:
            return _times(m["bottom"], 0.8)
        return _times(m["inner"], 1.0)
    if chest and m["logo"] and (y < 0 or (m["logo"] > Logo.BOX and y > 0)):
        size = m["logo_size"] * (1.0 if y < 0 else 1.3)
        if printed(m["logo"], x / size, (z - m["logo_height"]) / size, m["seed"]):
            return _times(m["logo_colour"], 1.0)
    u, v = x, z
    # the pattern of the chest continues along the sleeve
    if part == MeshPart.UPPER_ARM or part == MeshPart.FOREARM:
        u, v = y * 1.3 + 0.03, 0.62 - 0.28 * a
    t = pattern(m["top_pattern"], u, v, y, m["top_frequency"], m["phase"], m["seed"])
    return _mixed(m["top"], m["top_second"], t)


@kernel
def _bottom(part: int, x: float, y: float, z: float, m: Any) -> Colour:
    if part == MeshPart.TORSO and m["belt"] and z > m["hem"] - 0.035:
        return _DARK
    t = pattern(m["bottom_pattern"], x, z, y, m["bottom_frequency"], 0.3, m["seed"] + 5)
    return _mixed(m["bottom"], m["bottom_second"], t)


@kernel
def albedo(part: int, x: float, y: float, z: float, a: float, m: Any) -> tuple[Colour, bool]:
    """Reflectance of a point of ``part``, and whether it is cloth, whose brightness varies by ``folds``.

    ``m`` is one MATERIAL record. Colours are tuples, because arrays would be reference-counted at every call.
    """
    if part == MeshPart.HEAD:
        return _head(x, y, z, m), False
    if part == MeshPart.HAT:
        return _times(m["hat_colour"], 1.0), False
    if part == MeshPart.BACKPACK:
        pocket = frac(z * 6) < 0.08 or (y > 0.25 and abs(z - 0.42) < 0.05 and abs(x) < 0.09)
        return _times(m["backpack_colour"], 0.75 if pocket else 1.0), False
    if part == MeshPart.BAG or part == MeshPart.TROLLEY:
        return _times(m["bag_colour"], 0.7 if frac(z * 9) < 0.1 else 1.0), False
    if part == MeshPart.NECK and m["scarf"]:
        return _times(m["scarf_colour"], 1.0), False
    if part == MeshPart.HAIR or (part == MeshPart.NECK and y > 0.02 and z > Z_NECK + 0.05):
        return _hair(x, z, m), False
    surface = _surface(part, x, y, z, a, m)
    if surface == Surface.TOP:
        return _top(part, x, y, z, a, m), True
    if surface == Surface.BOTTOM:
        return _bottom(part, x, y, z, m), True
    if surface == Surface.SHOE:
        return _times(m["shoe"], 1.0), False
    if surface == Surface.SOLE:
        return _times(m["sole"], 1.0), False
    return (_SOCK if surface == Surface.SOCK else _times(m["skin"], 1.0)), False


@kernel
def folds(x: float, y: float, z: float, m: Any) -> float:
    """Brightness factor of cloth at a point, about 1: broad folds and a fine weave."""
    broad = 1.6 * (smooth(x * 9 + 3.3, z * 7 + y * 5, m["seed"] + 11) - 0.5)
    fine = 0.8 * (smooth(x * 38, z * 22 + y * 30, m["seed"] + 12) - 0.5)
    return float(1 + m["fabric"] * (broad + fine))
