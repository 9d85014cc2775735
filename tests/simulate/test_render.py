from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from sttreid.domain import Domain, Scale
from sttreid.errors import InputError
from sttreid.simulate import render as module
from sttreid.simulate.render import FEWEST, film
from sttreid.simulate.tracks import Detector


def ignore(count: int) -> None:
    assert count == 1


def rows(path: Path) -> list[list[float]]:
    return [[float(word) for word in line.split(",")] for line in path.read_text().splitlines()]


def test_boxes_hold_the_people_they_name(empty: Domain, scale: Scale, tmp_path: Path) -> None:
    """A lone walker before an empty scene: the picture changes inside the box, and hardly elsewhere."""
    still = replace(empty, sensor=replace(empty.sensor, noise=replace(empty.sensor.noise, high=0.0)))
    film("lone", still, scale, 1, [1], tmp_path, ignore)
    with av.open(str(tmp_path / "c1.mp4")) as container:
        frames = [frame.to_ndarray(format="gray").astype(float) for frame in container.decode(video=0)]
    background = np.median(frames, axis=0)
    for frame, _, left, top, width, height, *_ in rows(tmp_path / "c1.txt"):
        change = np.abs(frames[int(frame) - 1] - background) > 25
        box = change[int(top) : int(top + height) + 1, int(left) : int(left + width) + 1]
        assert box.sum() > 0.6 * change.sum() - 30


def test_an_identity_films_the_same_boxes_whoever_else_is_planned_elsewhere(
    domain: Domain, scale: Scale, tmp_path: Path
) -> None:
    larger = replace(scale, identities=60, cameras=9)
    for folder, size in (("a", scale), ("b", larger)):
        (tmp_path / folder).mkdir()
        film("same", domain, size, 2, [3, 4], tmp_path / folder, ignore)
    assert (tmp_path / "a/c2.mp4").read_bytes() == (tmp_path / "b/c2.mp4").read_bytes()
    assert (tmp_path / "a/c2.txt").read_bytes() == (tmp_path / "b/c2.txt").read_bytes()


def test_who_is_hardly_seen_walks_again(
    domain: Domain, scale: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Detector.box

    def blind(self: Detector, frame: int, identity: int, *rest: object) -> object:
        return None if frame <= 8 else found(self, frame, identity, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Detector, "box", blind)
    frames = film("again", domain, scale, 1, [1, 2], tmp_path, ignore)
    lines = rows(tmp_path / "c1.txt")
    counts = Counter(int(line[1]) for line in lines)
    assert set(counts) == {1, 2}
    assert min(counts.values()) >= FEWEST
    assert max(line[0] for line in lines) <= frames


def test_who_stays_hidden_is_named(
    domain: Domain, scale: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Detector, "box", lambda *_: None)
    monkeypatch.setattr(module, "_TRIALS", 2)
    with pytest.raises(InputError, match=r"domain dark: identity 5 is hidden in camera 1 on each of 2 walks"):
        film("dark", domain, scale, 1, [5], tmp_path, ignore)
    assert not (tmp_path / "c1.txt").exists()


def test_the_nearer_person_hides_the_farther_one(rendered: Path) -> None:
    visibility = [line[8] for path in sorted(rendered.glob("c*.txt")) for line in rows(path)]
    assert min(visibility) >= 0.25
    assert max(visibility) == 1
    assert len(set(visibility)) > 3
