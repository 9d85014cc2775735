"""One camera: its people walk, are drawn, filmed, boxed, and written down as they truly were."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.config.domain import Domain, Scale
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_text
from sttreid.simulate import raster, shadows
from sttreid.simulate.body import Floats
from sttreid.simulate.clothing import figure
from sttreid.simulate.optics import pixels
from sttreid.simulate.rays import Kind, sunlit
from sttreid.simulate.scene import Backdrop, Scene, backdrop, draw_scene
from sttreid.simulate.sensor import Sensor
from sttreid.simulate.streams import stream
from sttreid.simulate.tracks import Box, Detector, kept, lost, mot, switched
from sttreid.simulate.truth import NOBODY, Truth, facing, write_truth
from sttreid.simulate.video import VideoWriter
from sttreid.simulate.walkers import Visit, Walk, schedule, walk
from sttreid.simulate.wardrobe import look

_TRIALS: Final = 8  # walks of somebody who is hardly seen
_NOTICED: Final = 0.05  # share of a person that must be hidden before an occluder is named
_CHEST: Final = 1.0  # metres, where a walker counts as standing in the sun
_FAINT: Final = 0.1  # sun below which nobody casts a shadow
_LOW: Final = 0.2  # height of the sun's direction below which shadows would be endless


@dataclass
class _Actor:
    """A walk under way: its detector and the boxes so far."""

    walk: Walk
    detector: Detector
    lost: range  # frames of the walk in which the tracker has lost the person
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
) -> None:  # fmt: skip
    """Writes c<camera>.mp4, c<camera>.txt and, last of all, c<camera>.parquet into the folder.

    Every one of `identities` gets a track: who is hardly seen walks again after the others. `progress` is
    told after each frame how many boxes it has. A file bears its name only when it is whole.

    Raises:
        InputError: an identity stays hidden however often it walks.
    """
    stage = _Stage(name, domain, scale, camera, identities)
    path = folder / f"c{camera}.mp4"
    part = folder / f".c{camera}.{os.getpid()}.part"  # another process may film the same camera
    sensor = domain.sensor
    settings = (scale.width, scale.height, scale.fps, stage.scene.crf, sensor.preset, sensor.keyframes)
    with VideoWriter(part, *settings) as video:
        while stage.waiting or stage.actors:
            video.write(stage.frame())
            progress(stage.found)
    part.replace(path)

    def toss(one: int, other: int) -> float:
        return stream(scale.seed, "switch", name, camera, one, other).random()

    boxes = switched(stage.boxes, domain.crowd.switches, toss)
    write_text(path.with_suffix(".txt"), mot(boxes))
    write_truth(part, truths(boxes).assign(camera=camera))
    part.replace(path.with_suffix(".parquet"))


def truths(boxes: list[Box]) -> pd.DataFrame:
    """The table of boxes of `sttreid.simulate.truth` without the camera, ordered as the tracks' lines are."""
    rows = [vars(box.truth) | {"identity": box.identity} for box in boxes]
    return pd.DataFrame(rows).sort_values(["frame", "identity"], ignore_index=True)


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
        self.found = 0  # boxes in the last frame
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
        found = [
            self._detect(pose, *seen) for pose, seen in zip(poses, self._draw(poses, picture), strict=True)
        ]
        self.found = sum(found)
        self.clock += 1
        for actor in [actor for actor in self.actors if actor.walk.visit.end <= self.clock]:
            self._leave(actor)
        return self.sensor.expose(picture)

    def _enter(self, visit: Visit) -> _Actor:
        scale, keys = self.scale, (visit.identity, self.camera, visit.trial)
        person = figure(look(visit.identity, self.name, self.domain, scale.seed))
        path = stream(scale.seed, "path", self.name, *keys)
        crowd = self.domain.crowd
        return _Actor(
            walk(path, visit, person, self.scene, self.still.depth, scale.fps),
            Detector(stream(scale.seed, "boxes", self.name, *keys), crowd.jitter),
            lost(stream(scale.seed, "lost", self.name, *keys), visit.length, crowd.fragments),
        )

    def _leave(self, actor: _Actor) -> None:
        """Keeps the tracks of a walk, or sends a person who was hardly seen through once more."""
        self.actors.remove(actor)
        visit = actor.walk.visit
        boxes = kept(actor.boxes)
        if boxes:
            self.boxes += boxes
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

    def _draw(self, poses: list[_Pose], picture: Floats) -> list[tuple[float, str]]:
        """Draws the poses, far to near; of each person the share that is seen, and the occluder."""
        self._owner[:] = raster.NOTHING
        lost_pixels, counted = np.zeros(len(poses), np.int64), []
        for number, pose in enumerate(poses):
            tile, left, top, counts = self._tile(pose)
            dx, dy = pose.motion
            raster.composite(tile, left, top, dx, dy, picture, self._owner, number, lost_pixels)
            counted.append(counts)
        return [
            seen(counts, int(lost) * raster.SAMPLES**2)
            for counts, lost in zip(counted, lost_pixels, strict=True)
        ]

    def _tile(self, pose: _Pose) -> tuple[Floats, int, int, NDArray[np.int64]]:
        """The person alone: tile, its first column and row, and the counts of `raster.shade`."""
        person, scene = pose.actor.walk.figure, self.scene
        first_column, first_row, last_column, last_row = raster.extent(pose.screen)
        left, top = int(np.floor(first_column)) - 1, int(np.floor(first_row)) - 1
        height, width = int(np.ceil(last_row)) + 1 - top, int(np.ceil(last_column)) + 1 - left
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

    def _detect(self, pose: _Pose, visibility: float, occluder: str) -> bool:
        """Whether the detector and the tracker have the person in this frame; keeps the box if so."""
        actor, scale = pose.actor, self.scale
        visit = actor.walk.visit
        left, top, right, bottom = raster.extent(pose.screen[actor.walk.figure.person])
        now = self.clock - visit.start
        turned = facing(pose.place, float(actor.walk.yaw[now]))
        truth = Truth(
            self.clock + 1,
            visit.identity,
            left,
            top,
            right - left,
            bottom - top,
            visibility,
            turned,
            occluder,
        )
        box = actor.detector.box(truth, scale.width, scale.height)
        if box is None or now in actor.lost:
            return False
        actor.boxes.append(box)
        return True


def seen(counts: NDArray[np.int64], covered: int) -> tuple[float, str]:
    """Share of a person that is seen, and what hides most of the rest.

    Args:
        counts: of `raster.shade`.
        covered: of the samples that the scene leaves to be seen, how many other people hide.
    """
    whole, left = max(int(counts[0]), 1), max(0, int(counts[1]) - covered)
    hidden = {kind.name.lower(): int(counts[raster.HIDDEN + kind]) for kind in Kind if kind != Kind.OPEN}
    hidden["person"] = int(counts[1]) - left
    hidden["edge"] = int(counts[0] - counts[1] - counts[raster.HIDDEN :].sum())
    worst = max(hidden, key=lambda name: hidden[name])
    return left / whole, worst if hidden[worst] >= _NOTICED * whole else NOBODY
