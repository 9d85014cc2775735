"""params.yaml: what is accepted, and what is said about everything else."""

from dataclasses import FrozenInstanceError, asdict
from io import StringIO
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sttreid.config.conversion import dump, parse
from sttreid.config.params import Clip, Finetune, Loss, Model, Pretrain, bind, load, run
from sttreid.runtime.errors import DivergedError, InputError
from tests.sections import LOSS, MODEL, SCHEDULE
from tests.tiny import ROOT, parameters


def written(folder: Path, values) -> Path:
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(parameters(values)))
    return path


def test_the_repository_s_file_loads():
    params = load(ROOT / "params.yaml")
    assert params.simulate.domain in params.domains
    assert set(params.targets) <= params.datasets.keys()


def test_dvc_rewrites_the_file_without_touching_other_lines():
    """`dvc exp run -S` loads and dumps it with ruamel.yaml: an experiment's diff must be its own line."""
    path, written_back = ROOT / "params.yaml", StringIO()
    yaml_of_dvc = YAML()
    yaml_of_dvc.dump(yaml_of_dvc.load(path), written_back)
    assert written_back.getvalue() == path.read_text()


def test_sections_are_frozen():
    with pytest.raises(FrozenInstanceError):
        LOSS.entropy = 1.0


def test_every_field_must_be_given():
    for section in (LOSS, MODEL, SCHEDULE):
        content = dump(section)
        for key in content:
            rest = {name: value for name, value in content.items() if name != key}
            with pytest.raises(InputError, match=f"^here: the key {key} is missing$"):
                parse(type(section), rest, "here")


ERRORS = [
    ({"loss.entropy": "abc"}, r"loss\.entropy should be a valid number, .*got 'abc'"),
    ({"loss.entropy": float("nan")}, r"loss\.entropy should be a finite number, got nan"),
    ({"loss.entropy": "nan"}, r"loss\.entropy should be a finite number, got 'nan'"),
    ({"loss.entropy": float("inf")}, r"loss\.entropy should be a finite number, got inf"),
    ({"loss.entropy": -0.1}, r"loss\.entropy should be greater than or equal to 0, got -0\.1"),
    ({"loss.entropy": None}, r"loss\.entropy should be a valid number, got None"),
    ({"loss.label_smoothing": 1.5}, r"loss\.label_smoothing should be less than or equal to 1, got 1\.5"),
    ({"finetune.steps": 2.5}, r"finetune\.steps should be a valid integer, .*got 2\.5"),
    ({"finetune.steps": 0}, r"finetune\.steps should be greater than or equal to 1, got 0"),
    ({"finetune.lr": 0}, r"finetune\.rate should be greater than 0, got 0"),
    ({"clip.frames": 0}, r"clip\.frames should be greater than or equal to 1, got 0"),
    ({"batch.identities": 1}, r"batch\.identities should be greater than or equal to 2, got 1"),
    ({"model.backbone.last_stride": 3}, r"model\.backbone\.last_stride should be 1 or 2, got 3"),
    ({"model.stt": "perhaps"}, r"model\.stt should be a valid boolean, .*got 'perhaps'"),
    (
        {"simulate.longest": 6, "simulate.shortest": 7},
        r"simulate: shortest must not be above .*7 and 6$",
    ),
    ({"evaluate.protocol": "a b"}, r"evaluate\.protocol .*got 'a b'"),
    ({"loss": 3}, r"loss should be a dictionary .*got 3"),
    (
        {"simulate.domain": "unreel"},
        r"simulate\.domain must be one of .*got 'unreel' \(did you mean 'unreal'\?\)",
    ),
    (
        {"targets": ["campus", "winner"]},
        r"targets\.1 must be one of .*got 'winner' \(did you mean 'winter'\?\)",
    ),
    (
        {"ablation.source": "station", "targets": ["campus"]},
        r"ablation\.source must be one of campus, got 'station'",
    ),
    ({"seeds": []}, r"seeds must be a non-empty list without repetition, got \[\]"),
    ({"seeds": [1, 1]}, r"seeds must be a non-empty list without repetition, got \[1, 1\]"),
    ({"targets": ["campus", "campus"]}, r"targets must be a non-empty list without repetition"),
    ({"seeds": [-1]}, r"seeds\.0 should be greater than or equal to 0, got -1"),
]


@pytest.mark.parametrize(
    ("values", "message"), ERRORS, ids=lambda value: None if isinstance(value, str) else "+".join(value)
)
def test_a_wrong_value_is_named_with_its_key_and_rule(tmp_path, values, message):
    with pytest.raises(InputError, match=r"params\.yaml: " + message):
        load(written(tmp_path, values))


