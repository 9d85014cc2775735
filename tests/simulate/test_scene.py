from dataclasses import replace

import numpy as np

from sttreid.domain import Domain, Scale, Scenes
from sttreid.simulate.rays import SOLID, Shape, Texture
from sttreid.simulate.scene import backdrop, draw_scene


def test_equal_generators_give_equal_scenes(domain: Domain, scale: Scale) -> None:
    first, second = (draw_scene(np.random.default_rng(5), domain, scale) for _ in range(2))
    for name in SOLID.names or ():
        assert np.array_equal(first.solids[name], second.solids[name])
    assert first.camera.tobytes() == second.camera.tobytes()
    assert first.light.tobytes() == second.light.tobytes()


def test_scenes_keep_to_the_ranges_of_their_domain(domain: Domain, scale: Scale) -> None:
    for seed in range(40):
        scene = draw_scene(np.random.default_rng(seed), domain, scale)
        assert 2 <= scene.camera["position"][0, 2] <= 4
        assert 0.75 <= scene.camera["focal"][0] / scale.width <= 1.2001
        assert 22 <= scene.crf <= 26
        assert 0 <= scene.noise <= 3
        assert scene.solids["shape"][0] == Shape.GROUND
        assert (scene.solids["shape"][1:] != Shape.GROUND).all()
        assert 0.4 < scene.shadow <= 1


def test_only_the_weighted_kind_of_scene_is_drawn(domain: Domain, scale: Scale) -> None:
    parks = replace(domain, scenes=Scenes(0, 0, 0, 1))
    for seed in range(10):
        assert draw_scene(np.random.default_rng(seed), parks, scale).solids["texture"][0] == Texture.GRASS


def test_obstacles_are_as_many_as_the_domain_says(domain: Domain, scale: Scale) -> None:
    counts = [len(draw_scene(np.random.default_rng(seed), domain, scale).obstacles) for seed in range(300)]
    assert abs(np.mean(counts) - 1.0) < 0.2


def test_a_backdrop_is_a_picture_with_depth(domain: Domain, scale: Scale) -> None:
    scene = draw_scene(np.random.default_rng(1), domain, scale)
    still = backdrop(np.random.default_rng(2), scene, scale)
    assert still.picture.shape == (scale.height, scale.width, 3)
    assert still.picture.min() >= 0
    assert still.picture.max() <= 255.01
    assert still.picture.std() > 5
    assert (still.depth > 0).all()
