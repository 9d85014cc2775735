"""Videos -> gallery: the features of the pipeline, resuming, processes, bad input."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sttreid.data.decoding import decode_videos
from sttreid.data.readers.cameras import read_cameras
from sttreid.data.videos import frames
from sttreid.embedding import embed_tracklets
from sttreid.model.network import Network
from sttreid.runtime.errors import InputError
from sttreid.search import videos
from sttreid.search.videos import EmbedSettings, embed_videos, refer_to
from sttreid.tracklets.store import open_store
from tests.sections import HEIGHT, WIDTH, small_network

NAMES = ("c1.mp4", "c2.mp4", "c10.mp4")


@pytest.fixture
def network() -> Network:
    return small_network().eval()


def test_tracklets_have_the_embeddings_that_the_pipeline_gives_them(
    painted: Path, network: Network, tmp_path: Path
) -> None:
    gallery = embed_videos(network, [painted / name for name in NAMES], settings=EmbedSettings(batch=3))
    decode_videos(read_cameras(painted), HEIGHT, WIDTH, tmp_path / "store")
    store = open_store(tmp_path / "store")
    expected = embed_tracklets(network, store, store.tracklets, 5, flip=True).numpy()
    keys = {
        (f"c{camera}", str(identity)): row
        for row, (camera, identity) in enumerate(
            zip(store.tracklets["camera"], store.tracklets["identity"], strict=True)
        )
    }
    table = gallery.tracklets
    assert len(gallery) == len(keys)
    rows = [keys[key] for key in zip(table["camera"], table["track"], strict=True)]
    np.testing.assert_allclose(gallery.embeddings, expected[rows], atol=1e-5)
    assert table["boxes"].tolist() == store.tracklets["length"].to_numpy()[rows].tolist()
    assert (table["first"] == 1).all()
    assert (table["last"] == table["boxes"]).all()
    np.testing.assert_allclose(table["end"], table["last"] / 12)
    assert (table["height"] == 64).all()
    assert table["identity"].isna().all()
    assert table["video"].drop_duplicates().tolist() == list(NAMES)


def test_film_strips_show_the_tracklet(painted: Path, network: Network) -> None:
    gallery = embed_videos(network, [painted / "c1.mp4"])
    for row, strip in enumerate(gallery.strips):
        image = np.asarray(Image.open(io.BytesIO(strip)))
        count = min(8, gallery.tracklets["boxes"][row])
        assert image.shape == (96, 48 * count, 3)
        track = int(gallery.tracklets["track"][row])
        assert image[20, 24].mean() == pytest.approx(25 * track, abs=12)
        assert image[80, 48 * count - 24].mean() == pytest.approx(25 * gallery.tracklets["last"][row], abs=12)
    assert embed_videos(network, [painted / "c1.mp4"], settings=EmbedSettings(images=False)).strips == ()


def test_a_track_that_is_lost_becomes_two_tracklets_only_if_asked(painted: Path, network: Network) -> None:
    (painted / "c1.txt").write_text("1,7,4,9,16,64\n2,7,4,9,16,64\n6,7,4,9,16,64\n7,7,4,9,16,64\n")
    assert embed_videos(network, [painted / "c1.mp4"]).names == ("c1.mp4:7",)
    split = embed_videos(network, [painted / "c1.mp4"], settings=EmbedSettings(max_frame_gap=3))
    assert split.names == ("c1.mp4:7@1", "c1.mp4:7@6")
    assert split.tracklets["boxes"].tolist() == [2, 2]


def test_boxes_at_the_border_are_counted_and_those_outside_left_out(painted: Path, network: Network) -> None:
    lines = [f"{frame},7,{-4 if frame < 3 else 9},9,16,64" for frame in range(1, 9)]
    more = [f"{frame},2,40,9,16,64" for frame in range(1, 8)]
    (painted / "c1.txt").write_text("\n".join([*lines, *more, "8,2,500,9,16,64"]))
    gallery = embed_videos(network, [painted / "c1.mp4"])
    table = gallery.tracklets.set_index("track")
    assert table["border"].to_dict() == {"7": 2 / 8, "2": 0}
    assert table["boxes"].to_dict() == {"7": 8, "2": 7}


def test_a_run_resumes_after_the_finished_videos(
    painted: Path, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = [painted / name for name in NAMES]
    whole = embed_videos(network, films)
    done: list[str] = []
    original = videos.embed_footage

    def counted(model: Network, *rest: object) -> object:
        done.append(str(rest[1].recording.video.name))  # type: ignore[attr-defined]
        if len(done) == 2:
            raise KeyboardInterrupt
        return original(model, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(videos, "embed_footage", counted)
    with pytest.raises(KeyboardInterrupt):
        embed_videos(network, films, parts=tmp_path / "parts")
    resumed = embed_videos(network, films, parts=tmp_path / "parts")
    assert done == ["c1.mp4", "c2.mp4", "c2.mp4", "c10.mp4"]
    np.testing.assert_array_equal(resumed.embeddings, whole.embeddings)
    (painted / "c2.txt").write_text("1,7,4,9,16,64\n")  # other tracks: the part is not used
    embed_videos(network, films, parts=tmp_path / "parts")
    assert done[4:] == ["c2.mp4"]
    embed_videos(small_network(1).eval(), films[:1], parts=tmp_path / "parts")  # another model
    assert done[5:] == ["c1.mp4"]


def test_a_part_is_not_used_after_a_change_that_its_files_do_not_show(
    painted: Path, network: Network, tmp_path: Path
) -> None:
    """Images that are written anew keep their folder as it is; another file tells how the first counts."""
    folder, parts = painted / "hall", tmp_path / "parts"
    folder.mkdir()
    for number in range(1, 9):
        Image.fromarray(np.full((96, 128, 3), 20 * number, np.uint8)).save(folder / f"{number:06d}.png")
    (painted / "hall.txt").write_text("2,7,4,9,16,64\n3,7,4,9,16,64\n")
    before = embed_videos(network, [folder], parts=parts)
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    Image.fromarray(noise).save(folder / "000002.png")
    after = embed_videos(network, [folder], parts=parts)
    assert before.strips != after.strips

    (painted / "c1.txt").write_text("2,7,4,9,16,64\n3,7,4,9,16,64\n")
    (painted / "c2.txt").write_text("0,2,4,9,16,64\n1,2,4,9,16,64\n")
    alone = embed_videos(network, [painted / "c1.mp4"], parts=parts)
    both = embed_videos(network, [painted / "c1.mp4", painted / "c2.mp4"], parts=parts)
    assert (alone.tracklets["first"][0], both.tracklets["first"][0]) == (2, 3)


def test_processes_give_the_same_gallery(painted: Path, network: Network) -> None:
    films = [painted / name for name in NAMES]
    one, two = embed_videos(network, films), embed_videos(network, films, workers=2)
    assert one.names == two.names
    np.testing.assert_allclose(one.embeddings, two.embeddings, atol=1e-6)
    assert one.strips == two.strips
    (painted / "c2.txt").write_text("nonsense")
    with pytest.raises(InputError, match=r"c2\.txt:1"):
        embed_videos(network, films, workers=2)


def test_a_folder_of_images_is_a_video(painted: Path, network: Network) -> None:
    folder = painted / "hall"
    folder.mkdir()
    for number, frame in enumerate(frames(painted / "c1.mp4", 8), 1):
        Image.fromarray(frame).save(folder / f"{number:06d}.png")
    expected = embed_videos(network, [painted / "c1.mp4"])
    found = embed_videos(network, [folder], [painted / "c1.txt"], ["hall"])
    np.testing.assert_allclose(found.embeddings, expected.embeddings, atol=1e-5)
    assert set(found.tracklets["camera"]) == {"hall"}


def test_a_film_that_decord_does_not_read_is_embedded_by_pyav(painted: Path, network: Network) -> None:
    expected = embed_videos(network, [painted / "c1.mp4"])
    folder = painted / os.fsdecode(b"h\xe4ll")  # a name that is no UTF-8
    folder.mkdir()
    for name in ("c1.mp4", "c1.txt"):
        (folder / name).write_bytes((painted / name).read_bytes())
    with pytest.raises(InputError, match=r"UTF-8.*decoder to pyav"):
        embed_videos(network, [folder / "c1.mp4"])
    found = embed_videos(network, [folder / "c1.mp4"], settings=EmbedSettings(decoder="pyav"))
    np.testing.assert_allclose(found.embeddings, expected.embeddings, atol=1e-5)
    assert found.tracklets.equals(expected.tracklets)
    with pytest.raises(InputError, match=r"decoder.*'ffmpeg'"):
        EmbedSettings(decoder="ffmpeg")  # type: ignore[arg-type]


def test_the_reference_depends_on_the_weights_alone() -> None:
    first, again, other = (refer_to(small_network(seed).eval(), "m") for seed in (0, 0, 1))
    assert first == again
    assert first.sha256 != other.sha256
    assert (first.height, first.width) == (HEIGHT, WIDTH)


def test_a_camera_may_see_nobody_but_not_all(painted: Path, network: Network) -> None:
    (painted / "c1.txt").write_text("")
    gallery = embed_videos(network, [painted / "c1.mp4", painted / "c2.mp4"])
    assert set(gallery.tracklets["camera"]) == {"c2"}
    with pytest.raises(InputError, match=r"c1\.txt.*at least one box"):
        embed_videos(network, [painted / "c1.mp4"])


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "an unreadable video": (lambda f: (f / "c1.mp4").write_bytes(b"no film"), r"c1\.mp4"),
    "no video": (lambda f: (f / "c1.mp4").unlink(), r"c1\.mp4"),
    "no tracks": (lambda f: (f / "c1.txt").unlink(), r"c1\.txt"),
    "tracks that are no text": (lambda f: (f / "c1.txt").write_bytes(b"\xff\xfe\x00"), r"c1\.txt"),
    "frames of a longer film": (lambda f: (f / "c1.txt").write_text("99,7,4,9,16,64\n"), r"c1\.txt:1.*99"),
    "boxes of a larger film": (lambda f: (f / "c1.txt").write_text("1,7,900,9,16,64\n"), r"c1\.txt:1.*film"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name: str, painted: Path, network: Network) -> None:
    spoil, told = BAD[name]
    spoil(painted)
    with pytest.raises(InputError, match=told):
        embed_videos(network, [painted / "c1.mp4"])


def test_lists_that_do_not_fit_are_refused(painted: Path, network: Network) -> None:
    films = [painted / "c1.mp4", painted / "c2.mp4"]
    with pytest.raises(InputError, match="tracks files"):
        embed_videos(network, films, [painted / "c1.txt"])
    with pytest.raises(InputError, match="cameras"):
        embed_videos(network, films, cameras=["hall"])
    with pytest.raises(InputError, match="twice"):
        embed_videos(network, [films[0], films[0]])
    with pytest.raises(InputError, match="at least 1 video"):
        embed_videos(network, [])
    with pytest.raises(InputError, match="workers"):
        embed_videos(network, films, workers=0)
    with pytest.raises(InputError, match="batch"):
        EmbedSettings(batch=0)


def test_an_embedding_that_is_not_finite_is_refused(painted: Path, network: Network) -> None:
    network.backbone.conv1.weight.data[:] = np.nan
    with pytest.raises(InputError, match=r"c1\.mp4:"):
        embed_videos(network, [painted / "c1.mp4"])
