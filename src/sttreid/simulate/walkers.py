"""Who walks through a camera's picture when, and along which path."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sttreid.config.domain import Domain, Scale
from sttreid.simulate.body import Floats
from sttreid.simulate.clothing import Figure
from sttreid.simulate.gait import joint_matrices, progress
from sttreid.simulate.optics import pixels
from sttreid.simulate.scene import Scene
from sttreid.simulate.solids import Doubles
from sttreid.simulate.streams import stream

_TRIALS: Final = 60  # paths tried before the least bad one is taken
_BERTH: Final = 0.5  # metres kept from an obstacle
_HIDDEN: Final = 0.35  # share of the frames in which the scene may hide a walker
_TURNING: Final = 0.10  # radians a second, standard deviation


@dataclass(frozen=True)
class Visit:
    """One identity's walk through one camera's picture."""

    identity: int
    start: int  # frame, from 0
    length: int  # frames
    trial: int  # 0; above after walks on which the identity was hardly seen

    @property
    def end(self) -> int:
        """The frame after the last."""
        return self.start + self.length


@dataclass(frozen=True)
class Walk:
    """A visit with its figure in motion. T frames, J joints."""

    visit: Visit
    figure: Figure
    matrices: Floats  # [T, J, 3, 4]
    position: Doubles  # [T, 2] metres
    yaw: Doubles  # [T] heading in radians from the x axis
    velocity: Doubles  # [T, 2] metres a frame


def schedule(name: str, domain: Domain, scale: Scale, camera: int, identities: list[int]) -> list[Visit]:
    """The visits of a camera in order of their start; about `crowd.present` people are there at a time."""
    order = stream(scale.seed, "schedule", name, camera)
    visits, clock = [], 0.0
    for identity in order.permutation(identities).tolist():
        own = stream(scale.seed, "visit", name, identity, camera)  # nobody else decides how long one is seen
        length = int(own.integers(scale.shortest, scale.longest + 1))
        visits.append(Visit(identity, int(clock), length, 0))
        clock += length / domain.crowd.present * own.uniform(0.6, 1.4)
    return visits


def walk(
    rng: np.random.Generator, visit: Visit, person: Figure, scene: Scene, depth: Floats, fps: int
) -> Walk:
    """The best of several random walks: inside the picture, not too near or far, seldom behind the scene."""
    phase = rng.random() + np.arange(visit.length) * person.look.walk.cadence / fps
    after = phase[-1:] + person.look.walk.cadence / fps
    steps = np.diff(progress(person, np.concatenate([phase, after])))
    best, least = None, np.inf
    for _ in range(_TRIALS):
        position, yaw = _path(rng, steps, scene, depth.shape[1], fps)
        fault = _fault(position, person.look.physique.height, scene, depth)
        if fault < least:
            best, least = (position, yaw), fault
        if fault == 0:
            break
    assert best is not None  # a fault is finite, so the first trial is better than none
    position, yaw = best
    matrices = joint_matrices(person, phase, position, yaw, glance=float(rng.normal(0, 0.25)))
    moves = steps[:, None] * np.stack([np.cos(yaw), np.sin(yaw)], 1)
    return Walk(visit, person, matrices, position, yaw, moves)


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
    """0 for a good path, else a sum of shares of frames in which something is wrong."""
    height, width = depth.shape
    feet, head = _at(scene, position, 0.0), _at(scene, position, stature)
    tall = feet[:, 1] - head[:, 1]
    outside = (feet[:, 0] < 0.2 * tall) | (feet[:, 0] > width - 0.2 * tall)
    outside |= (feet[:, 1] > height - 2) | (head[:, 1] < 2)
    fault = float((outside | (tall < scene.heights[0]) | (tall > scene.heights[1])).mean())
    for x, y in scene.obstacles:
        fault += float((np.hypot(position[:, 0] - x, position[:, 1] - y) < _BERTH).mean())
    for share in (0.35, 0.75):
        fault += max(0.0, _hidden(_at(scene, position, share * stature), depth) - _HIDDEN)
    return fault


def _hidden(points: Doubles, depth: Floats) -> float:
    """Share of the points (pixel column, row, depth) that lie behind the scene."""
    column = np.clip(points[:, 0], 0, depth.shape[1] - 1).astype(int)
    row = np.clip(points[:, 1], 0, depth.shape[0] - 1).astype(int)
    return float((depth[row, column] < points[:, 2]).mean())


def _at(scene: Scene, position: Doubles, height: float) -> NDArray[np.float64]:
    return pixels(scene.camera, np.concatenate([position, np.full((len(position), 1), height)], 1))
