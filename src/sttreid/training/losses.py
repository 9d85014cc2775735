"""The losses of the paper's section 3, one function per formula; params.yaml (``loss``) has their weights.

L_SpaC = ``spatial`` + ``spatial_part``; L_TemC = ``frame_triplet`` + ``entropy``; ``identity`` is L_tem_xent.
The paper gives no margins, mining, smoothing or weights: our choices. :mod:`sttreid.config.branches` declares
which branch has which terms.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from sttreid.config.branches import BRANCHES, Kind
from sttreid.config.params import Loss
from sttreid.model.distances import euclidean
from sttreid.model.network import Output
from sttreid.runtime.errors import InputError


def cross_entropy(logits: Tensor, classes: Tensor, smoothing: float) -> Tensor:
    """Identity cross entropy with label smoothing.

    Args:
        logits: [B, classes] or, with further axes, [B, T, classes], where all T have the class of their clip.
        classes: int64 [B].
        smoothing: fraction of the target that is spread evenly over all classes.
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

    Without normalisation, the network can minimise the hinge by shrinking all features to one point, as it
    did in trials.

    Args:
        features: [M, D].
        positive: bool [M, M], positive pairs (the diagonal is ignored).
        negative: bool [M, M], negative pairs.
        margin: of the hinge; None: the soft margin log(1 + exp(d_pos - d_neg)).

    Returns:
        The mean over anchors that have a positive and a negative; 0 if there are none.
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
    """L_tem_trip: triplet on frames; positives from the same tracklet, negatives from other identities.

    Frames of other tracklets of the same identity are ignored.

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

    exp(-H) is 1 for a one-hot row and 1/L for a uniform one: the loss penalises attention that collapses onto
    few frames. The paper sums over rows; the mean (our choice) makes the loss weight independent of batch
    size and number of heads.

    Args:
        attention: [..., L] rows that sum to 1; exact zeros are allowed. In training: the rows of TT's class
            token over itself and the T frames, L = 1 + T, or, with ``loss.entropy_all_rows``, those of all L
            tokens (the paper leaves it open).
        threshold: the paper's alpha; attention spread over at least 1/alpha tokens is not penalised.
    """
    entropy = -torch.special.xlogy(attention, attention.clamp_min(1e-12)).sum(-1)
    return F.relu(torch.exp(-entropy) - threshold).mean()


@dataclass(frozen=True)
class BatchLabels:
    """Labels of the clips: of this process, and of all processes that share the batch.

    Attributes:
        classes: int64 [b].
        all_classes: int64 [B].
        all_tracklets: int64 [B].
    """

    classes: Tensor
    all_classes: Tensor
    all_tracklets: Tensor


def terms(
    output: Output,
    classes: Tensor,
    tracklets: Tensor,
    loss: Loss,
    gather: Callable[[Tensor], Tensor] = lambda x: x,
) -> dict[str, Tensor]:
    """Every term with a weight above 0 whose branch exists, unweighted.

    Args:
        output: of the network in training mode, for b clips.
        classes: int64 [b].
        tracklets: int64 [b].
        loss: weights and constants.
        gather: [b, ...] -> [B, ...]; processes that share a batch mine triplets in the whole batch.
    """
    labels = BatchLabels(classes, gather(classes), gather(tracklets))
    branches = [branch for branch in BRANCHES if branch.name in output.branches]
    named: dict[str, Tensor] = {}
    for branch in branches:
        if getattr(loss, branch.identity):
            logits = output.logits[branch.name]
            named[branch.identity] = cross_entropy(logits, classes, loss.label_smoothing)
        if getattr(loss, branch.triplet):
            embeddings = gather(output.branches[branch.name].embedding)
            named[branch.triplet] = triplet(embeddings, labels.all_classes, loss.margin)
    for branch in branches:
        for term in branch.terms:
            value = getattr(output.branches[branch.name], term.reads)
            if getattr(loss, term.name) and value is not None:
                named[term.name] = _term(term.kind, value, labels, loss, gather)
    return named


def _term(
    kind: Kind, x: Tensor, labels: BatchLabels, loss: Loss, gather: Callable[[Tensor], Tensor]
) -> Tensor:
    """A further term of a branch; ``x`` is the part of the branch's output that it reads."""
    match kind:
        case "cross_entropy":
            return cross_entropy(x, labels.classes, loss.label_smoothing)
        case "part_cross_entropy":
            return part_cross_entropy(x, labels.classes, loss.label_smoothing)
        case "frame_triplet":
            return frame_triplet(gather(x), labels.all_classes, labels.all_tracklets, loss.margin)
        case "attention_entropy":
            return attention_entropy(x, loss.entropy_threshold)


def total(named: dict[str, Tensor], loss: Loss) -> Tensor:
    """The weighted sum of the terms; each weight has its term's name in ``loss``.

    Raises:
        InputError: no term is enabled.
    """
    if not named:
        raise InputError("params.yaml: loss must have a weight above 0 for an enabled branch, got none")
    return torch.stack([getattr(loss, name) * value for name, value in named.items()]).sum()
