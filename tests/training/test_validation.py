"""Rank-1 during training, against a loop and against the evaluation."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sttreid.retrieval import Labels, evaluate
from sttreid.retrieval.protocol import EMBEDDED
from sttreid.tracklets.clips import consecutive_clips, normalise
from sttreid.training import validation
from sttreid.training.validation import rank1, validate
from tests.sections import small_network


def naive(features, identities, cameras):
    """Each tracklet is a query against the others; a match must be nearer than every false positive."""
    rows = [[x / math.hypot(*row) for x in row] for row in features.tolist()]
    hits = []
    for q in range(len(rows)):
        right, wrong = [], []
        for g in range(len(rows)):
            distance = 1 - sum(a * b for a, b in zip(rows[q], rows[g], strict=True))
            if identities[g] != identities[q]:
                wrong.append(distance)
            elif cameras[g] != cameras[q]:
                right.append(distance)
        if right:
            hits.append(not wrong or min(right) < min(wrong))
    return sum(hits) / len(hits) if hits else math.nan


@st.composite
def problems(draw):
    """Few identities and cameras, so that some queries have no match and some no other identity."""
    rows = draw(st.integers(1, 12))
    identities = draw(st.lists(st.integers(0, 4), min_size=rows, max_size=rows))
    cameras = draw(st.lists(st.integers(0, 2), min_size=rows, max_size=rows))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    return torch.from_numpy(rng.normal(size=(rows, 3))), torch.tensor(identities), torch.tensor(cameras)


@settings(max_examples=80, deadline=None)
@given(problems())
def test_rank1_equals_the_loop_and_the_evaluation(problem):
    features, identities, cameras = problem
    value, expected = rank1(*problem), naive(features, identities.tolist(), cameras.tolist())
    assert value == pytest.approx(expected, nan_ok=True)
    if not math.isnan(value):
        labels = Labels(identities, cameras)
        result = evaluate(features, features, labels, labels, EMBEDDED)
        assert value == pytest.approx(result.rank1)


def test_a_tie_with_another_identity_is_an_error():
    features = torch.ones(3, 2)
    assert rank1(features, torch.tensor([0, 0, 1]), torch.tensor([0, 1, 0])) == 0.0
    features[2] = torch.tensor([1.0, -1.0])
    assert rank1(features, torch.tensor([0, 0, 1]), torch.tensor([0, 1, 0])) == 1.0


def test_the_same_camera_is_no_match():
    features = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.9, 0.2]])
    identities = torch.tensor([0, 0, 0, 1])
    cameras = torch.tensor([0, 0, 1, 1])
    assert rank1(features, identities, cameras) == 0.0  # the equal features of camera 0 are ignored


def test_no_identity_in_two_cameras_gives_no_number():
    assert math.isnan(rank1(torch.eye(3), torch.arange(3), torch.zeros(3)))


def test_validation_reads_the_training_and_the_validation_split_only(monkeypatch):
    table = pd.DataFrame(
        {
            "identity": np.array([0, 0, 1, 1, 2, 2, 3, 3, 3, 9, 0], np.int32),
            "camera": np.array([0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1], np.int16),  # 3 has two fragments in 1
            "split": ["train"] * 4 + ["validation"] * 5 + ["test", "distractors"],
        }
    )
    splits = []

    def of_split(split):
        splits.append(split)
        return table[table["split"] == split].reset_index(drop=True)

    def embed(network, store, tracklets, batch):
        assert batch == 9
        assert set(tracklets["split"]) in ({"train"}, {"validation"})
        good = torch.nn.functional.one_hot(torch.from_numpy(tracklets["identity"].to_numpy(np.int64)), 4)
        bad = torch.nn.functional.one_hot(torch.from_numpy(tracklets["camera"].to_numpy(np.int64)), 4)
        return (good if tracklets["split"][0] == "train" else bad).float()

    monkeypatch.setattr(validation, "embed_tracklets", embed)
    values = validate(small_network(), SimpleNamespace(of_split=of_split), 9)
    assert values == {"train_rank1": 1.0, "validation_rank1": 0.0, "rank1_gap": 1.0}
    assert splits == ["train", "validation"]


def test_the_attention_s_entropy_is_that_of_every_validation_clip(store):
    network = small_network().eval()
    values = validate(network, store, 3)
    entropies = []
    for start, length in store.of_split("validation")[["start", "length"]].to_numpy():
        for frames in consecutive_clips(length, network.frames):
            clip = torch.empty(1, network.frames, 3, *network.image_size)
            normalise(store.frames[start + frames], clip[0].numpy())
            for layer in network(clip, "first").branches["stt"].attention[0].tolist():
                entropies += [-sum(a * math.log(a) for a in head) for head in layer]
    assert values["attention_entropy"] == pytest.approx(
        np.mean(entropies), rel=1e-4
    )  # float32, other batch size
    assert 0 < values["attention_entropy"] <= math.log(1 + network.frames)
    assert values["rank1_gap"] == values["train_rank1"] - values["validation_rank1"]


def test_a_network_without_temporal_transformer_has_no_attention_entropy(store):
    network = small_network(stt=False).eval()
    assert "attention_entropy" not in validate(network, store, 64)


def test_validation_does_not_change_the_network(store):
    network = small_network().eval()
    before = network(torch.zeros(1, network.frames, 3, *network.image_size))
    validate(network, store, 64)
    after = network(torch.zeros(1, network.frames, 3, *network.image_size))
    assert before.branches["stt"].attention is after.branches["stt"].attention is None
    assert torch.equal(before.features, after.features)
