"""Parameters checked against each other: a mistake stops the first stage, not the stage that meets it.

:mod:`sttreid.config.params` checks each value and each name on its own. Data are not read here: only
``decode`` knows how many identities a real set has.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sttreid.config.branches import CNN, enabled
from sttreid.config.conversion import dump
from sttreid.config.datasets import Decode
from sttreid.config.domain import DOMAINS, Domain, Scale, load_domain
from sttreid.config.params import PARAMS, Params, rendered_set
from sttreid.config.variants import Variant, default_run, resolve
from sttreid.runtime.errors import InputError

TESTED: Final = ("claims", "curves")  # analyses that read how the variants were tested
TRAINING_SET: Final = ("source", "in_domain")  # of the section ablation
STORES: Final = ("datasets", "decode", "simulate", "rendered")  # sections that decide what the stores hold
NOT_STORED: Final = ("domain", "protocol")  # keys in them: which set pre-trains, how a target is tested
STRIDE: Final = 8  # of the backbone before its last stage
REPRODUCIBLE: Final = 128  # x264 gives equal bytes for widths that are multiples of this
ANY_WIDTH: Final = ("ultrafast", "superfast")  # presets of x264 with equal bytes for all widths


def check(params: Params, path: Path = PARAMS, domains: Path = DOMAINS) -> None:
    """Check the default run and every variant of the ablation as a whole.

    Args:
        params: of the default run or of a study.
        path: of their file, for errors.
        domains: folder of the domain files; rendered sets are checked where it exists.

    Raises:
        InputError: an override of a variant is wrong; the network does not fit the crops; no loss term is on;
            a training has fewer identities than a batch; the range of the erased area is empty; the
            visualised variants have no attention or clips of different lengths; a study compares its
            variants with the default run's model, which it does not train; or a rendered set would have
            other bytes in each run. The sentence names ``path``, the key, the rule and the value.
    """
    variants = {name: resolve(params, name, params.seeds[0], path) for name in params.ablation.variants}
    default = default_run(params, path)
    places = {f"{path}: ablation.variants.{name}": variant for name, variant in variants.items()}
    for place, variant in {str(path): default, **places}.items():
        for problem in _problems(variant, params.decode):
            raise InputError(f"{place}: {problem}")
    reference = params.ablation.reference
    if params.study is not None and params.study.analysis in TESTED and reference is not None:
        rule = f"must be null in a study of the analysis {params.study.analysis}, which trains variants alone"
        raise InputError(f"{path}: ablation.reference {rule}; got {reference!r}")
    if params.study is None:  # a study visualises nothing
        shown = variants if reference is None else {**variants, reference: default}
        for problem in _not_shown(params.visualise.variants, shown):
            raise InputError(f"{path}: visualise.variants: {problem}")
    if domains.is_dir():
        base = dump(params.simulate)
        sets = {
            f"rendered.{name}": rendered_set(params.rendered, base, name, path) for name in params.rendered
        }
        for key, scale in {"simulate": params.simulate, **sets}.items():
            check_encoding(load_domain(scale.domain, domains), scale, f"{path}: {key}.width")


def check_encoding(domain: Domain, scale: Scale, place: str) -> None:
    """Check that the videos of a set have the same bytes whenever they are rendered.

    Raises:
        InputError: at this width and with the domain's preset, x264 reads memory outside of the image.
    """
    preset = domain.sensor.preset
    if preset not in ANY_WIDTH and scale.width % REPRODUCIBLE:
        rule = f"must be a multiple of {REPRODUCIBLE} with the preset {preset} of x264"
        raise InputError(
            f"{place} {rule}, which encodes other widths differently in each run; got {scale.width}"
        )


def check_stores(params: Mapping[str, Any], home: Mapping[str, Any], path: Path, made_by: Path) -> None:
    """Check that a study describes the tracklet stores that it uses, which another run makes.

    Args:
        params: all parameters of the study, as plain content.
        home: those of the run that makes the stores.
        path: of the study's parameter file.
        made_by: parameter file of that run.

    Raises:
        InputError: one that decides what the stores hold differs, and would have no effect.
    """
    used = {params["simulate"]["domain"], params["ablation"]["source"], *params["targets"]}
    used |= {params["start"]["dataset"]} if params.get("start") else set()
    for section in STORES:
        ours, theirs = (content.get(section) or {} for content in (params, home))
        if section == "datasets":
            ours, theirs = ({name: each.get(name) for name in sorted(used)} for each in (ours, theirs))
        for key, our, their in _differences(ours, theirs, section):
            rule = f"must be that of {made_by}, {their!r}, with which the tracklets are stored"
            raise InputError(f"{path}: {key} {rule}; got {our!r}")


def check_beside(params: Params, theirs: Mapping[str, Any], path: Path) -> None:
    """Check that variants of another study (``study.beside``) can be compared with those of a study.

    Args:
        params: of the study.
        theirs: all parameters of the other one, as plain content.
        path: of the study's parameter file.

    Raises:
        InputError: the analysis is not ``claims``, or has trials; the other study has no such variant, or it
            is also one of this study; it was trained on another set, or lacks one of the seeds or targets.
    """
    study = params.study
    assert study is not None, "only a study has a section study"
    assert study.beside is not None, "the caller has read it"
    if study.analysis != "claims" or study.trials:
        rule = "study.beside must be null but for the analysis claims without trials"
        raise InputError(f"{path}: {rule}, got {study.analysis} with {len(study.trials)} trials")
    name, places = study.beside.study, dict[str, Any]()
    for section, key in (("study", "variants"), *(("ablation", key) for key in TRAINING_SET)):
        content = theirs.get(section)
        places[key] = content.get(key) if isinstance(content, Mapping) else None
    for variant in study.beside.variants:
        place = f"{path}: study.beside.variants"
        if variant not in (places["variants"] or []):
            there = ", ".join(map(str, places["variants"] or [])) or "none"
            raise InputError(
                f"{place}: must be variants of the study {name}, which has {there}; got {variant!r}"
            )
        if variant in params.ablation.variants:
            raise InputError(f"{place}: must not be variants of this study too, got {variant!r}")
    for key in TRAINING_SET:
        if (ours := getattr(params.ablation, key)) != places[key]:
            rule = f"must be that of the study {name}, {places[key]!r}"
            raise InputError(f"{path}: ablation.{key} {rule}, to be compared with it; got {ours!r}")
    for key, wanted in (("seeds", params.seeds), ("targets", params.targets)):
        if missing := [each for each in wanted if each not in (theirs.get(key) or [])]:
            rule = f"must be among those of the study {name}, {theirs.get(key)}"
            raise InputError(f"{path}: {key} {rule}, to be compared with it; got also {missing}")


def _differences(ours: object, theirs: object, key: str) -> Iterator[tuple[str, object, object]]:
    """Dotted keys of a section whose values differ, with both values."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for name in dict.fromkeys((*ours, *theirs)):
            if name not in NOT_STORED:
                yield from _differences(ours.get(name), theirs.get(name), f"{key}.{name}")
    elif ours != theirs:
        yield key, ours, theirs


