"""The ablation's variants: overrides merged over the parameters, reduced to what has an effect.

A variant trains again only when its resolved configuration changes. It therefore omits what changes no
weight: fields of disabled branches, loss terms of weight 0, unused schedules.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from sttreid.config.branches import parts, unread_fields, unread_loss_fields
from sttreid.config.conversion import dump, parse
from sttreid.config.former_names import RENAMED
from sttreid.config.params import (
    CONFIG,
    PARAMS,
    Ablation,
    Augment,
    Batch,
    Clip,
    Compute,
    Loss,
    Model,
    Params,
    ResolvedEvaluate,
    Schedule,
)


@dataclass(frozen=True, config=CONFIG)
class Settings:
    """The sections that a variant may override; without ``pretrain`` it starts from random weights."""

    clip: Clip
    augment: Augment
    batch: Batch
    model: Model
    loss: Loss
    pretrain: Schedule | None
    finetune: Schedule
    compute: Compute


@dataclass(frozen=True, config=CONFIG)
class Variant:
    """The complete configuration of one variant and seed.

    Attributes:
        variant: row of the ablation table.
        seed: of initialisation, batches and, where there is one, of the pre-training.
        source: data set that it trains on.
        synthetic: data set of the pre-training.
        pretrain: None if the variant starts from random weights.
        train: schedule of the training on ``source``.
    """

    variant: str
    seed: int
    source: str
    synthetic: str
    clip: Clip
    augment: Augment
    batch: Batch
    model: Model
    loss: Loss
    pretrain: Schedule | None
    train: Schedule
    compute: Compute


@dataclass(frozen=True, config=CONFIG)
class Evaluation:
    """How every model is tested.

    Attributes:
        synthetic: data set of the pre-training.
        targets: data set -> how every model is tested on it.
        flip: whether the mirror image of each clip is embedded too.
        clip: of the untrained network.
        model: of the untrained network.
        compute: threads, batch and precision of the embedding.
    """

    synthetic: str
    targets: dict[str, ResolvedEvaluate]
    flip: bool
    clip: Clip
    model: Model
    compute: Compute


def resolve(params: Params, variant: str, seed: int, path: Path = PARAMS) -> Variant:
    """Merge a variant's overrides over the parameters.

    Raises:
        InputError: an override names an unknown key or breaks a field's rule; the error names ``path``.
    """
    ablation = params.ablation
    overrides = ablation.variants[variant]
    place = f"{path}: ablation.variants.{variant}"
    settings = _settings(params, overrides, place)
    return Variant(
        variant=variant,
        seed=seed,
        source=ablation.source,
        synthetic=params.simulate.domain,
        clip=settings.clip,
        augment=settings.augment,
        batch=settings.batch,
        model=_with_seed(settings.model, seed),
        loss=settings.loss,
        pretrain=settings.pretrain,
        train=settings.finetune if settings.pretrain else _scratch(ablation, variant, place),
        compute=settings.compute,
    )


def default_run(params: Params, path: Path = PARAMS, name: str = "default") -> Variant:
    """The default run's model of ``ablation.source`` with the first seed: a variant without overrides."""
    plain = replace(params, ablation=replace(params.ablation, variants={name: {}}))
    return resolve(plain, name, params.seeds[0], path)


def content(variant: Variant) -> dict[str, Any]:
    """The variant as plain JSON content, without what has no effect; :func:`parse` is the inverse."""
    values: dict[str, Any] = dump(variant)
    for field in unread_fields(variant.model):
        values["model"].pop(field, None)
    for field in unread_loss_fields(variant.loss, variant.model):
        values["loss"].pop(field, None)  # a field with its default may be left out already
    return values


def composition(variant: Variant) -> list[str]:
    """What a variant's network consists of, in the paper's words."""
    pretraining = ["synthetic pre-training"] if variant.pretrain else []
    return [*parts(variant.model, variant.loss), *pretraining]


def merge(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides replace values key by key, at any depth."""
    merged = dict(base)
    for key, value in overrides.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _with_seed(model: Model, seed: int) -> Model:
    """The model with the seed in the path of its backbone's weights, where the path has ``{seed}``."""
    weights = model.backbone.weights
    if weights is None:
        return model
    return replace(model, backbone=replace(model.backbone, weights=weights.replace("{seed}", str(seed))))


def _settings(params: Params, overrides: Mapping[str, Any], place: str) -> Settings:
    defaults = {field.name: dump(getattr(params, field.name)) for field in fields(Settings)}
    return parse(Settings, merge(defaults, overrides), place, RENAMED)


def _scratch(ablation: Ablation, variant: str, place: str) -> Schedule:
    """The schedule without pre-training; a variant's overrides of ``finetune`` apply to it."""
    merged = merge(dump(ablation.scratch), ablation.variants[variant].get("finetune") or {})
    return parse(Schedule, merged, f"{place}.finetune", RENAMED)
