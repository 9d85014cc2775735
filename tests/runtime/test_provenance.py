"""What is recorded about a machine and about files."""

import hashlib
from pathlib import Path

import pytest
import torch

from sttreid.runtime.provenance import NATIVE, checksums, machine


def test_a_machine_has_versions_a_processor_and_its_numeric_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    monkeypatch.delenv("MKL_CBWR", raising=False)
    native = machine()
    assert native.packages["torch"] == torch.__version__.split("+")[0] or torch.__version__
    assert all((native.python, native.processor, native.capability))
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert "MKL_CBWR=COMPATIBLE" in machine().numeric_path
    assert NATIVE not in machine().numeric_path


def test_checksums_are_by_path_below_the_folder(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name, content in (("b/x.txt", b"1"), ("a.txt", b"2")):
        (tmp_path / name).write_bytes(content)
    sums = checksums(tmp_path, [tmp_path / "b" / "x.txt", tmp_path / "a.txt"])
    assert sums == {"a.txt": hashlib.sha256(b"2").hexdigest(), "b/x.txt": hashlib.sha256(b"1").hexdigest()}
