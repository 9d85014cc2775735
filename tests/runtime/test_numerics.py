"""What a stage asks of its machine; settings of the whole process are made in one of their own."""

import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

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
    """The process's deterministic switches, put back afterwards."""
    on, warn = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    fill = torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(on, warn_only=warn)
    torch.utils.deterministic.fill_uninitialized_memory = fill


def test_nothing_is_refused_where_determinism_was_not_asked_for():
    torch.use_deterministic_algorithms(False)
    with numerics.deterministic():
        assert not torch.are_deterministic_algorithms_enabled()


@pytest.fixture
def cudnn():
    """cuDNN's settings, put back afterwards."""
    settings = torch.backends.cudnn
    kinds = settings.conv, settings.rnn
    before = settings.allow_tf32, *(kind.fp32_precision for kind in kinds)
    yield settings
    settings.allow_tf32 = before[0]
    for kind, value in zip(kinds, before[1:], strict=True):
        kind.fp32_precision = value


def seen(cudnn):
    """What the settings of convolutions, of recurrent layers, and the old name of both say."""
    try:
        old = cudnn.allow_tf32
    except RuntimeError:
        old = "refused"
    return cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision, old


@pytest.mark.parametrize(
    "asked",
    [
        {},  # as torch comes: convolutions in TensorFloat-32
        {"allow_tf32": True},
        {"allow_tf32": False},
        {"conv": "ieee"},
        {"conv": "tf32"},
        {"conv": "ieee", "rnn": "ieee"},
    ],
)
def test_convolutions_are_in_full_precision_and_then_as_they_were(cudnn, asked):
    for name, value in asked.items():
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


def test_full_precision_holds_where_a_program_asks_for_less_everywhere(cudnn):
    before = torch.backends.fp32_precision
    torch.backends.fp32_precision = "tf32"
    try:
        with numerics.full_precision():
            assert cudnn.conv.fp32_precision == "ieee"
        assert cudnn.conv.fp32_precision == "tf32"
    finally:
        torch.backends.fp32_precision = before


def test_a_device_that_is_not_there_is_refused_with_a_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("STTREID_DEVICE", "cuda")
    with pytest.raises(InputError, match=r"STTREID_DEVICE asks for cuda, but torch finds no CUDA device"):
        numerics.prepare(torch.get_num_threads())
    monkeypatch.setenv("STTREID_DEVICE", "gpu")
    with pytest.raises(InputError, match=r"STTREID_DEVICE must be cpu or cuda, got 'gpu'"):
        numerics.prepare(torch.get_num_threads())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_is_collected_and_the_second_one_works_as_ever(number):
    reached = []
    before = signal.signal(number, lambda *_: reached.append("outer"))
    try:
        with numerics.asked_to_end() as asked:
            os.kill(os.getpid(), number)
            assert (asked, reached) == ([number], [])
            os.kill(os.getpid(), number)
            assert (asked, reached) == ([number], ["outer"])
        os.kill(os.getpid(), number)
        assert reached == ["outer"] * 2
    finally:
        signal.signal(number, before)


def test_signals_are_left_alone_in_other_threads():
    found = []

    def work():
        with numerics.asked_to_end() as asked:
            found.append(list(asked))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [[]]


@pytest.mark.parametrize(
    ("visible", "shares", "processes"), [(0, 12, 1), (1, 12, 1), (2, 12, 2), (8, 12, 6), (4, 7, 1)]
)
def test_a_stage_is_started_once_for_each_device_that_can_have_a_share(
    monkeypatch, visible, shares, processes
):
    started = []
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.delenv("STTREID_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: visible)
    monkeypatch.setattr(os, "execv", lambda path, words: started.append((path, words)))
    monkeypatch.setattr(sys, "argv", ["pretrain.py", "7"])
    stage = SimpleNamespace(__spec__=SimpleNamespace(name="sttreid.stages.pretrain"))
    monkeypatch.setitem(sys.modules, "__main__", stage)
    numerics.spread(shares)
    if processes == 1:
        assert not started
        return
    ((path, words),) = started
    assert (path, words[0]) == (sys.executable, sys.executable)
    assert words[1:4] == ["-m", "torch.distributed.run", "--standalone"]
    assert words[4:] == [f"--nproc-per-node={processes}", "-m", "sttreid.stages.pretrain", "7"]
    for name in ("STTREID_DEVICE", "LOCAL_RANK"):  # told to stay on the CPU; started by torchrun already
        monkeypatch.setenv(name, "cpu" if name == "STTREID_DEVICE" else "0")
        numerics.spread(shares)
        monkeypatch.delenv(name)
    stage.__spec__ = None
    numerics.spread(shares)
    assert len(started) == 1
