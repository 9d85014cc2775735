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
from sttreid.simulate.rays import SOLID, Shape, SolidKind
from sttreid.simulate.render import render_camera, visible_share
from sttreid.simulate.scene import backdrop
from sttreid.simulate.tracks import MIN_BOXES, Detector
from sttreid.simulate.truth import Truth, read_truth


def ignore(count: int) -> None:
    assert count >= 0


def rows(path: Path) -> list[list[float]]:
    return [[float(word) for word in line.split(",")] for line in path.read_text().splitlines()]


def test_boxes_contain_the_persons_they_name(empty: Domain, scale: Scale, tmp_path: Path) -> None:
    """A single pedestrian in an empty scene: the image changes inside the box and almost nowhere else."""
    still = replace(empty, sensor=replace(empty.sensor, noise=replace(empty.sensor.noise, high=0.0)))
    render_camera("lone", still, scale, 1, [1], tmp_path, ignore)
    with av.open(str(tmp_path / "c1.mp4")) as container:
        frames = [frame.to_ndarray(format="gray").astype(float) for frame in container.decode(video=0)]
    background = np.median(frames, axis=0)
    for frame, _, left, top, width, height, *_ in rows(tmp_path / "c1.txt"):
        change = np.abs(frames[int(frame) - 1] - background) > 25
        box = change[int(top) : int(top + height) + 1, int(left) : int(left + width) + 1]
        assert box.sum() > 0.6 * change.sum() - 30


def test_a_camera_does_not_depend_on_identities_of_other_cameras(
    domain: Domain, scale: Scale, tmp_path: Path
) -> None:
    larger = replace(scale, identities=60, cameras=9)
    for folder, size in (("a", scale), ("b", larger)):
        (tmp_path / folder).mkdir()
        render_camera("same", domain, size, 2, [3, 4], tmp_path / folder, ignore)
    assert (tmp_path / "a/c2.mp4").read_bytes() == (tmp_path / "b/c2.mp4").read_bytes()
    assert (tmp_path / "a/c2.txt").read_bytes() == (tmp_path / "b/c2.txt").read_bytes()


