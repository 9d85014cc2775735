"""The ablation's cells: each variant's overrides merged over the parameters, reduced to what has an effect.

A cell re-runs only when its resolved configuration changes, so terms of branches that are off, and schedules
that are not used, must not stand in it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic.dataclasses import dataclass

from sttreid.config.conversion import dump, parse
from sttreid.config.datasets import Dataset
from sttreid.config.params import (
    CONFIG,
    Ablation,
    Augment,
    Batch,
    Clip,
    Compute,
    Evaluate,
    Finetune,
    Loss,
    Model,
    Pretrain,
    ResolvedEvaluate,
    Schedule,
)

TERMS = {
    "stt": ("spatial", "spatial_part", "frame_triplet", "entropy"),
    "gt": ("global_identity", "global_triplet"),
}


@dataclass(frozen=True, config=CONFIG)
class Settings:
    """The sections that a variant may override."""

    clip: Clip
    augment: Augment
    batch: Batch
    model: Model
    loss: Loss
    pretrain: Pretrain
    finetune: Finetune
    evaluate: Evaluate
    compute: Compute


@dataclass(frozen=True, config=CONFIG)
class Cell:
    """One cell, complete: what to train on what, and how.

    Attributes:
        variant: row of the ablation table.
        seed: of initialisation, batches and, where there is one, of the pre-training.
        source: data set that is trained on.
        synthetic: data set of the pre-training.
        targets: data sets that are tested on.
        reuses: the cell is the default configuration: the fine-tuned model of ``source`` stands for it.
        pretrain: None if the cell starts from random weights.
        train: schedule of the training on ``source``.
        evaluate: of each target.
    """

    variant: str
    seed: int
    source: str
    synthetic: str
    targets: list[str]
    reuses: bool
    clip: Clip
    augment: Augment
    batch: Batch
    model: Model
    loss: Loss
    pretrain: Pretrain | None
    train: Schedule
    evaluate: dict[str, ResolvedEvaluate]
    compute: Compute


def resolve(
    settings: Settings,
    ablation: Ablation,
    variant: str,
    seed: int,
    synthetic: str,
    targets: Mapping[str, Dataset],
) -> Cell:
    """Merge one variant's overrides and reduce them to what has an effect.

    Args:
        settings: what is overridden.
        ablation: its source, schedule and variants.
        variant: one of :func:`variants`.
        seed: of the cell.
        synthetic: data set of the pre-training.
        targets: data sets that are tested on, if the ablation is tested.

    Raises:
        InputError: an override names an unknown key or breaks a field's rule.
    """
    place = f"params.yaml: ablation.variants.{variant}"
    overrides = variants(ablation)[variant]
    chosen = parse(Settings, _merge(dump(settings), overrides), place)
    pretrained = chosen.pretrain.steps > 0
    scratch = _merge(dump(ablation.scratch), overrides.get("finetune", {}))
    return Cell(
        variant=variant,
        seed=seed,
        source=ablation.source,
        synthetic=synthetic,
        targets=list(targets) if ablation.tested else [],
        reuses=ablation.reuse and chosen == settings and pretrained,
        clip=chosen.clip,
        augment=chosen.augment,
        batch=chosen.batch,
        model=_effective_model(chosen.model),
        loss=_effective(chosen.loss, chosen.model),
        pretrain=chosen.pretrain if pretrained else None,
        train=chosen.finetune if pretrained else parse(Schedule, scratch, f"{place}.finetune"),
        evaluate={name: chosen.evaluate.of(target) for name, target in targets.items()},
        compute=chosen.compute,
    )


def variants(ablation: Ablation) -> dict[str, Mapping[str, Any]]:
    """Name -> overrides of every row of the table: the variants, or each with each trial laid over it."""
    if not ablation.trials:
        return dict(ablation.variants)
    return {
        trial_name(variant, trial): _merge(overrides, laid_over)
        for variant, overrides in ablation.variants.items()
        for trial, laid_over in ablation.trials.items()
    }


def trial_name(variant: str, trial: str) -> str:
    """What a variant with a trial laid over it is called."""
    return f"{variant}-{trial}"


def composition(cell: Cell) -> str:
    """What a cell's network is made of, in the paper's words: the ablation table explains itself."""
    loss, model = cell.loss, cell.model
    parts = {
        "ST + TT": model.stt,
        "spatial constraint": loss.spatial > 0 or loss.spatial_part > 0,
        "temporal constraint": loss.frame_triplet > 0 or loss.entropy > 0,
        "GT": model.gt,
        "CNN": not (model.stt or model.gt),
        "synthetic pre-training": cell.pretrain is not None,
    }
    return " + ".join(name for name, there in parts.items() if there)


def _effective_model(model: Model) -> Model:
    """Fields of branches that are off become 1."""
    off = [] if model.gt else ["global_layers"]
    off += [] if model.stt else ["spatial_layers", "temporal_layers", "parts"]
    off += [] if model.stt or model.gt else ["width", "heads", "mlp_ratio"]
    ones: dict[str, Any] = dict.fromkeys(off, 1)
    changed = replace(model, **ones)
    return changed if model.stt or model.gt else replace(changed, dropout=0.0)


def _merge(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides replace values key by key, at any depth."""
    merged = dict(base)
    for key, value in overrides.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _effective(loss: Loss, model: Model) -> Loss:
    """Terms of branches that are off get the weight 0; so does a threshold that nothing is held to."""
    off = [name for branch, names in TERMS.items() if not getattr(model, branch) for name in names]
    if model.gt and not model.stt:
        off += ["identity", "triplet"]  # of STT, or of the CNN where no transformer is on
    loss = replace(loss, **dict.fromkeys(off, 0.0))
    return loss if loss.entropy else replace(loss, entropy_threshold=0.0)
