"""The whole network: shapes, which input reaches which output, and branches that can be switched off."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from sttreid.model.branches import IdentityHead
from sttreid.model.network import Network
from sttreid.training import losses
from tests.sections import (
    BACKBONE,
    CLASSES,
    FRAMES,
    HEIGHT,
    LOSS,
    MODEL,
    WIDTH,
    small_clips,
    small_network,
)

B, D, P = 4, MODEL.width, MODEL.parts
CHANNELS = 16 * BACKBONE.width
BRANCHES = [
    ({}, {"stt": D, "gt": D}),
    ({"gt": False}, {"stt": D}),
    ({"stt": False}, {"gt": D}),
    ({"stt": False, "gt": False}, {"cnn": CHANNELS}),
]
OWNERS = {
    "stt": ("branches.stt.", "identity_heads.stt."),
    "gt": ("branches.gt.", "identity_heads.gt."),
    "cnn": ("identity_heads.cnn.",),
}


@pytest.mark.parametrize(("changes", "widths"), BRANCHES)
def test_the_output_holds_what_the_branches_give(changes, widths):
    output = small_network(**changes)(small_clips(B), "first")
    assert {name: tuple(branch.embedding.shape) for name, branch in output.branches.items()} == {
        name: (B, width) for name, width in widths.items()
    }
    assert {name: tuple(x.shape) for name, x in output.logits.items()} == dict.fromkeys(widths, (B, CLASSES))
    assert output.features.shape == (B, sum(widths.values()))
    torch.testing.assert_close(output.features.norm(dim=1), torch.ones(B))
    shapes = [(B, FRAMES, D), (B, FRAMES, CLASSES), (P, B, FRAMES, CLASSES), (B, 2, 2, 1 + FRAMES)]
    for name, branch in output.branches.items():
        parts = [branch.frames, branch.frame_logits, branch.part_logits, branch.attention]
        expected = shapes if name == "stt" else [None] * 4
        assert [x if x is None else tuple(x.shape) for x in parts] == expected


@pytest.mark.parametrize(("changes", "widths"), BRANCHES)
def test_a_branch_that_is_off_has_no_weights(changes, widths):
    names = list(small_network(**changes).state_dict())
    for branch, owned in OWNERS.items():
        for prefix in owned:
            assert any(name.startswith(prefix) for name in names) == (branch in widths), prefix
    assert any(name.startswith("project.") for name in names) == ("cnn" not in widths)
    everything = ("backbone.", "project.", *(prefix for owned in OWNERS.values() for prefix in owned))
    assert all(name.startswith(everything) for name in names)


@pytest.mark.parametrize(("changes", "widths"), BRANCHES)
def test_every_weight_has_a_gradient_from_the_losses(changes, widths):
    network = small_network(**changes)
    loss = replace(LOSS, entropy_threshold=0.0, margin=5.0)  # no hinge is at rest
    clips, classes = small_clips(B), torch.tensor([0, 0, 1, 1])
    terms = losses.terms(network(clips, "first"), classes, torch.arange(B), loss)
    losses.total(terms, loss).backward()
    idle = [
        name
        for name, p in network.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.any())
    ]
    assert idle == []
    fixed = [name for name, p in network.named_parameters() if not p.requires_grad]
    assert all(name.endswith(".norm.bias") for name in fixed)


def test_tokens_and_position_embeddings_do_not_decay_and_nothing_else_is_listed():
    network = small_network()
    direct = {
        f"{owner}.{name}"
        for owner, module in network.named_modules()
        if not isinstance(module, torch.nn.Linear | torch.nn.Conv2d | torch.nn.LayerNorm)
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.ndim > 1
    }
    assert network.no_weight_decay() == direct
    assert len(direct) == 2 + 2 + 3
    assert small_network(stt=False, gt=False).no_weight_decay() == set()


def test_one_frame_changes_its_own_frame_token_only_and_both_embeddings():
    network = small_network().eval()
    clips = small_clips(2)
    changed = clips.clone()
    changed[0, 1] = torch.randn(3, HEIGHT, WIDTH)
    before, after = network(clips), network(changed)
    tokens = [output.branches["stt"].frames for output in (before, after)]
    moved = (tokens[1] - tokens[0]).abs().amax(2) > 1e-5
    assert moved.tolist() == [[False, True, False], [False, False, False]]
    for branch in ("stt", "gt"):
        embeddings = [output.branches[branch].embedding for output in (before, after)]
        difference = (embeddings[1] - embeddings[0]).abs().amax(1)
        assert difference[0] > 1e-5
        assert difference[1] < 1e-5


@pytest.mark.parametrize("positions", [True, False])
def test_without_position_embeddings_the_order_of_frames_has_no_effect(positions):
    network, clips = small_network(no_positions=not positions).eval(), small_clips()
    same = torch.allclose(network.encode(clips), network.encode(clips.flip(1)), atol=1e-5)
    assert same != positions
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert any(name.endswith("pos_embed") for name in trained) == positions


def test_parts_are_horizontal_stripes_of_the_spatial_patches():
    network = small_network(parts=4)
    stt = network.branches["stt"]
    seen = {}
    stt.spatial.register_forward_hook(lambda _, __, out: seen.update(patches=out[1]))
    for number, head in enumerate(stt.part_heads):
        head.register_forward_hook(lambda _, inputs, out, n=number: seen.update({n: (inputs[0], out[1])}))
    part_logits = network(small_clips(2)).branches["stt"].part_logits
    rows, columns = network.map_size
    assert (rows, columns) == (4, 2)
    for part in range(4):
        patches = [part * columns + column for column in range(columns)]  # one row of the map
        torch.testing.assert_close(seen[part][0], seen["patches"][:, patches].mean(1))
        torch.testing.assert_close(part_logits[part].flatten(0, 1), seen[part][1])


def test_patches_are_the_map_row_by_row():
    network = small_network().eval()
    seen = {}
    spatial = network.branches["stt"].spatial
    spatial.register_forward_hook(lambda _, inputs, __: seen.update(patches=inputs[0]))
    clips = small_clips(1)
    network(clips)
    maps = network.backbone(clips[0])
    for row in range(4):
        for column in range(2):
            expected = network.project(maps[:, :, row, column])
            patches = seen["patches"][:, 2 * row + column]
            torch.testing.assert_close(patches, expected, rtol=1e-4, atol=1e-4)  # other memory format


def test_the_cnn_feature_is_the_mean_of_all_frames_maps():
    network = small_network(stt=False, gt=False).eval()
    clips = small_clips(2)
    expected = [network.backbone(clip).mean((0, 2, 3)) for clip in clips]
    embeddings = network(clips).branches["cnn"].embedding
    torch.testing.assert_close(embeddings, torch.stack(expected), rtol=1e-4, atol=1e-4)  # other batch size


def test_the_test_feature_concatenates_both_normalised_necks():
    network = small_network().train()
    network(small_clips(B, seed=5))  # necks with statistics of their own
    network.eval()
    output = network(small_clips(B))
    necks = [network.identity_heads[name].norm(output.branches[name].embedding) for name in ("stt", "gt")]
    expected = torch.cat([x / x.norm(dim=1, keepdim=True) for x in necks], dim=1) / 2**0.5
    torch.testing.assert_close(output.features, expected)
    assert torch.equal(network.encode(small_clips(B)), output.features)


def test_logits_that_only_losses_need_are_left_out_of_evaluation():
    output = small_network().eval()(small_clips(2)).branches["stt"]
    assert (output.frame_logits, output.part_logits, output.attention) == (None, None, None)
    assert output.frames is not None


def test_a_clip_s_test_feature_does_not_depend_on_its_batch():
    network = small_network().eval()
    clips = small_clips(3)
    torch.testing.assert_close(network.encode(clips)[1:2], network.encode(clips[1:2]), rtol=1e-4, atol=1e-4)


def test_a_head_norms_before_its_classifier_and_never_shifts():
    torch.manual_seed(0)
    head = IdentityHead(4, 3)
    x = 5 + 2 * torch.randn(10, 4)
    normed, logits = head(x)
    torch.testing.assert_close(normed, F.batch_norm(x, None, None, training=True))
    torch.testing.assert_close(logits, normed @ head.classifier.weight.T)
    assert not head.norm.bias.requires_grad


@pytest.mark.parametrize(
    ("model", "height", "message"),
    [
        (MODEL, 36, "crops must be multiples of 8 pixels, got 36x16"),
        (replace(MODEL, parts=3), 32, r"model\.parts must divide the map's 4 rows, got 3"),
        (replace(MODEL, heads=3), 32, r"model\.width must be a multiple of model\.heads, got 8 and 3"),
    ],
)
def test_an_architecture_that_does_not_fit_is_refused(model, height, message):
    with pytest.raises(ValueError, match=message):
        Network(model, FRAMES, height, WIDTH, CLASSES)


def test_parts_may_be_anything_where_no_branch_has_parts():
    assert small_network(stt=False, parts=3).encode(small_clips(2)).shape == (2, D)


def test_standardising_takes_a_camera_s_light_and_tint_out():
    network = small_network(standardise=True).eval()
    clips = small_clips(2)
    gain = torch.tensor([0.7, 1.0, 1.4]).view(1, 1, 3, 1, 1)
    seen = []
    network.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    plain, tinted = network.encode(clips), network.encode(3 * gain * clips + 0.5)
    channels = seen[0].view(2, FRAMES, 3, HEIGHT, WIDTH)
    torch.testing.assert_close(channels.mean((1, 3, 4)), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(channels.std((1, 3, 4)), torch.full((2, 3), 1 / 1.1), atol=0.02, rtol=0)
    assert (plain * tinted).sum(1).min() > 0.99  # not equal: clips of one colour must not become noise
    assert network.encode(torch.full_like(clips, 0.3)).isfinite().all()
    untreated = small_network(standardise=False).eval()
    assert (untreated.encode(clips) - untreated.encode(3 * gain * clips + 0.5)).abs().max() > 1e-3
