from dataclasses import replace

import numpy as np
import pytest

from sttreid.config.domain import Domain
from sttreid.simulate.body import JOINT
from sttreid.simulate.clothing import Figure, figure
from sttreid.simulate.steps import _rolled, double_step, legs
from sttreid.simulate.wardrobe import look

PHASE = np.arange(48) / 48


@pytest.fixture(scope="module")
def people(domain: Domain) -> list[Figure]:
    return [figure(look(identity, "a", domain, 0)) for identity in range(1, 21)]


def bone(person: Figure, start: str, end: str) -> np.ndarray:
    return (person.joints[JOINT[end]] - person.joints[JOINT[start]]).astype(np.float64)


def ankle(person: Figure, side: str, phase: np.ndarray) -> np.ndarray:
    """Down the chain of bones, [T, 3]."""
    found = legs(person, phase)
    chain = (("pelvis", "thigh" + side), ("thigh" + side, "shank" + side), ("shank" + side, "foot" + side))
    return found.pelvis + sum(found.turns[start] @ bone(person, start, end) for start, end in chain)


def bend(person: Figure, side: str) -> np.ndarray:
    """Degrees [T] between thigh and shank."""
    found = legs(person, PHASE)
    thigh = found.turns["thigh" + side] @ bone(person, "thigh" + side, "shank" + side)
    shank = found.turns["shank" + side] @ bone(person, "shank" + side, "foot" + side)
    cosine = (thigh * shank).sum(1) / np.linalg.norm(thigh, axis=1) / np.linalg.norm(shank, axis=1)
    return np.rad2deg(np.arccos(cosine))


def test_a_round_sole_rolls_like_a_wheel() -> None:
    radius, around = 0.3, np.linspace(0, 2 * np.pi, 3600, endpoint=False)
    wheel = np.stack([radius * np.cos(around), radius * np.sin(around)], 1)
    pitch = np.deg2rad(np.arange(-100.0, 61.0))
    assert np.allclose(_rolled(wheel), -radius * pitch, atol=1e-3)  # toe down, the wheel rolls forward


def test_a_point_below_the_ankle_swings_it_over_itself() -> None:
    pitch = np.deg2rad(np.arange(-100.0, 61.0))
    stilt = np.array([[0.0, -0.5]])
    assert np.allclose(_rolled(stilt), -0.5 * np.sin(pitch), atol=1e-9)


def test_turns_are_rotations(people: list[Figure]) -> None:
    for person in people[:5]:
        for turn in legs(person, PHASE).turns.values():
            assert np.allclose(turn @ turn.transpose(0, 2, 1), np.eye(3), atol=1e-9)
            assert np.allclose(np.linalg.det(turn), 1)


def test_an_ankle_stands_still_on_the_ground_while_its_sole_is_flat(people: list[Figure]) -> None:
    phase = np.linspace(0.1, 0.3, 9)
    for person in people:
        for side, lead in (("L", 0.0), ("R", 0.5)):
            place = ankle(person, side, phase + lead)
            place[:, 1] -= double_step(person) * phase  # the body goes on to -y
            assert np.ptp(place, axis=0).max() < 2e-3


def test_knees_bend_as_knees_do(people: list[Figure]) -> None:
    for person in people:
        for side, lead in (("L", 0.0), ("R", 0.5)):
            angle, own = bend(person, side), (PHASE + lead) % 1
            assert angle.max() < 100
            assert 0.55 < own[angle.argmax()] < 0.95  # most while the foot swings
            assert angle[(own > 0.2) & (own < 0.35)].mean() < 35
            assert angle.min() < 25


def test_knees_bend_forward(people: list[Figure]) -> None:
    for person in people:
        found = legs(person, PHASE)
        for side in "LR":
            knee = found.turns["thigh" + side] @ bone(person, "thigh" + side, "shank" + side)
            foot = knee + found.turns["shank" + side] @ bone(person, "shank" + side, "foot" + side)
            share = (knee * foot).sum(1) / (foot**2).sum(1)
            before = knee - share[:, None] * foot  # from the line between hip and ankle to the knee
            assert (before[:, 1] < 1e-3).all()


def test_the_pelvis_goes_up_and_down_as_far_as_people_s_do(people: list[Figure]) -> None:
    rise = [np.ptp(legs(person, PHASE).pelvis[:, 2]) for person in people]
    assert 0.03 < np.mean(rise) < 0.06  # metres
    assert max(rise) < 0.13


def test_an_even_walk_is_its_own_mirror_image(people: list[Figure]) -> None:
    person = people[0]
    walk = replace(person.look.walk, uneven_step=0.0, uneven_toes=0.0)
    feet = person.vertices[person.soles].copy()
    half = feet[feet[:, 0] > 0]
    vertices = person.vertices.copy()
    vertices[person.soles[: 2 * len(half)]] = np.concatenate([half, half * [-1, 1, 1]])
    joints = person.joints.copy()
    for name in ("thigh", "shank", "foot"):
        joints[JOINT[name + "R"]] = joints[JOINT[name + "L"]] * [-1, 1, 1]
    joints[JOINT["pelvis"], 0] = 0.0
    even = replace(
        person,
        look=replace(person.look, walk=walk),
        vertices=vertices,
        joints=joints,
        soles=person.soles[: 2 * len(half)],
    )
    left, right = ankle(even, "L", PHASE), ankle(even, "R", PHASE + 0.5)
    assert np.allclose(left, right * [-1, 1, 1], atol=1e-6)


def test_a_wide_skirt_keeps_out_of_the_way_of_legs_and_a_narrow_one_goes_with_them(domain: Domain) -> None:
    skirts = replace(domain, clothing=replace(domain.clothing, skirt=1.0, coat=0.0))
    looks = (look(number, "a", skirts, 0) for number in range(1, 30))
    own = next(one for one in looks if one.bottom.skirt)
    swept = {}
    for flare in (0.0, 0.5):
        person = figure(replace(own, bottom=replace(own.bottom, flare=flare)))
        swept[flare] = legs(person, PHASE).turns["sheetF"][:, 1, 2].max()
    assert swept[0.0] > 0.2
    assert swept[0.5] < 0.5 * swept[0.0]
