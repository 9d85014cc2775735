from pathlib import Path

import pytest

from bench.costs import Cost
from bench.growth import Growth, grow, slopes, tracklets


def test_slopes_are_those_of_logarithmic_axes() -> None:
    small = [Cost(1.0, 0, 10.0), Cost(2.0, 0, 10.0)]
    large = [Cost(10.0, 0, 10.0), Cost(200.0, 0, 1000.0)]
    assert slopes(small, large, "cpu") == pytest.approx([1, 2])
    assert slopes(small, large, "memory") == pytest.approx([0, 2])


def test_a_part_has_the_slopes_of_time_and_memory() -> None:
    found = list(grow(Growth("open a store", tracklets, 80), rounds=1))
    assert [figure.unit for figure in found] == ["slope", "slope"]
    assert "80 -> 800" in found[0].what
    assert all(" -> " in figure.note for figure in found)


def test_a_store_of_the_given_number_is_opened(tmp_path: Path) -> None:
    from sttreid.tracklets.store import open_store

    tracklets(80, tmp_path)()
    assert len(open_store(tmp_path / "store").tracklets) == 80
