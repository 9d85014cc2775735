"""Random appearances of a domain's identities, look-alikes included."""

from dataclasses import replace
from typing import Final

import numpy as np

from sttreid.config.domain import Clothing, Domain, Hair, Skin
from sttreid.simulate.appearance import (
    Appearance,
    ArmPose,
    Bag,
    Bottom,
    Carried,
    Footwear,
    Gait,
    HeadStyle,
    Physique,
    Top,
)
from sttreid.simulate.body import Z_ANKLE, Z_HIP, Z_KNEE, body
from sttreid.simulate.cloth import PATTERNS, SIDE_STRIPE
from sttreid.simulate.draws import Generator, stream, weighted_choice
from sttreid.simulate.geometry import Floats
from sttreid.simulate.textures import rgb_of_hsv

_NO_COAT: Final = 9.0  # height of a coat hem above every head: no coat is drawn
_MIXTURES: Final = (0.25, 0.5, 0.75)  # shares of the second colour at which a pattern is compared with skin
_VARIETY: Final = 1.5  # factor on the shapes: mixed examples vary less than people do
_FULL_SLEEVE: Final = 1.95  # limb coordinate just above the wrist
_NEAR_CHROMATICITY: Final = 0.07  # distance of (r, g) shares below which cloth and skin have a similar hue
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


def draw_appearance(identity: int, name: str, domain: Domain, seed: int) -> Appearance:
    """The appearance of an identity (from 1) of the domain ``name``; it does not depend on the scale.

    An identity with an even number may be the look-alike of the one before it: another person of the same
    skin tone in the same top, in half of the cases in the same trousers as well.
    """
    drawn_as = domain.drawn_as(name)
    rng = stream(seed, "twin", drawn_as, identity)
    if identity % 2 or rng.random() >= domain.clothing.look_alikes:
        return _sample(stream(seed, "look", drawn_as, identity), domain)
    model = _sample(stream(seed, "look", drawn_as, identity - 1), domain)
    drawn = _sample(stream(seed, "look", drawn_as, identity), domain, model.physique.skin)
    look_alike = replace(drawn, top=model.top)
    if rng.random() < 0.5 and drawn.bottom.skirt == model.bottom.skirt:
        return replace(look_alike, bottom=model.bottom)
    return look_alike


def _sample(rng: Generator, domain: Domain, skin: Floats | None = None) -> Appearance:
    """An appearance; ``skin`` [3] sets the skin tone, with which the colours of the clothes then contrast."""
    clothing = domain.clothing
    physique = _physique(rng, domain.skin)
    if skin is not None:
        physique = replace(physique, skin=skin)
    head = _head(rng, clothing, domain.hair, physique)
    coat = bool(rng.random() < clothing.coat)
    top = _top(rng, clothing, physique.skin, coat)
    bottom = _bottom(rng, clothing, physique)
    if bottom.skirt and rng.random() < 0.35 and not coat:  # a dress
        top = replace(top, colour=bottom.colour, second=bottom.second, pattern=bottom.pattern)
    carried = _carried(rng, clothing, physique.skin)
    return Appearance(
        seed=int(rng.integers(0, 10000)),
        physique=physique,
        head=head,
        top=top,
        bottom=bottom,
        feet=_feet(rng, clothing, physique.skin),
        carried=carried,
        gait=_gait(rng, bottom, carried),
    )


def _physique(rng: Generator, skin: Skin) -> Physique:
    model = body()
    first, second = rng.integers(0, len(model.examples), 2)
    share = rng.uniform(0, 0.4)
    mixed = (1 - share) * model.examples[first] + share * model.examples[second]
    male = bool(model.male[first])
    height = rng.normal(1.76, 0.075) if male else rng.normal(1.65, 0.07)
    tone = SKIN_TONES[weighted_choice(rng, skin)] * rng.uniform(0.92, 1.06)
    return Physique(
        coefficients=(_VARIETY * mixed).astype(np.float32),
        height=float(np.clip(height, 1.48, 1.98)),
        male=male,
        skin=tone.astype(np.float32),
    )


def _head(rng: Generator, clothing: Clothing, hair: Hair, physique: Physique) -> HeadStyle:
    male, skin = physique.male, physique.skin
    style = rng.choice(
        ["short", "long", "knot", "tail"], p=[0.94, 0.06, 0, 0] if male else [0.15, 0.5, 0.15, 0.2]
    )
    masks = np.array([(0.85, 0.87, 0.90), (0.35, 0.55, 0.75), (0.05, 0.05, 0.05)], np.float32)
    return HeadStyle(
        hair=HAIR_TONES[weighted_choice(rng, hair)],
        volume=rng.uniform(0.004, 0.03),
        hairline=rng.uniform(-0.02, 0.03),
        length=rng.uniform(0.13, 0.25 if male else 0.4) if style == "long" else 0.0,
        bun={"knot": 1, "tail": 2}.get(str(style), 0),
        beard=bool(male and rng.random() < 0.25),
        mask=bool(rng.random() < clothing.mask),
        mask_colour=masks[rng.integers(3)],
        hat=int(rng.integers(1, 4)) if rng.random() < clothing.hat else 0,
        hat_colour=_dye(rng, clothing.vivid, skin),
        scarf=bool(rng.random() < clothing.scarf),
        scarf_colour=_dye(rng, clothing.vivid, skin),
    )


