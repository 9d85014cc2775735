import numpy as np
import pytest

from bench.link_rate import measure, others, split
from tests.search.galleries import gallery_of


def test_nobody_is_on_both_sides() -> None:
    gallery = gallery_of(people=12, cameras=3)
    linked, fitted = split(gallery, 0.25, 1)
    first, second = (set(part.tracklets["identity"]) for part in (linked, fitted))
    assert (len(first), len(first | second), first & second) == (3, 12, set())
    assert len(linked) + len(fitted) == len(gallery)


def test_others_are_those_of_other_cameras() -> None:
    gallery = gallery_of(people=5, cameras=3).take(np.array([0, 1, 2, 5, 10]))
    cameras = gallery.tracklets["camera"].tolist()
    assert others(gallery) == pytest.approx(np.mean([[a != b for b in cameras] for a in cameras]) * 5)


def test_the_best_rate_is_that_of_the_largest_f1() -> None:
    gallery = gallery_of(people=40, cameras=3, noise=0.5)
    found = measure([gallery, gallery], [0.5], [0.005, 0.05, 0.9], 2)
    (one,) = found
    assert one["best rate"] in (0.005, 0.05)  # with 0.9 everybody is one person
    assert max(each["f1"] for each in one["rates"].values()) == one["rates"][f"{one['best rate']:g}"]["f1"]
    assert one["tracklets"] == 60
    assert one["false matches per tracklet"] == pytest.approx(one["best rate"] * 40)
