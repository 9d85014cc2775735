"""Every loss against the paper's formula, written as loops."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sttreid.runtime.errors import InputError
from sttreid.training.losses import (
    attention_entropy,
    batch_hard,
    cross_entropy,
    frame_triplet,
    part_cross_entropy,
    terms,
    total,
    triplet,
)
from tests.sections import LOSS, small_clips, small_network

seeds = st.integers(0, 2**31)
margins = st.sampled_from([None, 0.3, 1.5])


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive_cross_entropy(rows, classes, smoothing):
    """Mean of -sum_c target_c log p_c; rows are lists of logits."""
    losses = []
    for row, right in zip(rows, classes, strict=True):
        log_sum = math.log(sum(math.exp(x - max(row)) for x in row)) + max(row)
        targets = [smoothing / len(row) + (1 - smoothing) * (c == right) for c in range(len(row))]
        losses.append(-sum(t * (x - log_sum) for t, x in zip(targets, row, strict=True)))
    return sum(losses) / len(losses)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 4), st.integers(1, 3), st.integers(2, 5), st.floats(0, 1), st.floats(0.01, 50))
def test_cross_entropy_of_frames_has_the_class_of_their_clip(seed, b, t, classes, smoothing, scale):
    logits = scale * noise(seed, b, t, classes)
    labels = torch.arange(b) % classes
    rows = [logits[i, j].tolist() for i in range(b) for j in range(t)]
    owners = [int(labels[i]) for i in range(b) for _ in range(t)]
    expected = naive_cross_entropy(rows, owners, smoothing)
    assert float(cross_entropy(logits, labels, smoothing)) == pytest.approx(expected)
    flat = naive_cross_entropy(logits[:, 0].tolist(), labels.tolist(), smoothing)
    assert float(cross_entropy(logits[:, 0], labels, smoothing)) == pytest.approx(flat)


def test_part_cross_entropy_is_the_mean_over_parts():
    logits, labels = noise(0, 3, 4, 2, 5), torch.tensor([4, 0, 0, 2])
    owners = labels.repeat_interleave(2).tolist()
    parts = [naive_cross_entropy(part.flatten(0, 1).tolist(), owners, 0.1) for part in logits]
    assert float(part_cross_entropy(logits, labels, 0.1)) == pytest.approx(sum(parts) / 3)


def naive_batch_hard(features, positives, negatives, margin):
    """``positives`` and ``negatives``: two row numbers -> whether they are such a pair."""
    rows = [[x / math.hypot(*row) for x in row] for row in features.tolist()]
    losses = []
    for a in range(len(rows)):
        others = [b for b in range(len(rows)) if b != a]
        near = [math.dist(rows[a], rows[b]) for b in others if positives(a, b)]
        far = [math.dist(rows[a], rows[b]) for b in others if negatives(a, b)]
        if near and far:
            gap = max(near) - min(far)
            losses.append(math.log1p(math.exp(gap)) if margin is None else max(0.0, gap + margin))
    return sum(losses) / len(losses) if losses else 0.0


@settings(max_examples=60, deadline=None)
@given(seeds, st.lists(st.integers(0, 3), min_size=1, max_size=9), margins, st.floats(0.01, 100))
def test_triplet_equals_the_search_for_the_hardest_pairs(seed, labels, margin, scale):
    features = scale * noise(seed, len(labels), 3)
    expected = naive_batch_hard(
        features, lambda a, b: labels[a] == labels[b], lambda a, b: labels[a] != labels[b], margin
    )
    assert float(triplet(features, torch.tensor(labels), margin)) == pytest.approx(expected, abs=1e-7)


@settings(max_examples=60, deadline=None)
@given(
    seeds,
    st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=5),
    st.integers(1, 3),
    margins,
)
def test_frame_triplet_has_positives_in_the_tracklet_and_negatives_elsewhere(seed, clips, t, margin):
    frames = noise(seed, len(clips), t, 3)
    identities = [identity for identity, _ in clips]
    tracklets = [2 * identity + second for identity, second in clips]  # up to two tracklets per identity
    owner = [row for row in range(len(clips)) for _ in range(t)]
    expected = naive_batch_hard(
        frames.flatten(0, 1),
        lambda a, b: tracklets[owner[a]] == tracklets[owner[b]],
        lambda a, b: identities[owner[a]] != identities[owner[b]],
        margin,
    )
    value = frame_triplet(frames, torch.tensor(identities), torch.tensor(tracklets), margin)
    assert float(value) == pytest.approx(expected, abs=1e-7)


def test_another_tracklet_of_the_same_identity_is_neither_positive_nor_negative():
    # identity 0's second tracklet is opposite the first: as a positive it would cost much
    frames = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[-1.0, 0.0], [-1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])
    classes, tracklets = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 2])
    assert float(frame_triplet(frames, classes, tracklets, 1.4)) == pytest.approx(0.0, abs=1e-6)
    assert float(triplet(frames.flatten(0, 1), classes.repeat_interleave(2), 1.4)) > 1


def test_no_margin_is_the_soft_margin():
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], dtype=torch.float64)
    classes = torch.tensor([0, 0, 1, 1])
    gap = 0.0  # each anchor's positive and nearest negative are both a quarter turn away
    assert float(triplet(features, classes, None)) == pytest.approx(math.log1p(math.exp(gap)))
    assert float(triplet(features, classes, 0.3)) == pytest.approx(0.3)


@pytest.mark.parametrize("margin", [None, 0.3])
def test_no_anchor_gives_zero_with_a_gradient(margin):
    features = noise(0, 4, 3).requires_grad_()
    loss = triplet(features, torch.arange(4), margin)  # no anchor has a positive
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(features.grad, torch.zeros(4, 3, dtype=torch.float64))


@pytest.mark.parametrize("margin", [None, 0.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["positives", "everything", "zeros"])
def test_gradients_stay_finite_where_features_coincide(kind, dtype, margin):
    features = noise(0, 4, 16).to(dtype)
    if kind == "positives":
        features[1] = features[0]
    elif kind == "everything":
        features[:] = features[0]
    else:
        features[:] = 0
    features.requires_grad_()
    loss = triplet(features, torch.tensor([0, 0, 1, 1]), margin)
    loss.backward()
    assert math.isfinite(float(loss.detach()))
    assert features.grad.isfinite().all()


def test_batch_hard_ignores_the_diagonal():
    features = noise(0, 3, 2)
    alone = torch.eye(3, dtype=torch.bool)
    assert float(batch_hard(features, alone, ~alone, 0.3)) == 0.0


def naive_entropy(rows, threshold):
    losses = [max(0.0, math.exp(sum(a * math.log(a) for a in row if a > 0)) - threshold) for row in rows]
    return sum(losses) / len(losses)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 9), st.floats(0, 1), st.floats(0, 1000))
def test_attention_entropy_equals_the_formula(seed, length, threshold, scale):
    attention = torch.softmax(scale * noise(seed, 2, 3, length), dim=-1)
    expected = naive_entropy(attention.flatten(0, 1).tolist(), threshold)
    assert float(attention_entropy(attention, threshold)) == pytest.approx(expected, abs=1e-9)


def test_attention_entropy_at_its_two_ends():
    one_hot, uniform = torch.eye(5)[:1], torch.full((1, 5), 0.2)
    assert float(attention_entropy(one_hot, 0.3)) == pytest.approx(0.7)
    assert float(attention_entropy(uniform, 0.0)) == pytest.approx(0.2)
    assert float(attention_entropy(uniform, 0.3)) == 0.0


@pytest.mark.parametrize(
    "scores", [[0.0, 0.0, 0.0], [0.0, -200.0, -200.0], [-1e4, 0.0, 0.0], [88.0, 0.0, 0.0]]
)
def test_the_gradient_of_attention_entropy_is_finite(scores):
    logits = torch.tensor([scores], requires_grad=True)
    attention = torch.softmax(logits, dim=-1)
    attention.retain_grad()
    attention_entropy(attention, 0.0).backward()
    assert attention.grad.isfinite().all()
    assert logits.grad.isfinite().all()


def test_descending_attention_entropy_spreads_the_attention():
    logits = torch.tensor([[2.0, 0.0, 0.0]], requires_grad=True)
    attention_entropy(torch.softmax(logits, dim=-1), 0.0).backward()
    assert logits.grad[0, 0] > 0  # the peak goes down
    assert (logits.grad[0, 1:] < 0).all()


def test_a_head_that_has_collapsed_is_hardly_pushed_back():
    """The further the first token leads, the weaker the push: what docs/findings.md says of collapse."""
    pushes = []
    for lead in (3.0, 8.0, 12.0):
        logits = torch.tensor([[lead, 0.0, 0.0, 0.0, 0.0]], requires_grad=True)
        attention_entropy(torch.softmax(logits, dim=-1), 0.25).backward()
        pushes.append(float(logits.grad[0, 0]))
    assert pushes == pytest.approx([0.21, 0.011, 0.0003], rel=0.06)


ALL = {
    "identity",
    "triplet",
    "spatial",
    "spatial_part",
    "frame_triplet",
    "entropy",
    "global_identity",
    "global_triplet",
}
OF_STT = ALL - {"global_identity", "global_triplet"}
CLASSES, TRACKLETS = torch.tensor([0, 0, 1, 1]), torch.tensor([5, 6, 8, 9])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ALL),
        ({"gt": False}, OF_STT),
        ({"stt": False}, ALL - OF_STT),
        ({"stt": False, "gt": False}, {"identity", "triplet"}),
    ],
)
def test_terms_are_those_of_the_enabled_branches(changes, expected):
    output = small_network(**changes)(small_clips(), "first")
    assert terms(output, CLASSES, TRACKLETS, LOSS).keys() == expected


@pytest.mark.parametrize("off", sorted(ALL))
def test_a_weight_of_zero_leaves_its_term_out(off):
    output = small_network()(small_clips(), "first")
    assert terms(output, CLASSES, TRACKLETS, replace(LOSS, **{off: 0.0})).keys() == ALL - {off}


def test_each_term_reads_its_own_part_of_the_output():
    output = small_network()(small_clips(), "first")
    named = terms(output, CLASSES, TRACKLETS, LOSS)
    stt, gt = output.branches["stt"], output.branches["gt"]
    expected = {
        "identity": cross_entropy(output.logits["stt"], CLASSES, 0.1),
        "triplet": triplet(stt.embedding, CLASSES, 0.3),
        "spatial": cross_entropy(stt.frame_logits, CLASSES, 0.1),
        "spatial_part": part_cross_entropy(stt.part_logits, CLASSES, 0.1),
        "frame_triplet": frame_triplet(stt.frames, CLASSES, TRACKLETS, 0.3),
        "entropy": attention_entropy(stt.attention, 0.3),
        "global_identity": cross_entropy(output.logits["gt"], CLASSES, 0.1),
        "global_triplet": triplet(gt.embedding, CLASSES, 0.3),
    }
    assert {name: value.item() for name, value in named.items()} == {k: v.item() for k, v in expected.items()}


def test_the_total_weighs_each_term():
    weights = {name: 0.5 + number for number, name in enumerate(sorted(ALL))}
    values = {name: torch.tensor(1.0 + number) for number, name in enumerate(sorted(ALL))}
    expected = sum(weights[name] * float(values[name]) for name in ALL)
    assert float(total(values, replace(LOSS, **weights))) == pytest.approx(expected)


def test_no_term_at_all_is_refused():
    with pytest.raises(InputError, match="loss must have a weight above 0 for an enabled branch, got none"):
        total({}, LOSS)
