from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from sttreid.config.domain import Domain, Scale
from sttreid.runtime.errors import InputError
from sttreid.simulate import raster
from sttreid.simulate import render as module
from sttreid.simulate.optics import pixels
from sttreid.simulate.rays import SOLID, Kind, Shape
from sttreid.simulate.render import film, seen
from sttreid.simulate.scene import backdrop
from sttreid.simulate.tracks import FEWEST, Detector
from sttreid.simulate.truth import Truth, read_truth


def ignore(count: int) -> None:
    assert count >= 0


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

    def blind(self: Detector, truth: Truth, width: int, height: int) -> object:
        return None if truth.frame <= 8 else found(self, truth, width, height)

    monkeypatch.setattr(Detector, "box", blind)
    film("again", domain, scale, 1, [1, 2], tmp_path, ignore)
    lines = rows(tmp_path / "c1.txt")
    counts = Counter(int(line[1]) for line in lines)
    assert set(counts) == {1, 2}
    assert min(counts.values()) >= FEWEST
    with av.open(str(tmp_path / "c1.mp4")) as container:
        assert max(line[0] for line in lines) <= container.streams.video[0].frames


def test_who_stays_hidden_is_named(
    domain: Domain, scale: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Detector, "box", lambda *_: None)
    monkeypatch.setattr(module, "_TRIALS", 2)
    with pytest.raises(InputError, match=r"domain dark: identity 5 is hidden in camera 1 on each of 2 walks"):
        film("dark", domain, scale, 1, [5], tmp_path, ignore)
    assert not (tmp_path / "c1.txt").exists()


def test_the_nearer_person_hides_the_farther_one(empty: Domain, scale: Scale) -> None:
    """Two people, one moved in front of the other: what is hidden is where their silhouettes overlap."""
    stage = module._Stage("pair", empty, scale, 1, [1, 2])
    while len(stage.actors) < 2:
        stage.frame()
    stage.still = replace(stage.still, depth=np.full_like(stage.still.depth, raster.FAR))
    far, near = stage.actors
    ahead = far.walk.position[stage.clock - far.walk.visit.start] * 0.6
    now = stage.clock - near.walk.visit.start
    matrices = near.walk.matrices.copy()
    matrices[:, :, :2, 3] += (ahead - near.walk.position[now]).astype(np.float32)
    near.walk = replace(near.walk, matrices=matrices)
    poses = [stage._pose(actor) for actor in (far, near)]
    still = [replace(pose, motion=np.zeros(2)) for pose in poses]
    found = stage._draw(still, stage.still.picture.copy())
    stage.clock += 1
    columns, rows_ = silhouette(stage, far)
    cover = {(int(x), int(y)) for x, y in zip(*silhouette(stage, near), strict=True)}
    stage.clock -= 1
    hidden = np.mean([(int(x), int(y)) in cover for x, y in zip(columns, rows_, strict=True)])
    assert 0.1 < hidden < 1
    assert found[1] == stage._draw(still[1:], stage.still.picture.copy())[0]  # as if the other were not there
    assert found[0] == (pytest.approx(1 - hidden, abs=0.08), "person")


def test_exact_boxes_enclose_silhouettes(domain: Domain, scale: Scale) -> None:
    """Every sample of the person lies in the box, and none of its sides could move in by two pixels."""
    bare = replace(domain.clothing, backpack=0.0, bag=0.0, trolley=0.0)  # bags may stand out of the box
    stage = module._Stage("box", replace(domain, clothing=bare), scale, 1, [1, 2, 3, 4, 5])
    checked = 0
    while stage.waiting or stage.actors:
        before = list(stage.actors)
        stage.frame()
        for actor in before:
            if not actor.boxes or actor.boxes[-1].frame != stage.clock:
                continue
            truth = actor.boxes[-1].truth
            columns, rows_ = silhouette(stage, actor)
            assert columns.min() >= truth.left - 0.5
            assert columns.max() <= truth.left + truth.width + 0.5
            assert rows_.min() >= truth.top - 0.5
            assert rows_.max() <= truth.top + truth.height + 0.5
            assert columns.max() - columns.min() > truth.width - 4
            assert rows_.max() - rows_.min() > truth.height - 4
            checked += 1
    assert checked > 5


def silhouette(stage: "module._Stage", actor: "module._Actor") -> tuple[np.ndarray, np.ndarray]:
    """Pixel columns and rows of the samples of a person in the frame that was just filmed."""
    stage.clock -= 1
    pose = stage._pose(actor)
    stage.clock += 1
    person, (low, high) = actor.walk.figure, (pose.screen.min(0), pose.screen.max(0))
    left, top = int(low[0]) - 2, int(low[1]) - 2
    shape = ((int(high[1]) + 3 - top) * raster.SAMPLES, (int(high[0]) + 3 - left) * raster.SAMPLES)
    depth, hit = np.full(shape, raster.FAR), np.full(shape, raster.NOTHING, np.int32)
    bary = np.zeros((*shape, 2), np.float32)
    raster.rasterise(pose.screen, person.faces, person.face_parts, left, top, depth, hit, bary)
    y, x = np.nonzero(hit != raster.NOTHING)
    return left + (x + 0.5) / raster.SAMPLES, top + (y + 0.5) / raster.SAMPLES


