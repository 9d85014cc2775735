"""The declarations of branches: complete, and parameters without effect."""

import subprocess
import sys
from dataclasses import fields, replace

import pytest
import torch

from sttreid.config.branches import (
    BRANCHES,
    CNN,
    GT,
    STT,
    enabled,
    parts,
    unread_fields,
    unread_loss_fields,
)
from sttreid.config.params import Loss
from sttreid.model.branches import MODULES, BranchOutput
from tests.sections import LOSS, MODEL, small_network

WEIGHTS = {name for branch in (STT, GT, CNN) for name in branch.weights}
THRESHOLD = "entropy_threshold"
FIELDS = {*STT.fields, *GT.fields, *CNN.fields}


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
    weights = {name for branch in BRANCHES for name in branch.weights}
    assert weights | constants <= {field.name for field in fields(Loss)}
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
def test_terms_of_disabled_branches_are_not_read(switches, off):
    unread = unread_loss_fields(LOSS, replace(MODEL, **switches))
    assert unread & WEIGHTS == off
    assert (THRESHOLD in unread) == ("entropy" in off)


OTHER_VALUES = {"dropout": 0.5, "no_positions": True}  # of the other fields: 2


def test_the_constants_of_a_term_with_weight_0_are_not_read():
    assert {"entropy", THRESHOLD} <= unread_loss_fields(replace(LOSS, entropy=0.0), MODEL)
    unread = unread_loss_fields(replace(LOSS, triplet=0.0), MODEL)
    assert not {THRESHOLD, "margin"} & unread  # other terms read the margin too


@pytest.mark.parametrize(
    ("switches", "unread"),
    [
        ({}, set()),
        ({"gt": False}, {"global_layers"}),
        ({"stt": False}, {"spatial_layers", "temporal_layers", "parts"}),
        (
            {"stt": False, "gt": False},
            {"global_layers", "spatial_layers", "temporal_layers", "parts"}
            | {"width", "heads", "mlp_ratio", "dropout", "no_positions"},
        ),
    ],
)
def test_fields_of_disabled_branches_are_not_read(switches, unread):
    assert unread_fields(replace(MODEL, **switches)) & FIELDS == unread


def test_unread_fields_change_no_network():
    for switches in ({"gt": False}, {"stt": False}, {"stt": False, "gt": False}):
        changes = {name: OTHER_VALUES.get(name, 2) for name in unread_fields(replace(MODEL, **switches))}
        first, second = small_network(**switches), small_network(**switches, **changes)
        states = first.state_dict(), second.state_dict()
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


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
