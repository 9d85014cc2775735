"""A stage as a command: sections by name, words by position, errors as sentences."""

import errno
import hashlib
import json
import re
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import yaml

from sttreid.config.datasets import Dataset
from sttreid.config.params import Clip, Loss, Model, Params, load
from sttreid.runtime.errors import DivergedError, InputError
from sttreid.runtime.pins import BASELINE
from sttreid.stages.command import COST, Cost, bind, run
from tests.tiny import parameters


def written(folder: Path, values) -> Path:
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(parameters(values)))
    return path


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load(written(tmp_path_factory.mktemp("params"), {}))


def test_bind_gives_exactly_the_sections_that_are_named(loaded):
    def main(source: str, seed: int, clip: Clip, loss: Loss) -> None: ...

    given = bind(main, loaded, ["campus", "7"])
    assert given == {"source": "campus", "seed": 7, "clip": loaded.clip, "loss": loaded.loss}
    assert given["loss"] is loaded.loss


def test_bind_refuses_words_that_are_missing_wrong_or_too_many(loaded):
    def main(seed: int, clip: Clip) -> None: ...

    with pytest.raises(
        InputError, match=r"^stage test_command: the argument 'seed' is missing on the command line$"
    ):
        bind(main, loaded, [])
    with pytest.raises(
        InputError, match=r"^stage test_command: the argument seed: .* valid integer.*got 'x'$"
    ):
        bind(main, loaded, ["x"])
    with pytest.raises(InputError, match=r"^stage test_command: unexpected arguments '8 9'$"):
        bind(main, loaded, ["7", "8", "9"])


def test_run_reads_the_file_of_the_working_directory(tmp_path, monkeypatch):
    written(tmp_path, {"clip.frames": 3})
    monkeypatch.chdir(tmp_path)
    seen = []

    def main(clip: Clip, model: Model, seed: int) -> None:
        seen.append((clip, seed))

    run(main, ["4"])
    monkeypatch.setattr("sys.argv", ["stage", "5"])
    run(main)
    assert seen == [(Clip(frames=3), 4), (Clip(frames=3), 5)]


def test_the_last_line_has_the_peak_memory(tmp_path):
    written(tmp_path, {})
    (tmp_path / "hungry.py").write_text(
        "from sttreid.config.params import Clip\n"
        "from sttreid.stages.command import run\n"
        "def main(clip: Clip) -> None:\n"
        "    bytearray(b'1') * int(1e9)\n"
        "run(main, [])\n"
    )
    command = [sys.executable, "hungry.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = re.search(r"(\d+) MB$", done.stderr.strip())
    assert found
    assert 1000 <= int(found[1]) < 1600  # imports take the rest


@pytest.mark.parametrize("error", [InputError, DivergedError])
def test_run_ends_with_one_sentence_instead_of_a_traceback(tmp_path, monkeypatch, error):
    written(tmp_path, {})
    monkeypatch.chdir(tmp_path)

    def main(clip: Clip) -> None:
        raise error("a.txt: line 3 is wrong")

    with pytest.raises(SystemExit) as end:
        run(main, [])
    assert end.value.code == "error: a.txt: line 3 is wrong"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.EROFS, "Read-only file system", "out/a.pt"), "out/a.pt: cannot be written"),
        (OSError(errno.ENOSPC, "No space left on device"), "cannot be written"),
        (MemoryError(), "memory"),
        (MemoryError("Unable to allocate 4 GiB"), "4 GiB"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (BrokenProcessPool("terminated abruptly"), "worker"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "memory"),
    ],
)
def test_a_machine_that_has_not_enough_is_told_in_a_sentence(tmp_path, monkeypatch, error, told):
    written(tmp_path, {})
    monkeypatch.chdir(tmp_path)

    def main(clip: Clip) -> None:
        raise error

    with pytest.raises(SystemExit) as end:
        run(main, [])
    assert str(end.value.code).startswith("error: ")
    assert told in str(end.value.code)


def test_a_stage_tells_no_more_of_a_long_value_than_its_ends(tmp_path, monkeypatch):
    written(tmp_path, {})
    monkeypatch.chdir(tmp_path)

    def main(clip: Clip) -> None:
        raise DivergedError(f"step 1: {'9' * 10**6} is not finite")

    with pytest.raises(SystemExit) as end:
        run(main, [])
    assert len(str(end.value.code)) < 3_000
    assert str(end.value.code).endswith("is not finite")


def test_an_interrupted_stage_ends_without_a_traceback(tmp_path, monkeypatch):
    written(tmp_path, {})
    monkeypatch.chdir(tmp_path)

    def main(clip: Clip) -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit, match=r"^error: [^\n]+$"):
        run(main, [])


