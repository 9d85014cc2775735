from dataclasses import replace

import numpy as np
import pytest

from sttreid.config.domain import Domain
from sttreid.simulate.appearance import ArmPose
from sttreid.simulate.body import JOINT, Z_WAIST, MeshPart, body
from sttreid.simulate.gait import _rolled, distance_walked, double_step, joint_matrices, legs
from sttreid.simulate.pedestrian import Pedestrian, build_pedestrian
from sttreid.simulate.wardrobe import draw_appearance


@pytest.fixture(scope="module")
def pedestrians(domain: Domain) -> list[Pedestrian]:
    return [build_pedestrian(draw_appearance(identity, "a", domain, 0)) for identity in range(1, 6)]


@pytest.fixture(scope="module")
def many_pedestrians(domain: Domain) -> list[Pedestrian]:
    return [build_pedestrian(draw_appearance(identity, "a", domain, 0)) for identity in range(1, 21)]


def posed(person: Pedestrian, matrices: np.ndarray) -> np.ndarray:
    """Vertices [T, V, 3], by the definition of linear blend skinning."""
    moved = np.einsum("tvkij,vj->tvki", matrices[:, person.influences][..., :3], person.vertices)
    return (person.weights[None, ..., None] * (moved + matrices[:, person.influences][..., 3])).sum(2)


def straight(person: Pedestrian, frames: int) -> np.ndarray:
    """Matrices of a walk along the x axis, one double step long."""
    phase = np.arange(frames) / frames
    position = np.stack([distance_walked(person, phase), np.zeros(frames)], 1)
    return joint_matrices(person, phase, position, np.zeros(frames), 0.0)


def test_soles_touch_the_ground(pedestrians: list[Pedestrian]) -> None:
    for person in pedestrians:
        soles = posed(person, straight(person, 24))[:, person.soles]
        assert np.abs(soles[..., 2].min(1)).max() < 1e-4


def test_every_foot_is_on_the_ground_during_its_stance(pedestrians: list[Pedestrian]) -> None:
    phase = np.arange(48) / 48
    for person in pedestrians:
        soles = posed(person, straight(person, 48))[:, person.soles]
        left = person.vertices[person.soles, 0] > 0
        for side, lead in ((left, 0.0), (~left, 0.5)):
            on_ground = (phase + lead) % 1 < person.appearance.gait.stance - 0.01
            height = soles[:, side, 2].min(1)
            assert np.abs(height[on_ground]).max() < 1e-4
            assert height[~on_ground].max() > 0.3 * person.appearance.gait.lift


def test_a_standing_foot_does_not_slide(domain: Domain) -> None:
    """The lowest point of a standing foot's sole moves at less than a hundredth of the walking speed."""
    frames = 96
    phase = np.arange(frames) / frames
    for identity in range(1, 21):
        person = build_pedestrian(draw_appearance(identity, "a", domain, 1))
        soles = posed(person, straight(person, frames))[:, person.soles]
        left = person.vertices[person.soles, 0] > 0
        for side, lead in ((left, 0.0), (~left, 0.5)):
            points = soles[:, side]
            lowest = (points[1:, :, 2] + points[:-1, :, 2]).argmin(1)
            moved = np.linalg.norm(np.diff(points[..., :2], axis=0), axis=2)[np.arange(frames - 1), lowest]
            on_ground = (phase[1:] + lead) % 1 < person.appearance.gait.stance - 0.01
            on_ground &= (phase[:-1] + lead) % 1 < person.appearance.gait.stance - 0.01
            assert on_ground.sum() > frames / 2
            assert moved[on_ground].max() < 0.01 * distance_walked(person, np.array([1.0]))[0] / frames


def test_hands_do_not_pass_through_the_hips(pedestrians: list[Pedestrian]) -> None:
    hands, thighs = (np.flatnonzero(body().parts == part) for part in (MeshPart.HAND, MeshPart.THIGH))
    torso = np.flatnonzero((body().parts == MeshPart.TORSO) & (body().rest[:, 2] < Z_WAIST))
    hips, passes = np.concatenate([torso, thighs]), 0
    for original in pedestrians:
        swing = {"left": ArmPose.SWING, "right": ArmPose.SWING}
        gait = replace(original.appearance.gait, abduction=0.0, tilt=0.0, **swing)
        person = build_pedestrian(replace(original.appearance, gait=gait))
        for pose in posed(person, straight(person, 12)):
            for x, y, z in pose[hands]:
                close = hips[np.abs(pose[hips][:, [0, 2]] - [x, z]).max(1) < 0.03]
                if len(close):
                    passes += 1
                    assert not pose[close, 1].min() + 0.02 < y < pose[close, 1].max() - 0.02
    assert passes > 100


def test_a_double_step_has_a_human_length(pedestrians: list[Pedestrian]) -> None:
    for person in pedestrians:
        assert 0.7 < distance_walked(person, np.array([1.0]))[0] / person.leg < 2.2


def test_the_distance_walked_increases_and_repeats_every_double_step(pedestrians: list[Pedestrian]) -> None:
    walked = distance_walked(pedestrians[0], np.linspace(-1, 2, 200))
    assert (np.diff(walked) >= -1e-12).all()
    whole = distance_walked(pedestrians[0], np.array([0.3, 1.3, 2.3]))
    assert np.allclose(np.diff(whole), distance_walked(pedestrians[0], np.array([1.0])))


