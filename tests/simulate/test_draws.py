import subprocess
import sys

import numpy as np
import pytest

from sttreid.config.domain import Range, Skin
from sttreid.simulate.draws import stream, uniform, weighted_choice


def test_a_stream_depends_on_every_part_of_its_key() -> None:
    keys = [
        (0, "look", "a", 1),
        (1, "look", "a", 1),
        (0, "path", "a", 1),
        (0, "look", "b", 1),
        (0, "look", "a", 2),
    ]
    assert len({stream(*key).random() for key in keys}) == len(keys)


def test_a_stream_is_the_same_in_another_process() -> None:
    code = "from sttreid.simulate.draws import stream; print(stream(7, 'look', 'campus', 3, 4).random())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(other.stdout) == stream(7, "look", "campus", 3, 4).random()


def test_names_are_drawn_in_proportion_to_their_weights() -> None:
    rng = np.random.default_rng(0)
    drawn = [weighted_choice(rng, Skin(0, 0, 3, 0, 1, 0, 0)) for _ in range(2000)]
    assert set(drawn) == {"light", "brown"}
    assert drawn.count("light") / 2000 == pytest.approx(0.75, abs=0.03)


def test_a_range_is_drawn_from_uniformly() -> None:
    rng = np.random.default_rng(0)
    values = [uniform(rng, Range(2.0, 4.0)) for _ in range(2000)]
    assert 2 <= min(values) < 2.05
    assert 3.95 < max(values) <= 4
    assert np.mean(values) == pytest.approx(3, abs=0.05)
