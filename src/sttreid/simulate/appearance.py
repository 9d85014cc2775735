"""What an identity looks like: physique, head, garments, things carried and way of walking.

Colours are linear RGB reflectances from 0 to 1, lengths are metres; heights of garments are given on the
canonical body (sttreid.simulate.body), so that a hem sits at the same place of every person.
"""

from dataclasses import dataclass
from enum import IntEnum

from sttreid.simulate.body import Floats


class Arm(IntEnum):
    """What an arm does while its owner walks."""

    SWING = 0
    PHONE_IN_FRONT = 1
    IN_POCKET = 2
    CARRIES = 3
    PHONE_AT_EAR = 4


class Bag(IntEnum):
    """Where a bag is carried."""

    NONE = 0
    IN_HAND = 1
    AT_HIP = 2  # with a strap over the shoulder


@dataclass(frozen=True)
class Physique:
    """The body under the clothes."""

    coefficients: Floats  # [S] shape coefficients
    height: float
    male: bool
    skin: Floats


@dataclass(frozen=True)
class Head:
    """Hair, face and what is worn on the head."""

    hair: Floats
    volume: float  # of the hair over the scalp
    hairline: float  # how far it has moved back
    length: float  # of loose hair below the head, 0 = short
    bun: int  # 0 none, 1 a knot, 2 a pony tail
    beard: bool
    mask: bool
    mask_colour: Floats
    hat: int  # 0 none, 1 a cap, 2 a cap with a peak, 3 a hat with a brim
    hat_colour: Floats
    scarf: bool
    scarf_colour: Floats


@dataclass(frozen=True)
class Top:
    """Shirt, pullover, jacket or coat."""

    colour: Floats
    second: Floats
    inner: Floats  # seen where the garment stands open
    pattern: int
    frequency: float  # of the pattern, periods a metre
    phase: float
    thickness: float
    sleeve: float  # limb coordinate of the end: 0 shoulder, 1 elbow, 2 wrist
    hem: float
    coat: float  # height of a coat's hem, 9 without a coat
    opening: float  # half width, 0 = closed
    neckline: float  # depth
    logo: int  # 0 none
    logo_height: float
    logo_size: float
    logo_colour: Floats
    fabric: float  # strength of folds and weave


@dataclass(frozen=True)
class Bottom:
    """Trousers or skirt, shoes and socks."""

    skirt: bool
    colour: Floats
    second: Floats
    pattern: int
    frequency: float
    thickness: float
    length: float  # height of the end of the trouser legs or stockings
    skirt_hem: float
    flare: float
    belt: bool


@dataclass(frozen=True)
class Feet:
    """Shoes and socks."""

    shoe: Floats
    shoe_top: float
    sole: Floats
    sock_top: float


@dataclass(frozen=True)
class Carried:
    """Bags and suitcases."""

    backpack: float  # size, 1 is common, 0 none
    backpack_colour: Floats
    bag: Bag
    bag_left: bool
    bag_colour: Floats
    trolley: bool


@dataclass(frozen=True)
class Walk:
    """The way of walking; angles in radians."""

    stride: float  # double step, in lengths of the leg
    cadence: float  # double steps a second
    stance: float  # share of the double step for which a foot is on the ground
    reach: float  # how far before the hips the heel strikes, in double steps
    strike: float  # how far the toe is raised when the heel strikes
    push: float  # how far the heel is raised when the toe leaves
    lift: float  # height at which a foot swings past, metres
    circle: float  # how far it swings out, metres
    base: float  # of an ankle's line from the middle, metres
    toe_out: float
    bounce: float  # of the pelvis, 1 = as far as straight legs push it
    sway: float  # of the pelvis from side to side, metres
    hip_yaw: float
    hip_drop: float  # of the pelvis on the side of the swinging leg
    twist: float  # of the shoulders against the hips
    swing: float  # of the arms
    elbow: float
    abduction: float  # of the upper arms from the body
    lean: float
    hunch: float
    tilt: float  # of the trunk to the left
    nod: float
    bob: float  # of the head in every step
    uneven_step: float  # by which the left foot stands further forward, metres
    uneven_toes: float  # by which the left foot points further out
    uneven_arms: float  # by which the left arm swings more, as a share
    left: Arm
    right: Arm


@dataclass(frozen=True)
class Look:
    """One identity."""

    seed: int  # of its textures
    physique: Physique
    head: Head
    top: Top
    bottom: Bottom
    feet: Feet
    carried: Carried
    walk: Walk

    @property
    def coated(self) -> bool:
        """Whether the top reaches further down than a jacket."""
        return self.top.coat < self.top.hem - 0.03

    @property
    def lowest_hem(self) -> float:
        """Height of the hem of a skirt or coat; of a shirt without them."""
        return min(self.top.coat, self.bottom.skirt_hem if self.bottom.skirt else self.top.hem)
