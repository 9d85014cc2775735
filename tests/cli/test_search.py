"""The commands of a search, from videos to files, and bad input."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sttreid.model.weights import save
from sttreid.search.calibration import RATE, read_calibration
from sttreid.search.gallery import Gallery
from tests.cli.command import run
from tests.search.galleries import gallery_of
from tests.search.test_calibration import fitted
from tests.search.walkers import Walker, film
from tests.sections import MODEL, small_network


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A labelled and calibrated gallery of rendered nobodies, and a model."""
    monkeypatch.chdir(tmp_path)
    replace(gallery_of(people=30, strips=True), calibration=fitted()).write(tmp_path / "g.parquet")
    save(small_network(), MODEL, tmp_path / "m.pt")
    return tmp_path


def write_gallery_of_the_model() -> None:
    """The same people as embeddings of m.pt, in own.parquet."""
    from sttreid.inference import load_model
    from sttreid.search.videos import refer_to

    reference = refer_to(load_model("m.pt"), "m.pt")
    centres = np.random.default_rng(0).standard_normal((30, reference.dimensions))
    noise = np.random.default_rng(1).standard_normal((60, reference.dimensions))
    rows = np.tile(centres, (2, 1)) + 0.3 * noise
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    replace(gallery_of(people=30), embeddings=rows, model=reference).write("own.parquet")


