from pathlib import Path

import av
import pytest

from bench.film_memory import repeat


@pytest.mark.parametrize("times", [1, 3])
def test_a_film_is_repeated_with_its_tracks(painted: Path, tmp_path: Path, times: int) -> None:
    source = painted / "c1.mp4"
    frames = repeat(source, times, tmp_path / "film.mp4")

    def shown(path: Path) -> int:
        with av.open(str(path)) as film:
            return sum(1 for _ in film.decode(video=0))

    assert shown(tmp_path / "film.mp4") == frames == times * shown(source)
    lines = (tmp_path / "film.txt").read_text().splitlines()
    keys = {tuple(line.split(",")[:2]) for line in lines}
    assert len(keys) == len(lines) == times * len(source.with_suffix(".txt").read_text().splitlines())
    assert max(int(frame) for frame, _ in keys) <= frames
