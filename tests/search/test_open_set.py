import numpy as np
import pytest

from sttreid.runtime.errors import InputError
from sttreid.search.open_set import open_set
from tests.search.galleries import gallery_of
from tests.search.test_calibration import labelled


def test_people_who_are_well_apart_are_found_without_false_alarms() -> None:
    found = open_set(labelled(gallery_of(people=10, noise=0.001)), (0.01, 0.1), threshold=0.001, draws=3)
    assert found.rank1 == 1
    assert found.detection == (1, 1)
    assert (found.threshold_alarms, found.threshold_detection) == (0, 1)


def test_rates_against_a_naive_search() -> None:
    gallery = gallery_of(people=20, cameras=3, noise=0.9)
    data = labelled(gallery)
    found = open_set(data, (0.1, 0.5), threshold=0.3, draws=1, seed=4)
    strangers = np.random.default_rng(4).permutation(20)[:10]
    person = np.unique(data.identities.astype(str), return_inverse=True)[1]
    unit = data.embeddings.astype(np.float64)
    known = [row for row in range(60) if person[row] not in strangers]
    first, right = np.zeros(60), np.zeros(60, bool)
    for row in range(60):
        rows = [other for other in known if data.cameras[other] != data.cameras[row]]
        distance = 1 - unit[rows] @ unit[row]
        first[row], right[row] = distance.min(), person[rows[distance.argmin()]] == person[row]
    stranger = np.isin(person, strangers)
    for rate, detection in zip(found.rates, found.detection, strict=True):
        alarms = int(rate * stranger.sum())
        limit = np.sort(first[stranger])[alarms]  # one more would be an alarm too many
        assert detection == pytest.approx(np.mean(right[~stranger] & (first[~stranger] < limit)))
    assert found.threshold_alarms == pytest.approx(np.mean(first[stranger] <= 0.3))
    assert found.threshold_detection == pytest.approx(np.mean(right[~stranger] & (first[~stranger] <= 0.3)))
    assert found.rank1 == pytest.approx(np.mean(right[~stranger]))


def test_detection_rises_with_the_false_alarms() -> None:
    found = open_set(labelled(gallery_of(people=40, noise=0.9)), (0.01, 0.05, 0.1, 1), draws=5)
    assert list(found.detection) == sorted(found.detection)
    assert found.detection[-1] == pytest.approx(found.rank1)
    assert found.threshold_alarms is None


def test_a_test_needs_people() -> None:
    with pytest.raises(InputError, match="got 3"):
        open_set(labelled(gallery_of(people=3)), (0.1,))
