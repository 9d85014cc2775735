"""The losses of the paper's section 3, one function a term; their weights stand in params.yaml (``loss``).

L_SpaC = ``spatial`` + ``spatial_part``; L_TemC = ``frame_triplet`` + ``entropy``; ``identity`` is L_tem_xent.
Margins, mining, smoothing and weights are not known from the paper: our choices.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from sttreid.config.params import Loss
from sttreid.model.distances import euclidean
from sttreid.model.network import Output
from sttreid.runtime.errors import InputError


def cross_entropy(logits: Tensor, classes: Tensor, smoothing: float) -> Tensor:
    """Identity cross entropy with label smoothing.

    Args:
        logits: [B, classes], or with more axes between: [B, T, classes], where all T have their row's class.
        classes: int64 [B].
        smoothing: share of the target spread evenly over all classes.
    """
    per_row = logits[0, ..., 0].numel()
    return F.cross_entropy(
        logits.flatten(0, -2), classes.repeat_interleave(per_row), label_smoothing=smoothing
    )


def part_cross_entropy(logits: Tensor, classes: Tensor, smoothing: float) -> Tensor:
    """L_spa_part_xent = (1/P) sum_p of the stripes' cross entropies; ``logits`` [P, B, T, classes]."""
    return torch.stack([cross_entropy(part, classes, smoothing) for part in logits]).mean()


def batch_hard(features: Tensor, positive: Tensor, negative: Tensor, margin: float | None) -> Tensor:
    """Batch-hard triplet loss on L2-normalised features.

    Normalising bounds the distances: the unnormalised hinge can be "solved" by shrinking all features to one
    point, and did so in trials.

    Args:
        features: [M, D].
        positive: bool [M, M], pairs that belong together (the diagonal is ignored).
        negative: bool [M, M], pairs that must lie apart.
        margin: hinge margin; None means the soft margin log(1 + exp(d_pos - d_neg)).

    Returns:
        The mean over anchors that have both a positive and a negative; 0 if there is none.
    """
    features = F.normalize(features, dim=1)
    distances = euclidean(features, features)
    positive = positive & ~torch.eye(len(features), dtype=torch.bool, device=features.device)
    anchors = positive.any(1) & negative.any(1)
    if not bool(anchors.any()):
        return features.sum() * 0.0
    furthest = distances.masked_fill(~positive, float("-inf")).amax(1)[anchors]
    nearest = distances.masked_fill(~negative, float("inf")).amin(1)[anchors]
    gap = furthest - nearest
    return (F.softplus(gap) if margin is None else F.relu(gap + margin)).mean()


def triplet(features: Tensor, classes: Tensor, margin: float | None) -> Tensor:
    """Tracklet-level batch-hard triplet; features [B, D], positives share the identity."""
    same = classes[:, None] == classes[None]
    return batch_hard(features, same, ~same, margin)


def frame_triplet(frames: Tensor, classes: Tensor, tracklets: Tensor, margin: float | None) -> Tensor:
    """L_tem_trip: triplet on frame features; positives of the same tracklet, negatives of other identities.

    Frames of another tracklet of the same identity are neither.

    Args:
        frames: [B, T, D] frame tokens that enter TT.
        classes: int64 [B].
        tracklets: int64 [B].
        margin: as in :func:`batch_hard`.
    """
    t = frames.shape[1]
    identity = classes.repeat_interleave(t)
    tracklet = tracklets.repeat_interleave(t)
    positive = tracklet[:, None] == tracklet[None]
    return batch_hard(frames.flatten(0, 1), positive, identity[:, None] != identity[None], margin)


def attention_entropy(attention: Tensor, threshold: float) -> Tensor:
    """L_tem_attn = mean over rows of [exp(sum_k a_k log a_k) - alpha]_+ = [exp(-H(a)) - alpha]_+.

    exp(-H) is 1 for a one-hot row and 1/L for a uniform one: minimising it raises the entropy and so
    penalises attention that collapses on a few frames. The paper sums over rows; the mean keeps the weight
    independent of batch and heads (our choice).

    Args:
        attention: [..., L] rows that sum to 1; exact zeros are fine. In training these are the temporal
            token's rows in TT over itself and the T frames, L = 1 + T (our choice).
        threshold: the paper's alpha; 1/alpha is the number of tokens that may share the attention for free.
    """
    entropy = -torch.special.xlogy(attention, attention.clamp_min(1e-12)).sum(-1)
    return F.relu(torch.exp(-entropy) - threshold).mean()


def terms(
    output: Output,
    classes: Tensor,
    tracklets: Tensor,
    loss: Loss,
    gather: Callable[[Tensor], Tensor] = lambda own: own,
) -> dict[str, Tensor]:
    """Every term that is switched on (weight above 0) and whose branch exists, unweighted.

    Args:
        output: of the network in training mode, for b clips.
        classes: int64 [b].
        tracklets: int64 [b].
        loss: weights and constants.
        gather: [b, ...] -> [B, ...]: where processes share a batch, triplets are mined in all of it.
    """
    named: dict[str, Tensor] = {}
    every = gather(classes)
    for branch, xent, hard in (
        ("stt", "identity", "triplet"),
        ("cnn", "identity", "triplet"),
        ("gt", "global_identity", "global_triplet"),
    ):
        if branch in output.branches:
            if getattr(loss, xent):
                named[xent] = cross_entropy(output.logits[branch], classes, loss.label_smoothing)
            if getattr(loss, hard):
                named[hard] = triplet(gather(output.branches[branch]), every, loss.margin)
    if output.frame_logits is not None and loss.spatial:
        named["spatial"] = cross_entropy(output.frame_logits, classes, loss.label_smoothing)
    if output.part_logits is not None and loss.spatial_part:
        named["spatial_part"] = part_cross_entropy(output.part_logits, classes, loss.label_smoothing)
    if output.frames is not None and loss.frame_triplet:
        frames = gather(output.frames)
        named["frame_triplet"] = frame_triplet(frames, every, gather(tracklets), loss.margin)
    if output.temporal_attention is not None and loss.entropy:
        named["entropy"] = attention_entropy(output.temporal_attention, loss.entropy_threshold)
    return named


def total(named: dict[str, Tensor], loss: Loss) -> Tensor:
    """The weighted sum of the terms; each term's weight has the term's name in ``loss``.

    Raises:
        InputError: there is no term.
    """
    if not named:
        raise InputError("params.yaml: loss must have a weight above 0 for a branch that is on, got none")
    return torch.stack([getattr(loss, name) * value for name, value in named.items()]).sum()
