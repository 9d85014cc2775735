"""The pin of a data set: a .dvc file that DVC has rewritten becomes as git has it."""

import subprocess
from pathlib import Path

import pytest

from sttreid.runtime.pins import BASELINE, advice, pin_of, take_back

OLD, NEW = "outs:\n- path: data\n  md5: old\n", "outs:\n- path: data\n  md5: new\n"


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def pin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed pin in a repository, which is the working directory."""
    monkeypatch.delenv(BASELINE, raising=False)
    git(tmp_path, "init", "-q")
    (tmp_path / "data.dvc").write_text(OLD)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "pin")
    monkeypatch.chdir(tmp_path)
    return Path("data.dvc")


def test_the_pin_of_a_path_lies_beside_it_or_beside_a_folder_above_it(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "campus"
    folder.mkdir(parents=True)
    assert pin_of(folder) is None
    outer = tmp_path / "data.dvc"
    outer.touch()
    assert pin_of(folder / "c1.mp4") == outer
    inner = tmp_path / "data" / "campus.dvc"
    inner.touch()
    assert pin_of(folder) == inner
    assert pin_of(Path()) is None


def test_a_rewritten_pin_is_taken_back_once(pin: Path) -> None:
    assert not take_back(pin)
    pin.write_text(NEW)
    assert take_back(pin)
    assert pin.read_text() == OLD
    assert not take_back(pin)


def test_a_pin_that_is_staged_for_the_next_commit_stays(pin: Path) -> None:
    pin.write_text(NEW)
    git(pin.parent, "add", "data.dvc")
    assert not take_back(pin)
    assert pin.read_text() == NEW


def test_in_an_experiment_the_pin_is_that_of_its_baseline(pin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BASELINE, git(pin.parent, "rev-parse", "HEAD"))
    pin.write_text(NEW)
    git(pin.parent, "add", "data.dvc")  # as DVC does before it runs a stage of an experiment
    assert take_back(pin)
    assert pin.read_text() == OLD


def test_a_pin_that_git_does_not_know_stays(pin: Path) -> None:
    other = Path("other.dvc")
    other.write_text(NEW)
    assert not take_back(other)
    assert other.read_text() == NEW


def test_without_git_the_pin_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data.dvc"
    path.write_text(NEW)
    assert not take_back(path)
    monkeypatch.setenv("PATH", "")
    assert not take_back(path)
    assert path.read_text() == NEW


def test_the_advice_names_the_files_and_both_commands() -> None:
    text = advice(Path("sets/mine.dvc"))
    assert "dvc pull --force sets/mine.dvc" in text
    assert "dvc add sets/mine`" in text