def _top(rng: Generator, clothing: Clothing, skin: Floats, coat: bool) -> Top:
    long = coat or rng.random() < clothing.long_sleeves
    hem = Z_HIP + (rng.uniform(-0.12, -0.02) if rng.random() < 0.75 else rng.uniform(0.05, 0.14))
    colour, second = _dyes(rng, clothing.vivid, clothing.vivid, skin)
    return Top(
        colour=colour,
        second=second,
        inner=_dye(rng, clothing.vivid, skin),
        pattern=int(rng.integers(PATTERNS)) if rng.random() < clothing.pattern else 0,
        frequency=rng.uniform(8, 26),
        phase=rng.random(),
        thickness=rng.uniform(0.02, 0.038) if coat else rng.uniform(0.006, 0.02),
        sleeve=_FULL_SLEEVE if long else float(rng.choice([0.05, 0.5, 0.65, 0.9], p=[0.1, 0.4, 0.35, 0.15])),
        hem=Z_HIP - 0.04 if coat else hem,
        coat=_coat_hem(rng, clothing) if coat else _NO_COAT,
        opening=rng.uniform(0.03, 0.075) if long and rng.random() < 0.35 else 0.0,
        neckline=rng.uniform(0.0, 0.09),
        logo=int(rng.integers(1, 7)) if rng.random() < clothing.logo else 0,
        logo_height=rng.uniform(0.50, 0.58),
        logo_size=rng.uniform(0.05, 0.12),
        logo_colour=_dye(rng, 0.7, skin),
        fabric=rng.uniform(0.05, 0.22),
    )


def _coat_hem(rng: Generator, clothing: Clothing) -> float:
    hem = rng.choice([Z_HIP - 0.2, Z_HIP - 0.33, Z_KNEE + 0.02, Z_KNEE - 0.12], p=[0.35, 0.3, 0.25, 0.1])
    return float(hem) if rng.random() < clothing.long_coat else _NO_COAT


def _bottom(rng: Generator, clothing: Clothing, physique: Physique) -> Bottom:
    skirt = bool(not physique.male and rng.random() < clothing.skirt)
    patterned = rng.random() < clothing.pattern * (0.8 if skirt else 0.2)
    striped = not skirt and rng.random() < 0.15
    skirt_hem = rng.choice(
        [Z_HIP - 0.28, Z_KNEE + 0.05, Z_KNEE - 0.15, Z_ANKLE + 0.08], p=[0.25, 0.35, 0.25, 0.15]
    )
    if skirt:  # bare legs, or stockings to the ankle
        length = float(max(skirt_hem + 0.02, Z_KNEE)) if rng.random() < 0.7 else Z_ANKLE
    elif rng.random() < clothing.shorts:
        length = float(rng.choice([Z_HIP - 0.22, Z_KNEE + 0.04, Z_KNEE - 0.15]))
    else:
        length = Z_ANKLE - 0.02
    colour, second = _dyes(rng, clothing.vivid * 0.5, clothing.vivid, physique.skin)
    return Bottom(
        skirt=skirt,
        colour=colour,
        second=second,
        pattern=int(rng.integers(PATTERNS)) if patterned else SIDE_STRIPE if striped else 0,
        frequency=rng.uniform(8, 22),
        thickness=rng.uniform(0.0, 0.035),
        length=length,
        skirt_hem=float(skirt_hem),
        flare=rng.uniform(0.02, 0.14),
        belt=bool(rng.random() < 0.3),
    )


def _feet(rng: Generator, clothing: Clothing, skin: Floats) -> Footwear:
    top = Z_ANKLE + float(rng.choice([-0.035, 0.02, 0.12, 0.25], p=[0.5, 0.3, 0.12, 0.08]))
    return Footwear(
        shoe=_dye(rng, clothing.vivid, skin),
        shoe_top=top,
        sole=np.full(3, rng.choice([0.04, 0.85]), np.float32),
        sock_top=top + float(rng.choice([0, 0.05, 0.12])),
    )


