import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from sttreid.runtime.errors import InputError
from sttreid.search import calibration
from sttreid.search.calibration import (
    Calibration,
    Labelled,
    calibrate,
    calibration_path,
    fit_log_odds,
    pair_distances,
    read_calibration,
    threshold_of,
)
from sttreid.search.gallery import Gallery
from tests.search.galleries import MODEL, gallery_of


def labelled(gallery: Gallery) -> Labelled:
    table = gallery.tracklets
    return Labelled(gallery.embeddings, table["identity"].to_numpy(object), table["camera"].to_numpy(object))


def fitted(rate: float = 0.01, noise: float = 0.5, people: int = 60) -> Calibration:
    sets = [labelled(gallery_of(people=people, cameras=3, noise=noise, seed=7))]
    return calibrate(sets, MODEL.sha256, "a test", rendered=True, rate=rate)


def test_pairs_are_those_of_two_cameras() -> None:
    gallery = gallery_of(people=5, cameras=3)
    same, different = pair_distances(labelled(gallery))
    table, unit = gallery.tracklets, gallery.embeddings.astype(np.float64)
    expected: tuple[list[float], list[float]] = ([], [])
    for a in range(len(gallery)):
        for b in range(a):
            if table["camera"][a] != table["camera"][b]:
                expected[table["identity"][a] != table["identity"][b]].append(1 - unit[a] @ unit[b])
    np.testing.assert_allclose(np.sort(same), np.sort(expected[0]))
    np.testing.assert_allclose(np.sort(different), np.sort(expected[1]))
    assert (len(same), len(different)) == (15, 60)


def test_blocks_change_neither_pairs_nor_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = labelled(gallery_of(people=60, cameras=3, noise=0.5, seed=7))
    whole, expected = pair_distances(sets), fitted()
    monkeypatch.setattr(calibration, "BLOCK", 7)
    monkeypatch.setattr(calibration, "CHUNK", 100)
    for found, distances in zip(pair_distances(sets), whole, strict=True):
        np.testing.assert_allclose(np.sort(found), np.sort(distances))
    assert (fitted().intercept, fitted().slope) == pytest.approx((expected.intercept, expected.slope))


def test_memory_grows_with_the_pairs_alone() -> None:
    """8 bytes for each pair; the matrix of all pairs and its indices took 40."""
    rng = np.random.default_rng(0)
    count = 3_000
    sets = Labelled(rng.standard_normal((count, 8)), rng.integers(0, 50, count), np.arange(count) % 2)
    tracemalloc.start()
    try:
        distances = pair_distances(sets)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    pairs = sum(map(len, distances))
    assert pairs == (count // 2) ** 2
    assert peak < 30 * pairs


def test_the_fit_is_a_logistic_regression_without_its_prior() -> None:
    same, different = pair_distances(labelled(gallery_of(people=60, cameras=3, noise=0.5, seed=7)))
    x = np.concatenate([same, different])[:, None]
    y = np.arange(len(x)) < len(same)
    expected = LogisticRegression(C=1e6).fit(x, y)
    found = fitted()
    assert found.slope == pytest.approx(-expected.coef_[0, 0], rel=0.1)  # targets are smoothed
    odds = expected.intercept_[0] - np.log(found.prior / (1 - found.prior))
    assert found.intercept == pytest.approx(odds, rel=0.1)
    assert found.prior == pytest.approx(len(same) / len(x))
    assert (found.same, found.different, found.people) == (len(same), len(different), 60)


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.1])
def test_the_threshold_has_the_wanted_false_match_rate_also_on_new_people(rate: float) -> None:
    found = fitted(rate, people=150)
    _, different = pair_distances(labelled(gallery_of(people=150, cameras=3, noise=0.5, seed=8)))
    assert np.mean(different <= found.threshold) == pytest.approx(rate, rel=0.5)


@pytest.mark.parametrize(
    ("count", "rate"), [(340, 0.003), (334, 0.003), (21, 0.05), (1000, 0.003), (999, 0.1)]
)
def test_no_more_pairs_than_the_rate_allows_pass_the_threshold(count: int, rate: float) -> None:
    distances = np.random.default_rng(0).random(count)
    threshold = threshold_of(distances, rate)
    assert 1 <= (distances <= threshold).sum() <= rate * count + 1e-6
    assert (distances <= np.nextafter(distances[distances > threshold].min(), 2)).sum() > rate * count - 1e-6


