from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from bench.silhouettes import CONDITIONS, HEIGHT, WIDTH, Score, images, same_clothes, score, silhouette, table
from sttreid.config.domain import Domain, Scale
from sttreid.config.params import PARAMS, load
from sttreid.simulate.clothing import figure
from sttreid.simulate.gait import joint_matrices
from sttreid.simulate.optics import camera_record, pixels
from sttreid.simulate.wardrobe import look

IDENTITIES, TRAIN, TEST = 10, 6, 4


@pytest.fixture(scope="module")
def campus() -> tuple[Domain, Scale]:
    values = load(PARAMS)
    return values.domains["campus"], replace(values.benchmark, seed=1)


@pytest.fixture(scope="module")
def energy(campus: tuple[Domain, Scale]) -> np.ndarray:
    return images("campus", *campus, IDENTITIES, TRAIN + TEST, CONDITIONS["same clothes"])


def luck(found: Score) -> float:
    """How likely so many right answers are for somebody who guesses."""
    return float(binomtest(found.right, found.walks, found.chance, alternative="greater").pvalue)


def test_body_and_gait_tell_people_apart_who_wear_the_same(energy: np.ndarray) -> None:
    found = score(energy, TRAIN, 0)
    assert found.walks == IDENTITIES * TEST
    assert luck(found) < 1e-4
    assert found.low <= found.accuracy <= found.high


def test_walks_of_nobody_in_particular_are_told_apart_by_luck_alone(energy: np.ndarray) -> None:
    mixed = np.random.default_rng(0).permutation(energy.reshape(-1, energy.shape[2])).reshape(energy.shape)
    assert luck(score(mixed, TRAIN, 0)) > 0.01


def test_images_are_repeated_to_the_bit_and_lie_between_0_and_1(
    campus: tuple[Domain, Scale], energy: np.ndarray
) -> None:
    again = images("campus", *campus, 2, 2, CONDITIONS["same clothes"])
    assert np.array_equal(again, energy[:2, :2])
    assert energy.shape == (IDENTITIES, TRAIN + TEST, HEIGHT * WIDTH)
    assert energy.min() == 0
    assert energy.max() == 1


def test_in_the_same_clothes_only_body_and_gait_are_left(campus: tuple[Domain, Scale]) -> None:
    domain = campus[0]
    first, second = (same_clothes(look(identity, "campus", domain, 1)) for identity in (1, 4))
    one, other = figure(first), figure(replace(second, physique=first.physique, walk=first.walk))
    assert np.array_equal(one.vertices, other.vertices)
    assert np.array_equal(one.face_parts, other.face_parts)


def test_a_silhouette_is_the_outline_of_the_person(campus: tuple[Domain, Scale]) -> None:
    """Its columns agree with the places of the vertices under the pinhole camera."""
    person = figure(same_clothes(look(1, "campus", campus[0], 1)))
    matrices = joint_matrices(person, np.zeros(1), np.array([[0.0, 6.0]]), np.zeros(1), 0.0)[0]
    camera = camera_record(1.5, 0.1, 300.0, 200, 200)
    shape = silhouette(person, matrices, camera)
    assert shape.shape == (HEIGHT, WIDTH)
    assert shape[0].any()
    assert shape[-1].any()
    assert abs(np.average(np.arange(WIDTH), weights=shape.sum(0)) - WIDTH / 2) < 1
    mixed = (person.weights[..., None, None] * matrices[person.influences]).sum(1)
    world = np.einsum("vab,vb->va", mixed[..., :3], person.vertices) + mixed[..., 3]
    seen = pixels(camera, world)[:, :2]
    columns = np.flatnonzero(shape.any(0))
    aspect = np.ptp(seen[:, 0]) / np.ptp(seen[:, 1])
    assert len(columns) / HEIGHT == pytest.approx(aspect, abs=0.05)


def test_the_table_names_accuracy_interval_and_chance() -> None:
    text = table("campus", {"as dressed": Score(0.5, 0.4, 0.6, 20, 40, 0.1)})
    assert text.splitlines()[-1] == "| as dressed | 50.0 | 40.0 to 60.0 | 10.0 | 40 |"
