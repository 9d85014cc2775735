from dataclasses import replace

import numpy as np
import pytest

from sttreid.config.domain import Domain
from sttreid.simulate.appearance import Arm
from sttreid.simulate.body import JOINT, Z_WAIST, Part, body
from sttreid.simulate.clothing import Figure, figure
from sttreid.simulate.gait import joint_matrices, progress
from sttreid.simulate.wardrobe import look


@pytest.fixture(scope="module")
def people(domain: Domain) -> list[Figure]:
    return [figure(look(identity, "a", domain, 0)) for identity in range(1, 6)]


def posed(person: Figure, matrices: np.ndarray) -> np.ndarray:
    """Vertices [T, V, 3], by the definition of linear blend skinning."""
    moved = np.einsum("tvkij,vj->tvki", matrices[:, person.influences][..., :3], person.vertices)
    return (person.weights[None, ..., None] * (moved + matrices[:, person.influences][..., 3])).sum(2)


def straight(person: Figure, frames: int) -> np.ndarray:
    """Matrices of a walk along the x axis, one double step long."""
    phase = np.arange(frames) / frames
    position = np.stack([progress(person, phase), np.zeros(frames)], 1)
    return joint_matrices(person, phase, position, np.zeros(frames), 0.0)


def test_nobody_sinks_into_the_ground_or_floats(people: list[Figure]) -> None:
    for person in people:
        soles = posed(person, straight(person, 24))[:, person.soles]
        assert np.abs(soles[..., 2].min(1)).max() < 1e-4


def test_every_foot_stands_while_it_should(people: list[Figure]) -> None:
    phase = np.arange(48) / 48
    for person in people:
        soles = posed(person, straight(person, 48))[:, person.soles]
        left = person.vertices[person.soles, 0] > 0
        for side, lead in ((left, 0.0), (~left, 0.5)):
            stands = (phase + lead) % 1 < person.look.walk.stance - 0.01
            height = soles[:, side, 2].min(1)
            assert np.abs(height[stands]).max() < 1e-4
            assert height[~stands].max() > 0.3 * person.look.walk.lift


def test_a_standing_foot_does_not_slide(domain: Domain) -> None:
    """The lowest point of a standing foot's sole moves at less than a hundredth of the walking speed."""
    frames = 96
    phase = np.arange(frames) / frames
    for identity in range(1, 21):
        person = figure(look(identity, "a", domain, 1))
        soles = posed(person, straight(person, frames))[:, person.soles]
        left = person.vertices[person.soles, 0] > 0
        for side, lead in ((left, 0.0), (~left, 0.5)):
            points = soles[:, side]
            lowest = (points[1:, :, 2] + points[:-1, :, 2]).argmin(1)
            moved = np.linalg.norm(np.diff(points[..., :2], axis=0), axis=2)[np.arange(frames - 1), lowest]
            stands = (phase[1:] + lead) % 1 < person.look.walk.stance - 0.01
            stands &= (phase[:-1] + lead) % 1 < person.look.walk.stance - 0.01
            assert stands.sum() > frames / 2
            assert moved[stands].max() < 0.01 * progress(person, np.array([1.0]))[0] / frames


def test_hands_pass_beside_the_hips_and_not_through_them(people: list[Figure]) -> None:
    hands, thighs = (np.flatnonzero(body().parts == part) for part in (Part.HAND, Part.THIGH))
    torso = np.flatnonzero((body().parts == Part.TORSO) & (body().rest[:, 2] < Z_WAIST))
    hips, passes = np.concatenate([torso, thighs]), 0
    for own in people:
        walk = replace(own.look.walk, abduction=0.0, left=Arm.SWING, right=Arm.SWING, tilt=0.0)
        person = figure(replace(own.look, walk=walk))
        for pose in posed(person, straight(person, 12)):
            for x, y, z in pose[hands]:
                beside = hips[np.abs(pose[hips][:, [0, 2]] - [x, z]).max(1) < 0.03]
                if len(beside):
                    passes += 1
                    assert not pose[beside, 1].min() + 0.02 < y < pose[beside, 1].max() - 0.02
    assert passes > 100


def test_a_double_step_has_a_human_length(people: list[Figure]) -> None:
    for person in people:
        assert 0.7 < progress(person, np.array([1.0]))[0] / person.leg < 2.2


def test_progress_never_goes_back_and_repeats_every_double_step(people: list[Figure]) -> None:
    walked = progress(people[0], np.linspace(-1, 2, 200))
    assert (np.diff(walked) >= -1e-12).all()
    whole = progress(people[0], np.array([0.3, 1.3, 2.3]))
    assert np.allclose(np.diff(whole), progress(people[0], np.array([1.0])))


def test_the_person_looks_where_it_walks(people: list[Figure]) -> None:
    person = people[0]
    yaw = np.array([0.0, np.pi / 2])
    matrices = joint_matrices(person, np.array([0.2, 0.2]), np.zeros((2, 2)), yaw, 0.0)
    head = matrices[:, JOINT["head"], :, :3] @ np.array([0.0, -1.0, 0.0])
    assert head[0, 0] > 0.8
    assert head[1, 1] > 0.8


def test_left_and_right_change_roles_after_half_a_double_step(people: list[Figure]) -> None:
    person = people[1]
    matrices = joint_matrices(person, np.array([0.0, 0.5]), np.zeros((2, 2)), np.zeros(2), 0.0)
    feet = [JOINT["footL"], JOINT["footR"]]
    ahead = (matrices[:, feet, 0, :3] * person.joints[feet]).sum(-1) + matrices[:, feet, 0, 3]
    assert ahead[0, 0] > ahead[0, 1]
    assert ahead[1, 0] < ahead[1, 1]