@pytest.mark.parametrize("error", [KeyError("defect"), RuntimeError("defect"), OSError(errno.EBADF, "x")])
def test_run_lets_a_defect_of_the_program_through(tmp_path, monkeypatch, error):
    written(tmp_path, {})
    monkeypatch.chdir(tmp_path)

    def main(clip: Clip) -> None:
        raise error

    with pytest.raises(type(error)):
        run(main, [])


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    """A repository with the pin of data/, which DVC has just rewritten."""
    monkeypatch.delenv(BASELINE, raising=False)
    monkeypatch.chdir(tmp_path)
    written(tmp_path, {})
    (tmp_path / "data" / "campus").mkdir(parents=True)
    pin = tmp_path / "data.dvc"
    pin.write_text("old")
    for words in (("init", "-q"), ("add", "data.dvc")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    pin.write_text("new")
    return pin


def test_a_stage_that_refuses_data_takes_their_pin_back(pinned):
    def main(name: str, datasets: dict[str, Dataset]) -> None:
        raise InputError("data/campus/c1.mp4: is damaged")

    with pytest.raises(SystemExit) as end:
        run(main, ["campus"])
    assert "data/campus/c1.mp4: is damaged" in str(end.value.code)
    assert "dvc pull --force data.dvc" in str(end.value.code)
    assert pinned.read_text() == "old"


def test_a_stage_that_accepts_data_leaves_their_pin(pinned):
    def main(name: str, datasets: dict[str, Dataset]) -> None: ...

    run(main, ["campus"])
    assert pinned.read_text() == "new"


def test_tables_that_a_stage_does_not_read_are_compared_with_their_manifest(pinned):
    folder = pinned.with_suffix("") / "campus"
    checksum = hashlib.sha256(b"right").hexdigest()
    (folder / "manifest.json").write_text(json.dumps({"tables": {"truth.parquet": checksum}}))
    (folder / "truth.parquet").write_bytes(b"wrong")
    ran = []

    def main(name: str, datasets: dict[str, Dataset]) -> None:
        ran.append(name)

    with pytest.raises(SystemExit, match=r"truth\.parquet: the checksum must be"):
        run(main, ["campus"])
    assert (ran, pinned.read_text()) == ([], "old")
    (folder / "truth.parquet").write_bytes(b"right")
    pinned.write_text("new")
    run(main, ["campus"])
    assert (ran, pinned.read_text()) == (["campus"], "new")


@pytest.mark.parametrize("content", ["[]", "{}", '{"tables": 1}', '{"tables": {"missing.csv": 1}}'])
def test_a_manifest_without_tables_is_left_to_the_reader(pinned, content):
    (pinned.with_suffix("") / "campus" / "manifest.json").write_text(content)

    def main(name: str, datasets: dict[str, Dataset]) -> None: ...

    run(main, ["campus"])


def test_a_stage_may_take_all_parameters(loaded):
    def main(params: Params) -> None: ...

    assert bind(main, loaded, []) == {"params": loaded}


def test_a_section_that_the_file_lacks_is_named(loaded):
    def main(claims: object) -> None: ...

    with pytest.raises(
        InputError, match=r"^stage test_command: params.yaml must have the section claims, got none$"
    ):
        bind(main, loaded, [])


@pytest.mark.parametrize("dataset", ["unreal", "campus"])
def test_every_reader_is_checked_before_a_stage_runs(tmp_path, monkeypatch, dataset):
    written(tmp_path, {f"datasets.{dataset}.reader": "camera"})
    monkeypatch.chdir(tmp_path)

    def main(clip: Clip) -> None:
        raise AssertionError

    with pytest.raises(SystemExit) as end:
        run(main, [])
    assert f"params.yaml: datasets.{dataset}.reader must be one of " in str(end.value.code)
    assert "(did you mean 'cameras'?)" in str(end.value.code)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"ablation.source": "camus"}, "ablation.source must be one of campus, winter, station, got 'camus'"),
        ({"finetune.steps": 3.5}, "finetune.steps should be a valid integer"),
        ({"loss.entropy": "abc"}, "loss.entropy should be a valid number, .*got 'abc'"),
        ({"loss": 0}, "loss must be a section"),
        (
            {"ablation.variants.cnn.model.stt": 2},
            "ablation.variants.cnn: model.stt should be a valid boolean",
        ),
    ],
)
def test_a_mistake_that_concerns_a_later_stage_stops_every_stage(tmp_path, monkeypatch, values, told):
    written(tmp_path, values)
    monkeypatch.chdir(tmp_path)

    def main(clip: Clip) -> None:
        raise AssertionError

    with pytest.raises(SystemExit, match=f"params.yaml: {told}"):
        run(main, [])


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"evaluate.protocol": "own"}, "evaluate.protocol"),
        ({"evaluate.protocol": "maket"}, "evaluate.protocol"),
    ],
)
def test_the_protocol_is_checked_before_a_stage_runs(tmp_path, monkeypatch, values, key):
    written(tmp_path, values)
    monkeypatch.chdir(tmp_path)

    def main(clip: Clip) -> None:
        raise AssertionError

    with pytest.raises(SystemExit, match=f"params.yaml: {key}: .*market"):
        run(main, [])


def test_a_stage_writes_what_it_took(tmp_path, monkeypatch, capsys):
    written(tmp_path, {})
    monkeypatch.chdir(tmp_path)

    def main(name: str) -> None:
        bytearray(50_000_000)

    run(main, ["campus"])
    (path,) = tmp_path.glob(f".scratch/*/{COST}")
    cost = Cost(**json.loads(path.read_text()))
    assert path.parent.name == f"{cost.stage}-campus"
    assert cost.cpu > 0
    assert cost.megabytes > 50
    assert f"{cost.megabytes:.0f} MB" in capsys.readouterr().err.splitlines()[-1]


def test_a_stage_ends_well_where_its_cost_cannot_be_written(tmp_path, monkeypatch):
    written(tmp_path, {})
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".scratch").touch()

    def main() -> None: ...

    run(main, [])
    assert (tmp_path / ".scratch").is_file()
