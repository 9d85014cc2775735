from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from bench.silhouettes import CONDITIONS, HEIGHT, WIDTH, Score, images, same_clothes, score, silhouette, table
from sttreid.config.domain import DEFAULT_SCALE, Domain, Scale, load_domain
from sttreid.simulate.gait import joint_matrices
from sttreid.simulate.optics import camera_record, pixels
from sttreid.simulate.pedestrian import build_pedestrian
from sttreid.simulate.wardrobe import draw_appearance
from tests.tiny import ROOT

IDENTITIES, TRAIN, TEST = 10, 6, 4


@pytest.fixture(scope="module")
def campus() -> tuple[Domain, Scale]:
    return load_domain("campus", ROOT / "domains"), DEFAULT_SCALE


@pytest.fixture(scope="module")
def energy(campus: tuple[Domain, Scale]) -> np.ndarray:
    return images("campus", *campus, IDENTITIES, TRAIN + TEST, CONDITIONS["same clothes"])


def p_value(result: Score) -> float:
    """Probability of at least so many correct walks under guessing."""
    return float(binomtest(result.correct, result.walks, result.chance, alternative="greater").pvalue)


def test_body_and_gait_identify_persons_in_the_same_clothes(energy: np.ndarray) -> None:
    result = score(energy, TRAIN, 0)
    assert result.walks == IDENTITIES * TEST
    assert p_value(result) < 1e-4
    assert result.low <= result.accuracy <= result.high


def test_shuffled_walks_are_classified_at_chance(energy: np.ndarray) -> None:
    mixed = np.random.default_rng(0).permutation(energy.reshape(-1, energy.shape[2])).reshape(energy.shape)
    assert p_value(score(mixed, TRAIN, 0)) > 0.01


def test_images_are_bit_identical_when_repeated_and_lie_between_0_and_1(
    campus: tuple[Domain, Scale], energy: np.ndarray
) -> None:
    again = images("campus", *campus, 2, 2, CONDITIONS["same clothes"])
    assert np.array_equal(again, energy[:2, :2])
    assert energy.shape == (IDENTITIES, TRAIN + TEST, HEIGHT * WIDTH)
    assert energy.min() == 0
    assert energy.max() == 1


def test_in_the_same_clothes_only_body_and_gait_differ(campus: tuple[Domain, Scale]) -> None:
    domain = campus[0]
    first, second = (same_clothes(draw_appearance(identity, "campus", domain, 1)) for identity in (1, 4))
    original, combined = (
        build_pedestrian(first),
        build_pedestrian(replace(second, physique=first.physique, gait=first.gait)),
    )
    assert np.array_equal(original.vertices, combined.vertices)
    assert np.array_equal(original.face_parts, combined.face_parts)


def test_a_silhouette_is_the_outline_of_the_person(campus: tuple[Domain, Scale]) -> None:
    """Its columns agree with the projected vertices."""
    person = build_pedestrian(same_clothes(draw_appearance(1, "campus", campus[0], 1)))
    matrices = joint_matrices(person, np.zeros(1), np.array([[0.0, 6.0]]), np.zeros(1), 0.0)[0]
    camera = camera_record(1.5, 0.1, 300.0, 200, 200)
    shape = silhouette(person, matrices, camera)
    assert shape.shape == (HEIGHT, WIDTH)
    assert shape[0].any()
    assert shape[-1].any()
    assert abs(np.average(np.arange(WIDTH), weights=shape.sum(0)) - WIDTH / 2) < 1
    mixed = (person.weights[..., None, None] * matrices[person.influences]).sum(1)
    world = np.einsum("vab,vb->va", mixed[..., :3], person.vertices) + mixed[..., 3]
    projected = pixels(camera, world)[:, :2]
    columns = np.flatnonzero(shape.any(0))
    aspect = np.ptp(projected[:, 0]) / np.ptp(projected[:, 1])
    assert len(columns) / HEIGHT == pytest.approx(aspect, abs=0.05)


def test_the_table_names_accuracy_interval_and_chance() -> None:
    text = table("campus", {"as dressed": Score(0.5, 0.4, 0.6, 20, 40, 0.1)})
    assert text.splitlines()[-1] == "| as dressed | 50.0 | 40.0 to 60.0 | 10.0 | 40 |"