@pytest.mark.parametrize(
    ("place", "key", "hint"),
    [
        ("loss", "entrop", "loss.entrop (did you mean 'entropy'?)"),
        ("model.backbone", "laier1", "model.backbone.laier1 (did you mean 'layer1'?)"),
        ("datasets.campus", "rot", "datasets.campus.rot (did you mean 'root'?)"),
        ("domains.unreal.light", "sunn", "domains.unreal.light.sunn (did you mean 'sun'?)"),
        ("ablation.scratch", "step", "ablation.scratch.step (did you mean 'steps'?)"),
        ("", "finetunes", "finetunes (did you mean 'finetune'?)"),
        ("loss", "zzzzzz", "loss.zzzzzz"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(tmp_path, place, key, hint):
    content = parameters({})
    section = content
    for part in filter(None, place.split(".")):
        section = section[part]
    section[key] = 1
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError) as error:
        load(path)
    assert str(error.value) == f"{path}: unknown key {hint}"


def test_several_errors_stand_in_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"clip\.frames .*; loss\.margin .*, got 'x'$"):
        load(written(tmp_path, {"clip.frames": 0, "loss.margin": "x"}))


def test_a_missing_section_is_named(tmp_path):
    content = parameters({})
    del content["augment"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match="the key augment is missing"):
        load(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"loss: [1, 2\n", r"params\.yaml: is not valid YAML \(.*line 2"),
        (b"loss: \xff\xfe\n", r"params\.yaml: is not valid YAML"),
        (b"", r"params\.yaml: the value should be a dictionary .*got None"),
        (b"- 1\n", r"params\.yaml: the value should be a dictionary .*got \[1\]"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused_by_name(tmp_path, content, message):
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load(tmp_path / "params.yaml")


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read \(No such file or directory\)"):
        load(tmp_path / "none.yaml")


def test_a_number_in_the_form_that_yaml_reads_as_text_is_a_number(tmp_path):
    assert yaml.safe_load("rate: 1e-05")["rate"] == "1e-05"  # the reason for converting by type
    params = load(written(tmp_path, {"finetune.lr": "1e-05", "loss.entropy": "2e-3"}))
    assert (params.finetune.lr, params.loss.entropy) == (1e-05, 2e-3)


@given(st.floats(min_value=0, allow_infinity=False, allow_nan=False))
def test_every_weight_survives_its_text(value):
    content = dump(LOSS) | {"entropy": repr(value)}
    assert parse(Loss, content, "here").entropy == value


def test_dump_is_the_inverse_of_parse():
    for section in (LOSS, MODEL, SCHEDULE):
        assert parse(type(section), dump(section), "here") == section
    assert dump(MODEL) == asdict(MODEL)


def keys(content):
    if isinstance(content, dict):
        for key, value in content.items():
            yield key
            yield from keys(value)
    elif isinstance(content, list):
        for value in content:
            yield from keys(value)


def test_no_key_has_a_name_that_dvc_s_run_cache_overlooks():
    assert not {"size", "nfiles"} & set(keys(parameters({})))


def test_lists_stand_behind_all_mappings():
    """``dvc exp run -S`` loses what follows a list in the file."""
    kinds = [isinstance(value, list) for value in parameters({}).values()]
    assert kinds == sorted(kinds)


@pytest.fixture(scope="module")
def loaded():
    return load(ROOT / "params.yaml")


def test_bind_gives_exactly_the_sections_that_are_named(loaded):
    def main(source: str, seed: int, clip: Clip, loss: Loss) -> None: ...

    given = bind(main, loaded, ["campus", "7"])
    assert given == {"source": "campus", "seed": 7, "clip": loaded.clip, "loss": loaded.loss}
    assert given["loss"] is loaded.loss


def test_bind_refuses_words_that_are_missing_wrong_or_too_many(loaded):
    def main(seed: int, clip: Clip) -> None: ...

    with pytest.raises(
        InputError, match=r"^stage test_params: the argument 'seed' is missing on the command line$"
    ):
        bind(main, loaded, [])
    with pytest.raises(
        InputError, match=r"^stage test_params: the argument seed: .* valid integer.*got 'x'$"
    ):
        bind(main, loaded, ["x"])
    with pytest.raises(InputError, match=r"^stage test_params: unexpected arguments '8 9'$"):
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


def test_zero_steps_are_for_pre_training_alone():
    content = dump(SCHEDULE) | {"steps": 0}
    assert parse(Pretrain, content, "here").steps == 0
    with pytest.raises(InputError, match="steps should be greater than or equal to 1, got 0"):
        parse(Finetune, content, "here")


def test_the_synthetic_domain_is_no_target(tmp_path: Path) -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["targets"].append("unreal")
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=r"simulate.domain must not be one of the targets, got 'unreal'"):
        load(path)
