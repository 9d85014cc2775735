"""What is recorded about a machine and about files."""

import hashlib
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from sttreid.runtime import numerics
from sttreid.runtime.provenance import NATIVE, Machine, checksums, locked_outputs, machine


def test_a_machine_has_versions_a_processor_and_its_numeric_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    monkeypatch.delenv("MKL_CBWR", raising=False)
    native = machine()
    assert native.packages["torch"] == torch.__version__.split("+")[0] or torch.__version__
    assert all((native.python, native.processor, native.capability))
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert "MKL_CBWR=COMPATIBLE" in machine().numeric_path
    assert NATIVE not in machine().numeric_path


def test_a_machine_has_the_threads_the_numerics_and_the_device_of_its_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = machine()
    assert (here.threads, here.numerics) == (torch.get_num_threads(), numerics.current())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a card")
    assert machine().device == "a card"
    monkeypatch.setenv("STTREID_DEVICE", "cpu")
    assert machine().device is None


def test_a_summary_is_one_line_that_tells_machines_apart() -> None:
    """Records of old publications have neither threads nor numerics."""
    old = {name: value for name, value in asdict(machine()).items() if name not in ("threads", "numerics")}
    record = Machine(**old)
    others = [replace(record, **{name: "else"}) for name in ("processor", "capability", "numerics", "device")]
    summaries = {each.summary for each in (record, *others, replace(record, threads=7))}
    assert len(summaries) == 6
    assert not [summary for summary in summaries if "\n" in summary]


def test_locked_outputs_are_those_below_a_folder() -> None:
    stages = {
        "b": {"outs": [{"path": "artifacts/models/2.pt", "md5": "x"}, {"path": "other", "md5": "y"}]},
        "a": {"outs": [{"path": "artifacts/models/1", "md5": "z.dir"}]},
    }
    assert list(locked_outputs(stages, "artifacts/models").items()) == [("1", "z.dir"), ("2.pt", "x")]


def test_checksums_are_by_path_below_the_folder(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name, content in (("b/x.txt", b"1"), ("a.txt", b"2")):
        (tmp_path / name).write_bytes(content)
    sums = checksums(tmp_path, [tmp_path / "b" / "x.txt", tmp_path / "a.txt"])
    assert sums == {"a.txt": hashlib.sha256(b"2").hexdigest(), "b/x.txt": hashlib.sha256(b"1").hexdigest()}