@pytest.fixture
def untouched(folder: Path) -> Iterator[None]:
    """Fails if a command leaves anything behind."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    yield
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_from_videos_to_answers_and_identities(painted: Path, tmp_path: Path) -> None:
    save(small_network(), MODEL, tmp_path / "m.pt")
    films = [painted / "c1.mp4", painted / "c2.mp4"]
    out = tmp_path / "g.parquet"
    assert run("embed", *films, "-m", tmp_path / "m.pt", "-o", out, "--numbers", "shared") == 0
    gallery = Gallery.read(out)
    assert gallery.tracklets["identity"].tolist() == gallery.tracklets["track"].tolist()
    assert not list(tmp_path.glob(".*"))
    assert (
        run("search", out, "--query", "c1.mp4:7", "-k", 3, "--cross-camera-only", "-o", tmp_path / "r.json")
        == 0
    )
    content = json.loads((tmp_path / "r.json").read_text())
    assert [a["tracklet"]["camera"] for a in content["queries"][0]["answers"]] == ["c2"] * 3
    linked = ["--tracks", painted / "c1.txt", "--mot", tmp_path / "mot"]
    assert run("link", out, "-o", tmp_path / "i.csv", "--threshold", 0.2, *linked) == 0
    lines = (tmp_path / "mot" / "c1.txt").read_text().splitlines()
    assert len(lines) == len((painted / "c1.txt").read_text().splitlines())
    numbers = pd.read_csv(tmp_path / "i.csv")["global_identity"]
    assert {int(line.split(",")[1]) for line in lines} <= set(numbers)


def test_the_format_of_the_tracks_is_printed_or_given(
    painted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(small_network(), MODEL, tmp_path / "m.pt")
    words = "embed", painted / "c1.mp4", "-m", tmp_path / "m.pt", "-o", tmp_path / "g.parquet"
    count = len((painted / "c1.txt").read_text().splitlines())
    assert run(*words) == 0
    assert f"{count} lines, {count} boxes used" in capsys.readouterr().err
    assert run(*words, "--format", "first_frame=0") == 2  # the last frame has a box
    assert run(*words, "--format", "firstframe=0") == 2
    assert "first_frame" in capsys.readouterr().err


def test_tracks_that_count_from_0_keep_their_boxes_in_the_linked_file(painted: Path, tmp_path: Path) -> None:
    save(small_network(), MODEL, tmp_path / "m.pt")
    tracks, out = painted / "c1.txt", tmp_path / "g.parquet"
    lines = [line.split(",", 1) for line in tracks.read_text().splitlines()]
    tracks.write_text("".join(f"{int(frame) - 1},{rest}\n" for frame, rest in lines if int(frame) > 1))
    # no box in the first frame, so that the file alone does not show how it counts
    assert (
        run("embed", painted / "c1.mp4", "-m", tmp_path / "m.pt", "-o", out, "--format", "first_frame=0") == 0
    )
    assert Gallery.read(out).tracklets["first"].min() == 2
    linked = ["--tracks", tracks, "--mot", tmp_path / "mot"]
    assert run("link", out, "-o", tmp_path / "i.csv", "--threshold", 0.2, *linked) == 0
    assert len((tmp_path / "mot" / "c1.txt").read_text().splitlines()) == len(lines) - len(
        [frame for frame, _ in lines if int(frame) == 1]
    )


def test_linking_replaces_no_tracks(folder: Path) -> None:
    lines = "".join(f"{1 + frame},1,5,5,20,80\n" for frame in range(21))
    for name in ("cam1.txt", "cam2.csv", "other/cam1.txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(lines)
    words = "link", "g.parquet", "--threshold", 0.3
    for wrong in (
        ["-o", "i.csv", "--tracks", "cam1.txt", "--mot", "."],
        ["-o", "cam2.csv", "--tracks", "cam2.csv", "--mot", "mot"],
        ["-o", "i.csv", "--tracks", "cam1.txt", "--tracks", "other/cam1.txt", "--mot", "mot"],
    ):
        assert run(*words, *wrong) == 2, wrong
    assert all(Path(name).read_text() == lines for name in ("cam1.txt", "cam2.csv", "other/cam1.txt"))
    assert not Path("mot").exists()
    assert run(*words, "-o", "i.csv", "--tracks", "cam1.txt", "--mot", "mot") == 0
    assert len(Path("mot/cam1.txt").read_text().splitlines()) == 21


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("search g.parquet --all --calibration c.json -o c.json", "c.json"),
        ("search g.parquet --all --calibration c.json -o ./c.html", "c.json"),  # a .json beside the page
        ("search g.parquet --queries q.csv -o q.csv", "q.csv"),
        ("calibrate m.pt --gallery own.parquet -o m.pt", "m.pt"),
        ("calibrate m.pt --gallery own.parquet -o own.parquet", "own.parquet"),
        ("evaluate --protocol market --query q.npy --query-labels l.parquet --gallery q.npy "
         "--gallery-labels l.parquet --per-query l.parquet", "l.parquet"),
    ],
)  # fmt: skip
def test_no_output_replaces_an_input(
    line: str, kept: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted().write(Path("c.json"))
    write_gallery_of_the_model()
    Path("q.csv").write_text("cam1.mp4:1\n")
    np.save("q.npy", np.eye(4, dtype=np.float32))
    pd.DataFrame({"identity": [0, 1, 0, 1], "camera": [0, 0, 1, 1]}).to_parquet("l.parquet")
    before = Path(kept).read_bytes()
    assert run(*line.split()) == 2
    assert Path(kept).read_bytes() == before
    assert kept in capsys.readouterr().err


def test_the_file_beside_a_page_is_tried_before_the_search(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("r.json").mkdir()
    monkeypatch.setattr("sttreid.cli.searching.search", lambda *_, **__: pytest.fail("it was searched"))
    assert run("search", "g.parquet", "--all", "-o", "r.html") == 2
    assert not Path("r.html").exists()


def test_linking_reads_tracks_as_embedding_did(folder: Path) -> None:
    corners = "".join(f"{1 + frame},1,5,5,25,85\n" for frame in range(21))
    Path("cam1.txt").write_text(corners)
    words = "link", "g.parquet", "--threshold", 0.3, "-o", "i.csv", "--tracks", "cam1.txt", "--mot", "mot"
    columns = "columns=[frame, id, left, top, right, bottom]"
    assert run(*words, "--format", columns) == 0
    assert Path("mot/cam1.txt").read_text().splitlines()[0].split(",")[2:6] == ["5", "5", "20", "80"]
    Path("cam1.txt").write_text(corners.replace("85", "185"))
    assert run(*words, "--format", columns) == 2


def test_films_without_tracks_are_searched_for_people(
    tmp_path: Path,
    write_video: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save(small_network(), MODEL, tmp_path / "m.pt")
    walkers = Walker(0, 10, 2), Walker(150, 70, -2)
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "hall.mp4", film(45, *walkers))
    words = "embed", "hall.mp4", "-m", "m.pt", "-o", "g.parquet"
    assert run(*words, "--detect", "tests.search.walkers:ColourDetector") == 0
    assert "45 frames, 90 detections, 2 tracks with 90 boxes" in capsys.readouterr().err
    whole = Gallery.read(tmp_path / "g.parquet")
    assert whole.tracklets["boxes"].tolist() == [45, 45]
    assert run(*words, "--detect", "motion") == 0
    gallery = Gallery.read(tmp_path / "g.parquet")
    assert len(gallery) == 2
    assert (gallery.tracklets["boxes"] > 25).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g.parquet", "g.tracks", "hall.mp4", "m.pt"]
    linked = ["--tracks", "g.tracks/hall.txt", "--mot", "mot"]
    assert run("link", "g.parquet", "-o", "i.csv", "--threshold", 0.2, *linked) == 0
    assert len((tmp_path / "mot" / "hall.txt").read_text().splitlines()) == gallery.tracklets["boxes"].sum()


def test_detecting_needs_a_detector_and_no_tracks(painted: Path, tmp_path: Path) -> None:
    save(small_network(), MODEL, tmp_path / "m.pt")
    words = "embed", painted / "c1.mp4", "-m", tmp_path / "m.pt", "-o", tmp_path / "g.parquet", "--detect"
    for wrong in (
        ["no_such_module:People"],
        ["hog"],
        ["motion", "--tracks", painted / "c1.txt"],
        ["motion", "--format", "first_frame=0"],
        ["motion", "--numbers", "shared"],
        ["motion"],  # 8 frames show nobody for long enough
    ):
        assert run(*words, *wrong) == 2, wrong
    assert not (tmp_path / "g.parquet").exists()


def test_labels_come_from_a_file(painted: Path, tmp_path: Path) -> None:
    save(small_network(), MODEL, tmp_path / "m.pt")
    (tmp_path / "l.csv").write_text("video,track,identity\nc1.mp4,7,anna\nc1.mp4,2,NA\nc1.mp4,5,\n")
    words = [
        "embed",
        painted / "c1.mp4",
        "-m",
        tmp_path / "m.pt",
        "-o",
        tmp_path / "g.parquet",
        "--no-images",
    ]
    assert run(*words, "--labels", tmp_path / "l.csv") == 0
    table = Gallery.read(tmp_path / "g.parquet").tracklets.set_index("track")["identity"]
    assert table["7"] == "anna"
    assert table["2"] == "NA"
    assert table.drop(["7", "2"]).isna().all()
    (tmp_path / "l.csv").write_text("video,track,identity\nc9.mp4,7,anna\n")
    assert run(*words, "--labels", tmp_path / "l.csv") == 2


def test_all_queries_are_searched_and_written_in_three_formats(folder: Path) -> None:
    for suffix in ("csv", "json", "html"):
        assert run("search", "g.parquet", "--all", "-k", 2, "-o", f"r.{suffix}") == 0
    assert len(pd.read_csv("r.csv")) == 2 * 60
    assert Path("r.html").read_text().lower().startswith("<!doctype html>")
    assert len(json.loads(Path("r.json").read_text())["queries"]) == 60


@pytest.mark.skipif(find_spec("faiss") is None, reason="faiss is not installed: pip install 'sttreid[faiss]'")
def test_an_approximate_search_of_a_small_gallery_finds_the_same(folder: Path) -> None:
    assert run("search", "g.parquet", "--all", "-k", 5, "-o", "exact.csv") == 0
    assert run("search", "g.parquet", "--all", "-k", 5, "--approximate", "-o", "found.csv") == 0
    assert Path("found.csv").read_text() == Path("exact.csv").read_text()
    assert run("search", "g.parquet", "--all", "--approximate", "--rerank", "-o", "r.csv") == 2


def test_queries_come_from_a_file_and_from_images(folder: Path) -> None:
    (folder / "q.txt").write_text("cam1.mp4:3\n\ncam2.mp4:1\n")
    assert run("search", "g.parquet", "--queries", "q.txt", "-o", "r.csv") == 0
    assert pd.read_csv("r.csv")["query"].unique().tolist() == ["cam1.mp4:3", "cam2.mp4:1"]
    crops = folder / "crops"
    crops.mkdir()
    for number in range(3):
        Image.new("RGB", (20, 50), (40 * number, 9, 9)).save(crops / f"{number}.png")
    assert run("search", "g.parquet", "--images", crops, "-m", "m.pt", "-o", "r.csv") == 2  # another model
    from sttreid.inference import load_model
    from sttreid.search.videos import refer_to

    reference = refer_to(load_model("m.pt"), "m.pt")
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((60, reference.dimensions)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    replace(gallery_of(people=30), embeddings=rows, model=reference).write("own.parquet")
    for path in (crops, crops / "1.png"):
        assert run("search", "own.parquet", "--images", path, "-m", "m.pt", "-o", "r.csv") == 0
        assert pd.read_csv("r.csv")["query"].unique().tolist() == [str(path)]
    odd = crops.rename(folder / os.fsdecode(b"cr\xf6ps"))  # a name that is no UTF-8
    assert run("search", "own.parquet", "--images", odd, "-m", "m.pt", "-o", "r.html") == 0
    (query,) = json.loads(Path("r.json").read_text())["queries"]
    assert query["query"]["name"].endswith("cr\\udcf6ps")


def test_the_nearest_answers_of_few_queries_are_printed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("search", "g.parquet", "--query", "cam1.mp4:1", "--cross-camera-only", "-o", "r.json") == 0
    (found,) = json.loads((folder / "r.json").read_text())["queries"]
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("cam1.mp4:1: "))
    nearest = [answer["tracklet"]["name"] for answer in found["answers"][:3]]
    assert len(nearest) == 3
    assert [word for word in line.split() if word in nearest] == nearest
    assert run("search", "g.parquet", "--all", "-o", "r.json") == 0
    assert "cam1.mp4:1: " not in capsys.readouterr().out


def test_the_calibration_of_a_published_model_is_replaced_on_demand_only(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = folder / "m.calibration.json"
    own.write_text("{}")
    (folder / "src" / "sttreid").mkdir(parents=True)
    artifact = "{path: m.pt, type: model}"
    (folder / "dvc.yaml").write_text(f"artifacts: {{m-v1: {artifact}}}")
    for model in ("m-v1", "m.pt"):
        assert run("calibrate", model, "--gallery", "g.parquet") == 2
        assert "published model m-v1" in capsys.readouterr().err
    assert run("calibrate", "m-v1", "--gallery", "g.parquet", "-o", own) == 2  # of another model: further on
    assert "one model" in capsys.readouterr().err
    assert own.read_text() == "{}"


def test_calibrate_writes_beside_the_model_and_embed_uses_it(
    folder: Path, store_folder: Path, painted: Path
) -> None:
    write_gallery_of_the_model()
    assert run("calibrate", "m.pt", "--gallery", "own.parquet", "--rate", 0.01) == 0
    found = read_calibration(folder / "m.calibration.json")
    assert (found.rendered, found.people, found.same) == (False, 30, 30)
    assert found.rate == 0.01
    assert run("calibrate", "m.pt", "--gallery", "own.parquet") == 0
    found = read_calibration(folder / "m.calibration.json")
    assert found.rate == RATE
    assert run("embed", painted / "c1.mp4", "-m", "m.pt", "-o", "new.parquet") == 0
    assert Gallery.read("new.parquet").calibration == found
    assert run("calibrate", "m.pt", "--tracklets", store_folder) == 2  # two validation identities are too few
    for file in ("m.pt", "new.parquet", "m.calibration.json"):
        assert run("info", file) == 0


BAD = {
    "no gallery": ("search none.parquet --all -o r.csv", "none.parquet"),
    "a damaged gallery": ("search m.pt --all -o r.csv", "m.pt"),
    "an unknown query": ("search g.parquet --query cam1.mp4:999 -o r.csv", "cam1.mp4:999"),
    "no query": ("search g.parquet -o r.csv", "--query"),
    "two kinds of queries": ("search g.parquet --all --query cam1.mp4:1 -o r.csv", "--all"),
    "a result of another kind": ("search g.parquet --all -o r.txt", "r.txt"),
    "no answers": ("search g.parquet --all -k 0 -o r.csv", "got 0"),
    "no such calibration": ("search g.parquet --all --calibration c.json -o r.csv", "c.json"),
    "images without a model": ("search g.parquet --images m.pt -o r.csv", "model"),
    "no folder for a calibration": ("calibrate m.pt --gallery g.parquet -o g.parquet/c.json", "be written"),
    "a folder for a calibration": ("calibrate m.pt --gallery g.parquet -o .", "is a folder"),
    "no folder for a gallery": ("embed cam.mp4 -m m.pt -o m.pt/g.parquet", "be written"),
    "no folder for identities": ("link g.parquet -o m.pt/i.csv", "be written"),
    "no such folder": ("search g.parquet --all -o g.parquet/r.csv", "cannot be written"),
    "identities of another kind": ("link g.parquet -o i.txt", "i.txt"),
    "an impossible threshold": ("link g.parquet -o i.csv --threshold 3", "got 3"),
    "tracks without a folder": ("link g.parquet -o i.csv --tracks cam1.txt", "--mot"),
    "tracks of another video": ("link g.parquet -o i.csv --tracks cam9.txt --mot m", "cam9.txt"),
    "missing tracks": ("link g.parquet -o i.csv --tracks cam1.txt --mot m", "cam1.txt"),
    "a gallery of another kind": ("embed cam.mp4 -m m.pt -o g.csv", "g.csv"),
    "no video": ("embed cam.mp4 -m m.pt -o h.parquet", "cam.mp4"),
    "unknown numbers": ("embed cam.mp4 -m m.pt -o h.parquet --numbers mine", "'mine'"),
    "two labels": ("embed cam.mp4 -m m.pt -o h.parquet --numbers shared --labels l.csv", "--labels"),
    "no labels": ("embed cam.mp4 -m m.pt -o h.parquet --labels l.csv", "l.csv"),
    "no model": ("embed cam.mp4 -m none.pt -o h.parquet", "none.pt"),
    "nothing to calibrate on": ("calibrate m.pt", "--tracklets"),
    "an impossible rate": ("calibrate none.pt --gallery g.parquet --rate 3", "got 3"),
    "two ways to search": ("search g.parquet --all --approximate --rerank -o r.csv", "--rerank"),
    "a gallery of another model": ("calibrate m.pt --gallery g.parquet", "one model"),
    "no model to calibrate": ("calibrate none.pt --gallery g.parquet", "none.pt"),
    "nothing to describe": ("info none.parquet", "none.parquet"),
}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing_behind(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line, told = BAD[name]
    assert run(*line.split()) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert told in errors
