"""Numeric path, threads, device, deterministic kernels and precision.

Settings of a process are tested in a subprocess.
"""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from sttreid.runtime import numerics
from sttreid.runtime.errors import InputError

PROBE = """
import os, torch
from sttreid.runtime.numerics import current, deterministic, prepare
os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
device = prepare(3, current())
print(device.type == ("cuda" if torch.cuda.is_available() else "cpu"))
print(torch.get_num_threads(), os.environ["CUBLAS_WORKSPACE_CONFIG"])
print(torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":16:8"
prepare(1, current())
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
        numerics.prepare(torch.get_num_threads(), numerics.current())
    monkeypatch.setenv("STTREID_DEVICE", "gpu")
    with pytest.raises(InputError, match=r"STTREID_DEVICE must be cpu or cuda, got 'gpu'"):
        numerics.prepare(torch.get_num_threads(), numerics.current())


CHOICE = """
import os, sys, warnings
warnings.simplefilter("error")
{before}
from sttreid.runtime import numerics
numerics.choose()
import torch
print(numerics.current(), torch.backends.cpu.get_cpu_capability(), os.environ.get("MKL_CBWR"))
numerics.warn_if_too_late()
"""
x86 = pytest.mark.skipif(not numerics.has_portable_path(), reason="this processor has no portable path")


def choice(environment, before=""):
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in {*numerics.PORTABLE, numerics.NUMERICS}
    }
    command = [sys.executable, "-c", CHOICE.format(before=before)]
    return subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=False)


@x86
@pytest.mark.parametrize("found", [{}, {"ATEN_CPU_CAPABILITY": "default"}, {"MKL_CBWR": "AVX512"}])
def test_a_process_takes_the_portable_path_whatever_its_environment_says(found):
    assert choice(found).stdout.split() == ["portable", "AVX2", "COMPATIBLE"]


@x86
def test_the_native_path_leaves_the_environment_alone():
    result = choice({numerics.NUMERICS: "native", "ATEN_CPU_CAPABILITY": "default"})
    assert result.stdout.split() == ["native", "DEFAULT", "None"]


@x86
def test_a_choice_after_torch_was_loaded_is_no_portable_path_and_warns():
    result = choice({}, "import torch")
    assert result.stdout.split()[0] == "native"
    assert "RuntimeWarning" in result.stderr
    settings = dict(numerics.PORTABLE)
    assert choice(settings, "import torch").stdout.split()[0] == "portable"


def test_an_unknown_path_is_refused():
    assert (
        "STTREID_NUMERICS must be portable or native, got 'fast'"
        in choice({numerics.NUMERICS: "fast"}).stderr
    )


@x86
def test_a_stage_with_the_other_path_starts_itself_again_and_others_are_refused(monkeypatch):
    other = "native" if numerics.current() == "portable" else "portable"
    monkeypatch.delenv(numerics.NUMERICS, raising=False)
    with pytest.raises(InputError, match=f"compute.numerics is {other}"):
        numerics.prepare(1, other)

    class ReplacedError(Exception):
        pass

    def execve(path, arguments, environment):
        raise ReplacedError(arguments, environment)

    stage = SimpleNamespace(__spec__=SimpleNamespace(name="sttreid.stages.pretrain"))
    monkeypatch.setitem(sys.modules, "__main__", stage)
    monkeypatch.setattr(sys, "argv", ["pretrain.py", "7"])
    monkeypatch.setattr(os, "execve", execve)
    with pytest.raises(ReplacedError) as replaced:
        numerics.prepare(1, other)
    arguments, environment = replaced.value.args
    assert arguments[1:] == ["-m", "sttreid.stages.pretrain", "7"]
    assert environment[numerics.NUMERICS] == other
    assert not set(numerics.PORTABLE.items()) & set(environment.items())
    monkeypatch.setenv(numerics.NUMERICS, other)  # it was started again, and the path did not change
    with pytest.raises(InputError, match=f"compute.numerics is {other}"):
        numerics.prepare(1, other)
