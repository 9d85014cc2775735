"""tools/prune_lock.py in a small DVC repository: what leaves dvc.lock, and what stays."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from sttreid.runtime.errors import InputError
from tests.runner.pipelines import dvc, pipeline
from tests.tiny import ROOT


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prune_lock", ROOT / "tools" / "prune_lock.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cells(folder: Path, *variants: str) -> None:
    """A pipeline of a stage, and of a cell for each variant."""
    train = {"matrix": {"variant": list(variants)}, "cmd": "echo ${item.variant} > ${item.variant}.pt"}
    stages = {
        "resolve": {"cmd": "echo 1 > config.json", "outs": ["config.json"]},
        "ablate": train | {"deps": ["config.json"], "outs": ["${item.variant}.pt"]},
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))


def test_dropped_cells_leave_the_lock_and_all_else_stays(tmp_path: Path, tool: ModuleType) -> None:
    folder = pipeline(tmp_path / "p", {})
    cells(folder, "vanilla", "cnn")
    dvc(folder, "repro")
    before = (folder / "dvc.lock").read_text()
    assert tool.main(folder) == []
    assert (folder / "dvc.lock").read_text() == before

    cells(folder, "cnn")
    assert tool.main(folder) == ["ablate@vanilla"]
    lines = before.splitlines()
    kept = (folder / "dvc.lock").read_text().splitlines()
    assert set(yaml.safe_load("\n".join(kept))["stages"]) == {"resolve", "ablate@cnn"}
    start = lines.index("  ablate@vanilla:")
    dropped = len(lines) - len(kept)
    assert kept == lines[:start] + lines[start + dropped :]
    assert "up to date" in dvc(folder, "status")


def test_a_pipeline_that_dvc_cannot_read_is_named(tmp_path: Path, tool: ModuleType) -> None:
    folder = pipeline(tmp_path / "p", {})
    with pytest.raises(InputError, match=r"dvc\.lock: cannot be read"):
        tool.main(folder)
    (folder / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    (folder / "dvc.yaml").write_text("stages: 3\n")
    with pytest.raises(InputError, match=r"dvc\.yaml: "):
        tool.main(folder)
