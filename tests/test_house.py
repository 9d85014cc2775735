"""The house itself: names, parameters, dependencies and artifacts of every stage agree with dvc.yaml."""

import ast
import importlib
import inspect
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
import yaml

from sttreid.config.params import Params

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = {name: stage.get("do", stage) for name, stage in PIPELINE["stages"].items()}
# Declarations, not computation: what they hold is tracked as parameters and outputs.
DECLARATIONS = {
    f"sttreid.{name}"
    for name in ("params", "conversion", "contrasts", "datasets", "domain", "paths", "errors")
}
# folder -> what it may import, besides itself; everything may import the lowest floor
GROUND = {
    "params",
    "conversion",
    "datasets",
    "contrasts",
    "domain",
    "paths",
    "distances",
    "errors",
    "files",
    "machine",
    "cells",
    "uncertainty",
}
ALLOWED = {
    "simulate": set(),
    "data": set(),
    "model": set(),
    "training": {"data", "model"},
    "retrieval": {"data", "model"},
    "pictures": {"data", "model", "retrieval"},
    "report": set(),
    "stages": {"simulate", "data", "model", "training", "retrieval", "pictures", "report"},
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
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return frozenset(found & MODULES.keys())


def needed(name: str) -> set[str]:
    """All modules that a module's behaviour depends on."""
    seen: set[str] = set()
    queue = [name]
    while queue:
        current = queue.pop()
        if current not in seen:
            seen.add(current)
            queue += imports(current) if current not in DECLARATIONS else []
    return seen - DECLARATIONS


def is_package(name: str) -> bool:
    return MODULES[name].name == "__init__.py"


def covers(dependency: str, path: Path) -> bool:
    return path == ROOT / dependency or (ROOT / dependency) in path.parents


def test_every_stage_has_a_module_and_every_module_a_stage() -> None:
    found = {name.rsplit(".", 1)[1] for name in MODULES if name.startswith("sttreid.stages.")}
    assert found >= set(STAGES)  # others are stages of a study: test_studies


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_its_own_module_and_says_what_it_does(stage: str) -> None:
    assert STAGES[stage]["cmd"].split()[:3] == ["python", "-m", f"sttreid.stages.{stage}"]
    assert len(STAGES[stage]["desc"]) > 20


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_the_sections_that_its_main_names(stage: str) -> None:
    sections = {field.name for field in fields(Params)}
    main = importlib.import_module(f"sttreid.stages.{stage}").main
    signature = set(inspect.signature(main).parameters) & sections
    assert {key.split(".")[0] for key in STAGES[stage].get("params", [])} == signature


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_all_code_that_it_imports_and_on_no_other(stage: str) -> None:
    code = {MODULES[name] for name in needed(f"sttreid.stages.{stage}") if not is_package(name)}
    declared = [d for d in STAGES[stage]["deps"] if d.startswith("src/")]
    missing = sorted(
        str(path.relative_to(ROOT)) for path in code if not any(covers(d, path) for d in declared)
    )
    assert not missing, f"imported but not in deps of {stage}: {missing}"
    idle = [
        d
        for d in declared
        if d != "src/sttreid/config/domain.py" and not any(covers(d, path) for path in code)
    ]
    assert not idle, f"in deps of {stage} but not imported: {idle}"


def test_packages_hold_docstrings_only_but_the_evaluator_which_is_imported_on_its_own() -> None:
    for name, path in MODULES.items():
        if path.name == "__init__.py":
            docstring, *rest = ast.parse(path.read_text()).body
            assert isinstance(docstring, ast.Expr)
            if name == "sttreid.retrieval":
                assert all(isinstance(node, ast.ImportFrom | ast.Assign) for node in rest)
            else:
                assert not rest, f"{name} must hold its docstring and nothing else"


def folder(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.count(".") > 1))
def test_imports_run_downward(name: str) -> None:
    allowed = ALLOWED[folder(name)] | GROUND | {folder(name), ""}
    if folder(name) != "stages":
        allowed -= {"paths"}
    used = {folder(module) for module in imports(name)}
    assert used <= allowed, f"{name} imports {sorted(used - allowed)}"


def test_the_ground_floor_imports_only_itself() -> None:
    for name in MODULES:
        if name.count(".") == 1 and name.split(".")[1] in GROUND:
            assert {folder(module) for module in imports(name)} <= GROUND | {""}, name


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


def test_stages_write_below_artifacts_and_metrics_only() -> None:
    outputs = [
        next(iter(out)) if isinstance(out, dict) else out for s in STAGES.values() for out in s["outs"]
    ]
    assert all(out.startswith(("artifacts/", "metrics/")) for out in outputs)


def keys(content: object) -> list[str]:
    if isinstance(content, dict):
        return [*content, *(key for value in content.values() for key in keys(value))]
    return []


def test_no_parameter_has_a_name_that_the_run_cache_ignores() -> None:
    names = keys(yaml.safe_load((ROOT / "params.yaml").read_text()))
    assert len(names) > 50
    assert not {"size", "nfiles"} & set(names)
