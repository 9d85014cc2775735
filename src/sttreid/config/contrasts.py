"""The contrasts of a study: whether the two sides of each can be compared."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from sttreid.config.conversion import hint
from sttreid.config.params import Params
from sttreid.config.variants import Variant
from sttreid.runtime.errors import InputError

PRETRAINED, UNTRAINED = "pretrained", "untrained"


class Side(NamedTuple):
    """One side of a contrast.

    Attributes:
        moment: "trained"; or "pretrained" or "untrained", before the training on the source.
        steps: number of updates until then.
    """

    moment: str
    steps: int


def notes(params: Params, variants: Mapping[str, Variant], path: Path) -> Iterator[str]:
    """Contrasts that lack a variant; a confirmatory contrast must compare trainings of equal length.

    Raises:
        InputError: a contrast compares a variant with itself, or a confirmatory one unequal trainings.
    """
    assert params.claims is not None, "merged() adds the section"
    for name, contrast in params.claims.contrasts.items():
        key = f"claims.contrasts.{name}"
        if contrast.ours == contrast.theirs:
            raise InputError(f"{path}: {key} must compare two variants, got {contrast.ours} twice")
        sides = [_side(variants, operand) for operand in (contrast.ours, contrast.theirs)]
        for side in sides:
            if isinstance(side, str):
                yield f"{key}: {side}, so nothing is compared"
        ours, theirs = sides
        if isinstance(ours, str) or isinstance(theirs, str) or not contrast.confirmatory:
            continue
        if ours != theirs and {ours.moment, theirs.moment} != {PRETRAINED, UNTRAINED}:
            raise InputError(
                f"{path}: {key}: both sides of a confirmatory contrast must be compared at the same moment"
                f" after as many steps (or set confirmatory: false), got {contrast.ours} {ours.moment} after"
                f" {ours.steps} steps, {contrast.theirs} {theirs.moment} after {theirs.steps}"
            )


def _side(variants: Mapping[str, Variant], operand: str) -> Side | str:
    """A side of a contrast, or a clause that says why there is none."""
    if operand in variants:
        variant = variants[operand]
        return Side("trained", variant.train.steps + (variant.pretrain.steps if variant.pretrain else 0))
    name, _, moment = operand.rpartition("-")
    if moment not in (PRETRAINED, UNTRAINED) or name not in variants:
        return f"there is no variant {operand}{hint(operand, list(variants))}"
    pretrain = variants[name].pretrain
    if pretrain is None:
        return f"{name} has no synthetic pre-training"
    return Side(moment, pretrain.steps if moment == PRETRAINED else 0)


def seed_notes(params: Params) -> Iterator[str]:
    """Reasons why no verdict is given, or only "inconclusive"."""
    claims, seeds = params.claims, len(params.seeds)
    assert claims is not None, "merged() adds the section"
    if not claims.contrasts:
        yield "claims.contrasts: is empty, so nothing is compared"
    elif seeds < claims.min_seeds and any(contrast.confirmatory for contrast in claims.contrasts.values()):
        few = f"{seeds} seeds are fewer than claims.min_seeds, {claims.min_seeds}"
        yield f'{few}: every verdict will be "inconclusive"'
