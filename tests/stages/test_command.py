"""A stage as a command: sections by name, words by position, errors as sentences."""

from pathlib import Path

import pytest
import yaml

from sttreid.config.params import Clip, Loss, Model, Params, load
from sttreid.runtime.errors import DivergedError, InputError
from sttreid.stages.command import bind, run
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


@pytest.mark.parametrize("error", [InputError, DivergedError])
def test_run_ends_with_one_sentence_instead_of_a_traceback(tmp_path, monkeypatch, error):
    written(tmp_path, {})
    monkeypatch.chdir(tmp_path)

    def main(clip: Clip) -> None:
        raise error("a.txt: line 3 is wrong")

    with pytest.raises(SystemExit) as end:
        run(main, [])
    assert end.value.code == "error: a.txt: line 3 is wrong"


def test_run_lets_a_defect_of_the_program_through(tmp_path, monkeypatch):
    written(tmp_path, {})
    monkeypatch.chdir(tmp_path)

    def main(clip: Clip) -> None:
        raise KeyError("defect")

    with pytest.raises(KeyError):
        run(main, [])


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
