"""The nearest tracklets, against a full matrix in double precision."""

from dataclasses import replace

import numpy as np
import pytest

from sttreid.config.evaluation import Rerank
from sttreid.retrieval import evaluate, protocol
from sttreid.retrieval.rerank import rerank as rerank_features
from sttreid.runtime.errors import InputError
from sttreid.search import neighbours
from sttreid.search.gallery import Gallery
from sttreid.search.ranking import Outsider, search
from tests.search.galleries import gallery_of
from tests.search.test_calibration import fitted

RERANK = Rerank(enabled=True, k1=5, k2=3, weight=0.3)


def naive(gallery: Gallery, query: int, k: int, cross_camera: bool) -> list[int]:
    unit = gallery.embeddings.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    distance = 1 - unit @ unit[query]
    camera = gallery.tracklets["camera"]
    rows = [
        row
        for row in np.lexsort((np.arange(len(unit)), distance))
        if row != query and not (cross_camera and camera[row] == camera[query])
    ]
    return [int(row) for row in rows[:k]]


@pytest.mark.parametrize("cross_camera", [True, False])
@pytest.mark.parametrize("blocks", [(256, 4096), (3, 7)])
def test_answers_are_those_of_a_full_matrix(
    cross_camera: bool, blocks: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, length in zip(("QUERIES", "TILE"), blocks, strict=True):
        monkeypatch.setattr(neighbours, name, length)
    gallery = gallery_of(people=15, cameras=3, noise=0.8)
    for k in (1, 4, 100):
        found = search(None, gallery, k, cross_camera_only=cross_camera)
        assert [one.query for one in found] == list(range(len(gallery)))
        for one in found:
            assert isinstance(one.query, int)
            assert [answer.row for answer in one.answers] == naive(gallery, one.query, k, cross_camera)
            assert [answer.rank for answer in one.answers] == list(range(1, len(one.answers) + 1))
            distances = [answer.distance for answer in one.answers]
            assert distances == sorted(distances)


def test_rounding_decides_no_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Distances that single precision cannot tell apart."""
    monkeypatch.setattr(neighbours, "TILE", 16)
    gallery = gallery_of(people=60, cameras=1)
    base = gallery.embeddings[0]
    rng = np.random.default_rng(1)
    close = base + 1e-7 * rng.standard_normal(gallery.embeddings.shape).astype(np.float32)
    close /= np.linalg.norm(close, axis=1, keepdims=True)
    gallery = replace(gallery, embeddings=close)
    for query in (0, 17):
        found = search(query, gallery, 5)[0]
        unit = close.astype(np.float64)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        distance = np.delete(1 - unit @ unit[query], query)
        np.testing.assert_allclose([a.distance for a in found.answers], np.sort(distance)[:5], atol=1e-12)


def test_equal_distances_keep_the_order_of_the_gallery() -> None:
    gallery = gallery_of(people=6, cameras=1)
    same = replace(gallery, embeddings=np.repeat(gallery.embeddings[:1], len(gallery), axis=0))
    assert [answer.row for answer in search(2, same, 3)[0].answers] == [0, 1, 3]


@pytest.mark.parametrize("rerank", [None, RERANK])
def test_no_distance_is_below_0(rerank: Rerank | None) -> None:
    """Rounding would give equal embeddings -2e-16, which a table shows as -0.000000."""
    gallery = gallery_of(people=40)
    twice = replace(gallery, embeddings=np.concatenate([gallery.embeddings[:40]] * 2))
    raw = [1 - row @ row / np.linalg.norm(row) ** 2 for row in twice.embeddings.astype(np.float64)]
    assert min(raw) < 0
    found = search(None, twice, 1, rerank=rerank)
    nearest = [one.answers[0] for one in found]
    assert [answer.row for answer in nearest] == [*range(40, 80), *range(40)]
    assert all(0 <= answer.distance < 1e-15 for answer in nearest)
    assert not any(np.signbit(answer.distance) for answer in nearest)


def test_queries_may_be_rows_names_embeddings_and_outsiders() -> None:
    gallery = gallery_of(strips=True)
    by_row = search(3, gallery)[0]
    assert by_row.strip == gallery.strips[3]
    assert search([gallery.names[3]], gallery) == (by_row,)
    assert search(gallery.names[3], gallery) == (by_row,)
    outside = search(Outsider("someone", gallery.embeddings[3], b"strip"), gallery)[0]
    assert (outside.query, outside.strip, outside.answers[0].row) == ("someone", b"strip", 3)
    assert [one.answers[0].row for one in search(gallery.embeddings[:2], gallery)] == [0, 1]
    assert search(gallery.embeddings[1], gallery)[0].answers[0].row == 1


def test_answers_are_right_or_wrong_only_where_both_labels_are_known() -> None:
    gallery = gallery_of(noise=0.05)
    answers = search(0, gallery, 8)[0].answers
    assert {a.row: a.correct for a in answers} == {row: row == 4 for row in range(1, 8)}
    assert all(a.correct is None for a in search(0, gallery_of(labels=False), 8)[0].answers)
    assert all(a.correct is None for a in search(gallery.embeddings[0], gallery)[0].answers)


@pytest.mark.parametrize("cross_camera", [True, False])
def test_the_share_of_right_first_answers_is_the_rank_1_of_the_evaluator(cross_camera: bool) -> None:
    """Who has no other tracklet that may answer is no error of the search."""
    gallery = gallery_of(people=12, cameras=2, noise=1.0)
    table = gallery.tracklets.astype({"identity": object})
    table.loc[[0, 3, 5], "identity"] = ["x", "y", None]  # two people of one tracklet, and one not known
    table.loc[4, "camera"] = table["camera"][16]  # one camera saw p4 twice
    gallery = replace(gallery, tracklets=table)
    found = search(None, gallery, 24, cross_camera_only=cross_camera)
    for query, one in enumerate(found):
        order = naive(gallery, query, 24, cross_camera)
        own, others = table["identity"][query], [table["identity"][row] for row in order]
        assert one.findable is (None if own is None else own in others)
        assert one.first is (others[0] == own if one.findable and others[0] else None)
    assert {one.findable for one in found} == {True, False, None}
    outside = search(Outsider("photo", gallery.embeddings[2]), gallery)[0]
    assert (outside.findable, outside.first) == (None, None)
    if cross_camera:
        labels = tuple(table[name].factorize(use_na_sentinel=False)[0] for name in ("identity", "camera"))
        rules = replace(protocol("embedded"), name="other cameras", excluded="same camera")
        result = evaluate(gallery.embeddings, gallery.embeddings, labels, labels, rules)
        assert result.queries == sum(one.findable is True for one in found)
        assert result.rank1 == pytest.approx(sum(one.first is True for one in found) / result.queries)


def test_reranking_orders_as_the_evaluator_does_and_keeps_cosine_distances() -> None:
    gallery = gallery_of(people=12, cameras=3, noise=0.8)
    scores = rerank_features(gallery.embeddings, gallery.embeddings, RERANK.k1, RERANK.k2, RERANK.weight)
    np.fill_diagonal(scores, np.inf)
    found = search(None, gallery, 6, rerank=RERANK)
    plain = {(one.query, a.row): a.distance for one in search(None, gallery, 99) for a in one.answers}
    for query, one in enumerate(found):
        assert [a.row for a in one.answers] == np.argsort(scores[query], kind="stable")[:6].tolist()
        for a in one.answers:
            assert a.distance == pytest.approx(plain[query, a.row], abs=1e-12)
    crossed = search(None, gallery, 99, rerank=RERANK, cross_camera_only=True)
    cameras = gallery.tracklets["camera"]
    assert all(cameras[a.row] != cameras[n] for n, one in enumerate(crossed) for a in one.answers)
    assert {len(one.answers) for one in crossed} == {24}


def test_whether_somebody_is_here_depends_neither_on_the_order_nor_on_the_number_of_answers() -> None:
    gallery = gallery_of(people=12, cameras=3, noise=0.8)
    both = [search(None, gallery, 1, rerank=settings) for settings in (None, RERANK)]
    pairs = [tuple(one.answers[0].distance for one in two) for two in zip(*both, strict=True)]
    query, (near, far) = max(enumerate(pairs), key=lambda pair: pair[1][1] - pair[1][0])
    assert near < far  # re-ranking puts another tracklet first
    calibration = replace(fitted(), threshold=(near + far) / 2)
    for k in (1, 99):
        for settings in (None, RERANK):
            found = search(query, gallery, k, calibration=calibration, rerank=settings)
            assert found[0].here is True
    everyone = [search(None, gallery, 1, calibration=calibration, rerank=rule) for rule in (None, RERANK)]
    assert [one.here for one in everyone[0]] == [one.here for one in everyone[1]]


def test_a_calibration_gives_probabilities_and_tells_strangers() -> None:
    gallery, calibration = gallery_of(people=30, noise=0.2), fitted()
    found = search(0, gallery, calibration=calibration)[0]
    chances = [a.probability for a in found.answers]
    assert chances == sorted(chances, reverse=True)
    distances = np.array([a.distance for a in found.answers])
    np.testing.assert_allclose(chances, calibration.probability(distances, len(gallery) - 1))
    crossed = search(0, gallery, 99, calibration=calibration, cross_camera_only=True)[0]
    distances = np.array([a.distance for a in crossed.answers])
    expected = calibration.probability(distances, len(gallery) // 2)
    np.testing.assert_allclose([a.probability for a in crossed.answers], expected)
    assert found.here is True
    assert found == search(0, replace(gallery, calibration=calibration))[0]
    assert search(0, gallery)[0].here is None
    stranger = np.linalg.svd(gallery.embeddings[:7])[2][-1]  # at a right angle to seven people
    alone = gallery.take(np.arange(7))
    assert search(stranger, alone, calibration=calibration)[0].here is False
    one = gallery.take(np.array([0]))
    assert search(0, one, calibration=calibration)[0].here is False  # nobody may answer
    with pytest.raises(InputError, match="gallery's model"):
        search(0, gallery, calibration=replace(calibration, model="00" * 32))


def test_a_query_far_from_the_calibration_is_remarked() -> None:
    gallery = gallery_of(people=30)
    calibration = fitted()
    assert search(0, gallery, calibration=replace(calibration, limit=1e9))[0].remarks == ()
    assert search(0, gallery, calibration=replace(calibration, limit=1e-9))[0].remarks
    embedding, limit = gallery.embeddings[0], float(calibration.strangeness(gallery.embeddings[:1])[0])
    near = replace(calibration, limit=1.01 * limit)
    for length in (0.1, 1, 20):  # its length says nothing
        assert search(length * embedding, gallery, calibration=near)[0].remarks == ()


@pytest.mark.parametrize(
    ("query", "k", "told"),
    [
        (99, 1, "99"),
        (-1, 1, "-1"),
        ("cam9.mp4:1", 1, "cam9.mp4:1"),
        ([], 1, "at least 1 query"),
        (0, 0, "got 0"),
        (np.full(8, np.nan), 1, "finite"),
        (np.zeros(8), 1, "not all 0"),
        (np.ones(5), 1, "8 values"),
    ],
)
def test_bad_queries_are_named(query: object, k: int, told: str) -> None:
    with pytest.raises(InputError, match=told):
        search(query, gallery_of(), k)  # type: ignore[arg-type]


def test_an_empty_gallery_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1 tracklet"):
        search(None, gallery_of().take(np.zeros(0, np.int64)))
