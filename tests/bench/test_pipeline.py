import sys
from pathlib import Path

import pytest

from bench.pipeline import stage_memory

STAGE = """
import subprocess, sys, time
held = bytearray(40_000_000)
if len(sys.argv) == 1:
    time.sleep(0.5)
    child = "import time; held = bytearray(120_000_000); time.sleep(1)"
    subprocess.run([sys.executable, "-c", child], check=True)
"""
RUN = """
import subprocess, sys
for name in sys.argv[1:]:
    subprocess.run([sys.executable, "-m", f"sttreid.stages.{name}"], check=True)
"""


def test_memory_is_that_of_a_stage_and_of_what_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sttreid" / "stages"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent):
        (package / "__init__.py").touch()
    for name in ("first", "second"):
        (folder / f"{name}.py").write_text(STAGE if name == "first" else STAGE.replace("120_", "5_"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = stage_memory([sys.executable, "-c", RUN, "first", "second"])
    assert list(found) == ["first", "second"]
    assert 160 < found["first"] < 260
    # 115 MB, less what a child that has not started its program yet shares with its parent
    assert 60 < found["first"] - found["second"] < 140


def test_a_command_that_fails_is_named() -> None:
    with pytest.raises(SystemExit, match="failed with 3"):
        stage_memory([sys.executable, "-c", "raise SystemExit(3)"])
