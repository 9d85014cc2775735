"""The root of a checkout of the repository, and the benchmarks in its folder bench/."""

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sttreid.runtime.errors import InputError

MARKS = ("src/sttreid", "bench", "experiments")  # folders of every checkout


def root() -> Path:
    """The root of the checkout that contains the working directory.

    Raises:
        InputError: no checkout contains it.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if all((folder / mark).is_dir() for mark in MARKS):
            return folder
    raise InputError(f"{here}: this command must run inside a checkout of sttreid's repository")


def benchmarks(folder: Path) -> dict[str, str]:
    """The executable modules of bench/ -> what they measure (the beginning of their docstrings)."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted((folder / "bench").glob("*.py"))}
    runnable = {name: text for name, text in texts.items() if '__name__ == "__main__"' in text}
    docstrings = {name: ast.get_docstring(ast.parse(text)) or "" for name, text in runnable.items()}
    return {
        name: text.partition("\n")[0].partition(": `")[0].rstrip(".") for name, text in docstrings.items()
    }


def run_benchmark(folder: Path, name: str, arguments: Sequence[str]) -> int:
    """Run a benchmark in a separate process.

    Returns:
        Its exit status.

    Raises:
        InputError: there is no benchmark of that name.
    """
    names = benchmarks(folder)
    if name not in names:
        raise InputError(f"{folder / 'bench'}: the benchmark must be one of {', '.join(names)}, got {name!r}")
    command = [sys.executable, "-m", f"bench.{name}", *arguments]
    return subprocess.run(command, cwd=folder, check=False).returncode
