"""What each of the three transformers sees, and what it does not see."""

import pytest
import torch

from sttreid.model.stt import GlobalTransformer, SpatialTransformer, TemporalTransformer

B, T, N, D, HEADS, LAYERS = 2, 3, 4, 8, 2, 2
REST = (D, HEADS, LAYERS, 2.0, 0.0)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def spatial():
    return SpatialTransformer(N, *REST).eval()


def temporal():
    return TemporalTransformer(T, *REST).eval()


def global_():
    return GlobalTransformer(T, N, *REST).eval()


def test_shapes():
    frames, patches, attention = spatial()(torch.randn(B * T, N, D), "all")
    assert (frames.shape, patches.shape) == ((B * T, D), (B * T, N, D))
    assert attention.shape == (B * T, LAYERS, HEADS, 1 + N, 1 + N)
    clip, attention = temporal()(torch.randn(B, T, D), "first")
    assert (clip.shape, attention.shape) == ((B, D), (B, LAYERS, HEADS, 1 + T))
    clip, attention = global_()(torch.randn(B, T, N, D), "first")
    assert (clip.shape, attention.shape) == ((B, D), (B, LAYERS, HEADS, 1 + T * N))


def test_spatial_frames_do_not_see_each_other():
    module, x = spatial(), torch.randn(B * T, N, D)
    changed = x.clone()
    changed[2, 1, :4] += 1  # a shift of all channels would be lost in the norm
    others = [0, 1, 3, 4, 5]
    for before, after in zip(module(x)[:2], module(changed)[:2], strict=True):
        torch.testing.assert_close(after[others], before[others])
        assert (after[2] - before[2]).abs().max() > 1e-3


def test_a_spatial_token_sees_every_patch_of_its_frame():
    module, x = spatial(), torch.randn(1, N, D, requires_grad=True)
    module(x)[0].square().sum().backward()
    assert x.grad.any(2).all()


def test_global_patches_see_those_of_other_frames_but_not_of_other_clips():
    module, x = global_(), torch.randn(B, T, N, D, requires_grad=True)
    module(x)[0][0].square().sum().backward()
    assert x.grad[0].any(2).all()
    assert not x.grad[1].any()


def test_temporal_tokens_see_every_frame_but_no_other_clip():
    module, x = temporal(), torch.randn(B, T, D, requires_grad=True)
    module(x)[0][1].square().sum().backward()
    assert x.grad[1].any(1).all()
    assert not x.grad[0].any()


def test_only_position_embeddings_distinguish_frames_and_patches():
    x = torch.randn(B, T, D)
    for module in (temporal(), SpatialTransformer(T, *REST).eval()):
        with torch.no_grad():
            module.pos_embed.normal_()
            assert not torch.allclose(module(x)[0], module(x.flip(1))[0], atol=1e-3)
            module.pos_embed.zero_()
            torch.testing.assert_close(module(x)[0], module(x.flip(1))[0])


@pytest.mark.parametrize(
    ("axis", "embedding", "other"), [(1, "temporal_embed", "pos_embed"), (2, "pos_embed", "temporal_embed")]
)
def test_a_global_position_embedding_is_a_spatial_plus_a_temporal_one(axis, embedding, other):
    module, x = global_(), torch.randn(B, T, N, D)
    with torch.no_grad():
        getattr(module, embedding).normal_()
        getattr(module, other).normal_()
        assert not torch.allclose(module(x)[0], module(x.flip(axis))[0], atol=1e-3)
        getattr(module, embedding).zero_()
        torch.testing.assert_close(module(x)[0], module(x.flip(axis))[0])


def test_the_first_token_is_the_class_token():
    module, x = temporal(), torch.randn(B, T, D)
    sequence = torch.cat([module.cls_token.expand(B, 1, D), x + module.pos_embed], dim=1)
    torch.testing.assert_close(module(x)[0], module.transformer(sequence)[0][:, 0])


def test_spatial_patches_are_returned_in_order():
    module, x = spatial(), torch.randn(2, N, D)
    tokens = torch.cat([module.cls_token.expand(2, 1, D), x + module.pos_embed], dim=1)
    sequence = module.transformer(tokens)[0]
    frames, patches, _ = module(x)
    torch.testing.assert_close(frames, sequence[:, 0])
    torch.testing.assert_close(patches, torch.stack([sequence[:, 1 + n] for n in range(N)], dim=1))
