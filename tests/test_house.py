"""Every stage agrees with dvc.yaml in names, parameters and dependencies; imports run downward."""

import ast
import importlib
import inspect
import re
import subprocess
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from sttreid.config.params import Params

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = {name: stage.get("do", stage) for name, stage in PIPELINE["stages"].items()}
TRAINING = ("pretrain", "finetune", "ablate")
OF_STUDIES = {"curves", "tuning", "seeds", "sets", "render", "pretrain_backbone", "measure"}
SHARED = {"command", "inputs", "training_run"}
# Parameters are tracked by value; what runs a stage (files, progress, checkpoints) decides no result.
NO_DEPENDENCY = ("sttreid.config", "sttreid.runtime", "sttreid.stages.command")
DECIDES = {"sttreid.runtime.numerics", "sttreid.config.branches"}
# room -> the rooms below it that it may import; a module outside of a folder is a room
FLOORS: list[set[str]] = [
    {"__main__"},
    {"cli"},
    {"search", "runner"},
    {"stages", "inference"},
    {"report"},
    {"analysis"},
    {"training", "retrieval"},
    {"embedding", "catalogue"},
    {"data"},
    {"model", "tracklets", "simulate"},
    {"config"},
    {"runtime"},
]
FORBIDDEN = {
    ("retrieval", "training"),
    ("training", "retrieval"),
    ("model", "tracklets"),
    ("tracklets", "model"),
    ("search", "stages"),
    ("search", "report"),
    ("search", "analysis"),
    ("search", "training"),
    ("runner", "stages"),  # DVC starts them as processes
    ("runner", "report"),
    ("runner", "analysis"),
    ("runner", "training"),
}


def modules() -> dict[str, Path]:
    names = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


MODULES = modules()


@cache
def imports(name: str) -> frozenset[str]:
    """The project's modules that a module imports, wherever in its text."""
    names = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return frozenset(names & MODULES.keys())


def is_dependency(name: str) -> bool:
    return name in DECIDES or not name.startswith(NO_DEPENDENCY)


def needed(name: str) -> set[str]:
    """All modules that the results of a stage depend on."""
    seen: set[str] = set()
    queue = [name]
    while queue:
        current = queue.pop()
        if current not in seen and is_dependency(current):
            seen.add(current)
            queue += imports(current)
    return seen


def is_package(name: str) -> bool:
    return MODULES[name].name == "__init__.py"


def covers(dependency: str, path: Path) -> bool:
    return path == ROOT / dependency or (ROOT / dependency) in path.parents


def code_deps(stage: str) -> list[str]:
    return [dependency for dependency in STAGES[stage]["deps"] if dependency.startswith("src/")]


def sections(stage: str) -> set[str]:
    """The sections of params.yaml that a stage declares; "params" for the whole file."""
    names = set()
    for entry in STAGES[stage].get("params", []):
        if isinstance(entry, str):
            names.add(entry.split(".")[0])
        else:
            ((file, keys),) = entry.items()
            if file == "params.yaml":
                names.add("params")
            names |= {key.split(".")[0] for key in keys or []}
    return names


def test_what_trains_or_tests_records_its_machine_in_a_cached_file() -> None:
    for name, stage in STAGES.items():
        records = [out for out in stage["outs"] if "artifacts/machines/" in str(out)]
        assert [isinstance(out, str) for out in records] == [True] * (name in (*TRAINING, "evaluate")), name


def test_every_stage_has_a_module_and_every_module_a_stage() -> None:
    names = {name.rsplit(".", 1)[1] for name in MODULES if name.startswith("sttreid.stages.")}
    assert names - SHARED == STAGES.keys() | OF_STUDIES


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_its_own_module_and_says_what_it_does(stage: str) -> None:
    assert STAGES[stage]["cmd"].split()[:3] == ["python", "-m", f"sttreid.stages.{stage}"]
    assert len(STAGES[stage]["desc"]) > 20


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_the_sections_that_its_main_names(stage: str) -> None:
    names = {field.name for field in fields(Params)} | {"params"}
    main = importlib.import_module(f"sttreid.stages.{stage}").main
    assert sections(stage) == set(inspect.signature(main).parameters) & names


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_all_code_that_decides_its_results_and_on_no_other(stage: str) -> None:
    code = {MODULES[name] for name in needed(f"sttreid.stages.{stage}") if not is_package(name)}
    declared = code_deps(stage)
    missing = sorted(
        str(path.relative_to(ROOT)) for path in code if not any(covers(d, path) for d in declared)
    )
    assert not missing, f"imported but not in deps of {stage}: {missing}"
    idle = [d for d in declared if d != "src/sttreid/config" and not any(covers(d, path) for path in code)]
    assert not idle, f"in deps of {stage} but not imported: {idle}"


@pytest.mark.parametrize("stage", TRAINING)
def test_training_depends_on_arithmetic_alone(stage: str) -> None:
    assert len(code_deps(stage)) <= 8
    rooms = {room(name) for name in needed(f"sttreid.stages.{stage}")}
    assert rooms <= {"stages", "training", "embedding", "model", "tracklets", "runtime", "config"}
    services = {"files", "progress", "checkpoints", "distributed", "supervisor"}
    for name in MODULES:
        if room(name) == "training":
            assert not {module for module in imports(name) if module.rsplit(".", 1)[-1] in services}, name


def room(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def floor(name: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if room(name) in rooms)


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name != "sttreid"))
def test_imports_run_downward(name: str) -> None:
    used = {module for module in imports(name) if module != "sttreid"}
    for module in used:
        assert room(module) == room(name) or floor(module) > floor(name), f"{name} imports {module}"
        assert (room(name), room(module)) not in FORBIDDEN, f"{name} imports {module}"


def test_only_stages_and_the_command_know_where_artifacts_lie() -> None:
    for name in MODULES:
        if room(name) not in ("stages", "cli", "config", ""):
            assert "sttreid.config.paths" not in imports(name), name


def test_no_import_circles() -> None:
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for module in imports(name):
                if not is_package(module):
                    visit(module, (*trail, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())


def test_no_module_is_longer_than_350_lines() -> None:
    long = {name: n for name, path in MODULES.items() if (n := len(path.read_text().splitlines())) > 350}
    assert not long


def test_no_module_uses_a_private_name_of_another() -> None:
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sttreid"):
                assert not [a.name for a in node.names if a.name.startswith("_") and a.name[1] != "_"], name


def test_stages_write_below_artifacts_and_metrics_only() -> None:
    outputs = [
        next(iter(out)) if isinstance(out, dict) else out for s in STAGES.values() for out in s["outs"]
    ]
    assert all(out.startswith(("artifacts/", "metrics/")) for out in outputs)


def keys(content: Any) -> list[str]:
    if isinstance(content, dict):
        return [*content, *(key for value in content.values() for key in keys(value))]
    return []


def test_no_parameter_has_a_name_that_the_run_cache_ignores() -> None:
    for path in (ROOT / "params.yaml", *(ROOT / "domains").glob("*.yaml")):
        names = keys(yaml.safe_load(path.read_text()))
        assert names
        assert not {"size", "nfiles"} & set(names), path


def test_files_in_git_have_plain_names() -> None:
    """A stray redirection of a shell once left hundreds of files; blanks also break scripts."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = listed.stdout.split("\0")
    assert not [name for name in names if re.search(r"[^\w./@-]", name)]
