"""Rendering of one camera: its pedestrians, video, boxes and ground truth."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.config.domain import Domain, Scale
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_text
from sttreid.simulate import raster, shadows
from sttreid.simulate.draws import stream
from sttreid.simulate.geometry import Doubles, Floats
from sttreid.simulate.pedestrian import KEPT, Pedestrian, build_pedestrian
from sttreid.simulate.plan import Visit, schedule
from sttreid.simulate.rays import SolidKind, sunlit
from sttreid.simulate.recording import SensorModel, VideoWriter
from sttreid.simulate.scene import Backdrop, Scene, backdrop, draw_scene
from sttreid.simulate.tracks import (
    Box,
    Detector,
    drop_short_tracks,
    lost_frames,
    mot_lines,
    switch_identities,
)
from sttreid.simulate.truth import NO_OCCLUDER, Truth, facing, write_truth
from sttreid.simulate.walkers import Walk, projected, random_walk
from sttreid.simulate.wardrobe import draw_appearance

_ATTEMPTS: Final = 8  # walks of an identity that is mostly hidden
_NOTICED: Final = 0.05  # share of a person that must be hidden before an occluder is named
_CHEST: Final = 1.0  # height at which a pedestrian counts as lit by the sun, metres
_FAINT: Final = 0.1  # sun below which persons cast no shadow
_LOW: Final = 0.2  # z of the sun's direction below which shadows would be too long
_HIDERS: Final = {  # name -> its index in the counts of ``raster.shade``
    kind.name.lower(): raster.HIDDEN + kind for kind in SolidKind if kind != SolidKind.OPEN
}

Window = tuple[slice, slice]


@dataclass
class _Actor:
    """A pedestrian in the image: its walk, its detector and its boxes so far."""

    walk: Walk
    detector: Detector
    lost: range  # frames of the walk in which the tracker has lost the identity
    chest: Doubles  # [T, 2, 3] pixel column, row, depth of the chest before and after the exposure
    feet: Doubles  # [T, 3] pixel column, row, depth of the position on the ground
    boxes: list[Box] = field(default_factory=list)


@dataclass(frozen=True)
class _Pose:
    """One pedestrian in one frame. V vertices."""

    actor: _Actor
    world: Floats  # [V, 3] metres
    normals: Floats  # [V, 3]
    screen: Floats  # [V, 3] pixel column, row, depth
    position: Doubles  # [2] on the ground, metres
    feet: Doubles  # [3] pixel column, row, depth of ``position``
    motion: Doubles  # [2] pixels during the exposure
    depth: float  # metres from the camera
    sun: float  # 1 in the sun, 0 in the shadow of the scene


def render_camera(
    name: str, domain: Domain, scale: Scale, camera: int, identities: list[int], folder: Path,
    progress: Callable[[int], None],
) -> None:  # fmt: skip
    """Write c<camera>.mp4, c<camera>.txt and, last of all, c<camera>.parquet to the folder.

    Each of ``identities`` gets a track: an identity that is mostly hidden walks again after the others.
    ``progress`` receives the number of boxes after each frame. Files get their names when they are complete.

    Raises:
        InputError: an identity stays hidden on every walk.
    """
    recording = _Recording(name, domain, scale, camera, identities)
    path = folder / f"c{camera}.mp4"
    part = folder / f".c{camera}.{os.getpid()}.part"  # another process may render the same camera
    sensor = domain.sensor
    settings = (scale.width, scale.height, scale.fps, recording.scene.crf, sensor.preset, sensor.keyframes)
    with VideoWriter(part, *settings) as video:
        while recording.waiting or recording.actors:
            video.write(recording.frame())
            progress(recording.detections)
    part.replace(path)

    def toss(first: int, second: int) -> float:
        return stream(scale.seed, "switch", domain.drawn_as(name), camera, first, second).random()

    boxes = switch_identities(recording.boxes, domain.crowd.switches, toss)
    write_text(path.with_suffix(".txt"), mot_lines(boxes))
    write_truth(part, truth_table(boxes).assign(camera=camera))
    part.replace(path.with_suffix(".parquet"))


def truth_table(boxes: list[Box]) -> pd.DataFrame:
    """The table of boxes (sttreid.simulate.truth) without the camera, in the order of the track lines."""
    rows = [vars(box.truth) | {"identity": box.identity} for box in boxes]
    return pd.DataFrame(rows).sort_values(["frame", "identity"], ignore_index=True)


class _Recording:
    """The state of a camera between frames."""

    def __init__(self, name: str, domain: Domain, scale: Scale, camera: int, identities: list[int]) -> None:
        self.name, self.domain, self.scale, self.camera = name, domain, scale, camera
        self.drawn_as = domain.drawn_as(name)
        self.scene: Scene = draw_scene(stream(scale.seed, "scene", self.drawn_as, camera), domain, scale)
        self.still: Backdrop = backdrop(stream(scale.seed, "sky", self.drawn_as, camera), self.scene, scale)
        self.sensor = SensorModel(
            stream(scale.seed, "sensor", self.drawn_as, camera), self.scene, scale.height, scale.width
        )
        self.waiting: list[Visit] = schedule(name, domain, scale, camera, identities)
        self.actors: list[_Actor] = []
        self.boxes: list[Box] = []
        self.clock = 0
        self.detections = 0  # boxes in the last frame
        self._image = self.still.image.copy()
        self._owner = np.full((scale.height, scale.width), raster.NOTHING, np.int32)
        self._changed: list[Window] = []  # where image and owner differ from the empty scene
        self._mask = np.zeros((scale.height, scale.width), np.uint8)

    def frame(self) -> NDArray[np.uint8]:
        """Record the next frame: yuv420p planes uint8 [H * 3 / 2, W]."""
        while self.waiting and self.waiting[0].start <= self.clock:
            self.actors.append(self._enter(self.waiting.pop(0)))
        poses = sorted((self._pose(actor) for actor in self.actors), key=lambda pose: -pose.depth)
        for pose in poses:
            self._shadow(pose)
        visible = self._draw(poses)
        self.detections = sum(self._detect(pose, *seen) for pose, seen in zip(poses, visible, strict=True))
        self.clock += 1
        for actor in [actor for actor in self.actors if actor.walk.visit.end <= self.clock]:
            self._leave(actor)
        planes = self.sensor.expose(self._image)
        self._remove_persons()
        return planes

    def _remove_persons(self) -> None:
        """Make the image that of the empty scene again; copying all of it would take longer."""
        while self._changed:
            window = self._changed.pop()
            self._image[window], self._owner[window] = self.still.image[window], raster.NOTHING

    def _enter(self, visit: Visit) -> _Actor:
        scale, keys = self.scale, (visit.identity, self.camera, visit.attempt)
        pedestrian = _pedestrian(visit.identity, self.name, self.domain, scale.seed)
        rng = stream(scale.seed, "path", self.drawn_as, *keys)
        crowd = self.domain.crowd
        walk = random_walk(rng, visit, pedestrian, self.scene, self.still.depth, scale.fps)
        moved = walk.position + walk.velocity * self.domain.sensor.blur
        chests = [projected(self.scene, position, _CHEST) for position in (walk.position, moved)]
        return _Actor(
            walk,
            Detector(stream(scale.seed, "boxes", self.drawn_as, *keys), crowd.jitter),
            lost_frames(stream(scale.seed, "lost", self.drawn_as, *keys), visit.length, crowd.fragments),
            np.stack(chests, 1),
            projected(self.scene, walk.position, 0.0),
        )

    def _leave(self, actor: _Actor) -> None:
        """Keep the tracks of a walk, or schedule another walk of an identity that was mostly hidden."""
        self.actors.remove(actor)
        visit = actor.walk.visit
        boxes = drop_short_tracks(actor.boxes)
        if boxes:
            self.boxes += boxes
            return
        if visit.attempt + 1 == _ATTEMPTS:
            raise InputError(
                f"domain {self.name}: identity {visit.identity} is hidden in camera {self.camera} on each of "
                f"{_ATTEMPTS} walks; lower view.occluders or crowd.present"
            )
        last = max([self.clock, *(a.walk.visit.end for a in self.actors), *(v.end for v in self.waiting)])
        self.waiting.append(Visit(visit.identity, last, visit.length, visit.attempt + 1))

    def _pose(self, actor: _Actor) -> _Pose:
        mesh, now = actor.walk.pedestrian, self.clock - actor.walk.visit.start
        world, normals, screen = (np.empty_like(mesh.vertices) for _ in range(3))
        matrices = actor.walk.matrices[now]
        raster.skin(mesh.vertices, mesh.normals, mesh.weights, mesh.influences, matrices, world, normals)
        raster.project_points(world, self.scene.camera, screen)
        position, (start, end) = actor.walk.position[now], actor.chest[now]
        towards = self.scene.light["direction"][0].astype(np.float64)
        sun = sunlit(self.scene.solids, np.array([*position, _CHEST]), towards)
        motion, depth = (end - start)[:2], float(start[2])
        return _Pose(actor, world, normals, screen, position, actor.feet[now], motion, depth, sun)

    def _shadow(self, pose: _Pose) -> None:
        scene, mesh, mask, foot = self.scene, pose.actor.walk.pedestrian, self._mask, pose.feet
        reach = 0.6 * float(scene.camera["focal"][0]) / max(float(foot[2]), 1.0)
        box = np.array([foot[0] - reach, foot[1] - reach, foot[0] + reach, foot[1] + reach]).astype(np.int64)
        light = scene.light[0]
        if pose.sun and light["sun"] > _FAINT and light["direction"][2] > _LOW:
            flat, screen = np.empty_like(pose.world), np.empty_like(pose.world)
            shadows.flatten(pose.world, light["direction"], flat)
            raster.project_points(flat, scene.camera, screen)
            shadows.stencil(screen, mesh.faces, mask, box)
        shadows.darken(self._image, self.still.ground, mask, box, pose.position, scene.shadow)
        self._changed.append(_window(*box.tolist()))

    def _draw(self, poses: list[_Pose]) -> list[tuple[float, str]]:
        """Draw the poses from far to near; returns the visible share and the occluder of each person."""
        covered, all_counts = np.zeros(len(poses), np.int64), []
        for number, pose in enumerate(poses):
            tile, left, top, counts = self._tile(pose)
            dx, dy = pose.motion
            raster.composite(tile, left, top, dx, dy, self._image, self._owner, number, covered)
            height, width = tile.shape[:2]
            x, y = int(np.ceil(abs(dx) / 2)), int(np.ceil(abs(dy) / 2))
            self._changed.append(_window(left - x, top - y, left + width + x - 1, top + height + y - 1))
            all_counts.append(counts)
        return [
            visible_share(counts, int(lost) * raster.SAMPLES**2)
            for counts, lost in zip(all_counts, covered, strict=True)
        ]

    def _tile(self, pose: _Pose) -> tuple[Floats, int, int, NDArray[np.int64]]:
        """Draw one person: its tile, the tile's first column and row, and the counts of ``raster.shade``."""
        mesh, scene = pose.actor.walk.pedestrian, self.scene
        first_column, first_row, last_column, last_row = raster.extent(pose.screen)
        left, top = int(np.floor(first_column)) - 1, int(np.floor(first_row)) - 1
        height, width = int(np.ceil(last_row)) + 1 - top, int(np.ceil(last_column)) + 1 - left
        samples, tile = raster.empty_samples(height, width), np.empty((height, width, 4), np.float32)
        raster.rasterise(pose.screen, mesh.faces, mesh.face_parts, left, top, samples)
        view = scene.camera["position"][0] - pose.world[0]
        view /= np.sqrt((view**2).sum())
        counts = np.zeros(raster.HIDDEN + len(SolidKind), np.int64)
        posed = raster.PosedMesh(mesh.faces, mesh.face_parts, mesh.canonical, mesh.limb, pose.normals)
        surroundings = raster.Surroundings(self.still.depth, self.still.kinds)
        raster.shade(
            posed,
            samples,
            surroundings,
            mesh.material,
            scene.light,
            pose.sun,
            view,
            left,
            top,
            tile,
            counts,
        )
        return tile, left, top, counts

    def _detect(self, pose: _Pose, visibility: float, occluder: str) -> bool:
        """Store the box of a person; returns False if detector or tracker miss it in this frame."""
        actor, scale = pose.actor, self.scale
        visit = actor.walk.visit
        now = self.clock - visit.start
        left, top, right, bottom = raster.extent(pose.screen.take(actor.walk.pedestrian.person, 0))
        truth = Truth(
            frame=self.clock + 1,
            person=visit.identity,
            left=left,
            top=top,
            width=right - left,
            height=bottom - top,
            visibility=visibility,
            orientation=facing(pose.position, float(actor.walk.yaw[now])),
            occluder=occluder,
        )
        box = actor.detector.box(truth, scale.width, scale.height)
        if box is None or now in actor.lost:
            return False
        actor.boxes.append(box)
        return True


def _window(left: int, top: int, right: int, bottom: int) -> Window:
    """The part of an image from the first to the last column and row, all included."""
    return slice(max(top, 0), max(bottom + 1, 0)), slice(max(left, 0), max(right + 1, 0))


@lru_cache(KEPT)
def _pedestrian(identity: int, name: str, domain: Domain, seed: int) -> Pedestrian:
    """The pedestrian of an identity, whom several cameras see."""
    return build_pedestrian(draw_appearance(identity, name, domain, seed))


def visible_share(counts: NDArray[np.int64], covered: int) -> tuple[float, str]:
    """The visible share of a person, and what hides the largest part of the rest.

    Args:
        counts: those of ``raster.shade``.
        covered: number of samples, not hidden by the scene, that other persons hide.
    """
    total, visible = max(int(counts[0]), 1), max(0, int(counts[1]) - covered)
    hidden = {name: int(counts[index]) for name, index in _HIDERS.items()}
    hidden["person"] = int(counts[1]) - visible
    hidden["edge"] = int(counts[0] - counts[1] - counts[raster.HIDDEN :].sum())
    main = max(hidden, key=lambda name: hidden[name])
    return visible / total, main if hidden[main] >= _NOTICED * total else NO_OCCLUDER
