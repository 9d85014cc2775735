"""The costs of a run are those that its stages have written."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from bench import stages
from bench.stages import costs, figures
from sttreid.stages.command import COST, Cost


def write(folder: Path, name: str, cost: Cost, at: float) -> None:
    path = folder / ".scratch" / name / COST
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(asdict(cost)))
    os.utime(path, (at, at))


def test_instances_of_a_stage_are_added(tmp_path, monkeypatch):
    def run(folder: Path) -> None:
        write(folder, "pretrain-0", Cost("pretrain", 100.0, 60.0, 900.0), at=10)
        write(folder, "finetune-winter-0", Cost("finetune", 30.0, 31.0, 700.0), at=30)
        write(folder, "finetune-campus-0", Cost("finetune", 20.0, 21.0, 800.0), at=20)
        (folder / ".scratch" / "curves").mkdir()

    run(tmp_path)
    assert [len(each) for each in costs(tmp_path).values()] == [1, 2]
    assert list(costs(tmp_path)) == ["pretrain", "finetune"]  # as they ended
    monkeypatch.setattr(stages, "run", run)
    found = {(each.what, each.unit): each.ours for each in figures()}
    assert found["the stage finetune, 2 together", "CPU-s"] == 50
    assert found["memory of the stage finetune", "MB"] == 800
    assert found["all stages", "CPU-s"] == 150


def test_costs_lie_in_the_clone_whatever_the_environment_says(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setenv("STTREID_SCRATCH", str(tmp_path))
    monkeypatch.setattr(stages.subprocess, "run", lambda *_, **options: seen.append(options.get("env")))
    stages.run(tmp_path / "run")
    environments = [each for each in seen if each]
    assert len(environments) == len(stages.RUN)
    assert not any("STTREID_SCRATCH" in each for each in environments)
