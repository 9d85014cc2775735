"""Variants of the ablation: merged overrides, what remains of them, and which train again after a change."""

import json
from dataclasses import replace

import pytest

from sttreid.config.conversion import parse
from sttreid.config.params import build
from sttreid.config.variants import Variant, composition, content, resolve
from sttreid.runtime.errors import InputError
from tests.tiny import ROOT, parameters

PARAMS = build(parameters({}), ROOT / "params.yaml")
SECTIONS = ("clip", "augment", "batch", "model", "loss", "compute")
WITHOUT_GT = {"model": {"gt": False}}
CNN = {"model": {"stt": False, "gt": False}}


def variant(overrides, params=PARAMS):
    ablation = replace(params.ablation, variants={"new": overrides})
    return resolve(replace(params, ablation=ablation), "new", 3)


def changed(section, **values):
    return replace(PARAMS, **{section: replace(getattr(PARAMS, section), **values)})


def same(overrides, params):
    """Whether a variant's file stays the same with other parameters."""
    return content(variant(overrides, params)) == content(variant(overrides))


def test_without_overrides_a_variant_is_the_default_configuration():
    resolved = variant({})
    assert (resolved.variant, resolved.seed, resolved.synthetic) == ("new", 3, "unreal")
    assert (resolved.source, resolved.pretrain, resolved.train) == (
        "campus",
        PARAMS.pretrain,
        PARAMS.finetune,
    )
    assert all(getattr(resolved, name) == getattr(PARAMS, name) for name in SECTIONS)


def test_overrides_replace_single_keys_at_any_depth():
    resolved = variant({"model": {"width": 64, "backbone": {"layer2": 2}}, "clip": {"frames": 3}})
    backbone = replace(PARAMS.model.backbone, layer2=2)
    assert resolved.model == replace(PARAMS.model, width=64, backbone=backbone)
    assert resolved.clip.frames == 3
    assert resolved.batch == PARAMS.batch


def test_overrides_are_converted_like_params():
    assert variant({"finetune": {"lr": "1e-05"}}).train.lr == 1e-05


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"loss": {"entrop": 0}}, r"unknown key loss\.entrop \(did you mean 'entropy'\?\)$"),
        ({"los": {"entropy": 0}}, r"unknown key los \(did you mean 'loss'\?\)$"),
        ({"finetune": {"rate": 1}}, r"unknown key finetune\.rate \(it is now finetune\.lr\)$"),
        (
            {"model": {"backbone": {"widht": 0}}},
            r"unknown key model\.backbone\.widht \(did you mean 'width'\?\)$",
        ),
        ({"loss": {"entropy": "abc"}}, r"loss\.entropy should be a valid number.*got 'abc'"),
        ({"loss": 0}, r"loss must be a section with the keys .*got 0"),
        ({"simulate": {"domain": "x"}}, r"unknown key simulate"),
        ({"evaluate": {"protocol": "market"}}, r"unknown key evaluate"),
    ],
)
def test_a_wrong_override_names_its_variant_and_key(overrides, message):
    with pytest.raises(InputError, match=r"^params\.yaml: ablation\.variants\.new: " + message):
        variant(overrides)


def test_a_wrong_override_of_the_schedule_without_pre_training_names_its_variant_and_key():
    with pytest.raises(InputError, match=r"ablation\.variants\.new: unknown key finetune\.stepz"):
        variant({"pretrain": None, "finetune": {"stepz": 3}})


def test_without_pre_training_a_variant_follows_the_schedule_from_scratch():
    resolved = variant({"pretrain": None, "finetune": {"lr": 0.5}})
    assert resolved.pretrain is None
    assert resolved.train == replace(PARAMS.ablation.scratch, lr=0.5)


OF_STT = {"spatial", "spatial_part", "frame_triplet", "entropy"}
OF_GT = {"global_identity", "global_triplet"}
SHARED = {"identity", "triplet"}


@pytest.mark.parametrize(
    ("model", "off"),
    [
        ({}, set()),
        ({"gt": False}, OF_GT),
        ({"stt": False}, OF_STT | SHARED),
        ({"stt": False, "gt": False}, OF_STT | OF_GT),
    ],
)
def test_the_file_leaves_out_the_terms_of_branches_that_are_off(model, off):
    loss = content(variant({"model": model}))["loss"]
    assert (OF_STT | OF_GT | SHARED) - loss.keys() == off
    assert ("entropy_threshold" in loss) == ("entropy" not in off)


def test_the_file_leaves_out_terms_without_weight():
    loss = content(variant({"loss": {"spatial": 0.0, "entropy": 0}}))["loss"]
    assert not {"spatial", "entropy", "entropy_threshold"} & loss.keys()


@pytest.mark.parametrize("overrides", [{}, WITHOUT_GT, CNN, {"pretrain": None}, {"loss": {"entropy": 0}}])
def test_a_variant_survives_its_file(overrides):
    written = json.loads(json.dumps(content(variant(overrides))))
    restored = parse(Variant, written, "variant.json")
    assert content(restored) == content(variant(overrides))
    assert (restored.pretrain, restored.train) == (variant(overrides).pretrain, variant(overrides).train)


@pytest.mark.parametrize("values", [{"entropy": 0.7}, {"entropy_threshold": 0.7}])
def test_changing_the_entropy_term_moves_only_the_variants_that_use_it(values):
    params = changed("loss", **values)
    assert not same({}, params)
    assert not same(WITHOUT_GT, params)
    assert same(CNN, params)
    assert same({"loss": {"entropy": 0.0}}, params)


def test_changing_a_schedule_moves_only_the_variants_that_use_it():
    scratch = {"pretrain": None}
    assert not same({}, changed("pretrain", lr=0.5))
    assert not same({}, changed("finetune", lr=0.5))
    assert same(scratch, changed("pretrain", lr=0.5))
    assert same(scratch, changed("finetune", lr=0.5))
    ablation = replace(PARAMS.ablation, scratch=replace(PARAMS.ablation.scratch, lr=0.5))
    assert same({}, replace(PARAMS, ablation=ablation))


@pytest.mark.parametrize(
    ("branches", "idle"),
    [
        ({"gt": False}, {"global_layers": 3}),
        ({"stt": False}, {"spatial_layers": 3, "temporal_layers": 3, "parts": 2}),
        ({"stt": False, "gt": False}, {"width": 64, "heads": 4, "mlp_ratio": 3.0, "dropout": 0.5}),
    ],
)
def test_fields_of_branches_that_are_off_move_no_variant(branches, idle):
    for name, value in idle.items():
        assert getattr(PARAMS.model, name) != value
        assert same({"model": branches}, changed("model", **{name: value}))
        assert not same({}, changed("model", **{name: value}))


def test_resolving_leaves_the_overrides_alone():
    overrides = {"model": {"backbone": {"width": 4}}}
    variant(overrides)
    assert overrides == {"model": {"backbone": {"width": 4}}}


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        ({}, ["ST + TT", "spatial constraint", "temporal constraint", "GT", "synthetic pre-training"]),
        (CNN | {"pretrain": None}, ["CNN"]),
        (
            WITHOUT_GT | {"loss": {"frame_triplet": 0, "entropy": 0}, "pretrain": None},
            ["ST + TT", "spatial constraint"],
        ),
        (
            WITHOUT_GT | {"loss": {"spatial": 0, "spatial_part": 0}, "pretrain": None},
            ["ST + TT", "temporal constraint"],
        ),
    ],
)
def test_a_variant_says_what_it_consists_of(overrides, parts):
    assert composition(variant(overrides)) == parts
