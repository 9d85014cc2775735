"""Threads, device, deterministic kernels and precision; settings of a process are tested in a subprocess."""

import subprocess
import sys

import pytest
import torch

from sttreid.runtime import numerics
from sttreid.runtime.errors import InputError

PROBE = """
import os, torch
from sttreid.runtime.numerics import deterministic, prepare
os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
device = prepare(3)
print(device.type == ("cuda" if torch.cuda.is_available() else "cpu"))
print(torch.get_num_threads(), os.environ["CUBLAS_WORKSPACE_CONFIG"])
print(torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":16:8"
prepare(1)
print(torch.get_num_threads(), os.environ["CUBLAS_WORKSPACE_CONFIG"])
with deterministic():
    print(torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
print(torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
"""


def test_threads_are_pinned_kernels_deterministic_and_a_chosen_workspace_stays():
    result = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == [
        "True",
        "3 :4096:8",
        "True True",
        "1 :16:8",
        "True False",
        "True True",
    ]


@pytest.fixture(autouse=True)
def switches():
    """The process's deterministic switches, restored afterwards."""
    on, warn = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    fill = torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(on, warn_only=warn)
    torch.utils.deterministic.fill_uninitialized_memory = fill


def test_nothing_is_refused_where_determinism_is_not_requested():
    torch.use_deterministic_algorithms(False)
    with numerics.deterministic():
        assert not torch.are_deterministic_algorithms_enabled()


@pytest.fixture
def cudnn():
    """cuDNN's settings, restored afterwards."""
    settings = torch.backends.cudnn
    kinds = settings.conv, settings.rnn
    before = settings.allow_tf32, *(kind.fp32_precision for kind in kinds)
    yield settings
    settings.allow_tf32 = before[0]
    for kind, value in zip(kinds, before[1:], strict=True):
        kind.fp32_precision = value


def seen(cudnn):
    """The settings of convolutions and of recurrent layers, and the old name of both."""
    try:
        old = cudnn.allow_tf32
    except RuntimeError:
        old = "refused"
    return cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision, old


@pytest.mark.parametrize(
    "requested",
    [
        {},  # torch's default: convolutions in TensorFloat-32
        {"allow_tf32": True},
        {"allow_tf32": False},
        {"conv": "ieee"},
        {"conv": "tf32"},
        {"conv": "ieee", "rnn": "ieee"},
    ],
)
def test_convolutions_are_in_full_precision_and_settings_are_restored(cudnn, requested):
    for name, value in requested.items():
        if name == "allow_tf32":
            cudnn.allow_tf32 = value
        else:
            getattr(cudnn, name).fp32_precision = value
    before = seen(cudnn)
    with numerics.full_precision():
        assert seen(cudnn) == ("ieee", "ieee", False)
        with numerics.full_precision():
            pass
        assert seen(cudnn) == ("ieee", "ieee", False)
    assert seen(cudnn) == before
    with pytest.raises(KeyError), numerics.full_precision():
        raise KeyError
    assert seen(cudnn) == before


def test_full_precision_overrides_a_lower_global_precision(cudnn):
    before = torch.backends.fp32_precision
    torch.backends.fp32_precision = "tf32"
    try:
        with numerics.full_precision():
            assert cudnn.conv.fp32_precision == "ieee"
        assert cudnn.conv.fp32_precision == "tf32"
    finally:
        torch.backends.fp32_precision = before


def test_a_device_that_does_not_exist_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("STTREID_DEVICE", "cuda")
    with pytest.raises(InputError, match=r"STTREID_DEVICE is cuda, but torch finds no CUDA device"):
        numerics.prepare(torch.get_num_threads())
    monkeypatch.setenv("STTREID_DEVICE", "gpu")
    with pytest.raises(InputError, match=r"STTREID_DEVICE must be cpu or cuda, got 'gpu'"):
        numerics.prepare(torch.get_num_threads())
