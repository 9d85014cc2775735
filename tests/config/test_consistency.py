"""Mistakes that only two parameters together make are found before the first stage, with key and value."""

import pytest

from sttreid.config.consistency import check
from sttreid.config.params import build
from sttreid.runtime.errors import InputError
from tests.tiny import ROOT, parameters

PATH = ROOT / "params.yaml"
OFF = ("identity", "triplet", "spatial", "spatial_part", "frame_triplet", "entropy")
OFF += ("global_identity", "global_triplet")


def checked(values, variants=None):
    content = parameters(values)
    content["ablation"]["variants"] |= variants or {}
    check(build(content, PATH))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model.width": 33}, "model.width must be a multiple of model.heads, 2, got 33"),
        ({"model.parts": 3}, "model.parts must divide the feature map's 8 rows, got 3"),
        ({"decode.height": 60}, "decode.height must be a multiple of the backbone's stride, 8, got 60"),
        ({"model.backbone.last_stride": 2, "decode.width": 24}, "decode.width must be .*, 16, got 24"),
        ({f"loss.{name}": 0 for name in OFF}, "loss: one of .* must be above 0, got only zeros"),
        ({"pretrain.identities": 3}, "pretrain.identities must be at least batch.identities, 4, got 3"),
        ({"finetune.identities": 3}, "finetune.identities must be at least batch.identities, 4, got 3"),
        ({"augment.erase_area_low": 0.4}, "augment.erase_area_low must be at most .*0.3, got 0.4"),
        (
            {"visualise.variants": ["vanilla", "cnn"]},
            "visualise.variants: the variant cnn must have model.stt",
        ),
    ],
)
def test_what_does_not_fit_together_is_named(values, message):
    with pytest.raises(InputError, match=rf"params\.yaml: {message}"):
        checked(values)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"model": {"widht": 3}}, "unknown key model.widht .did you mean 'width'"),
        ({"finetune": {"steps": 3.5}}, "finetune.steps should be a valid integer.*got 3.5"),
        ({"loss": 0}, "loss must be a section .*got 0"),
        ({"model": {"heads": 5}}, "model.width must be a multiple of model.heads, 5, got 32"),
        ({"batch": {"identities": 6}, "finetune": {"identities": 5}}, "finetune.identities must .*6, got 5"),
    ],
)
def test_a_mistake_of_a_variant_names_the_variant(overrides, message):
    with pytest.raises(InputError, match=rf"params\.yaml: ablation\.variants\.deep: {message}"):
        checked({}, {"deep": overrides})


def test_clips_of_two_lengths_cannot_be_compared():
    values = {"visualise.variants": ["constrained", "deep"]}
    with pytest.raises(
        InputError, match=r"constrained and deep must have the same clip\.frames, got \[2, 3\]"
    ):
        checked(values, {"deep": {"clip": {"frames": 3}}})


def test_a_network_without_transformers_may_have_any_width():
    cnn = {"model": {"stt": False, "gt": False, "width": 33}}
    checked({}, {"other": cnn})
    with pytest.raises(InputError, match=r"other: model\.width"):
        checked({}, {"other": {"model": {"stt": False, "width": 33}}})


def test_the_parameters_of_the_tests_fit_together():
    checked({})


@pytest.mark.parametrize("domain", ["campus", "street"])
def test_widths_that_the_encoder_does_not_repeat_are_refused(domain, monkeypatch):
    monkeypatch.chdir(ROOT)
    values = {"identities": 220, "domain": domain}
    content = parameters({"simulate.width": 300}) | {"rendered": {"large": values}}
    if domain == "street":  # a fast preset, which is reproducible at every width
        check(build(content, PATH))
        return
    rule = (
        r"params\.yaml: rendered\.large\.width must be a multiple of 128 with the preset medium .*; got 300"
    )
    with pytest.raises(InputError, match=rule):
        check(build(content, PATH))
    content["rendered"]["large"]["width"] = 384
    check(build(content, PATH))
