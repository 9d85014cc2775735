"""README and docs: links lead to files, tables of published numbers agree with the publication."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import sttreid
from tests.tool_modules import tool

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
LINK = re.compile(r"\]\(([^)#:\s]+)(#[^)\s]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target, _ in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_site_has_every_page() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"[\w./-]+\.md", str(yaml.load(text, yaml.BaseLoader)["nav"])))
    assert listed - {"docs/api.md", "metrics/report.md"} == {str(page.relative_to(ROOT)) for page in PAGES}


def test_the_site_holds_what_its_pages_link_to_and_describes_every_public_name() -> None:
    spec = importlib.util.spec_from_file_location("site_files", ROOT / "tools" / "site_files.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert {"params.yaml", "metrics/results.svg", "docs/search.md"} <= tool.linked()
    described = re.findall(r"^::: (\S+)$", tool.reference(), re.MULTILINE)
    public = [name for name in sttreid.__all__ if not name.startswith("_")]
    assert len(described) == len(public) + len(tool.FURTHER)
    assert [name.rpartition(".")[2] for name in described[: len(public)]] == public
    for name in described:
        module, _, attribute = name.rpartition(".")
        assert getattr(importlib.import_module(module), attribute) is not None


def test_tables_of_the_readme_are_those_of_the_publications() -> None:
    command = [sys.executable, ROOT / "tools/readme_tables.py", "--check"]
    assert subprocess.run(command, check=False).returncode == 0


def test_stale_figures_in_sentences_of_the_readme_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, page = tool("readme_tables"), tmp_path / "README.md"
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    monkeypatch.setattr(tables, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["readme_tables.py", "--check"])
    for words, *_ in tables.QUOTED:
        page.write_text(re.sub(rf"[\d.]+(?={words})", "7", text), encoding="utf-8")
        with pytest.raises(SystemExit, match="readme_tables"):
            tables.main()


def test_paths_that_the_readme_names_exist() -> None:
    for path in re.findall(
        r"`((?:src|docs|tests|experiments|domains|profiles)/[\w./]*)`", (ROOT / "README.md").read_text()
    ):
        assert (ROOT / path).exists(), path
