"""The files of the documentation's site, a hook of mkdocs.yml: `make docs`.

The site has the paths of the repository, so its pages link to each other and to other files as they do in the
repository: docs/search.md, README.md, params.yaml. It holds the pages and the files of the repository that
they link to; a link to anything else is broken, and an error. The reference is made from the public names.
"""

import ast
import os
import re
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = ("*.md", "docs", "metrics/*.md")  # patterns of git
LINK = re.compile(r"\]\(([^)#:\s]+)")
REFERENCE = "docs/api.md"
FURTHER = (  # what the pages mention beside the public names
    *(f"search.{name}" for name in ("answers.Answers", "answers.Answer", "ranking.Outsider")),
    *(f"search.{name}" for name in ("approximate.build_index", "detectors.Detector")),
    *(
        f"analysis.uncertainty.{name}"
        for name in ("sample", "interval", "difference", "Interval", "Difference")
    ),
    *("retrieval.metrics.Metric", "retrieval.rerank.rerank"),
)
LOADED = re.compile(r"""<(?:link|script|img|iframe)\b[^>]*(?:src|href)=["']?((?:https?:)?//[^\s"'>]+)""")
ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):(?=<code>)")  # Sphinx's, in docstrings


def on_files(files: Any, config: Any) -> Any:
    """The files of the repository, beside those of the theme."""
    from mkdocs.structure.files import File, Files

    kept = [file for file in files if file.src_dir != config.docs_dir]
    names = sorted({*listed(*PAGES), *linked()})
    kept += [File.generated(config, name, abs_src_path=str(ROOT / name)) for name in names]
    return Files([*kept, File.generated(config, REFERENCE, content=reference())])


def listed(*patterns: str) -> set[str]:
    """The files that git has or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *patterns]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split("\0") if (ROOT / name).is_file()}


def linked() -> set[str]:
    """The files that a page links to."""
    found: set[str] = set()
    for page in (name for name in listed(*PAGES) if name.endswith(".md")):
        folder = (ROOT / page).parent
        for target in LINK.findall((ROOT / page).read_text(encoding="utf-8")):
            found.add(os.path.relpath((folder / target).resolve(), ROOT))
    return found & listed()


def reference() -> str:
    """The page of the Python interface: each public name, then the further ones."""
    lines = ["# Python", "## sttreid", "`import sttreid` is enough; each name is imported on first use."]
    lines += [f"::: {origin('sttreid', name)}" for name in public_names()]
    lines += ["## Further names", "Import these from their modules."]
    lines += [f"::: sttreid.{name}\n    options: {{show_root_full_path: true}}" for name in FURTHER]
    return "\n\n".join(lines) + "\n"


def public_names() -> list[str]:
    """Those of ``sttreid.__all__``, without the version."""
    (names,) = (
        ast.literal_eval(node.value)
        for node in syntax("sttreid").body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    return [name for name in names if not name.startswith("_")]


def origin(module: str, name: str) -> str:
    """The full name of what a module defines, or imports from another: modules may have the same name."""
    for node in ast.walk(syntax(module)):
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
            return origin(str(node.module), name)
    return f"{module}.{name}"


def syntax(module: str) -> ast.Module:
    """The syntax tree of a module."""
    path = ROOT.joinpath("src", *module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """The page as it is.

    Raises:
        PluginError: it would load something from another machine.
    """
    from mkdocs.exceptions import PluginError

    if found := LOADED.search(output):
        raise PluginError(f"{page.file.src_uri}: must load nothing from elsewhere, got {found[1]}")
    return output


def on_page_content(html: str, **_: Any) -> str:
    """Docstrings without the roles of Sphinx."""
    return ROLE.sub("", html)
