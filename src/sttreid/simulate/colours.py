"""Skin tones, hair tones and cloth dyes as linear RGB reflectances, float32 [3] from 0 to 1."""

from typing import Final

import numpy as np

from sttreid.simulate.body import Floats

_NEAR_CHROMATICITY: Final = 0.07  # distance of (r, g) shares below which cloth and skin look of one hue
_NEAR_BRIGHTNESS: Final = 1.2  # and difference of the logarithms of their brightness


def _table(**colours: tuple[float, float, float]) -> dict[str, Floats]:
    return {name: np.array(colour, np.float32) for name, colour in colours.items()}


SKIN_TONES: Final = _table(
    fair=(0.87, 0.67, 0.56),
    pale=(0.84, 0.64, 0.50),
    light=(0.80, 0.58, 0.46),
    olive=(0.72, 0.50, 0.38),
    brown=(0.55, 0.36, 0.26),
    dark=(0.40, 0.26, 0.19),
    deep=(0.28, 0.18, 0.13),
)

HAIR_TONES: Final = _table(
    black=(0.04, 0.035, 0.03),
    espresso=(0.10, 0.065, 0.045),
    brown=(0.20, 0.12, 0.07),
    chestnut=(0.34, 0.22, 0.12),
    blond=(0.62, 0.48, 0.27),
    grey=(0.45, 0.44, 0.43),
    white=(0.70, 0.69, 0.68),
    red=(0.36, 0.13, 0.06),
)


def of_hue(hue: float, saturation: float, value: float) -> Floats:
    """The colour of a hue (0 red, 1/3 green, 2/3 blue), saturation and value."""
    wheel = (np.array([5.0, 3.0, 1.0]) + hue * 6) % 6
    colour: Floats = (value - value * saturation * np.clip(np.minimum(wheel, 4 - wheel), 0, 1)).astype(
        np.float32
    )
    return colour


def grey(rng: np.random.Generator, low: float, high: float, tint: float) -> Floats:
    """A grey between `low` and `high` whose channels differ by up to the share `tint`, at most 1."""
    colour: Floats = np.minimum(rng.uniform(low, high) * rng.uniform(1 - tint, 1 + tint, 3), 1).astype(
        np.float32
    )
    return colour


def beside_skin(colour: Floats, skin: Floats) -> bool:
    """Whether cloth of this colour could be taken for bare skin of that tone in a small picture."""
    hue = np.abs(colour / colour.sum() - skin / skin.sum())[:2].max()
    return bool(hue < _NEAR_CHROMATICITY and abs(np.log(colour.sum() / skin.sum())) < _NEAR_BRIGHTNESS)
