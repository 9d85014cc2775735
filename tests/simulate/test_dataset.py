import hashlib
import json
from collections import defaultdict
from pathlib import Path

import av
import pytest

from sttreid.domain import Domain, Scale
from sttreid.errors import InputError
from sttreid.simulate import dataset
from sttreid.simulate.dataset import render


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_the_number_of_workers_changes_no_byte(
    domain: Domain, scale: Scale, rendered: Path, tmp_path: Path
) -> None:
    render("tiny", domain, scale, tmp_path / "two", workers=2)
    assert contents(tmp_path / "two") == contents(rendered)


def test_a_folder_holds_videos_tracks_and_a_manifest(rendered: Path) -> None:
    assert list(contents(rendered)) == ["c1.mp4", "c1.txt", "c2.mp4", "c2.txt", "manifest.json"]


def test_the_manifest_describes_the_files(rendered: Path, scale: Scale) -> None:
    manifest = json.loads((rendered / "manifest.json").read_text())
    assert manifest["format"] == "sttreid-cameras/1"
    assert manifest["name"] == "tiny"
    assert manifest["scale"]["identities"] == scale.identities
    assert manifest["splits"] == {"train": [1, 2], "validation": [3, 4], "test": [5, 6]}
    found = contents(rendered)
    for camera, entry in manifest["cameras"].items():
        assert entry["sha256_video"] == found[f"{camera}.mp4"]
        assert entry["sha256_tracks"] == found[f"{camera}.txt"]
        with av.open(str(rendered / f"{camera}.mp4")) as container:
            assert sum(1 for _ in container.decode(video=0)) == entry["frames"]


def test_every_identity_has_boxes_in_two_cameras_and_all_lie_in_the_picture(
    rendered: Path, scale: Scale
) -> None:
    seen: dict[int, set[str]] = defaultdict(set)
    for path in rendered.glob("c*.txt"):
        lines = [[float(word) for word in line.split(",")] for line in path.read_text().splitlines()]
        assert [(line[0], line[1]) for line in lines] == sorted({(line[0], line[1]) for line in lines})
        for frame, identity, left, top, width, height, _, _, visibility in lines:
            seen[int(identity)].add(path.stem)
            assert frame >= 1
            assert width >= 4
            assert height >= 4
            assert left >= 0
            assert top >= 0
            assert left + width <= scale.width + 0.11
            assert top + height <= scale.height + 0.11
            assert visibility >= 0.25
    assert set(seen) == set(range(1, scale.identities + 1))
    assert all(len(cameras) == 2 for cameras in seen.values())


def test_a_failure_leaves_what_was_there(
    domain: Domain, scale: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "kept.txt").write_text("kept")

    def fail(*_: object) -> int:
        raise InputError("the reason")

    monkeypatch.setattr(dataset, "film", fail)
    with pytest.raises(InputError, match="the reason"):
        render("tiny", domain, scale, tmp_path / "old", workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old" / "kept.txt").read_text() == "kept"


def test_a_finished_rendering_replaces_the_folder(
    domain: Domain, scale: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def quick(
        name: str, _domain: Domain, _scale: Scale, camera: int, _who: list[int], folder: Path, told: object
    ) -> int:
        (folder / f"c{camera}.mp4").write_bytes(b"")
        (folder / f"c{camera}.txt").write_text(name)
        return 9

    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "gone.txt").write_text("")
    monkeypatch.setattr(dataset, "film", quick)
    render("new", domain, scale, tmp_path / "old", workers=1)
    assert list(contents(tmp_path / "old")) == ["c1.mp4", "c1.txt", "c2.mp4", "c2.txt", "manifest.json"]
