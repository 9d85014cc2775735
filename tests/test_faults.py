"""Damaged data never become the pin, and docs/reliability.md says how to get the pinned files back."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_pipeline import call, copy_of_the_tree, first_in_path
from tests.tiny import ROOT

DOCUMENT = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def commands(section: str) -> list[str]:
    """The fenced commands of a section of the document, without their comments."""
    text = DOCUMENT.partition(f"## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    return [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module", autouse=True)
def _forks(programs: str) -> Iterator[None]:
    with first_in_path(programs):
        yield


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with its data; nothing has run."""
    folder = copy_of_the_tree(tmp_path_factory.mktemp("faults"))
    call(folder, "dvc", "pull", "-q", "data.dvc")
    return folder


def flip(path: Path) -> bytes:
    """Flip the lowest bit of the byte in the middle; returns the former content."""
    before = path.read_bytes()
    after = bytearray(before)
    after[len(after) // 2] ^= 1
    path.write_bytes(after)
    return before


def repair(clone: Path) -> None:
    """As the document says."""
    for command in commands("Damaged data"):
        call(clone, *command.split())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("c1.mp4", ("dvc", "repro", "decode@campus")),
        ("truth.parquet", ("dvc", "repro", "decode@campus")),  # which the stage itself does not read
        ("c2.mp4", ("dvc", "exp", "run", "decode@campus")),
        ("c3.mp4", ("python", "-m", "sttreid", "run-pipeline", "decode@campus")),
        ("manifest.json", ("python", "-m", "sttreid", "run-pipeline", "decode@campus")),
    ],
)
def test_a_flipped_byte_leaves_the_pin_and_the_documented_commands_bring_the_file_back(
    clone: Path, name: str, words: tuple[str, ...]
) -> None:
    pin, file = clone / "data.dvc", clone / "data" / "campus" / name
    pinned, before = pin.read_bytes(), flip(file)
    output = call(clone, *words, ok=False)
    assert "dvc pull --force data.dvc" in output, output
    assert pin.read_bytes() == pinned
    assert file.read_bytes() != before
    repair(clone)
    assert file.read_bytes() == before
    assert "up to date" in call(clone, "dvc", "status", "data.dvc")
    assert not call(clone, "git", "status", "--porcelain")


def test_damage_that_dvc_pinned_unseen_is_refused_and_the_documented_commands_bring_the_file_back(
    clone: Path,
) -> None:
    """No stage reads this set, so that `dvc repro` ends well and leaves the damage in the pin."""
    pin, file = clone / "data.dvc", clone / "data" / "campus-v2" / "c1.mp4"
    pinned, before = pin.read_bytes(), flip(file)
    call(clone, "dvc", "repro", "resolve")
    call(clone, "dvc", "commit", "--force", "data.dvc")  # as `dvc repro` of a stage that reads data/
    assert pin.read_bytes() != pinned
    for words in (["-m", "sttreid", "run-pipeline", "resolve"], ["tools/pull_data.py"]):
        assert "git checkout data.dvc" in call(clone, "python", *words, ok=False)
    repair(clone)
    assert (pin.read_bytes(), file.read_bytes()) == (pinned, before)
    call(clone, "python", "-m", "sttreid", "run-pipeline", "resolve")


def test_the_first_step_of_make_repro_names_changed_data_and_repairs_locks(clone: Path) -> None:
    file, rwlock = clone / "data" / "campus" / "c4.txt", clone / ".dvc" / "tmp" / "rwlock"
    before = flip(file)
    rwlock.write_text("")
    output = call(clone, "python", "tools/pull_data.py", ok=False)
    assert str(rwlock.relative_to(clone)) in output
    assert "dvc pull --force data.dvc" in output
    repair(clone)
    assert file.read_bytes() == before
    call(clone, "python", "tools/pull_data.py")


@pytest.mark.parametrize("damaged", ["rwlock", "dvc.lock"])
def test_the_documented_commands_get_over_the_locks_of_a_killed_dvc(clone: Path, damaged: str) -> None:
    lock, rwlock = clone / "dvc.lock", clone / ".dvc" / "tmp" / "rwlock"
    content = lock.read_text()
    if damaged == "rwlock":
        rwlock.write_text("")
        complaint = "JSON structure is corrupted"
    else:
        lock.write_text(content[: content.index("md5:") + 3])
        complaint = "dvc.lock' is invalid"
    assert complaint in DOCUMENT
    assert complaint in call(clone, "dvc", "repro", "resolve", ok=False)
    remove, restore, again = commands("A killed DVC")
    call(clone, *(remove if damaged == "rwlock" else restore).split())
    call(clone, *again.split(), "resolve")
    assert lock.read_text() == content
    assert not call(clone, "git", "status", "--porcelain")
