from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from sttreid.embedding import embed_tracklets
from sttreid.model.network import Network
from sttreid.retrieval.encoding import embed_for_test, encoder_for_test
from sttreid.tracklets.store import Store
from tests.sections import small_clips, small_network


@pytest.fixture(scope="module")
def network() -> Network:
    return small_network()


def mirror(store: Store) -> Store:
    return replace(store, frames=np.ascontiguousarray(store.frames[:, :, ::-1]))


def test_a_feature_is_the_mean_of_a_clip_and_its_mirror_image(network: Network) -> None:
    clips = small_clips()
    with torch.inference_mode():
        features = encoder_for_test(network, flip=True)(clips)
        plain = encoder_for_test(network, flip=False)
        ways = [network.eval().encode(clips), network.encode(torch.flip(clips, (4,)))]
        assert torch.equal(plain(clips), ways[0])
    assert not torch.allclose(*ways, atol=1e-3)
    torch.testing.assert_close(features / 2, (ways[0] + ways[1]) / 2)


def test_without_mirror_images_tracklets_are_embedded_as_in_training(network: Network, store: Store) -> None:
    features = embed_for_test(network, store, store.tracklets, 3, flip=False)
    assert torch.equal(features, embed_tracklets(network, store, store.tracklets, 3))


def test_a_tracklet_and_its_mirror_image_have_one_feature(network: Network, store: Store) -> None:
    here, there = (
        embed_for_test(network, each, store.tracklets, 3, flip=True) for each in (store, mirror(store))
    )
    torch.testing.assert_close(here, there, rtol=0, atol=1e-5)
    plain = embed_for_test(network, mirror(store), store.tracklets, 3, flip=False)
    assert not torch.allclose(here, plain, atol=1e-3)
    torch.testing.assert_close(here, normalize(here, dim=1))


def test_the_network_is_in_evaluation_mode(network: Network, store: Store) -> None:
    network.train()
    embed_for_test(network, store, store.tracklets, 3, flip=True)
    assert not network.training