def _problems(variant: Variant, decode: Decode) -> Iterator[str]:
    """What is wrong with one run."""
    model, loss, augment, branches = variant.model, variant.loss, variant.augment, enabled(variant.model)
    stride = STRIDE * model.backbone.last_stride
    for side in ("height", "width"):
        if getattr(decode, side) % stride:
            rule = f"must be a multiple of the backbone's stride, {stride}"
            yield f"decode.{side} {rule}, got {getattr(decode, side)}"
    if CNN not in branches and model.width % model.heads:
        yield f"model.width must be a multiple of model.heads, {model.heads}, got {model.width}"
    rows = decode.height // stride
    if model.stt and rows % model.parts:
        yield f"model.parts must divide the feature map's {rows} rows, got {model.parts}"
    weights = [name for branch in branches for name in branch.weights]
    if not any(getattr(loss, name) for name in weights):
        yield f"loss: one of {', '.join(weights)} must be above 0, got only zeros"
    if augment.erase_area_low > augment.erase_area_high:
        limit = f"augment.erase_area_high, {augment.erase_area_high}"
        yield f"augment.erase_area_low must be at most {limit}, got {augment.erase_area_low}"
    schedules = {"pretrain": variant.pretrain, "finetune": variant.train}
    for name, schedule in schedules.items():
        identities = schedule.identities if schedule else None
        if identities is not None and identities < variant.batch.identities:
            rule = f"must be at least batch.identities, {variant.batch.identities}"
            yield f"{name}.identities {rule}, got {identities}"


def _not_shown(names: list[str], variants: Mapping[str, Variant]) -> Iterator[str]:
    """Why the attention of two variants cannot be compared."""
    for name in names:
        if not variants[name].model.stt:
            yield f"the variant {name} must have model.stt, got it without"
    lengths = [variants[name].clip.frames for name in names]
    if len(set(lengths)) > 1:
        yield f"{' and '.join(names)} must have the same clip.frames, got {lengths}"
