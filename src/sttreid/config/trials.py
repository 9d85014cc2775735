"""Apply a study's trials to its variants, and in a study of claims to its contrasts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sttreid.config.params import build
from sttreid.config.study import Study, trial_name
from sttreid.config.variants import content, merge, resolve

Mappings = Mapping[str, Mapping[str, Any]]


def with_trials(parameters: Mapping[str, Any], study: Study, path: Path) -> dict[str, Any]:
    """Parameters with each variant of ``study.variants`` under each trial, and without all other variants.

    A variant without pre-training (``pretrain: null``) stays without, whatever a trial sets in that section.
    In a study of claims, each contrast is made under each trial, to see whether a verdict depends on it. A
    variant whose effective configuration is the same under two trials (an attention threshold changes no CNN)
    is trained under the first of them alone, and a contrast of two such variants is left out.

    Args:
        parameters: complete ones; ``ablation.variants`` has the study's variants.
        study: its trials; without any, the variants stay as they are.
        path: file that errors name.

    Raises:
        InputError: a variant's overrides break a rule.
    """
    variants: Mappings = {name: parameters["ablation"]["variants"][name] or {} for name in study.variants}
    made = {
        trial_name(variant, trial): _under(overrides, study.trials[trial])
        for variant, overrides in variants.items()
        for trial in study.trials
    }
    trained = _with_variants(parameters, made or variants)
    if not study.trials or study.analysis != "claims":
        return trained
    first = _first_of_equals(trained, path)
    contrasts: dict[str, Any] = {}
    for trial in study.trials:
        for name, contrast in trained["claims"]["contrasts"].items():
            sides = {key: _operand(contrast[key], trial, first) for key in ("ours", "theirs")}
            made_before = {**contrast, **sides} in contrasts.values()  # two questions may compare one pair
            if not made_before:
                contrasts[trial_name(name, trial)] = {**contrast, **sides}
    distinct = {name: made[name] for name in dict.fromkeys(first.values())}
    claims = {**trained["claims"], "contrasts": contrasts}
    return {**_with_variants(trained, distinct), "claims": claims}


def _under(overrides: Mapping[str, Any], trial: Mapping[str, Any]) -> dict[str, Any]:
    """A variant's overrides under a trial, which gives no pre-training to a variant without one."""
    merged = merge(overrides, trial)
    return merged | {"pretrain": None} if overrides.get("pretrain", ...) is None else merged


def _operand(name: str, trial: str, first: Mapping[str, str]) -> str:
    """A side of a contrast under a trial: a variant, or one before its training (``NAME-pretrained``)."""
    if (whole := trial_name(name, trial)) in first:
        return first[whole]
    variant, _, moment = name.rpartition("-")
    return f"{first[whole]}-{moment}" if (whole := trial_name(variant, trial)) in first else name


def _with_variants(parameters: Mapping[str, Any], variants: Mappings) -> dict[str, Any]:
    return {**parameters, "ablation": {**parameters["ablation"], "variants": dict(variants)}}


def _first_of_equals(parameters: Mapping[str, Any], path: Path) -> dict[str, str]:
    """Variant -> the first one with the same effective configuration."""
    params = build(parameters, path)
    firsts: list[tuple[dict[str, Any], str]] = []
    found = {}
    for name in params.ablation.variants:
        effective = content(resolve(params, name, params.seeds[0], path))
        del effective["variant"]
        found[name] = next((first for other, first in firsts if other == effective), name)
        if found[name] == name:
            firsts.append((effective, name))
    return found