def _carried(rng: Generator, clothing: Clothing, skin: Floats) -> Carried:
    return Carried(
        backpack=rng.uniform(0.75, 1.15) if rng.random() < clothing.backpack else 0.0,
        backpack_colour=_dye(rng, clothing.vivid, skin),
        bag=Bag(int(rng.integers(1, 3))) if rng.random() < clothing.bag else Bag.NONE,
        bag_left=bool(rng.random() < 0.5),
        bag_colour=_dye(rng, clothing.vivid, skin),
        trolley=bool(rng.random() < clothing.trolley),
    )


def _gait(rng: Generator, bottom: Bottom, carried: Carried) -> Gait:
    narrow = 0.8 if bottom.skirt and bottom.skirt_hem < Z_KNEE else 1.0
    arms = [ArmPose(int(rng.choice([0, 1, 2, 4], p=[0.82, 0.06, 0.09, 0.03]))) for _ in range(2)]
    if carried.bag == Bag.IN_HAND or carried.trolley:
        arms[0 if carried.bag_left else 1] = ArmPose.CARRIES
    return Gait(
        stride=rng.uniform(1.1, 1.65) * narrow,
        cadence=rng.uniform(0.75, 1.12),
        stance=rng.uniform(0.58, 0.66),
        reach=rng.uniform(0.19, 0.24),
        strike=rng.uniform(0.1, 0.4),
        push=rng.uniform(0.6, 1.0),
        lift=rng.uniform(0.01, 0.06),
        circle=rng.uniform(0.0, 0.03),
        base=rng.uniform(0.03, 0.1),
        toe_out=rng.uniform(-0.05, 0.3),
        bounce=rng.uniform(0.75, 1.0),
        sway=rng.uniform(0.005, 0.03),
        hip_yaw=rng.uniform(0.02, 0.14),
        hip_drop=rng.uniform(0.01, 0.08),
        twist=rng.uniform(0.02, 0.18),
        swing=rng.uniform(0.03, 0.7),
        elbow=0.08 + 0.8 * rng.random() ** 1.5,
        abduction=rng.uniform(0.05, 0.32),
        lean=rng.uniform(-0.06, 0.18),
        hunch=rng.uniform(-0.1, 0.3),
        tilt=rng.normal(0, 0.03),
        nod=rng.uniform(-0.12, 0.32),
        bob=rng.uniform(0.0, 0.05),
        uneven_step=rng.normal(0, 0.015),
        uneven_toes=rng.normal(0, 0.05),
        uneven_arms=float(np.clip(rng.normal(0, 0.35), -0.8, 0.8)),
        left=arms[0],
        right=arms[1],
    )


def _dye(rng: Generator, vivid: float, skin: Floats) -> Floats:
    """A colour of cloth; a colour similar to the skin is redrawn."""
    while True:
        colour = _any_dye(rng, vivid)
        if not resembles_skin(colour, skin):
            return colour


def _dyes(rng: Generator, vivid: float, second_vivid: float, skin: Floats) -> tuple[Floats, Floats]:
    """Two colours of a pattern; their mixture, visible from a distance, must not resemble skin."""
    while True:
        first, second = _dye(rng, vivid, skin), _dye(rng, second_vivid, skin)
        if not any(resembles_skin((1 - share) * first + share * second, skin) for share in _MIXTURES):
            return first, second


def _any_dye(rng: Generator, vivid: float) -> Floats:
    if rng.random() < vivid:
        return rgb_of_hsv(rng.random(), rng.uniform(0.45, 0.95), rng.uniform(0.35, 0.95))
    kind = rng.choice(["black", "grey", "white", "denim", "beige"], p=[0.34, 0.21, 0.17, 0.14, 0.14])
    if kind == "black":
        return _grey(rng, 0.02, 0.09, 0.10)
    if kind == "grey":
        return _grey(rng, 0.15, 0.55, 0.07)
    if kind == "white":
        return _grey(rng, 0.70, 0.95, 0.03)
    if kind == "denim":
        return rgb_of_hsv(rng.uniform(0.57, 0.66), rng.uniform(0.35, 0.7), rng.uniform(0.12, 0.5))
    return rgb_of_hsv(rng.uniform(0.06, 0.12), rng.uniform(0.2, 0.5), rng.uniform(0.3, 0.75))


def _grey(rng: np.random.Generator, low: float, high: float, tint: float) -> Floats:
    """A grey from ``low`` to ``high`` whose channels differ by up to the share ``tint``, at most 1."""
    colour: Floats = np.minimum(rng.uniform(low, high) * rng.uniform(1 - tint, 1 + tint, 3), 1).astype(
        np.float32
    )
    return colour


def resembles_skin(colour: Floats, skin: Floats) -> bool:
    """Whether cloth of a colour [3] could be taken for bare skin of a tone [3] in a small image."""
    hue = np.abs(colour / colour.sum() - skin / skin.sum())[:2].max()
    return bool(hue < _NEAR_CHROMATICITY and abs(np.log(colour.sum() / skin.sum())) < _NEAR_BRIGHTNESS)
