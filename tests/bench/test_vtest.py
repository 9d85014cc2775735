from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from bench.vtest import MobileNet, compare, crops, hits, interval, load_mobilenet, main, thirds, together
from sttreid.retrieval.histogram import histograms
from sttreid.search.detection import find_tracks
from sttreid.search.recordings import Recording, read_recordings
from tests.search.walkers import ColourDetector, Walker, film


def test_thirds_are_apart_and_short_tracks_are_left_out() -> None:
    long = pd.DataFrame({"frame": range(5, 25), "track": "7"})
    boxes = pd.concat([long, pd.DataFrame({"frame": range(3), "track": "8"})], ignore_index=True)
    found = thirds(boxes, fewest=6)
    assert found.groupby("tracklet")["frame"].agg(list).to_dict() == {
        0: [5, 6, 7, 8, 9, 10],
        1: [19, 20, 21, 22, 23, 24],
    }


def test_a_hit_is_the_own_last_third() -> None:
    a, b = [1.0, 0.1], [0.1, 1.0]
    both = np.ones((2, 2), bool)
    assert hits(np.array([a, a, b, b]), both).tolist() == [True, True]
    assert hits(np.array([a, b, b, a]), both).tolist() == [False, False]
    assert hits(np.array([a, a, a, b]), both).tolist() == [True, False]


def test_only_tracks_of_the_gallery_count_and_a_query_alone_does_not() -> None:
    a, b, c = np.eye(3)
    gallery = np.array([[True, False, True], [False, True, False], [True, False, True]])
    assert hits(np.array([a, b, b, a, c, c]), gallery).tolist() == [True, True]
    spans = pd.DataFrame({"tracklet": [0, 1, 2, 3, 4, 5], "frame": [1, 5, 6, 9, 4, 5]})
    assert together(spans).tolist() == gallery.tolist()


def test_people_in_colours_of_their_own_are_found_by_their_histograms(
    tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    video = write_video(tmp_path / "hall.mp4", film(40, Walker(10, 10, 2), Walker(140, 70, -2)))
    find_tracks(video, ColourDetector(), tmp_path / "hall.txt")
    (footage,) = read_recordings([Recording(video, tmp_path / "hall.txt", "1")])
    boxes = thirds(footage.boxes)
    store = crops(footage, boxes, 32, 16)
    assert store.frames.shape == (len(boxes), 32, 16, 3) == (4 * 13, 32, 16, 3)
    features = histograms(store, store.tracklets, equalised=False).double().numpy()
    assert hits(features, together(boxes)).tolist() == [True, True]


def test_intervals_hold_the_mean_and_narrow_with_people() -> None:
    few, many = interval(np.arange(10) % 2), interval(np.arange(1000) % 2)
    assert few[0] == many[0] == 50
    assert few[1] < many[1] < 50 < many[2] < few[2]


def test_methods_are_compared_on_the_same_people() -> None:
    perfect, wrong = np.eye(4)[[0, 0, 1, 1]], np.eye(4)[[0, 1, 1, 0]]
    found = compare({"model": perfect, "other": wrong}, np.ones((2, 2), bool))
    assert found["queries"] == 2
    assert found["rank-1"] == {"model": [100, 100, 100], "other": [0, 0, 0]}
    assert found["model minus"] == {"other": [100, 100, 100]}


def test_weights_are_loaded_without_running_code(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = MobileNet().eval()
    assert sum(p.numel() for p in network.parameters()) == 2_223_872  # MobileNetV2 without its classifier
    torch.save(network.state_dict(), tmp_path / "w.pt")
    image = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        expected, found = network(image), load_mobilenet(tmp_path / "w.pt")(image)
    assert found.shape == (1, 1280)
    torch.testing.assert_close(found, expected)
    torch.save(network, tmp_path / "code.pt")
    with pytest.raises(Exception, match="weights_only"):
        load_mobilenet(tmp_path / "code.pt")


def test_a_missing_film_ends_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["m.pt", "--video", str(tmp_path / "gone.avi")])
    assert "opencv-doc" in capsys.readouterr().err
