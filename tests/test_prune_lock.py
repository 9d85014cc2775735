"""tools/prune_lock.py in a small DVC repository: what leaves dvc.lock, and what stays."""

from pathlib import Path

import pytest
import yaml

from sttreid.runtime.errors import InputError
from tests.runner.pipelines import dvc, pipeline
from tests.tool_modules import tool

prune_lock = tool("prune_lock")


def cells(folder: Path, *variants: str) -> None:
    """A pipeline of a stage, and of a cell for each variant."""
    train = {"matrix": {"variant": list(variants)}, "cmd": "echo ${item.variant} > ${item.variant}.pt"}
    stages = {
        "resolve": {"cmd": "echo 1 > config.json", "outs": ["config.json"]},
        "ablate": train | {"deps": ["config.json"], "outs": ["${item.variant}.pt"]},
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))


def test_dropped_cells_leave_the_lock_and_all_else_stays(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "p", {})
    cells(folder, "vanilla", "cnn")
    dvc(folder, "repro")
    before = (folder / "dvc.lock").read_text()
    assert prune_lock.main(folder) == []
    assert (folder / "dvc.lock").read_text() == before

    cells(folder, "cnn")
    assert prune_lock.main(folder) == ["ablate@vanilla"]
    lines = before.splitlines()
    kept = (folder / "dvc.lock").read_text().splitlines()
    assert set(yaml.safe_load("\n".join(kept))["stages"]) == {"resolve", "ablate@cnn"}
    start = lines.index("  ablate@vanilla:")
    dropped = len(lines) - len(kept)
    assert kept == lines[:start] + lines[start + dropped :]
    assert "up to date" in dvc(folder, "status")


def test_a_pipeline_that_dvc_cannot_read_is_named(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "p", {})
    with pytest.raises(InputError, match=r"dvc\.lock: cannot be read"):
        prune_lock.main(folder)
    (folder / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    (folder / "dvc.yaml").write_text("stages: 3\n")
    with pytest.raises(InputError, match=r"dvc\.yaml: "):
        prune_lock.main(folder)
