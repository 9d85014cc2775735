"""``make unchanged`` in a small DVC repository: what it accepts, what it refuses and what it names."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest
import yaml

from sttreid.runtime.errors import InputError
from tests.tool_modules import tool

TOOL = tool("unchanged")
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",
    **{
        f"GIT_{who}_{what}": "test@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    },
}
PIPELINE = """
stages:
  first:
    cmd: python -m sums.main > made.txt
    deps: [src/sums, table.csv]
    params: [factor]
    outs: [made.txt]
  second:
    cmd: cp made.txt copy.txt
    deps: [made.txt, src/sums/core.py]
    outs: [copy.txt]
"""
CORE = '''"""Says what it does."""

LIMIT = 3


class Model:
    """A model."""

    def forward(self, value):
        """Return a value."""
        return value * 2  # twice

    def backward(self, value):
        def inner():
            return value

        return inner


def double(value):
    return Model().forward(value)
'''


def call(folder: Path, *words: str) -> str:
    done = subprocess.run(words, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def unchanged(folder: Path) -> str:
    """The message of the tool."""
    with chdir(folder):
        message: str = TOOL.main(folder)
    return message


def refusal(folder: Path) -> str:
    """The sentence with which the tool refuses."""
    with chdir(folder), pytest.raises(InputError) as error:
        TOOL.main(folder)
    return str(error.value)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of two stages that has run and is committed."""
    folder = tmp_path_factory.mktemp("unchanged")
    package = folder / "src" / "sums"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "main.py").write_text("import sums.core\n\nprint(sums.core.double(4))\n")
    (package / "core.py").write_text(CORE)
    (folder / "table.csv").write_text("a,b\n")
    (folder / "params.yaml").write_text("factor: 2\n")
    (folder / "dvc.yaml").write_text(PIPELINE.replace("python -m", "PYTHONPATH=src python -m"))
    call(folder, "git", "init", "-q", ".")
    call(folder, "dvc", "init", "-q")
    (folder / ".dvc" / "config").write_text("[core]\n    analytics = false\n    check_update = false\n")
    (folder / ".dvcignore").write_text("__pycache__/\n")
    (folder / ".gitignore").write_text("__pycache__/\n")
    call(folder, "dvc", "repro", "-q")
    call(folder, "git", "add", "-A")
    call(folder, "git", "commit", "-q", "-m", "run")
    return folder


@pytest.fixture
def clean(repository: Path, tmp_path: Path) -> Path:
    """A copy of the repository as it was committed."""
    return shutil.copytree(repository, tmp_path / "copy", symlinks=True)


def edit(folder: Path, old: str, new: str, name: str = "src/sums/core.py") -> None:
    path = folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_comments_and_docstrings_leave_every_stage_up_to_date(clean: Path) -> None:
    edit(clean, "# twice", "# two times")
    edit(clean, '"""A model."""', '"""Another description."""')
    edit(clean, "Says what it does.", "Says more.")
    before = yaml.safe_load((clean / "dvc.lock").read_text())
    assert "src/sums/core.py" in unchanged(clean)
    after = yaml.safe_load((clean / "dvc.lock").read_text())
    assert before != after
    for stage in before["stages"]:
        assert before["stages"][stage]["outs"] == after["stages"][stage]["outs"]
    assert "up to date" in call(clean, "dvc", "status")
    assert "up to date" in unchanged(clean)


def test_a_fresh_clone_without_artifacts_is_brought_up_to_date(clean: Path, tmp_path: Path) -> None:
    call(tmp_path, "git", "clone", "-q", str(clean), "clone")
    clone = tmp_path / "clone"
    edit(clone, "# twice", "# two times")
    unchanged(clone)
    assert "Running stage" not in call(clone, "dvc", "repro", "--dry", "--allow-missing")
    assert not (clone / "made.txt").exists()


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("value * 2", "value * 3", r"sums\.core:Model\.forward: differs"),
        ("            return value\n", "            return -value\n", r"sums\.core:Model\.backward\.inner: "),
        ("LIMIT = 3", "LIMIT = 4", r"sums\.core: the statements at module level"),
        ("def double(value):", "def double(value, other=1):", r"sums\.core:double: "),
        ("def double", "def extra():\n    pass\n\n\ndef double", r"sums\.core:extra: "),
        ("def double(value):\n    return Model().forward(value)\n", "", r"sums\.core:double: "),
        ("LIMIT = 3", "LIMIT =", r"sums\.core: is not valid Python"),
    ],
)
def test_a_change_of_behaviour_is_named_and_nothing_is_written(
    clean: Path, old: str, new: str, place: str
) -> None:
    edit(clean, old, new)
    message = refusal(clean)
    assert re.search(place, message), message
    assert not call(clean, "git", "status", "--porcelain", "dvc.lock")


def test_docstrings_count_where_the_module_reads_them(clean: Path) -> None:
    edit(clean, "LIMIT = 3", "LIMIT = __doc__")
    call(clean, "dvc", "repro", "-q")
    call(clean, "git", "commit", "-q", "-a", "-m", "doc")
    edit(clean, "Says what it does.", "Says more.")
    assert "sums.core: the statements at module level" in refusal(clean)


@pytest.mark.parametrize(
    ("name", "old", "new", "place"),
    [
        ("table.csv", "a,b", "a,c", r"table\.csv: differs"),
        ("params.yaml", "2", "3", r"params\.yaml: factor differs"),
        ("dvc.yaml", "cp made", "cp -f made", r"second: its command"),
        (
            "dvc.yaml",
            "deps: [made.txt, ",
            "deps: [made.txt, table.csv, ",
            r"table\.csv: is a new dependency",
        ),
        ("made.txt", "8", "9", r"made\.txt: is an output of first"),
        ("dvc.lock", "schema", "# edited\nschema", r"dvc\.lock: has uncommitted changes"),
    ],
)
def test_all_else_must_be_equal_byte_for_byte(clean: Path, name: str, old: str, new: str, place: str) -> None:
    edit(clean, old, new, name)
    if name == "dvc.lock":
        edit(clean, "# twice", "# two times")
    before = (clean / "dvc.lock").read_text()
    message = refusal(clean)
    assert re.search(place, message), message
    assert (clean / "dvc.lock").read_text() == before


def test_a_moved_file_counts_as_changed(clean: Path) -> None:
    package = clean / "src" / "sums"
    (package / "extra.py").write_text("")
    assert "src/sums/extra.py: is new" in refusal(clean)
    (package / "extra.py").unlink()
    (package / "__init__.py").unlink()
    assert "src/sums/__init__.py: is removed" in refusal(clean)


def test_a_lock_of_another_tree_is_no_reference(clean: Path) -> None:
    """The code changes without a run, and dvc.lock is committed with it: it describes older code."""
    edit(clean, "value * 2", "value * 3")
    edit(clean, "schema", "# edited\nschema", "dvc.lock")
    call(clean, "git", "commit", "-q", "-a", "-m", "stale")
    edit(clean, "# twice", "# two times")
    assert "was not computed from commit" in refusal(clean)


def test_a_stage_that_was_not_run_for_the_commit_is_named(clean: Path) -> None:
    """Both stages depend on one file; only the first has run since its behaviour changed."""
    edit(clean, "LIMIT = 3", "LIMIT = 4")
    call(clean, "dvc", "repro", "-q", "-s", "first")
    call(clean, "git", "commit", "-q", "-a", "-m", "half")
    edit(clean, "# twice", "# two times")
    message = refusal(clean)
    assert re.search("core.py: dvc.lock was not computed from commit .* second", message), message
