from dataclasses import replace

import numpy as np
import pytest

from sttreid.config.domain import Domain, Scale
from sttreid.simulate.clothing import figure
from sttreid.simulate.optics import pixels
from sttreid.simulate.rays import MISS
from sttreid.simulate.scene import draw_scene
from sttreid.simulate.walkers import Visit, schedule, walk
from sttreid.simulate.wardrobe import look


def test_everyone_comes_once_for_as_long_as_asked(domain: Domain, scale: Scale) -> None:
    visits = schedule("a", domain, scale, 1, list(range(10, 60)))
    assert sorted(visit.identity for visit in visits) == list(range(10, 60))
    assert {visit.length for visit in visits} == {6, 7}
    assert [visit.start for visit in visits] == sorted(visit.start for visit in visits)


def test_how_long_somebody_is_seen_depends_on_nobody_else(domain: Domain, scale: Scale) -> None:
    few, many = (
        {visit.identity: visit.length for visit in schedule("a", domain, size, 1, who)}
        for size, who in ((scale, [3, 4, 5]), (replace(scale, identities=90, cameras=9), list(range(1, 90))))
    )
    assert {identity: many[identity] for identity in few} == few


def test_as_many_people_are_present_as_asked(domain: Domain, scale: Scale) -> None:
    visits = schedule("a", domain, replace(scale, shortest=20, longest=30), 1, list(range(1, 400)))
    assert sum(visit.length for visit in visits) / visits[-1].end == pytest.approx(3.0, rel=0.08)


def test_paths_stay_in_an_empty_picture(empty: Domain, scale: Scale) -> None:
    inside = []
    for number in range(1, 9):
        rng = np.random.default_rng(number)
        scene = draw_scene(rng, empty, scale)
        person = figure(look(number, "a", empty, 0))
        depth = np.full((scale.height, scale.width), MISS, np.float32)
        walked = walk(rng, Visit(number, 0, 12, 0), person, scene, depth, scale.fps)
        place = pixels(scene.camera, np.concatenate([walked.position, np.full((12, 1), 0.9)], 1))
        inside.append((place[:, 0] > 0) & (place[:, 0] < scale.width) & (place[:, 1] < scale.height))
        assert walked.matrices.shape[0] == 12
    assert np.mean(inside) > 0.97


def test_a_walker_moves_at_the_velocity_that_it_claims(domain: Domain, scale: Scale) -> None:
    rng = np.random.default_rng(0)
    scene, person = draw_scene(rng, domain, scale), figure(look(1, "a", domain, 0))
    depth = np.full((scale.height, scale.width), MISS, np.float32)
    walked = walk(rng, Visit(1, 0, 20, 0), person, scene, depth, scale.fps)
    assert np.allclose(np.diff(walked.position, axis=0), walked.velocity[:-1])
    speed = np.linalg.norm(walked.velocity, axis=1).mean() * scale.fps
    assert 0.4 < speed < 2.2
