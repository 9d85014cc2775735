import numpy as np
import pytest

from sttreid.domain import Domain
from sttreid.simulate.body import JOINT
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


def test_the_foot_on_the_ground_hardly_slides(people: list[Figure]) -> None:
    for person in people:
        feet = [JOINT["footL"], JOINT["footR"]]
        matrices = straight(person, 48)[:, feet]
        ankle = np.einsum("tjab,jb->tja", matrices[..., :3], person.joints[feet]) + matrices[..., 3]
        lower = ankle[:-1, :, 2].argmin(1)
        slide = np.abs(np.diff(ankle[..., 0], axis=0)[np.arange(47), lower])
        assert slide.mean() < 0.1 * progress(person, np.array([1.0]))[0] / 48


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
