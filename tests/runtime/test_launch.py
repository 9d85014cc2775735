"""Starting a stage under torchrun."""

import os
import sys
from types import SimpleNamespace

import pytest
import torch

from sttreid.runtime.launch import launch_torchrun


@pytest.mark.parametrize(
    ("visible", "identities", "processes"), [(0, 12, 1), (1, 12, 1), (2, 12, 2), (8, 12, 6), (4, 7, 1)]
)
def test_a_stage_is_started_once_per_device_that_gets_equally_many_identities(
    monkeypatch, visible, identities, processes
):
    started = []
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.delenv("STTREID_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: visible)
    monkeypatch.setattr(os, "execv", lambda path, words: started.append((path, words)))
    monkeypatch.setattr(sys, "argv", ["pretrain.py", "7"])
    stage = SimpleNamespace(__spec__=SimpleNamespace(name="sttreid.stages.pretrain"))
    monkeypatch.setitem(sys.modules, "__main__", stage)
    launch_torchrun(identities)
    if processes == 1:
        assert not started
        return
    ((path, words),) = started
    assert (path, words[0]) == (sys.executable, sys.executable)
    assert words[1:4] == ["-m", "torch.distributed.run", "--standalone"]
    assert words[4:] == [f"--nproc-per-node={processes}", "-m", "sttreid.stages.pretrain", "7"]
    for name in ("STTREID_DEVICE", "LOCAL_RANK"):  # the CPU is chosen; torchrun has started this process
        monkeypatch.setenv(name, "cpu" if name == "STTREID_DEVICE" else "0")
        launch_torchrun(identities)
        monkeypatch.delenv(name)
    stage.__spec__ = None
    launch_torchrun(identities)
    assert len(started) == 1
