"""Identities across cameras, their scores, and MOT files."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import motmetrics
import numpy as np
import pandas as pd
import pytest

from sttreid.runtime.errors import InputError
from sttreid.search import linking
from sttreid.search.linking import link, score_identities, write_identities, write_mot
from tests.search.galleries import gallery_of
from tests.search.test_calibration import fitted


def test_tracklets_of_one_person_get_one_identity() -> None:
    gallery = gallery_of(people=6, cameras=3, noise=0.05)
    assert link(gallery, 0.05).tolist() == [1, 2, 3, 4, 5, 6] * 3


def test_tracklets_that_overlap_in_one_video_never_share_an_identity() -> None:
    gallery = gallery_of(people=8, cameras=2)
    table = gallery.tracklets.assign(
        first=[1, 1, 1, 5, 6, 9, 20, 21] * 2, last=[5, 5, 5, 8, 9, 12, 25, 29] * 2
    )
    same = np.repeat(gallery.embeddings[:1], len(gallery), axis=0)
    gallery = replace(gallery, tracklets=table, embeddings=same)
    identities = link(gallery, 2.0)
    for a, b in combinations(range(len(gallery)), 2):
        one, other = table.iloc[a], table.iloc[b]
        if one["video"] == other["video"] and one["first"] <= other["last"] and other["first"] <= one["last"]:
            assert identities[a] != identities[b]
    assert len(set(identities)) < len(gallery)  # the others were merged


def test_the_threshold_is_that_of_the_calibration() -> None:
    gallery, calibration = gallery_of(people=20, cameras=2, noise=0.2), fitted()
    expected = link(gallery, calibration.threshold).tolist()
    assert link(gallery, calibration=calibration).tolist() == expected
    assert link(replace(gallery, calibration=calibration)).tolist() == expected


def test_bad_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    gallery = gallery_of()
    with pytest.raises(InputError, match="calibration or a threshold"):
        link(gallery)
    for value in (-0.1, 2.1, np.nan):
        with pytest.raises(InputError, match="between 0 and 2"):
            link(gallery, value)
    with pytest.raises(InputError, match="gallery's model"):
        link(gallery, calibration=replace(fitted(), model="00"))
    monkeypatch.setattr(linking, "MOST", 7)
    with pytest.raises(InputError, match="at most 7"):
        link(gallery, 0.5)
    assert link(gallery.take(np.array([0])), 0.5).tolist() == [1]


def test_scores_against_motmetrics_and_pairs() -> None:
    rng = np.random.default_rng(0)
    labels, identities = rng.integers(0, 6, 40), rng.integers(0, 8, 40)
    boxes = rng.integers(1, 9, 40)
    found = score_identities(labels.tolist(), identities.tolist(), boxes)
    account = motmetrics.MOTAccumulator(auto_id=True)
    for label, identity, count in zip(labels, identities, boxes, strict=True):
        for _ in range(count):
            account.update([label], [identity], [[0.0]])
    metrics = motmetrics.metrics.create().compute(account, metrics=["idf1"])
    assert found.idf1 == pytest.approx(metrics["idf1"].iloc[0])
    pairs = list(combinations(range(40), 2))
    linked = {p for p in pairs if identities[p[0]] == identities[p[1]]}
    true = {p for p in pairs if labels[p[0]] == labels[p[1]]}
    assert found.precision == pytest.approx(len(linked & true) / len(linked))
    assert found.recall == pytest.approx(len(linked & true) / len(true))
    perfect = score_identities(labels.tolist(), labels.tolist(), boxes)
    assert (perfect.idf1, perfect.f1) == (1, 1)
    strangers = score_identities([1, 2, 3], [3, 1, 2], [5, 5, 5])  # there is no pair, and none was made
    assert (strangers.idf1, strangers.precision, strangers.recall, strangers.f1) == (1, 1, 1, 1)
    missed = score_identities([1, 1], [1, 2], [5, 5])
    assert (missed.precision, missed.recall, missed.f1) == (1, 0, 0)


def test_identities_are_written_with_their_tracklets(tmp_path: Path) -> None:
    gallery = gallery_of()
    write_identities(tmp_path / "i.csv", gallery, link(gallery, 0.3))
    table = pd.read_csv(tmp_path / "i.csv")
    assert table["global_identity"].tolist() == link(gallery, 0.3).tolist()
    assert table["track"].astype(str).tolist() == gallery.tracklets["track"].tolist()


def test_mot_files_have_global_identities(tmp_path: Path) -> None:
    gallery = gallery_of(people=3)
    boxes = pd.DataFrame(
        [(1, "1", 1.5, 2, 3, 4), (11, "2", 5, 6, 7, 8), (12, "1", 1, 1, 1, 1), (500, "3", 1, 1, 1, 1)],
        columns=["frame", "track", "left", "top", "width", "height"],
    )
    count = write_mot(tmp_path / "m.txt", boxes, gallery, "cam2.mp4", np.arange(101, 107))
    read = motmetrics.io.loadtxt(tmp_path / "m.txt", fmt="mot15-2D", min_confidence=1)
    assert count == 3
    assert list(read.index) == [(1, 104), (11, 105), (12, 104)]
    assert read["Width"].tolist() == [3, 7, 1]
    with pytest.raises(InputError, match=r"cam9\.mp4"):
        write_mot(tmp_path / "m.txt", boxes, gallery, "cam9.mp4", np.arange(6))
    with pytest.raises(InputError, match="none of its tracklets"):
        write_mot(tmp_path / "m.txt", boxes.assign(frame=999), gallery, "cam2.mp4", np.arange(6))
