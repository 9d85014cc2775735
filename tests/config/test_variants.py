"""Cells of the ablation: overrides, what is left of them, and who re-runs when something changes."""

from dataclasses import replace
from pathlib import Path

import pytest

from sttreid.config.conversion import dump, parse
from sttreid.config.datasets import Dataset
from sttreid.config.params import load
from sttreid.config.variants import Cell, Settings, composition, resolve
from sttreid.runtime.errors import InputError
from tests.tiny import ROOT

NAMES = ("clip", "augment", "batch", "model", "loss", "pretrain", "finetune", "evaluate", "compute")
PARAMS = load(ROOT / "params.yaml")
SETTINGS = Settings(**{name: getattr(PARAMS, name) for name in NAMES})


def cell(overrides, settings=SETTINGS, ablation=PARAMS.ablation):
    ablation = replace(ablation, variants={"one": overrides})
    return resolve(
        settings, ablation, "one", 3, "unreal", {name: PARAMS.datasets[name] for name in ("campus", "winter")}
    )


def changed(section, **values):
    return replace(SETTINGS, **{section: replace(getattr(SETTINGS, section), **values)})


def test_no_override_is_the_default_configuration():
    found = cell({})
    assert found.reuses
    assert (found.variant, found.seed, found.synthetic) == ("one", 3, "unreal")
    assert (found.source, found.targets) == (PARAMS.ablation.source, ["campus", "winter"])
    assert (found.pretrain, found.train) == (PARAMS.pretrain, PARAMS.finetune)
    assert {name: getattr(found, name) for name in NAMES[:5]} == {
        name: getattr(SETTINGS, name) for name in NAMES[:5]
    }


def test_overrides_replace_single_keys_at_any_depth():
    found = cell({"model": {"width": 64, "backbone": {"layer2": 2}}, "clip": {"frames": 2}})
    backbone = replace(SETTINGS.model.backbone, layer2=2)
    assert found.model == replace(SETTINGS.model, width=64, backbone=backbone)
    assert found.clip.frames == 2
    assert found.batch == SETTINGS.batch
    assert not found.reuses


def test_an_override_that_says_the_default_changes_nothing():
    assert cell({"loss": {"margin": SETTINGS.loss.margin}}) == cell({})


def test_every_target_has_its_own_protocol():
    ablation = replace(PARAMS.ablation, variants={"one": {}})
    targets = {"campus": PARAMS.datasets["campus"], "mars": Dataset("mars", Path("sets/mars.json"))}
    found = resolve(SETTINGS, ablation, "one", 3, "unreal", targets).evaluate
    assert {name: own.protocol for name, own in found.items()} == {
        "campus": "embedded",
        "mars": "mars-official",
    }
    assert set(cell({"evaluate": {"protocol": "market"}}).evaluate.values()) == {
        replace(SETTINGS.evaluate, protocol="market")
    }


def test_overrides_are_converted_like_params():
    assert cell({"finetune": {"lr": "1e-05"}}).train.lr == 1e-05


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"loss": {"entrop": 0}}, r"unknown key loss\.entrop \(did you mean 'entropy'\?\)$"),
        ({"los": {"entropy": 0}}, r"unknown key los \(did you mean 'loss'\?\)$"),
        (
            {"model": {"backbone": {"widht": 0}}},
            r"unknown key model\.backbone\.widht \(did you mean 'width'\?\)$",
        ),
        ({"loss": {"entropy": "abc"}}, r"loss\.entropy should be a valid number.*got 'abc'"),
        ({"loss": 0}, r"loss should be a dictionary.*got 0"),
        ({"simulate": {"domain": "x"}}, r"unknown key simulate"),
    ],
)
def test_a_wrong_override_names_its_variant_and_key(overrides, message):
    with pytest.raises(InputError, match=r"^params\.yaml: ablation\.variants\.one: " + message):
        cell(overrides)


OF_STT = {"spatial", "spatial_part", "frame_triplet", "entropy"}
OF_GT = {"global_identity", "global_triplet"}


@pytest.mark.parametrize(
    ("model", "off"),
    [
        ({}, set()),
        ({"gt": False}, OF_GT),
        ({"stt": False}, OF_STT | {"identity", "triplet"}),
        ({"stt": False, "gt": False}, OF_STT | OF_GT),
    ],
)
def test_terms_of_branches_that_are_off_weigh_nothing(model, off):
    found, given = dump(cell({"model": model}).loss), dump(SETTINGS.loss)
    weights = OF_STT | OF_GT | {"identity", "triplet"}
    assert all(given[name] > 0 for name in weights)
    assert {name for name in weights if found[name] == 0} == off
    assert all(found[name] == given[name] for name in weights - off)


