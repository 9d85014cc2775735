"""The declarations of branches: complete, and what they say about parameters without effect."""

import subprocess
import sys
from dataclasses import fields, replace

import pytest

from sttreid.config.branches import BRANCHES, CNN, GT, STT, effective_loss, effective_model, enabled, parts
from sttreid.config.params import Loss
from sttreid.model.branches import MODULES, BranchOutput
from tests.sections import LOSS, MODEL, small_network

WEIGHTS = {name for branch in BRANCHES for name in branch.weights}


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ({}, (STT, GT)),
        ({"gt": False}, (STT,)),
        ({"stt": False}, (GT,)),
        ({"stt": False, "gt": False}, (CNN,)),
    ],
)
def test_a_network_has_the_branches_that_are_enabled(switches, expected):
    model = replace(MODEL, **switches)
    assert enabled(model) == expected
    names = [branch.name for branch in expected]
    network = small_network(**switches)
    assert list(network.branches) == list(network.identity_heads) == names


def test_every_declaration_refers_to_something_that_exists():
    constants = {constant for branch in BRANCHES for term in branch.terms for constant in term.constants}
    assert WEIGHTS | constants | {"label_smoothing", "margin"} == {field.name for field in fields(Loss)}
    assert {branch.name for branch in BRANCHES} == set(MODULES)
    outputs = {field.name for field in fields(BranchOutput)}
    assert {term.reads for branch in BRANCHES for term in branch.terms} <= outputs
    for branch in BRANCHES:
        assert all(hasattr(MODEL, name) for name in branch.fields)


@pytest.mark.parametrize(
    ("switches", "off"),
    [
        ({}, set()),
        ({"gt": False}, {"global_identity", "global_triplet"}),
        ({"stt": False}, WEIGHTS - {"global_identity", "global_triplet"}),
        ({"stt": False, "gt": False}, WEIGHTS - {"identity", "triplet"}),
    ],
)
def test_terms_of_disabled_branches_get_the_weight_0(switches, off):
    loss = effective_loss(LOSS, replace(MODEL, **switches))
    assert {name for name in WEIGHTS if getattr(loss, name) == 0} == off
    assert all(getattr(loss, name) == getattr(LOSS, name) for name in WEIGHTS - off)
    assert (loss.margin, loss.label_smoothing) == (LOSS.margin, LOSS.label_smoothing)
    assert loss.entropy_threshold == (0 if "entropy" in off else LOSS.entropy_threshold)


def test_a_threshold_without_its_term_has_no_effect():
    loss = replace(LOSS, entropy=0.0)
    other = replace(loss, entropy_threshold=0.9)
    assert effective_loss(loss, MODEL) == effective_loss(other, MODEL)


@pytest.mark.parametrize(
    ("switches", "unread"),
    [
        ({}, {}),
        ({"gt": False}, {"global_layers": 3}),
        ({"stt": False}, {"spatial_layers": 3, "temporal_layers": 3, "parts": 4}),
        ({"stt": False, "gt": False}, {"width": 64, "heads": 4, "mlp_ratio": 3.0, "dropout": 0.5}),
    ],
)
def test_fields_that_no_enabled_branch_reads_have_no_effect(switches, unread):
    model = replace(MODEL, **switches)
    assert effective_model(replace(model, **unread)) == effective_model(model)
    for name in {field for branch in enabled(model) for field in branch.fields}:
        assert getattr(effective_model(model), name) == getattr(model, name)


@pytest.mark.parametrize(
    ("switches", "weights", "expected"),
    [
        ({}, {}, ["ST + TT", "spatial constraint", "temporal constraint", "GT"]),
        ({"gt": False}, {"frame_triplet": 0.0}, ["ST + TT", "spatial constraint", "temporal constraint"]),
        ({"gt": False}, {"frame_triplet": 0.0, "entropy": 0.0}, ["ST + TT", "spatial constraint"]),
        ({"stt": False, "gt": False}, {}, ["CNN"]),
    ],
)
def test_parts_are_named_in_the_paper_s_words(switches, weights, expected):
    assert parts(replace(MODEL, **switches), replace(LOSS, **weights)) == expected


def test_the_declarations_import_no_torch():
    code = "import sys, sttreid.config.branches; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
