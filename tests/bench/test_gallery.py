from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from bench.gallery import figures, measure, measure_index, write_gallery


def test_the_answers_of_a_mapped_gallery_are_those_of_a_full_matrix(tmp_path: Path) -> None:
    rows = write_gallery(tmp_path / "g.npy", 5000, 16, 0)
    result, found = measure(rows, 7, 4)
    chosen = np.linspace(0, 4999, 7).astype(int)
    similarity = rows[chosen].astype(np.float64) @ rows.astype(np.float64).T
    similarity[np.arange(7), chosen] = -np.inf
    np.testing.assert_array_equal(found, np.argsort(-similarity, axis=1)[:, :4])
    assert result["tracklets"] == 5000


@pytest.mark.skipif(find_spec("faiss") is None, reason="faiss is not installed: pip install 'sttreid[faiss]'")
def test_recall_rises_with_the_probes_up_to_one(tmp_path: Path) -> None:
    rows = write_gallery(tmp_path / "g.npy", 5000, 16, 0, per_person=10)
    _, exact = measure(rows, 40, 10)
    result = measure_index(rows, exact, [1, 1000])
    few, all_ = (result[f"{number} probes"]["recall@10"] for number in (1, 1000))
    assert few < all_ == 1


def test_tracklets_of_a_person_are_near(tmp_path: Path) -> None:
    rows = np.asarray(write_gallery(tmp_path / "g.npy", 500, 64, 0, per_person=5)).reshape(100, 5, 64)
    distance = 1 - (rows[:, 0] * rows[:, 1]).sum(axis=1)
    assert 0.3 < distance.mean() < 0.5
    assert 0.9 < (1 - (rows[1:, 0] * rows[:-1, 1]).sum(axis=1)).mean() < 1.1


@pytest.mark.skipif(find_spec("faiss") is None, reason="faiss is not installed: pip install 'sttreid[faiss]'")
def test_figures_stand_beside_faiss() -> None:
    exact, memory, index, build = figures(tracklets=20_000, queries=10, rounds=2)
    assert exact.against.startswith("faiss")
    assert "%" in index.note
    assert memory.unit == "MB"
    assert (build.ours or 0) > 0
