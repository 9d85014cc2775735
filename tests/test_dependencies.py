"""Every dependency has a licence that was reviewed, and the page about them agrees with what is installed."""

import importlib.util
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
ROWS = re.compile(r"^\| (\S+) \| (\S+) \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dependencies", ROOT / "tools" / "dependencies.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks for its module
    spec.loader.exec_module(module)
    return module


def test_every_dependency_has_a_reviewed_licence(tool: ModuleType) -> None:
    assert len(tool.packages()) > 100
    assert tool.problems() == []


def test_every_pin_has_a_row_with_its_version_and_its_licence(tool: ModuleType) -> None:
    rows = {name: (version, terms) for name, version, terms in ROWS.findall(tool.PAGE.read_text())}
    assert {canonicalize_name(name) for name in PINS} <= {canonicalize_name(name) for name in rows}
    checked = 0
    for name, version in PINS.items():
        try:
            package = distribution(name)
        except PackageNotFoundError:  # of the extras docs and audit
            continue
        found = package.metadata["Name"]
        if package.version.partition("+")[0] == version:
            assert rows[found] == (version, tool.licence(package)), name
            checked += 1
    assert checked > 50


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("", False),
        ("unheard of", False),
        ("GPL-2.0-or-later OR MIT", True),
        ("GPL-2.0-or-later AND MIT", False),
        ("MPL-2.0 AND (GPL-2.0-only OR MIT)", True),
        ("MPL-2.0 AND (GPL-2.0-only OR AGPL-3.0-only)", False),
    ],
)
def test_a_choice_needs_one_allowed_licence_and_a_sum_needs_all(
    expression: str, allowed: bool, tool: ModuleType
) -> None:
    assert tool.is_allowed("some-package", expression) is allowed


def test_a_dependency_without_a_licence_is_named(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    row: Any = tool.Package("odd", "1", "", ("dev",))
    monkeypatch.setattr(tool, "packages", lambda: [row])
    (problem,) = tool.problems()
    assert "odd" in problem


def test_a_row_stays_while_its_package_is_pinned_but_not_installed(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "packages", lambda: [tool.Package("two", "2", "MIT", ("dev",))])
    monkeypatch.setattr(tool, "pins", lambda: {"one"})
    before = "head\nrule\n| gone | 1 | MIT | `docs` |\n| one | 1 | MIT | `docs` |\n"
    lines = tool.table("packages", before).splitlines()[2:]
    assert lines == ["| one | 1 | MIT | `docs` |", "| two | 2 | MIT | `dev` |"]


def test_every_exception_of_the_audit_has_a_reason_and_is_in_a_table_of_the_page(tool: ModuleType) -> None:
    listed = "\n".join(line for line in tool.PAGE.read_text().splitlines() if line.startswith("| "))
    for line in (ROOT / "tools" / "vulnerabilities.txt").read_text().splitlines():
        assert re.match(r"#|[A-Z][A-Za-z0-9-]*: \S", line), line
        assert line.startswith("#") or re.search(rf"\b{line.partition(':')[0]}\b", listed), line
