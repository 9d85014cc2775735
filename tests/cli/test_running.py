"""The commands run-pipeline and run-study: what they hand over, and their exit status."""

import signal
from pathlib import Path
from typing import Any

import pytest

from sttreid.cli import checkout, running
from sttreid.cli.commands import main
from sttreid.runner import study
from sttreid.runner.executors import LocalExecutor
from sttreid.runner.reproduce import Runner
from sttreid.runtime.errors import InputError, StageError
from tests.tiny import ROOT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What makes a folder a checkout, with parameters."""
    for mark in checkout.MARKS:
        (tmp_path / mark).mkdir(parents=True)
    (tmp_path / "params.yaml").write_bytes((ROOT / "tests" / "tiny.yaml").read_bytes())
    monkeypatch.chdir(tmp_path / "bench")
    return tmp_path


def status(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert isinstance(end.value.code, int)
    return end.value.code


def test_the_pipeline_gets_stages_and_jobs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[Any] = []

    def reproduce(runner: Runner, root: Path, targets: list[str]) -> bool:
        calls.append((runner.jobs, type(runner.executor), root, targets))
        return bool(targets)

    monkeypatch.setattr(Runner, "reproduce", reproduce)
    assert status("run-pipeline", "--jobs", "3") == 0
    assert capsys.readouterr().out == "Everything is up to date.\n"
    assert status("run-pipeline", "pretrain", "decode@campus") == 0
    assert not capsys.readouterr().out
    assert calls == [
        (3, LocalExecutor, folder, []),
        (2, LocalExecutor, folder, ["pretrain", "decode@campus"]),
    ]


@pytest.mark.parametrize(
    ("error", "expected"),
    [(StageError("a: failed"), 1), (InputError("a rule"), 2), (KeyboardInterrupt(), 130)],
)
@pytest.mark.parametrize("words", [("run-pipeline",), ("run-study", "claims")])
def test_the_exit_status_says_why_a_run_ended(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], error: BaseException, expected: int
) -> None:
    def fail(*_: object) -> bool:
        raise error

    monkeypatch.setattr(Runner, "reproduce", fail)
    monkeypatch.setattr(study, "run_study", fail)
    before = signal.getsignal(signal.SIGTERM)
    assert status(*words) == expected
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    "words",
    [
        ("run-pipeline", "--jobs", "0"),
        ("run-pipeline", "--executor", "ray"),
        ("run-pipeline", "--slurm", "partition"),
        ("run-study",),
        ("run-study", "claims", "--address", "tcp://host:1"),
    ],
)
def test_bad_options_are_refused_before_anything_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(Runner, "reproduce", lambda *_: pytest.fail("it ran"))
    assert status(*words) == 2


def test_invalid_parameters_stop_a_run_before_its_first_stage(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Runner, "reproduce", lambda *_: pytest.fail("it ran"))
    path = folder / "params.yaml"
    path.write_text(path.read_text() + "unknown: 1\n")
    assert status("run-pipeline") == 2
    assert "params.yaml" in capsys.readouterr().err


def test_every_executor_can_be_chosen() -> None:
    from typing import get_args

    from sttreid.runner.kinds import Kind

    chosen = get_args(running.ExecutorOption)[0]
    assert get_args(chosen) == get_args(Kind)
