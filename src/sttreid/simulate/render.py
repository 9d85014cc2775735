"""One camera: its people walk, are drawn, filmed and boxed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sttreid.domain import Domain, Scale
from sttreid.errors import InputError
from sttreid.files import write_text
from sttreid.simulate import raster, shadows
from sttreid.simulate.body import Floats
from sttreid.simulate.clothing import figure
from sttreid.simulate.optics import pixels
from sttreid.simulate.rays import Kind, sunlit
from sttreid.simulate.scene import Backdrop, Scene, backdrop, draw_scene
from sttreid.simulate.sensor import Sensor
from sttreid.simulate.streams import stream
from sttreid.simulate.tracks import Box, Detector, mot
from sttreid.simulate.video import VideoWriter
from sttreid.simulate.walkers import Visit, Walk, schedule, walk
from sttreid.simulate.wardrobe import look

FEWEST: Final = 4  # boxes of an identity in a camera; after fewer it walks again
_TRIALS: Final = 8
_CHEST: Final = 1.0  # metres, where a walker counts as standing in the sun
_FAINT: Final = 0.1  # sun below which nobody casts a shadow
_LOW: Final = 0.2  # height of the sun's direction below which shadows would be endless


@dataclass
class _Actor:
    """A walk under way: its detector and the boxes so far."""

    walk: Walk
    detector: Detector
    boxes: list[Box] = field(default_factory=list)


@dataclass(frozen=True)
class _Pose:
    """One walker in one frame. V vertices."""

    actor: _Actor
    world: Floats  # [V, 3] metres
    normals: Floats  # [V, 3]
    screen: Floats  # [V, 3] pixel column, row, depth
    place: NDArray[np.float64]  # [2] on the ground, metres
    motion: NDArray[np.float64]  # [2] pixels during the exposure
    depth: float  # metres from the camera
    sun: float  # 1 in the sun, 0 in the shadow of the scene


def film(
    name: str, domain: Domain, scale: Scale, camera: int, identities: list[int], folder: Path,
    progress: Callable[[int], None],
) -> int:  # fmt: skip
    """Writes c<camera>.mp4 and c<camera>.txt into the folder; returns the number of frames.

    Every one of `identities` gets at least FEWEST boxes: who is seen less walks again after the others.
    `progress` is told after each frame how many frames are done since it was last told.

    Raises:
        InputError: an identity stays hidden however often it walks.
    """
    stage = _Stage(name, domain, scale, camera, identities)
    path = folder / f"c{camera}.mp4"
    sensor = domain.sensor
    settings = (scale.width, scale.height, scale.fps, stage.scene.crf, sensor.preset, sensor.keyframes)
    with VideoWriter(path, *settings) as video:
        while stage.waiting or stage.actors:
            video.write(stage.frame())
            progress(1)
    write_text(path.with_suffix(".txt"), mot(stage.boxes))
    return stage.clock


class _Stage:
    """The camera's state from frame to frame."""

    def __init__(self, name: str, domain: Domain, scale: Scale, camera: int, identities: list[int]) -> None:
        self.name, self.domain, self.scale, self.camera = name, domain, scale, camera
        self.scene: Scene = draw_scene(stream(scale.seed, "scene", name, camera), domain, scale)
        self.still: Backdrop = backdrop(stream(scale.seed, "sky", name, camera), self.scene, scale)
        self.sensor = Sensor(
            stream(scale.seed, "sensor", name, camera), self.scene, scale.height, scale.width
        )
        self.waiting: list[Visit] = schedule(name, domain, scale, camera, identities)
        self.actors: list[_Actor] = []
        self.boxes: list[Box] = []
        self.clock = 0
        self._owner = np.empty((scale.height, scale.width), np.int32)
        self._mask = np.zeros((scale.height, scale.width), np.uint8)

    def frame(self) -> NDArray[np.uint8]:
        """Films the next frame: the planes of the picture."""
        while self.waiting and self.waiting[0].start <= self.clock:
            self.actors.append(self._enter(self.waiting.pop(0)))
        poses = sorted((self._pose(actor) for actor in self.actors), key=lambda pose: -pose.depth)
        picture = self.still.picture.copy()
        for pose in poses:
            self._shadow(pose, picture)
        for pose, visibility in zip(poses, self._draw(poses, picture), strict=True):
            self._detect(pose, visibility)
        self.clock += 1
        for actor in [actor for actor in self.actors if actor.walk.visit.end <= self.clock]:
            self._leave(actor)
        return self.sensor.expose(picture)

    def _enter(self, visit: Visit) -> _Actor:
        scale, keys = self.scale, (visit.identity, self.camera, visit.trial)
        person = figure(look(visit.identity, self.name, self.domain, scale.seed))
        path = stream(scale.seed, "path", self.name, *keys)
        detector = Detector(stream(scale.seed, "boxes", self.name, *keys), self.domain.crowd.jitter)
        return _Actor(walk(path, visit, person, self.scene, self.still.depth, scale.fps), detector)

    def _leave(self, actor: _Actor) -> None:
        """Keeps the boxes of a walk, or sends a person who was hardly seen through once more."""
        self.actors.remove(actor)
        visit = actor.walk.visit
        if len(actor.boxes) >= FEWEST:
            self.boxes += actor.boxes
            return
        if visit.trial + 1 == _TRIALS:
            raise InputError(
                f"domain {self.name}: identity {visit.identity} is hidden in camera {self.camera} on each of "
                f"{_TRIALS} walks; fewer occluders or people at a time would help"
            )
        last = max([self.clock, *(a.walk.visit.end for a in self.actors), *(v.end for v in self.waiting)])
        self.waiting.append(Visit(visit.identity, last, visit.length, visit.trial + 1))

    def _pose(self, actor: _Actor) -> _Pose:
        person, now = actor.walk.figure, self.clock - actor.walk.visit.start
        world, normals, screen = (np.empty_like(person.vertices) for _ in range(3))
        matrices = actor.walk.matrices[now]
        raster.skin(
            person.vertices, person.normals, person.weights, person.influences, matrices, world, normals
        )
        raster.project(world, self.scene.camera, screen)
        place, moved = actor.walk.position[now], actor.walk.velocity[now] * self.domain.sensor.blur
        chest = np.array([[*place, _CHEST], [*(place + moved), _CHEST]])
        seen = pixels(self.scene.camera, chest)
        towards = self.scene.light["direction"][0].astype(np.float64)
        sun = sunlit(self.scene.solids, chest[0], towards)
        return _Pose(actor, world, normals, screen, place, (seen[1] - seen[0])[:2], float(seen[0, 2]), sun)

    def _shadow(self, pose: _Pose, picture: Floats) -> None:
        scene, person, mask = self.scene, pose.actor.walk.figure, self._mask
        foot = pixels(scene.camera, np.array([*pose.place, 0.0]))
        reach = 0.6 * float(scene.camera["focal"][0]) / max(float(foot[2]), 1.0)
        box = np.array([foot[0] - reach, foot[1] - reach, foot[0] + reach, foot[1] + reach]).astype(np.int64)
        light = scene.light[0]
        if pose.sun and light["sun"] > _FAINT and light["direction"][2] > _LOW:
            flat, screen = np.empty_like(pose.world), np.empty_like(pose.world)
            shadows.flatten(pose.world, light["direction"], flat)
            raster.project(flat, scene.camera, screen)
            shadows.stencil(screen, person.faces, mask, box)
        shadows.darken(picture, self.still.ground, mask, box, pose.place, scene.shadow)

    def _draw(self, poses: list[_Pose], picture: Floats) -> NDArray[np.float64]:
        """Draws the poses, far to near; the share of each person that is seen in the end, [poses]."""
        self._owner[:] = raster.NOTHING
        lost, seen, whole = (np.zeros(len(poses), np.int64) for _ in range(3))
        for number, pose in enumerate(poses):
            tile, left, top, counts = self._tile(pose)
            dx, dy = pose.motion
            raster.composite(tile, left, top, dx, dy, picture, self._owner, number, lost)
            whole[number], seen[number] = counts[:2]
        uncovered = 1 - lost * raster.SAMPLES**2 / np.maximum(seen, 1)
        shares: NDArray[np.float64] = seen / np.maximum(whole, 1) * np.clip(uncovered, 0, 1)
        return shares

    def _tile(self, pose: _Pose) -> tuple[Floats, int, int, NDArray[np.int64]]:
        """The person alone: tile, its first column and row, and the counts of `raster.shade`."""
        person, scene = pose.actor.walk.figure, self.scene
        low, high = pose.screen.min(0), pose.screen.max(0)
        left, top = int(np.floor(low[0])) - 1, int(np.floor(low[1])) - 1
        height, width = int(np.ceil(high[1])) + 1 - top, int(np.ceil(high[0])) + 1 - left
        samples = (height * raster.SAMPLES, width * raster.SAMPLES)
        depth, hit = np.full(samples, raster.FAR), np.full(samples, raster.NOTHING, np.int32)
        bary, tile = np.empty((*samples, 2), np.float32), np.empty((height, width, 4), np.float32)
        raster.rasterise(pose.screen, person.faces, person.face_parts, left, top, depth, hit, bary)
        view = scene.camera["position"][0] - pose.world[0]
        view /= np.sqrt((view**2).sum())
        counts = np.zeros(raster.HIDDEN + len(Kind), np.int64)
        raster.shade(
            person.faces, person.face_parts, person.canonical, person.limb, pose.normals, person.material,
            scene.light, pose.sun, view, depth, hit, bary, self.still.depth, self.still.kinds,
            left, top, tile, counts,
        )  # fmt: skip
        return tile, left, top, counts

    def _detect(self, pose: _Pose, visibility: float) -> None:
        actor, scale = pose.actor, self.scale
        outline = pose.screen[actor.walk.figure.person]
        identity = actor.walk.visit.identity
        box = actor.detector.box(self.clock + 1, identity, outline, visibility, scale.width, scale.height)
        if box is not None:
            actor.boxes.append(box)