@given(
    st.lists(st.sampled_from([-1e-16, 0.0, 0.25, 0.5, 1.0]), min_size=20, max_size=60), st.floats(0.05, 0.9)
)
def test_equal_distances_do_not_raise_the_false_match_rate(values: list[float], rate: float) -> None:
    distances = np.array(values)
    threshold = threshold_of(distances, rate)
    assert (distances <= threshold).sum() <= rate * len(distances) + 1e-6
    farther = distances[distances > threshold]
    assert (distances <= farther.min()).sum() > rate * len(distances) - 1e-6, "it is the largest such one"


def test_the_fit_recovers_log_odds_that_are_linear() -> None:
    """Two normal distributions of one width: the log-odds of a distance are linear, and known."""
    rng = np.random.default_rng(0)
    width, near, far, counts = 0.1, 0.4, 0.7, (4_000, 200_000)
    same, different = rng.normal(near, width, counts[0]), rng.normal(far, width, counts[1])
    slope = (far - near) / width**2
    intercept = slope * (near + far) / 2 + np.log(counts[0] / counts[1])
    assert fit_log_odds(same, different) == pytest.approx((intercept, slope), rel=0.03)
    distance = np.linspace(0, 1, 101)
    found_intercept, found_slope = fit_log_odds(same, different)
    found, true = expit(found_intercept - found_slope * distance), expit(intercept - slope * distance)
    assert np.abs(found - true).max() < 0.02


@pytest.mark.parametrize("unit", [1e-9, 1e-6, 1e-3, 1.0, 1e6])
@pytest.mark.parametrize("kind", ["mixed", "apart", "far apart", "two points", "one outlier"])
def test_the_fit_is_the_optimum_whatever_the_unit(kind: str, unit: float) -> None:
    """At the optimum of a logistic regression chances add up to the targets, and so do their distances."""
    rng = np.random.default_rng(0)
    same, different = {
        "mixed": (rng.normal(0.4, 0.1, 200), rng.normal(0.7, 0.1, 5_000)),
        "apart": (np.linspace(0.3, 0.4, 100), np.linspace(0.41, 0.6, 5_000)),
        "far apart": (rng.normal(0.1, 1e-4, 20), rng.normal(0.9, 1e-4, 20_000)),
        "two points": (np.full(20, 0.1), np.full(5_000, 0.1001)),
        "one outlier": (np.full(100, 0.01), np.append(np.full(5_000, 0.02), 2.0)),
    }[kind]
    intercept, slope = fit_log_odds(same * unit, different * unit)
    distances = np.concatenate([same, different])
    target = np.repeat(
        [(len(same) + 1) / (len(same) + 2), 1 / (len(different) + 2)], [len(same), len(different)]
    )
    missing = target - expit(intercept - slope * unit * distances)
    assert missing.sum() == pytest.approx(0, abs=1e-4)
    assert missing @ (distances - distances.mean()) / distances.std() == pytest.approx(0, abs=1e-4)


def test_a_fit_without_an_optimum_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    same, different = np.linspace(0.1, 0.5, 30), np.linspace(0.3, 0.9, 300)
    for wrong in (np.nan, np.inf):
        with pytest.raises(InputError, match=r"finite, got .*(nan|inf)"):
            fit_log_odds(np.append(same, wrong), different)
    assert fit_log_odds(np.full(30, 0.5), np.full(300, 0.5))[1] == 0
    monkeypatch.setattr(calibration, "STEPS", 2)
    with pytest.raises(InputError, match=r"converge.*0\.1 to 0\.9"):
        fit_log_odds(same, different)


def test_equal_distances_of_all_pairs_are_refused() -> None:
    gallery = gallery_of(people=30)
    alike = replace(gallery, embeddings=np.repeat(gallery.embeddings[:1], len(gallery), axis=0))
    with pytest.raises(InputError, match="nearer"):
        calibrate([labelled(alike)], "m", "one look", rendered=True, rate=0.05)


def test_probabilities_are_frequencies_on_new_people() -> None:
    """Up to a fifth; above, the true log-odds are steeper than a line, so it errs towards caution.

    A distance of 0 is no certainty: one pair in 150 is of one person, and in eight dimensions a few strangers
    are as near as can be.
    """
    found = fitted(people=150)
    parts = [
        pair_distances(labelled(gallery_of(people=150, cameras=3, noise=0.5, seed=seed)))
        for seed in range(8, 18)
    ]
    same, different = (np.concatenate(side) for side in zip(*parts, strict=True))
    chance = found.probability(np.concatenate([same, different]))
    truth = np.arange(len(chance)) < len(same)
    assert chance.sum() == pytest.approx(len(same), rel=0.05)  # as many as there are
    bins = np.digitize(chance, [0.05, 0.1, 0.2])
    assert np.bincount(bins).min() > 1000
    gaps = [float(truth[bins == b].mean() - chance[bins == b].mean()) for b in range(4)]
    assert np.abs(gaps[:3]).max() < 0.03
    assert 0 < gaps[3] < 0.12
    assert found.probability(np.array([1.0])) < 1e-4