def test_a_cell_without_pre_training_starts_from_scratch_and_follows_its_schedule():
    found = cell({"pretrain": {"steps": 0}})
    assert (found.pretrain, found.train, found.reuses) == (None, PARAMS.ablation.scratch, False)


def test_without_pre_training_in_the_defaults_no_cell_is_reused():
    settings = changed("pretrain", steps=0)
    assert not cell({}, settings).reuses


def test_a_pretrained_cell_with_an_override_is_not_reused():
    found = cell({"loss": {"entropy": 0.0}})
    assert not found.reuses
    assert found.pretrain == PARAMS.pretrain


@pytest.mark.parametrize("values", [{"entropy": 0.7}, {"entropy_threshold": 0.7}])
def test_changing_the_entropy_term_moves_only_the_cells_that_use_it(values):
    variants = PARAMS.ablation.variants
    settings = changed("loss", **values)
    moved = {name for name in variants if cell(variants[name], settings) != cell(variants[name])}
    using = {name for name in variants if cell(variants[name]).loss.entropy > 0}
    assert moved == using
    assert {"vanilla", "spatial", "cnn"} <= variants.keys() - using
    assert {"temporal", "constrained", "full"} <= using


def test_changing_the_pre_training_moves_only_the_cells_that_have_one():
    variants = PARAMS.ablation.variants
    settings = changed("pretrain", lr=0.5)
    moved = {name for name in variants if cell(variants[name], settings) != cell(variants[name])}
    assert moved == {name for name in variants if cell(variants[name]).pretrain is not None} == {"full"}


def test_changing_the_fine_tuning_moves_no_cell_from_scratch():
    variants = PARAMS.ablation.variants
    settings = changed("finetune", lr=0.5)
    assert {name for name in variants if cell(variants[name], settings) != cell(variants[name])} == {"full"}


def test_only_the_default_configuration_is_reused():
    reused = {name for name, overrides in PARAMS.ablation.variants.items() if cell(overrides).reuses}
    assert reused == {"full"}


@pytest.mark.parametrize("name", sorted(PARAMS.ablation.variants))
def test_a_cell_survives_its_file(name):
    found = cell(PARAMS.ablation.variants[name])
    assert dump(parse(Cell, dump(found), "cell.json")) == dump(found)


def test_resolving_leaves_the_overrides_alone():
    overrides = {"model": {"backbone": {"width": 4}}}
    cell(overrides)
    assert overrides == {"model": {"backbone": {"width": 4}}}


def test_overrides_of_the_fine_tuning_reach_a_cell_from_scratch():
    found = cell({"pretrain": {"steps": 0}, "finetune": {"lr": 0.5}})
    assert found.train == replace(PARAMS.ablation.scratch, lr=0.5)


@pytest.mark.parametrize(
    ("branches", "idle"),
    [
        ({"gt": False}, {"global_layers": 3}),
        ({"stt": False}, {"spatial_layers": 3, "temporal_layers": 3, "parts": 2}),
        ({"stt": False, "gt": False}, {"width": 64, "heads": 2, "mlp_ratio": 3.0, "dropout": 0.5}),
    ],
)
def test_fields_of_branches_that_are_off_do_not_move_a_cell(branches, idle):
    for name, value in idle.items():
        assert getattr(SETTINGS.model, name) != value
        assert cell({"model": branches}, changed("model", **{name: value})) == cell({"model": branches})
        assert cell({}, changed("model", **{name: value})) != cell({})


@pytest.mark.parametrize(
    ("variant", "told"),
    [
        ("vanilla", "ST + TT"),
        ("spatial", "ST + TT + spatial constraint"),
        ("temporal", "ST + TT + temporal constraint"),
        ("constrained", "ST + TT + spatial constraint + temporal constraint"),
        ("global", "ST + TT + spatial constraint + temporal constraint + GT"),
        ("full", "ST + TT + spatial constraint + temporal constraint + GT + synthetic pre-training"),
        ("cnn", "CNN"),
    ],
)
def test_a_cell_says_what_it_is_made_of(variant, told):
    assert (
        composition(
            resolve(SETTINGS, PARAMS.ablation, variant, 0, "unreal", {"campus": PARAMS.datasets["campus"]})
        )
        == told
    )
