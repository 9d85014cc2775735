from dataclasses import replace

import numpy as np
import pytest

from sttreid.config.domain import Domain, Scale, Scenes
from sttreid.simulate.rays import SOLID, Shape, SolidKind
from sttreid.simulate.scene import backdrop, draw_scene
from sttreid.simulate.textures import Texture


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


def test_only_scenes_with_a_weight_are_drawn(domain: Domain, scale: Scale) -> None:
    parks = replace(domain, scenes=Scenes(0, 0, 0, 1))
    for seed in range(10):
        assert draw_scene(np.random.default_rng(seed), parks, scale).solids["texture"][0] == Texture.GRASS


def test_obstacles_are_as_many_as_the_domain_says(domain: Domain, scale: Scale) -> None:
    counts = [len(draw_scene(np.random.default_rng(seed), domain, scale).obstacles) for seed in range(300)]
    assert abs(np.mean(counts) - 1.0) < 0.2


def test_a_backdrop_is_an_image_with_depth(domain: Domain, scale: Scale) -> None:
    scene = draw_scene(np.random.default_rng(1), domain, scale)
    still = backdrop(np.random.default_rng(2), scene, scale)
    assert still.image.shape == (scale.height, scale.width, 3)
    assert still.image.min() >= 0
    assert still.image.max() <= 255.01
    assert still.image.std() > 5
    assert (still.depth > 0).all()


def test_a_bush_stands_on_the_ground_and_all_its_leaves_are_bush(domain: Domain, scale: Scale) -> None:
    crowded = replace(domain, scenes=Scenes(1, 0, 0, 0), view=replace(domain.view, occluders=3.0))
    bushes = 0
    for seed in range(20):
        scene = draw_scene(np.random.default_rng(seed), crowded, scale)
        for x, y in scene.obstacles:
            green = scene.solids[scene.solids["texture"] == Texture.LEAVES]
            away = np.hypot(green["centre"][:, 0] - x, green["centre"][:, 1] - y)
            if not (away == 0).any():
                continue
            bushes, leaves = bushes + 1, green[away < 0.9]
            assert len(leaves) >= 5
            assert (leaves["kind"] == SolidKind.BUSH).all()
            assert (leaves["centre"][:, 2] - leaves["half"][:, 2]).min() < 0
            assert (leaves["centre"][:, 2] + leaves["half"][:, 2]).max() < 1.6
    assert bushes > 3


def test_a_car_is_of_many_parts_and_stands_on_its_wheels(domain: Domain, scale: Scale) -> None:
    streets = replace(domain, scenes=Scenes(1, 0, 0, 0))
    scenes = [draw_scene(np.random.default_rng(seed), streets, scale) for seed in range(10)]
    parts = np.concatenate([scene.solids[scene.solids["kind"] == SolidKind.CAR] for scene in scenes])
    assert len(parts)
    assert (parts["centre"][:, 2] - parts["half"][:, 2]).min() == pytest.approx(0, abs=1e-9)
    assert (parts["centre"][:, 2] + parts["half"][:, 2]).max() < 1.7
