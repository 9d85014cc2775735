"""Fingerprints change with every parameter that changes a number, and with no other."""

import shutil

import pytest

from sttreid.config import fingerprint
from sttreid.config.conversion import read_yaml
from sttreid.config.experiments import merged, overrides_path
from sttreid.config.params import build
from sttreid.config.variants import merge
from tests.tiny import ROOT, parameters

DOMAINS = ROOT / "domains"


def built(values=None, variants=None):
    content = parameters(values or {})
    content["ablation"]["variants"] |= variants or {}
    return build(content, ROOT / "params.yaml")


def of_variants(values=None, variants=None):
    return fingerprint.of_variants(built(values, variants), DOMAINS)


def changed(values):
    """The variants whose fingerprint changes."""
    before, after = of_variants(), of_variants(values)
    return {name for name in before if before[name] != after[name]}


ALL = set(of_variants())
WITH_GT = {"global", "full"}
WITH_ENTROPY = {"temporal", "constrained", "global", "full"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"loss.entropy": 0.1}, WITH_ENTROPY),
        ({"model.global_layers": 2}, WITH_GT),
        ({"pretrain.lr": 0.1}, {"full"}),
        ({"finetune.lr": 0.1}, {"full"}),
        ({"simulate.identities": 20}, {"full"}),
        ({"ablation.scratch.lr": 0.1}, ALL - {"full"}),
        ({"clip.frames": 3}, ALL),
        ({"seeds": [0, 1]}, ALL),
        ({"evaluate.rerank.k1": 10}, ALL),
        ({"decode.height": 128}, ALL),
        ({"ablation.min_train_rank1": 0.5}, ALL),
        ({"visualise.points": 20}, set()),
        ({"compare.crops": 10}, set()),
    ],
)
def test_a_change_belongs_to_the_variants_that_it_affects(values, expected):
    assert changed(values) == expected
    default = [fingerprint.of_default_run(built(each), DOMAINS) for each in ({}, values)]
    untouched = {"ablation.scratch.lr", "ablation.min_train_rank1", "visualise.points", "compare.crops"}
    assert (default[0] == default[1]) == (set(values) <= untouched)


def test_the_domain_belongs_to_what_is_pre_trained(tmp_path):
    shutil.copytree(DOMAINS, tmp_path / "domains")
    path = tmp_path / "domains" / "unreal.yaml"
    before = fingerprint.of_variants(built(), tmp_path / "domains")
    assert before == of_variants()
    text = path.read_text()
    path.write_text("# a comment\n" + text)
    assert fingerprint.of_variants(built(), tmp_path / "domains") == before
    shutil.copy(tmp_path / "domains" / "campus.yaml", path)
    after = fingerprint.of_variants(built(), tmp_path / "domains")
    assert {name for name in before if before[name] != after[name]} == {"full"}


def of_study(name, values):
    """The fingerprint of a study's variants, with other overrides."""
    path = overrides_path(ROOT, name)
    return fingerprint.of_ablation(build(merged(ROOT, merge(read_yaml(path), values), path), path), DOMAINS)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("large", {"start": {"schedule": {"steps": 4000}}}),
        ("large", {"start": {"batch": {"identities": 32}}}),
        ("large", {"rendered": {"street": {"first_identity": 7}}}),
        ("large", {"rendered": {"campus-large": {"identities": 900}}}),
        ("large", {"datasets": {"campus-large": {"protocol": "mars"}}}),
        ("large", {"ablation": {"in_domain": "winter"}}),
        ("large-synthetic", {"rendered": {"unreal": {"identities": 1000}}}),
    ],
)
def test_what_only_a_study_has_belongs_to_its_fingerprint(name, values):
    assert of_study(name, values) != of_study(name, {})


def test_a_set_that_a_study_does_not_use_changes_no_fingerprint():
    assert of_study("large", {"rendered": {"winter-large": {"identities": 9}}}) == of_study("large", {})


def test_a_name_is_no_parameter():
    found = of_variants(variants={"same": {"pretrain": None}})
    assert found["same"] == found["global"]
    assert len(set(found.values())) == len(found) - 1


def test_the_order_of_keys_does_not_matter():
    assert fingerprint.fingerprint({"a": 1, "b": 2}) == fingerprint.fingerprint({"b": 2, "a": 1})


def test_the_comparison_of_data_sets_depends_on_what_it_reads():
    def of(values):
        params = built(values)
        sections = params.datasets, params.decode, params.simulate, params.targets, params.compare
        return fingerprint.of_comparison(*sections, DOMAINS)

    assert of({"compare.crops": 10}) != of({}) != of({"decode.height": 128})
    assert of({"finetune.lr": 0.5}) == of({})
