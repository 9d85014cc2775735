import numpy as np

from sttreid.config.domain import Domain, Scale
from sttreid.simulate.optics import pixels
from sttreid.simulate.pedestrian import build_pedestrian
from sttreid.simulate.plan import Visit
from sttreid.simulate.rays import MISS
from sttreid.simulate.scene import draw_scene
from sttreid.simulate.walkers import random_walk
from sttreid.simulate.wardrobe import draw_appearance


def test_paths_stay_inside_an_empty_image(empty: Domain, scale: Scale) -> None:
    inside = []
    for number in range(1, 9):
        rng = np.random.default_rng(number)
        scene = draw_scene(rng, empty, scale)
        person = build_pedestrian(draw_appearance(number, "a", empty, 0))
        depth = np.full((scale.height, scale.width), MISS, np.float32)
        walked = random_walk(rng, Visit(number, 0, 12, 0), person, scene, depth, scale.fps)
        position = pixels(scene.camera, np.concatenate([walked.position, np.full((12, 1), 0.9)], 1))
        inside.append((position[:, 0] > 0) & (position[:, 0] < scale.width) & (position[:, 1] < scale.height))
        assert walked.matrices.shape[0] == 12
    assert np.mean(inside) > 0.97


def test_positions_agree_with_velocities(domain: Domain, scale: Scale) -> None:
    rng = np.random.default_rng(0)
    scene, person = draw_scene(rng, domain, scale), build_pedestrian(draw_appearance(1, "a", domain, 0))
    depth = np.full((scale.height, scale.width), MISS, np.float32)
    walked = random_walk(rng, Visit(1, 0, 20, 0), person, scene, depth, scale.fps)
    assert np.allclose(np.diff(walked.position, axis=0), walked.velocity[:-1])
    speed = np.linalg.norm(walked.velocity, axis=1).mean() * scale.fps
    assert 0.4 < speed < 2.2
