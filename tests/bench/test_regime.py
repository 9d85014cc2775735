"""A training regime is measured without the test split."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import regime
from sttreid.config import paths
from sttreid.config.params import build
from sttreid.embedding import embed_tracklets
from tests.sections import small_network
from tests.tiny import parameters


def naive(network, store, splits):
    """Cross-camera rank-1 and mAP, one query at a time."""
    rows = store.tracklets[store.tracklets["split"] != "test"].reset_index(drop=True)
    features = embed_tracklets(network, store, rows, 64).double()
    firsts, precisions = [], []
    for i, query in rows.iterrows():
        if query["split"] not in splits:
            continue
        order = torch.argsort(-(features @ features[i]), stable=True).tolist()
        ranked = [
            rows.loc[j, "identity"] == query["identity"]
            for j in order
            if (rows.loc[j, "identity"], rows.loc[j, "camera"]) != (query["identity"], query["camera"])
        ]
        if any(ranked):
            hits = np.flatnonzero(ranked)
            firsts.append(ranked[0])
            precisions.append(np.mean([(n + 1) / (hit + 1) for n, hit in enumerate(hits)]))
    return np.mean(firsts), np.mean(precisions)


def test_accuracy_reads_no_test_split_and_equals_a_loop(store):
    network = small_network().eval()
    blind = replace(store, tracklets=store.tracklets[store.tracklets["split"] != "test"])
    for splits in (("train", "validation"), ("validation",)):
        result = regime.accuracy(network, blind, splits)
        np.testing.assert_allclose(result, naive(network, blind, splits))
        assert result == regime.accuracy(network, store, splits)


def test_a_regime_is_measured_after_each_phase_and_for_each_share(store_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("unreal", "campus", "winter", "station")
    for name in names:
        shutil.copytree(store_folder, tmp_path / paths.tracklets(name))
    values = {"pretrain.steps": 2, "finetune.steps": 2, "finetune.lr": 0.1, "finetune.backbone_lr": 0.1}
    params = build(parameters(values), Path("params.yaml"))

    def weights(network, tracklets, queries):  # linear in the weights, unlike an accuracy
        return 1000 * float(network.state_dict()["backbone.conv1.weight"].sum()), float(len(queries))

    monkeypatch.setattr(regime, "accuracy", weights)
    first, *others = regime.measure(params, 0, None, tmp_path / "start.pt")
    assert [record["start_weight"] for record in others] == list(regime.SHARES)
    assert first["direct_transfer"][1] == 200.0  # both splits are queries
    assert {record["in_domain"][1] for record in others} == {100.0}
    start, trained = others[0]["in_domain"][0], others[-1]["in_domain"][0]
    assert start == pytest.approx(first["direct_transfer"][0], abs=0.2)
    assert abs(start - trained) > 1
    for record in others:
        share = record["start_weight"]
        assert record["in_domain"][0] == pytest.approx(
            share * start + (1 - share) * trained, rel=1e-3, abs=0.3
        )
    again = list(regime.measure(params, 0, tmp_path / "start.pt", None))
    assert [record["in_domain"] for record in again] == [record["in_domain"] for record in others]
