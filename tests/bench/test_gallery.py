from pathlib import Path

import numpy as np

from bench.gallery import measure, write_gallery


def test_the_answers_of_a_mapped_gallery_are_those_of_a_full_matrix(tmp_path: Path) -> None:
    rows = write_gallery(tmp_path / "g.npy", 5000, 16, 0)
    result, found = measure(rows, 7, 4)
    chosen = np.linspace(0, 4999, 7).astype(int)
    similarity = rows[chosen].astype(np.float64) @ rows.astype(np.float64).T
    similarity[np.arange(7), chosen] = -np.inf
    np.testing.assert_array_equal(found, np.argsort(-similarity, axis=1)[:, :4])
    assert result["tracklets"] == 5000