def test_a_person_behind_a_pillar_has_the_visibility_that_geometry_gives(empty: Domain, scale: Scale) -> None:
    """The pillar's edges are the tangents from the camera; what lies between their columns is hidden."""
    stage = module._Stage("pillar", empty, scale, 1, [1])
    while not stage.actors:
        stage.frame()
    actor = stage.actors[0]
    pose = stage._pose(actor)
    radius, place = 0.12, pose.place * 0.7  # between the camera and the person
    pillar = np.zeros(1, SOLID)
    pillar["kind"], pillar["shape"], pillar["cosine"] = Kind.POLE, Shape.CYLINDER, 1.0
    pillar["centre"], pillar["half"], pillar["unit"] = (*place, 5.0), (radius, radius, 5.0), 1.0
    stage.scene = replace(stage.scene, solids=np.concatenate([stage.scene.solids[:1], pillar]))
    stage.still = backdrop(np.random.default_rng(0), stage.scene, scale)
    found, occluder = stage._draw([pose], stage.still.picture.copy())[0]

    middle, away = np.arctan2(place[0], place[1]), np.hypot(*place)
    edge = np.arcsin(radius / away)
    focal, centre = float(stage.scene.camera["focal"][0]), float(stage.scene.camera["centre"][0, 0])
    eye = np.array([0, 0, stage.scene.camera["position"][0, 2]])
    limits = []
    for angle in (middle - edge, middle + edge):  # a vertical edge at the height of the person's middle
        point = eye + np.array([np.sin(angle) * away, np.cos(angle) * away, 0])
        point[2] = eye[2] - (eye[2] - 0.9) * 0.7
        limits.append(pixels(stage.scene.camera, point)[0])
    assert limits[0] < limits[1] < limits[0] + 2.5 * focal * radius / away
    assert abs(np.mean(limits) - centre) < scale.width / 2
    stage.clock += 1
    columns, _ = silhouette(stage, actor)
    stage.clock -= 1
    hidden = ((columns > limits[0]) & (columns < limits[1])).mean()
    assert 0.1 < hidden < 1
    assert found == pytest.approx(1 - hidden, abs=0.05)
    assert occluder == "pole"


@pytest.mark.parametrize(
    ("behind", "covered", "expected"),
    [
        ({}, 0, (1.0, "none")),
        ({"pole": 30}, 0, (0.7, "pole")),
        ({"pole": 30}, 40, (0.3, "person")),
        ({"bush": 10, "wall": 20}, 5, (0.65, "wall")),
        ({"edge": 60}, 20, (0.2, "edge")),
        ({"car": 4}, 0, (0.96, "none")),
        ({}, 100, (0.0, "person")),
    ],
)
def test_visibility_and_occluder_follow_from_the_counts(
    behind: dict[str, int], covered: int, expected: tuple[float, str]
) -> None:
    counts = np.zeros(raster.HIDDEN + len(Kind), np.int64)
    counts[0], counts[1] = 100, 100 - sum(behind.values())
    for name, count in behind.items():
        if name != "edge":
            counts[raster.HIDDEN + Kind[name.upper()]] = count
    share, occluder = seen(counts, covered)
    assert (share, occluder) == (pytest.approx(expected[0]), expected[1])


def test_tracks_break_where_the_tracker_loses_people(domain: Domain, scale: Scale, tmp_path: Path) -> None:
    long = replace(scale, shortest=30, longest=30)
    crowd = replace(domain.view, occluders=0.0), replace(domain.crowd, present=1.0, fragments=1.0)
    broken = replace(domain, view=crowd[0], crowd=crowd[1])
    film("broken", broken, long, 1, [1, 2, 3, 4], tmp_path, ignore)
    truth = read_truth(tmp_path / "c1.parquet")
    gaps = truth.groupby("identity")["frame"].apply(lambda frames: int((frames.diff() > 3).sum()))
    assert gaps.min() >= 1


def test_switched_numbers_hide_who_it_is_from_the_tracks_alone(
    domain: Domain, scale: Scale, tmp_path: Path
) -> None:
    crowd = replace(domain.crowd, present=6.0, fragments=0.0)
    long = replace(scale, shortest=25, longest=30)
    for folder, share in (("clean", 0.0), ("switched", 1.0)):
        (tmp_path / folder).mkdir()
        changed = replace(domain, crowd=replace(crowd, switches=share))
        film("busy", changed, long, 1, list(range(1, 13)), tmp_path / folder, ignore)
    clean, found = (read_truth(tmp_path / folder / "c1.parquet") for folder in ("clean", "switched"))
    assert (clean["identity"] == clean["person"]).all()
    assert (found["identity"] != found["person"]).any()
    order = ["frame", "person"]
    same = [table.sort_values(order)[[*order, "left", "visibility"]].to_numpy() for table in (clean, found)]
    assert np.array_equal(*same)
    assert (tmp_path / "clean/c1.mp4").read_bytes() == (tmp_path / "switched/c1.mp4").read_bytes()
    assert set(found["identity"]) == set(clean["identity"])
