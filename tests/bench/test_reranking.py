"""The benchmark of re-ranking, small: a run in a process, and the comparison with another implementation."""

from pathlib import Path

import numpy as np
import pytest

from bench.reranking import Setting, dense, figures, gap, main, make, measure
from sttreid.retrieval.rerank import rerank

OTHER = """
def re_ranking(q_g_dist, q_q_dist, g_g_dist, k1, k2, lambda_value):
    assert q_q_dist.shape == (len(q_g_dist),) * 2 and len(g_g_dist) == q_g_dist.shape[1]
    return lambda_value * q_g_dist ** 2 / 2
"""


def test_a_candidate_runs_in_a_process_and_writes_its_result(tmp_path: Path) -> None:
    make(tmp_path, queries=300, gallery=2500, width=64, copies=False, seed=0)
    cost = measure(Setting(tmp_path, 1, 20, 6, 0.3), "own")
    features = [np.load(tmp_path / f"{side}.npy") for side in ("queries", "gallery")]
    assert np.array_equal(np.load(tmp_path / "own.npy"), rerank(*features, 20, 6, 0.3))
    assert cost.wall > 0
    assert cost.cpu > 0
    assert 3 < cost.memory < 1000  # the result alone is 3 MB


def test_copies_are_rows_of_the_gallery(tmp_path: Path) -> None:
    make(tmp_path, queries=20, gallery=90, width=8, copies=True, seed=0)
    queries, gallery = (np.load(tmp_path / f"{side}.npy") for side in ("queries", "gallery"))
    assert ((queries[:, None] == gallery).all(axis=2).sum(axis=1) == 1).all()


def test_another_implementation_gets_euclidean_distances_of_rows_of_length_1(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(OTHER)
    make(tmp_path, queries=20, gallery=90, width=8, copies=False, seed=0)
    queries, gallery = (
        np.load(tmp_path / f"{side}.npy").astype(np.float64) for side in ("queries", "gallery")
    )
    distances = dense(tmp_path / "other.py")(queries, gallery, 20, 6, 0.5)
    a, b = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (queries, gallery))
    np.testing.assert_allclose(distances, 0.5 * (1 - a @ b.T), atol=1e-6)


def test_the_gap_counts_distances_and_queries() -> None:
    ours = np.zeros((3, 4), np.float32)
    theirs = ours.copy()
    theirs[1] = [0, 0.5, 1e-6, -0.22]
    text = gap(ours, theirs)
    assert text.startswith("largest difference 5.0e-01, mean 6.0e-02")
    assert text.endswith("2 of 12 distances, in 1 of 3 queries")


def test_a_reference_must_be_a_python_file(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="must be a Python file"):
        dense(tmp_path / "text.txt")
    with pytest.raises(SystemExit):
        main(["--queries", "many"])


def test_figures_stand_beside_torchreids_program_and_agree_with_it() -> None:
    cpu, clock, memory = figures(queries=40, gallery=300, rounds=1)
    assert "in 0 of 40 queries" in cpu.note
    assert cpu.target is not None
    assert (cpu.ours or 9) < 5
    assert clock.target == cpu.target
    assert memory.unit == "MB"
