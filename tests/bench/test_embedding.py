from pathlib import Path

from bench.embedding import figures


def test_a_model_or_film_that_was_not_pulled_is_named(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").touch()
    (only,) = figures(tmp_path / "model.pt", tmp_path / "film.mp4")
    assert only.ours is None
    assert "model.pt" in only.note
    assert "film.mp4" not in only.note
