"""An index finds what an exact search finds, in the same order, and falls back on it."""

import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from sttreid.config.evaluation import Rerank
from sttreid.runtime.errors import InputError
from sttreid.search import approximate
from sttreid.search.approximate import Index, build_index
from sttreid.search.neighbours import Limits, nearest
from sttreid.search.ranking import search
from tests.search.galleries import gallery_of

NEEDS_FAISS = pytest.mark.skipif(
    find_spec("faiss") is None,
    reason="faiss is not installed: pip install 'sttreid[faiss]'",
)


@pytest.fixture
def gallery():
    return gallery_of(people=300, cameras=3, noise=0.5)


@NEEDS_FAISS
@pytest.mark.parametrize("cross_camera", [True, False])
def test_with_all_cells_the_answers_are_exact(gallery, cross_camera):
    index = build_index(gallery.embeddings, probes=9, cells=9)
    exact = search(None, gallery, 7, cross_camera_only=cross_camera)
    assert search(None, gallery, 7, cross_camera_only=cross_camera, index=index) == exact


@NEEDS_FAISS
def test_few_cells_miss_some_answers_and_never_invent_one(gallery):
    index = build_index(gallery.embeddings, probes=1, cells=14)
    exact, found = search(None, gallery, 10), search(None, gallery, 10, index=index)
    distances = [[one.distance for one in each.answers] for each in (*exact, *found)]
    assert all(line == sorted(line) for line in distances)
    exact_rows, rows = ([{one.row for one in each.answers} for each in side] for side in (exact, found))
    recall = np.mean([len(a & b) / 10 for a, b in zip(exact_rows, rows, strict=True)])
    assert 0.3 < recall < 0.99
    assert all(len(each.answers) == 10 for each in found)
    for one, line in zip(found, rows, strict=True):
        assert one.query not in line


class Blind:
    """Cells in which nothing is found."""

    def search(self, units, number):
        return None, np.full((len(units), number), -1)


class Near:
    """Cells that hold the query's own camera, first."""

    asked: list[int]

    def __init__(self, gallery):
        self.unit, self.asked = gallery.embeddings, []

    def search(self, units, number):
        self.asked.append(number)
        return None, np.argsort(-units @ self.unit.T, axis=1, kind="stable")[:, :number]


@pytest.mark.parametrize("rows", [[], [4, 9]])
def test_what_the_cells_do_not_hold_is_searched_exactly(gallery, rows):
    cameras = np.repeat(np.arange(3), 300)
    limits = Limits(np.array([*rows, -1]), cameras, np.array([0] * len(rows) + [1]))
    features = gallery.embeddings[[*rows, 50]]
    found = Index(Blind(), 900).nearest(features, gallery.embeddings, limits, 5)
    for one, expected in zip(found, nearest(features, gallery.embeddings, limits, 5), strict=True):
        np.testing.assert_array_equal(one, expected)


def test_more_candidates_are_asked_for_where_many_must_not_answer(gallery, monkeypatch):
    monkeypatch.setattr(approximate, "SPARE", 1)
    one = gallery.embeddings[0]  # everybody of the first camera is as near as can be
    embeddings = np.concatenate([np.tile(one, (300, 1)), gallery.embeddings[300:]])
    gallery = replace(gallery, embeddings=embeddings)
    cells = Near(gallery)
    index = Index(cells, 900)
    exact = search([0, 500], gallery, 3, cross_camera_only=True)
    assert search([0, 500], gallery, 3, cross_camera_only=True, index=index) == exact
    assert cells.asked == [4, 16, 64, 256, 900]


@NEEDS_FAISS
@pytest.mark.parametrize("numbers", [{"probes": 0}, {"cells": 0}, {"cells": 901}])
def test_numbers_out_of_range_are_refused(gallery, numbers):
    with pytest.raises(InputError, match=next(iter(numbers))):
        build_index(gallery.embeddings, **numbers)


def test_an_index_belongs_to_its_gallery_and_excludes_re_ranking(gallery):
    with pytest.raises(InputError, match="900 tracklets, got 7"):
        search([0], gallery, index=Index(Blind(), 7))
    with pytest.raises(InputError, match="re-ranking"):
        search([0], gallery, index=Index(Blind(), 900), rerank=Rerank(True, 5, 3, 0.3))


def test_without_faiss_the_error_says_what_to_install(gallery, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match=r"sttreid\[faiss\]"):
        build_index(gallery.embeddings)