def test_the_person_looks_where_it_walks(pedestrians: list[Pedestrian]) -> None:
    person = pedestrians[0]
    yaw = np.array([0.0, np.pi / 2])
    matrices = joint_matrices(person, np.array([0.2, 0.2]), np.zeros((2, 2)), yaw, 0.0)
    head = matrices[:, JOINT["head"], :, :3] @ np.array([0.0, -1.0, 0.0])
    assert head[0, 0] > 0.8
    assert head[1, 1] > 0.8


def test_left_and_right_change_roles_after_half_a_double_step(pedestrians: list[Pedestrian]) -> None:
    person = pedestrians[1]
    matrices = joint_matrices(person, np.array([0.0, 0.5]), np.zeros((2, 2)), np.zeros(2), 0.0)
    feet = [JOINT["footL"], JOINT["footR"]]
    ahead = (matrices[:, feet, 0, :3] * person.joints[feet]).sum(-1) + matrices[:, feet, 0, 3]
    assert ahead[0, 0] > ahead[0, 1]
    assert ahead[1, 0] < ahead[1, 1]


PHASE = np.arange(48) / 48


def bone(person: Pedestrian, start: str, end: str) -> np.ndarray:
    return (person.joints[JOINT[end]] - person.joints[JOINT[start]]).astype(np.float64)


def ankle(person: Pedestrian, side: str, phase: np.ndarray) -> np.ndarray:
    """Down the chain of bones, [T, 3]."""
    posed_legs = legs(person, phase)
    chain = (("pelvis", "thigh" + side), ("thigh" + side, "shank" + side), ("shank" + side, "foot" + side))
    return posed_legs.pelvis + sum(posed_legs.turns[start] @ bone(person, start, end) for start, end in chain)


def bend(person: Pedestrian, side: str) -> np.ndarray:
    """Degrees [T] between thigh and shank."""
    posed_legs = legs(person, PHASE)
    thigh = posed_legs.turns["thigh" + side] @ bone(person, "thigh" + side, "shank" + side)
    shank = posed_legs.turns["shank" + side] @ bone(person, "shank" + side, "foot" + side)
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


def test_turns_are_rotations(many_pedestrians: list[Pedestrian]) -> None:
    for person in many_pedestrians[:5]:
        for turn in legs(person, PHASE).turns.values():
            assert np.allclose(turn @ turn.transpose(0, 2, 1), np.eye(3), atol=1e-9)
            assert np.allclose(np.linalg.det(turn), 1)


def test_an_ankle_rests_while_its_sole_is_flat(many_pedestrians: list[Pedestrian]) -> None:
    phase = np.linspace(0.1, 0.3, 9)
    for person in many_pedestrians:
        for side, lead in (("L", 0.0), ("R", 0.5)):
            position = ankle(person, side, phase + lead)
            position[:, 1] -= double_step(person) * phase  # the body moves toward -y
            assert np.ptp(position, axis=0).max() < 2e-3


def test_knees_bend_as_knees_do(many_pedestrians: list[Pedestrian]) -> None:
    for person in many_pedestrians:
        for side, lead in (("L", 0.0), ("R", 0.5)):
            angle, foot_phase = bend(person, side), (PHASE + lead) % 1
            assert angle.max() < 100
            assert 0.55 < foot_phase[angle.argmax()] < 0.95  # most while the foot swings
            assert angle[(foot_phase > 0.2) & (foot_phase < 0.35)].mean() < 35
            assert angle.min() < 25


def test_knees_bend_forward(many_pedestrians: list[Pedestrian]) -> None:
    for person in many_pedestrians:
        posed_legs = legs(person, PHASE)
        for side in "LR":
            knee = posed_legs.turns["thigh" + side] @ bone(person, "thigh" + side, "shank" + side)
            foot = knee + posed_legs.turns["shank" + side] @ bone(person, "shank" + side, "foot" + side)
            share = (knee * foot).sum(1) / (foot**2).sum(1)
            before = knee - share[:, None] * foot  # from the line between hip and ankle to the knee
            assert (before[:, 1] < 1e-3).all()


def test_the_pelvis_rises_and_falls_within_human_limits(many_pedestrians: list[Pedestrian]) -> None:
    rise = [np.ptp(legs(person, PHASE).pelvis[:, 2]) for person in many_pedestrians]
    assert 0.03 < np.mean(rise) < 0.06  # metres
    assert max(rise) < 0.13


def test_an_even_walk_is_its_own_mirror_image(many_pedestrians: list[Pedestrian]) -> None:
    person = many_pedestrians[0]
    gait = replace(person.appearance.gait, uneven_step=0.0, uneven_toes=0.0)
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
        appearance=replace(person.appearance, gait=gait),
        vertices=vertices,
        joints=joints,
        soles=person.soles[: 2 * len(half)],
    )
    left, right = ankle(even, "L", PHASE), ankle(even, "R", PHASE + 0.5)
    assert np.allclose(left, right * [-1, 1, 1], atol=1e-6)


def test_legs_move_a_narrow_skirt_more_than_a_wide_one(domain: Domain) -> None:
    skirts = replace(domain, clothing=replace(domain.clothing, skirt=1.0, coat=0.0))
    appearances = (draw_appearance(number, "a", skirts, 0) for number in range(1, 30))
    appearance = next(drawn for drawn in appearances if drawn.bottom.skirt)
    swept = {}
    for flare in (0.0, 0.5):
        person = build_pedestrian(replace(appearance, bottom=replace(appearance.bottom, flare=flare)))
        swept[flare] = legs(person, PHASE).turns["sheetF"][:, 1, 2].max()
    assert swept[0.0] > 0.2
    assert swept[0.5] < 0.5 * swept[0.0]