def test_the_prior_falls_with_the_number_of_candidates() -> None:
    found = fitted()
    others = 2 * 60  # tracklets in the other two cameras
    assert found.prior_among(others) == pytest.approx(found.prior)
    assert found.prior_among(10 * others) == pytest.approx(found.prior / 10)
    assert found.prior_among(1) == 0.5
    distance = np.array([0.5])
    assert found.probability(distance, 10 * others) < found.probability(distance)


def test_strangeness_is_the_mean_squared_standard_score() -> None:
    gallery = gallery_of(people=60, cameras=3, noise=0.5, seed=7)
    found, x = fitted(), gallery.embeddings.astype(np.float64)
    expected = np.square((x - x.mean(axis=0)) / x.std(axis=0)).mean(axis=1)
    np.testing.assert_allclose(found.strangeness(x), expected)
    assert found.limit == pytest.approx(expected.max())


def test_a_calibration_reads_as_it_was_written(tmp_path: Path) -> None:
    found = fitted()
    found.write(tmp_path / "sub" / "m.json")
    assert read_calibration(tmp_path / "sub" / "m.json") == found
    gallery = replace(gallery_of(), calibration=found)
    gallery.write(tmp_path / "g.parquet")
    assert Gallery.read(tmp_path / "g.parquet").calibration == found
    assert calibration_path(Path("a/campus.pt")) == Path("a/campus.calibration.json")


@pytest.mark.parametrize(
    ("key", "value"),
    [("format", "other/1"), ("slope", -1.0), ("prior", 1.5), ("rate", "x")]
    + [(name, number) for name in ("people", "tracklets", "same", "different") for number in (0, -1, 2**63)],
)
def test_a_damaged_calibration_is_refused(key: str, value: object, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    fitted().write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(InputError, match=f"m.json: .*{key}"):
        read_calibration(path)


def test_an_unknown_key_is_refused_in_a_file_and_in_a_gallery(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    fitted().write(path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"treshold": 0.4}))
    with pytest.raises(InputError, match=r"m\.json: unknown key treshold.*'threshold'"):
        read_calibration(path)
    gallery = replace(gallery_of(), calibration=fitted())
    gallery.write(tmp_path / "g.parquet")
    table = pq.read_table(tmp_path / "g.parquet")
    metadata = json.loads(table.schema.metadata[b"sttreid"])
    metadata["calibration"]["treshold"] = 0.4
    changed = table.replace_schema_metadata({b"sttreid": json.dumps(metadata).encode()})
    pq.write_table(changed, tmp_path / "g.parquet")
    with pytest.raises(InputError, match=r"g\.parquet: calibration: unknown key treshold"):
        Gallery.read(tmp_path / "g.parquet")


def test_what_cannot_be_calibrated_is_refused() -> None:
    few = [labelled(gallery_of(people=4))]
    with pytest.raises(InputError, match="one person"):
        calibrate(few, "m", "four people", rendered=True)
    many = [labelled(gallery_of(people=30))]
    with pytest.raises(InputError, match="two people"):
        calibrate(many, "m", "thirty people", rendered=True, rate=1e-5)
    with pytest.raises(InputError, match="rate"):
        calibrate(many, "m", "thirty people", rendered=True, rate=0)
    with pytest.raises(InputError, match="one person"):
        calibrate([], "m", "nobody", rendered=True)
    crowd = np.zeros((calibration.MOST + 1, 1))
    with pytest.raises(InputError, match="at most 20,000 tracklets, got 20,001"):
        calibrate([Labelled(crowd, crowd[:, 0], crowd[:, 0])], "m", "a crowd", rendered=True)
    gallery = gallery_of(people=30)
    backwards = gallery.embeddings.copy()
    backwards[30:] *= -1  # the same person is farthest
    with pytest.raises(InputError, match="nearer"):
        calibrate([labelled(replace(gallery, embeddings=backwards))], "m", "nonsense", rendered=True)
