"""The appearance of an identity: physique, head, garments, carried objects and gait.

Colours are linear RGB reflectances [3] from 0 to 1, lengths are metres. Heights of garments refer to the
canonical body (sttreid.simulate.body), so that a hem lies at the same part of every body.
"""

from dataclasses import dataclass
from enum import IntEnum

from sttreid.simulate.geometry import Floats


class ArmPose(IntEnum):
    """Activity of an arm during the walk."""

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
class HeadStyle:
    """Hair, face and headwear."""

    hair: Floats
    volume: float  # of the hair above the scalp
    hairline: float  # by how much the hairline recedes
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
    second: Floats  # second colour of the pattern
    inner: Floats  # visible where the garment is open
    pattern: int
    frequency: float  # of the pattern, periods per metre
    phase: float
    thickness: float
    sleeve: float  # limb coordinate of its end: 0 shoulder, 1 elbow, 2 wrist
    hem: float
    coat: float  # height of a coat's hem; 9 without a coat
    opening: float  # half width, 0 = closed
    neckline: float  # depth
    logo: int  # 0 none
    logo_height: float
    logo_size: float
    logo_colour: Floats
    fabric: float  # strength of folds and weave


@dataclass(frozen=True)
class Bottom:
    """Trousers or skirt."""

    skirt: bool
    colour: Floats
    second: Floats  # second colour of the pattern
    pattern: int
    frequency: float  # of the pattern, periods per metre
    thickness: float
    length: float  # height of the end of the trouser legs or stockings
    skirt_hem: float
    flare: float
    belt: bool


@dataclass(frozen=True)
class Footwear:
    """Shoes and socks."""

    shoe: Floats
    shoe_top: float
    sole: Floats
    sock_top: float


@dataclass(frozen=True)
class Carried:
    """Bags and suitcases."""

    backpack: float  # size; 1 is average, 0 none
    backpack_colour: Floats
    bag: Bag
    bag_left: bool
    bag_colour: Floats
    trolley: bool


@dataclass(frozen=True)
class Gait:
    """Parameters of the walk; angles in radians."""

    stride: float  # double step, in leg lengths
    cadence: float  # double steps per second
    stance: float  # share of the double step in which a foot is on the ground
    reach: float  # distance of the heel strike before the hips, in double steps
    strike: float  # angle of the raised toe at heel strike
    push: float  # angle of the raised heel when the toe leaves the ground
    lift: float  # height of the swinging foot, metres
    circle: float  # sideways deviation of the swinging foot, metres
    base: float  # distance of the ankle's line from the middle, metres
    toe_out: float
    bounce: float  # of the pelvis; 1 = as much as straight legs cause
    sway: float  # of the pelvis to the sides, metres
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
    uneven_step: float  # by which the left foot is set further forward, metres
    uneven_toes: float  # by which the left foot points further outward
    uneven_arms: float  # by which the left arm swings more, as a share
    left: ArmPose
    right: ArmPose


@dataclass(frozen=True)
class Appearance:
    """One identity."""

    seed: int  # of its textures
    physique: Physique
    head: HeadStyle
    top: Top
    bottom: Bottom
    feet: Footwear
    carried: Carried
    gait: Gait

    @property
    def coated(self) -> bool:
        """Whether the top is a coat that reaches further down than a jacket."""
        return self.top.coat < self.top.hem - 0.03

    @property
    def lowest_hem(self) -> float:
        """Height of the hem of a skirt or coat; without them, of the shirt."""
        return min(self.top.coat, self.bottom.skirt_hem if self.bottom.skirt else self.top.hem)
