"""The branches of the model, each declared once: name, loss terms, undecayed parameters, fields of ``model``.

Network, losses, optimiser and the variants iterate over :data:`BRANCHES`. This module imports
no torch; :mod:`sttreid.model.branches` has one ``nn.Module`` for each name.
"""

from dataclasses import dataclass
from typing import Literal

from sttreid.config.params import Loss, Model

Kind = Literal["cross_entropy", "part_cross_entropy", "frame_triplet", "attention_entropy"]

TRANSFORMER = ("width", "heads", "mlp_ratio", "dropout", "no_positions")  # of ``model``


@dataclass(frozen=True)
class Term:
    """A loss term of one branch, in addition to the two that every branch has.

    Attributes:
        name: of its weight in ``loss``, and of its column in the history.
        kind: formula, a function of :mod:`sttreid.training.losses`.
        reads: field of :class:`sttreid.model.branches.BranchOutput`.
        group: the paper's name for the terms that belong together.
        constants: fields of ``loss`` that no other term reads.
    """

    name: str
    kind: Kind
    reads: str
    group: str
    constants: tuple[str, ...] = ()

    @property
    def classifies(self) -> bool:
        """Whether the term trains a classifier, which has no gradient without it."""
        return self.kind in ("cross_entropy", "part_cross_entropy")


@dataclass(frozen=True)
class Branch:
    """A branch: clips -> one embedding per clip, trained with cross entropy and triplets.

    Attributes:
        name: field of ``model`` that enables it; key of the branch in the network's output.
        title: in the paper's words.
        identity: term: cross entropy of the identity head's logits.
        triplet: term: batch-hard triplet loss of the embedding.
        terms: further terms.
        no_weight_decay: its learned tokens and position embeddings, by the last part of their names.
        fields: the fields of ``model`` that it reads.
    """

    name: str
    title: str
    identity: str
    triplet: str
    terms: tuple[Term, ...] = ()
    no_weight_decay: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()

    @property
    def weights(self) -> tuple[str, ...]:
        """The weights of its terms in ``loss``."""
        return self.identity, self.triplet, *(term.name for term in self.terms)


ENTROPY = ("entropy_threshold", "entropy_all_rows")  # constants of L_tem_attn

STT = Branch(
    name="stt",
    title="ST + TT",
    identity="identity",
    triplet="triplet",
    terms=(
        Term("spatial", "cross_entropy", "frame_logits", "spatial constraint"),
        Term("spatial_part", "part_cross_entropy", "part_logits", "spatial constraint"),
        Term("frame_triplet", "frame_triplet", "frames", "temporal constraint"),
        Term("entropy", "attention_entropy", "attention", "temporal constraint", ENTROPY),
    ),
    no_weight_decay=("cls_token", "pos_embed"),
    fields=(*TRANSFORMER, "spatial_layers", "temporal_layers", "parts"),
)
GT = Branch(
    name="gt",
    title="GT",
    identity="global_identity",
    triplet="global_triplet",
    no_weight_decay=("cls_token", "pos_embed", "temporal_embed"),
    fields=(*TRANSFORMER, "global_layers"),
)
CNN = Branch(name="cnn", title="CNN", identity="identity", triplet="triplet")

OPTIONAL = (STT, GT)  # in the order in which their weights are drawn
BRANCHES = (*OPTIONAL, CNN)


def enabled(model: Model) -> tuple[Branch, ...]:
    """The branches of a network: the enabled ones, or the CNN baseline if none is."""
    return tuple(branch for branch in OPTIONAL if getattr(model, branch.name)) or (CNN,)


def unread_fields(model: Model) -> set[str]:
    """The fields of ``model`` that no enabled branch reads."""
    read = {field for branch in enabled(model) for field in branch.fields}
    return {field for branch in BRANCHES for field in branch.fields} - read


def unread_loss_fields(loss: Loss, model: Model) -> set[str]:
    """The fields of ``loss`` without effect: disabled terms and their constants."""
    read = {weight for branch in enabled(model) for weight in branch.weights if getattr(loss, weight)}
    unread = {weight for branch in BRANCHES for weight in branch.weights} - read
    terms = [term for branch in BRANCHES for term in branch.terms if term.name in unread]
    return unread | {constant for term in terms for constant in term.constants}


def parts(model: Model, loss: Loss) -> list[str]:
    """The network's parts in the paper's words: branches, and groups of terms with a weight above 0."""
    names: dict[str, None] = {}  # a set in order
    for branch in enabled(model):
        names[branch.title] = None
        names |= dict.fromkeys(term.group for term in branch.terms if getattr(loss, term.name))
    return list(names)