def test_an_identity_that_is_mostly_hidden_walks_again(
    domain: Domain, scale: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = Detector.box

    def blind(self: Detector, truth: Truth, width: int, height: int) -> object:
        return None if truth.frame <= 8 else result(self, truth, width, height)

    monkeypatch.setattr(Detector, "box", blind)
    render_camera("again", domain, scale, 1, [1, 2], tmp_path, ignore)
    lines = rows(tmp_path / "c1.txt")
    counts = Counter(int(line[1]) for line in lines)
    assert set(counts) == {1, 2}
    assert min(counts.values()) >= MIN_BOXES
    with av.open(str(tmp_path / "c1.mp4")) as container:
        assert max(line[0] for line in lines) <= container.streams.video[0].frames


def test_an_identity_that_stays_hidden_is_named(
    domain: Domain, scale: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Detector, "box", lambda *_: None)
    monkeypatch.setattr(module, "_ATTEMPTS", 2)
    with pytest.raises(InputError, match=r"domain dark: identity 5 is hidden in camera 1 on each of 2 walks"):
        render_camera("dark", domain, scale, 1, [5], tmp_path, ignore)
    assert not (tmp_path / "c1.txt").exists()


def test_the_nearer_person_hides_the_farther_one(empty: Domain, scale: Scale) -> None:
    """Two persons, the second moved in front of the first: it hides where their silhouettes overlap."""
    recording = module._Recording("pair", empty, scale, 1, [1, 2])
    while len(recording.actors) < 2:
        recording.frame()
    recording.still = replace(recording.still, depth=np.full_like(recording.still.depth, raster.FAR))
    far, near = recording.actors
    ahead = far.walk.position[recording.clock - far.walk.visit.start] * 0.6
    now = recording.clock - near.walk.visit.start
    matrices = near.walk.matrices.copy()
    matrices[:, :, :2, 3] += (ahead - near.walk.position[now]).astype(np.float32)
    near.walk = replace(near.walk, matrices=matrices)
    poses = [recording._pose(actor) for actor in (far, near)]
    still = [replace(pose, motion=np.zeros(2)) for pose in poses]
    result = recording._draw(still)
    recording.clock += 1
    columns, rows_ = silhouette(recording, far)
    cover = {(int(x), int(y)) for x, y in zip(*silhouette(recording, near), strict=True)}
    recording.clock -= 1
    hidden = np.mean([(int(x), int(y)) in cover for x, y in zip(columns, rows_, strict=True)])
    assert 0.1 < hidden < 1
    recording._remove_persons()
    alone = recording._draw(still[1:])[0]
    assert result[1] == alone
    assert result[0] == (pytest.approx(1 - hidden, abs=0.08), "person")


def test_no_person_stays_in_the_image_of_the_next_frame(domain: Domain, scale: Scale) -> None:
    recording = module._Recording("crowd", domain, scale, 1, [1, 2, 3])
    while recording.waiting or recording.actors:
        recording.frame()
        assert np.array_equal(recording._image, recording.still.image)
        assert (recording._owner == raster.NOTHING).all()


def test_exact_boxes_enclose_silhouettes(domain: Domain, scale: Scale) -> None:
    """Every sample of the person lies in the box, and none of its sides could move in by two pixels."""
    bare = replace(domain.clothing, backpack=0.0, bag=0.0, trolley=0.0)  # bags may reach out of the box
    recording = module._Recording("box", replace(domain, clothing=bare), scale, 1, [1, 2, 3, 4, 5])
    checked = 0
    while recording.waiting or recording.actors:
        before = list(recording.actors)
        recording.frame()
        for actor in before:
            if not actor.boxes or actor.boxes[-1].frame != recording.clock:
                continue
            truth = actor.boxes[-1].truth
            columns, rows_ = silhouette(recording, actor)
            assert columns.min() >= truth.left - 0.5
            assert columns.max() <= truth.left + truth.width + 0.5
            assert rows_.min() >= truth.top - 0.5
            assert rows_.max() <= truth.top + truth.height + 0.5
            assert columns.max() - columns.min() > truth.width - 4
            assert rows_.max() - rows_.min() > truth.height - 4
            checked += 1
    assert checked > 5


def silhouette(recording: "module._Recording", actor: "module._Actor") -> tuple[np.ndarray, np.ndarray]:
    """Pixel columns and rows of the samples of a person in the last frame."""
    recording.clock -= 1
    pose = recording._pose(actor)
    recording.clock += 1
    person, (low, high) = actor.walk.pedestrian, (pose.screen.min(0), pose.screen.max(0))
    left, top = int(low[0]) - 2, int(low[1]) - 2
    samples = raster.empty_samples(int(high[1]) + 3 - top, int(high[0]) + 3 - left)
    raster.rasterise(pose.screen, person.faces, person.face_parts, left, top, samples)
    hit = samples.hit
    y, x = np.nonzero(hit != raster.NOTHING)
    return left + (x + 0.5) / raster.SAMPLES, top + (y + 0.5) / raster.SAMPLES


def test_a_person_behind_a_pillar_has_the_visibility_that_geometry_gives(empty: Domain, scale: Scale) -> None:
    """The pillar's edges are the tangents from the camera; what lies between their columns is hidden."""
    recording = module._Recording("pillar", empty, scale, 1, [1])
    while not recording.actors:
        recording.frame()
    actor = recording.actors[0]
    pose = recording._pose(actor)
    radius, centre = 0.12, pose.position * 0.7  # between the camera and the person
    pillar = np.zeros(1, SOLID)
    pillar["kind"], pillar["shape"], pillar["cosine"] = SolidKind.POLE, Shape.CYLINDER, 1.0
    pillar["centre"], pillar["half"], pillar["unit"] = (*centre, 5.0), (radius, radius, 5.0), 1.0
    recording.scene = replace(recording.scene, solids=np.concatenate([recording.scene.solids[:1], pillar]))
    recording.still = backdrop(np.random.default_rng(0), recording.scene, scale)
    result, occluder = recording._draw([pose])[0]

    middle, away = np.arctan2(centre[0], centre[1]), np.hypot(*centre)
    edge = np.arcsin(radius / away)
    focal, centre = float(recording.scene.camera["focal"][0]), float(recording.scene.camera["centre"][0, 0])
    eye = np.array([0, 0, recording.scene.camera["position"][0, 2]])
    limits = []
    for angle in (middle - edge, middle + edge):  # a vertical edge at the height of the person's middle
        point = eye + np.array([np.sin(angle) * away, np.cos(angle) * away, 0])
        point[2] = eye[2] - (eye[2] - 0.9) * 0.7
        limits.append(pixels(recording.scene.camera, point)[0])
    assert limits[0] < limits[1] < limits[0] + 2.5 * focal * radius / away
    assert abs(np.mean(limits) - centre) < scale.width / 2
    recording.clock += 1
    columns, _ = silhouette(recording, actor)
    recording.clock -= 1
    hidden = ((columns > limits[0]) & (columns < limits[1])).mean()
    assert 0.1 < hidden < 1
    assert result == pytest.approx(1 - hidden, abs=0.05)
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
    counts = np.zeros(raster.HIDDEN + len(SolidKind), np.int64)
    counts[0], counts[1] = 100, 100 - sum(behind.values())
    for name, count in behind.items():
        if name != "edge":
            counts[raster.HIDDEN + SolidKind[name.upper()]] = count
    share, occluder = visible_share(counts, covered)
    assert (share, occluder) == (pytest.approx(expected[0]), expected[1])


def test_tracks_split_where_an_identity_is_lost(domain: Domain, scale: Scale, tmp_path: Path) -> None:
    long = replace(scale, min_frames=30, max_frames=30)
    crowd = replace(domain.view, occluders=0.0), replace(domain.crowd, present=1.0, fragments=1.0)
    broken = replace(domain, view=crowd[0], crowd=crowd[1])
    render_camera("broken", broken, long, 1, [1, 2, 3, 4], tmp_path, ignore)
    truth = read_truth(tmp_path / "c1.parquet")
    gaps = truth.groupby("identity")["frame"].apply(lambda frames: int((frames.diff() > 3).sum()))
    assert gaps.min() >= 1


def test_identity_switches_change_the_tracks_and_nothing_else(
    domain: Domain, scale: Scale, tmp_path: Path
) -> None:
    crowd = replace(domain.crowd, present=6.0, fragments=0.0)
    long = replace(scale, min_frames=25, max_frames=30)
    for folder, share in (("clean", 0.0), ("switched", 1.0)):
        (tmp_path / folder).mkdir()
        changed = replace(domain, crowd=replace(crowd, switches=share))
        render_camera("busy", changed, long, 1, list(range(1, 13)), tmp_path / folder, ignore)
    clean, result = (read_truth(tmp_path / folder / "c1.parquet") for folder in ("clean", "switched"))
    assert (clean["identity"] == clean["person"]).all()
    assert (result["identity"] != result["person"]).any()
    order = ["frame", "person"]
    same = [table.sort_values(order)[[*order, "left", "visibility"]].to_numpy() for table in (clean, result)]
    assert np.array_equal(*same)
    assert (tmp_path / "clean/c1.mp4").read_bytes() == (tmp_path / "switched/c1.mp4").read_bytes()
    assert set(result["identity"]) == set(clean["identity"])
