"""The path of a pedestrian through the view of a camera."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from sttreid.simulate.gait import distance_walked, joint_matrices
from sttreid.simulate.geometry import Doubles, Floats
from sttreid.simulate.optics import pixels
from sttreid.simulate.pedestrian import Pedestrian
from sttreid.simulate.plan import Visit
from sttreid.simulate.scene import Scene

_ATTEMPTS: Final = 60  # random paths, of which the best is taken
_CLEARANCE: Final = 0.5  # metres between a path and an obstacle
_HIDDEN: Final = 0.35  # share of the frames in which the scene may hide a pedestrian
_TURNING: Final = 0.10  # standard deviation of the turning rate, radians per second


@dataclass(frozen=True)
class Walk:
    """A visit with its moving pedestrian. T frames, J joints."""

    visit: Visit
    pedestrian: Pedestrian
    matrices: Floats  # [T, J, 3, 4]
    position: Doubles  # [T, 2] metres
    yaw: Doubles  # [T] heading in radians from the x axis
    velocity: Doubles  # [T, 2] metres per frame


def random_walk(
    rng: np.random.Generator, visit: Visit, pedestrian: Pedestrian, scene: Scene, depth: Floats, fps: int
) -> Walk:
    """The best of several random paths: inside the image, neither too near nor too far, rarely hidden.

    Args:
        rng: draws phase, path and the turn of the head.
        visit: its length sets the number of frames.
        pedestrian: the pedestrian who walks.
        scene: of the camera.
        depth: [H, W] metres, of the empty scene.
        fps: frames per second.
    """
    phase = rng.random() + np.arange(visit.length) * pedestrian.appearance.gait.cadence / fps
    after = phase[-1:] + pedestrian.appearance.gait.cadence / fps
    steps = np.diff(distance_walked(pedestrian, np.concatenate([phase, after])))
    best, least = None, np.inf
    for _ in range(_ATTEMPTS):
        position, yaw = _path(rng, steps, scene, depth.shape[1], fps)
        fault = _fault(position, pedestrian.appearance.physique.height, scene, depth)
        if fault < least:
            best, least = (position, yaw), fault
        if fault == 0:
            break
    assert best is not None  # faults are finite, so the first path has been taken
    position, yaw = best
    matrices = joint_matrices(pedestrian, phase, position, yaw, glance=float(rng.normal(0, 0.25)))
    moves = steps[:, None] * np.stack([np.cos(yaw), np.sin(yaw)], 1)
    return Walk(visit, pedestrian, matrices, position, yaw, moves)


def _path(
    rng: np.random.Generator, steps: Doubles, scene: Scene, width: int, fps: int
) -> tuple[Doubles, Doubles]:
    """Positions [T, 2] and headings [T] along a slight bend whose middle lies in the walking area."""
    away = scene.distance * rng.uniform(0.85, 1.25)
    aside = rng.uniform(-0.38, 0.38) * width * away / float(scene.camera["focal"][0])
    heading = scene.heading + np.pi * rng.integers(2) + rng.normal(0, scene.spread)
    yaw = heading + rng.normal(0, _TURNING) * np.arange(len(steps)) / fps
    moves = steps[:, None] * np.stack([np.cos(yaw), np.sin(yaw)], 1)
    position = np.cumsum(moves, 0) - moves
    return position - position[len(steps) // 2] + np.array([aside, away]), yaw


def _fault(position: Doubles, stature: float, scene: Scene, depth: Floats) -> float:
    """0 for a good path; otherwise the sum, over broken rules, of the share of frames that break it."""
    height, width = depth.shape
    feet, head = projected(scene, position, 0.0), projected(scene, position, stature)
    tall = feet[:, 1] - head[:, 1]
    outside = (feet[:, 0] < 0.2 * tall) | (feet[:, 0] > width - 0.2 * tall)
    outside |= (feet[:, 1] > height - 2) | (head[:, 1] < 2)
    fault = float((outside | (tall < scene.heights[0]) | (tall > scene.heights[1])).mean())
    for x, y in scene.obstacles:
        fault += float((np.hypot(position[:, 0] - x, position[:, 1] - y) < _CLEARANCE).mean())
    for share in (0.35, 0.75):
        fault += max(0.0, _hidden(projected(scene, position, share * stature), depth) - _HIDDEN)
    return fault


def _hidden(points: Doubles, depth: Floats) -> float:
    """Share of the points [N, 3] (pixel column, row, depth) that the scene hides."""
    column = np.clip(points[:, 0], 0, depth.shape[1] - 1).astype(int)
    row = np.clip(points[:, 1], 0, depth.shape[0] - 1).astype(int)
    return float((depth[row, column] < points[:, 2]).mean())


def projected(scene: Scene, position: Doubles, height: float) -> Doubles:
    """Pixel column, row and depth [T, 3] of the points at ``height`` above positions [T, 2] on the ground."""
    return pixels(scene.camera, np.concatenate([position, np.full((len(position), 1), height)], 1))
