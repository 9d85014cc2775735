"""params.yaml: what is accepted, and what is said about everything else."""

from dataclasses import MISSING, FrozenInstanceError, asdict, fields, replace
from io import StringIO
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sttreid.config.conversion import dump, parse
from sttreid.config.params import Loss, Model, load
from sttreid.runtime.errors import InputError
from tests.sections import LOSS, MODEL, SCHEDULE
from tests.tiny import ROOT, parameters


def written(folder: Path, values) -> Path:
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(parameters(values)))
    return path


def test_the_repository_s_file_loads():
    params = load(ROOT / "params.yaml")
    assert set(params.targets) <= params.datasets.keys()
    assert params.claims.contrasts  # those of the study that tests the claims
    assert params.study is None


def test_a_default_of_the_dataclass_decides_no_weight():
    """DVC tracks params.yaml, not the defaults: a field that the file leaves out must be off by default."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, names in ((Model, content["model"]), (Loss, content["loss"])):
        left_out = [field for field in fields(section) if field.name not in names]
        defaults = [getattr(field.default, "default", field.default) for field in left_out]
        assert all(default in (0, None, False) for default in defaults)


def test_without_the_study_of_the_claims_there_are_none(tmp_path):
    assert load(written(tmp_path, {})).claims is None


def test_dvc_rewrites_the_file_without_touching_other_lines():
    """`dvc exp run -S` loads and dumps it with ruamel.yaml: an experiment's diff must be its own line."""
    path, written_back = ROOT / "params.yaml", StringIO()
    yaml_of_dvc = YAML()
    yaml_of_dvc.dump(yaml_of_dvc.load(path), written_back)
    assert written_back.getvalue() == path.read_text()


def test_sections_are_frozen():
    with pytest.raises(FrozenInstanceError):
        LOSS.entropy = 1.0


def test_fields_without_a_default_must_be_given():
    for section in (LOSS, MODEL, SCHEDULE):
        content = dump(section)
        for key in (field.name for field in fields(section) if field.default is MISSING):
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
    ({"finetune.lr": 0}, r"finetune\.lr should be greater than 0, got 0"),
    (
        {"finetune.identities": 0},
        r"finetune\.identities should be greater than or equal to 1 \(or empty\), got 0",
    ),
    ({"loss.margin": 0}, r"loss\.margin should be greater than 0 \(or empty\), got 0"),
    ({"model.backbone.weights": ""}, r"model\.backbone\.weights .* \(or empty\), got ''"),
    ({"clip.frames": 0}, r"clip\.frames should be greater than or equal to 1, got 0"),
    ({"batch.identities": 1}, r"batch\.identities should be greater than or equal to 2, got 1"),
    ({"model.backbone.last_stride": 3}, r"model\.backbone\.last_stride should be 1 or 2, got 3"),
    ({"model.stt": "perhaps"}, r"model\.stt should be a valid boolean, .*got 'perhaps'"),
    (
        {"simulate.max_frames": 6, "simulate.min_frames": 7},
        r"simulate: min_frames must not be above .*7 and 6$",
    ),
    ({"evaluate.protocol": "a b"}, r"evaluate\.protocol .*got 'a b'"),
    ({"loss": 3}, r"loss must be a section with the keys label_smoothing, margin, .*got 3"),
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
        ("finetune", "rate", "finetune.rate (it is now finetune.lr)"),
        ("compute", "clips", "compute.clips (it is now compute.embed_batch)"),
        ("ablation", "fitted", "ablation.fitted (it is now ablation.min_train_rank1)"),
        ("", "picture", "picture (it is now visualise)"),
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


def test_several_errors_are_one_sentence(tmp_path):
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
        (b"", r"params\.yaml: the value must be a section .*got None"),
        (b"- 1\n", r"params\.yaml: the value must be a section .*got \[1\]"),
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
    assert yaml.safe_load("lr: 1e-05")["lr"] == "1e-05"  # the reason for converting by type
    params = load(written(tmp_path, {"finetune.lr": "1e-05", "loss.entropy": "2e-3"}))
    assert (params.finetune.lr, params.loss.entropy) == (1e-05, 2e-3)


@given(st.floats(min_value=0, allow_infinity=False, allow_nan=False))
def test_every_weight_survives_its_text(value):
    content = dump(LOSS) | {"entropy": repr(value)}
    assert parse(Loss, content, "here").entropy == value


def test_dump_is_the_inverse_of_parse():
    for section in (LOSS, MODEL, SCHEDULE):
        assert parse(type(section), dump(section), "here") == section
    assert dump(MODEL) == {name: value for name, value in asdict(MODEL).items() if name != "no_positions"}
    assert dump(replace(MODEL, no_positions=True))["no_positions"]


def keys(content):
    if isinstance(content, dict):
        for key, value in content.items():
            yield key
            yield from keys(value)
    elif isinstance(content, list):
        for value in content:
            yield from keys(value)


def test_no_key_has_a_name_that_dvc_s_run_cache_overlooks():
    assert not {"size", "nfiles"} & set(keys(yaml.safe_load((ROOT / "params.yaml").read_text())))


def test_lists_follow_all_mappings():
    """``dvc exp run -S`` loses comments that follow a list."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    kinds = [isinstance(value, list) for value in content.values()]
    assert kinds == sorted(kinds)


def test_the_synthetic_domain_is_no_target(tmp_path: Path) -> None:
    path = written(tmp_path, {"targets": ["campus", "unreal"]})
    with pytest.raises(InputError, match=r"simulate.domain must not be one of the targets, got 'unreal'"):
        load(path)


def test_the_source_of_the_default_run_is_tested_itself(tmp_path):
    """The report takes the source for the in-domain target: another one would count as cross-domain."""
    content = parameters({})
    content["ablation"]["in_domain"] = "winter"
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(
        InputError, match=r"ablation.in_domain must be empty outside of studies, got 'winter'"
    ):
        load(path)


def test_the_reference_is_no_variant(tmp_path):
    path = written(tmp_path, {"ablation.reference": "cnn"})
    with pytest.raises(
        InputError, match=r"ablation.reference must not be one of ablation.variants, got 'cnn'"
    ):
        load(path)


def test_what_is_visualised_is_a_variant_or_the_reference(tmp_path):
    assert load(written(tmp_path, {"visualise.variants": ["cnn", "full"]})).visualise.variants == [
        "cnn",
        "full",
    ]
    with pytest.raises(InputError, match=r"visualise.variants.1 must be one of .*, full, got 'none'"):
        load(written(tmp_path, {"visualise.variants": ["cnn", "none"]}))


@pytest.mark.parametrize(
    "key", ["simulate.seed", "augment.pad", "pretrain.identities", "pretrain.max_grad_norm"]
)
@pytest.mark.parametrize("value", [True, False])
def test_a_truth_value_is_no_number(tmp_path, key, value):
    """In YAML "on" and "off" are such: "off" would be the limit 0, where it means none."""
    section, name = key.split(".")
    content = parameters({})[section]
    with pytest.raises(InputError, match=rf"params\.yaml: {key} .*got {value}"):
        load(written(tmp_path, {section: content | {name: value}}))


def test_a_truth_value_in_a_list_is_no_number(tmp_path):
    with pytest.raises(InputError, match=r"params\.yaml: seeds\.1 must be a number, got True"):
        load(written(tmp_path, {"seeds": [0, True]}))


@pytest.mark.parametrize(
    ("key", "most"),
    [
        ("decode.height", 8192),
        ("decode.width", 8192),
        ("clip.frames", 4096),
        ("compute.threads", 4096),
        ("compute.embed_batch", 2**31 - 1),
        ("model.parts", 512),
        ("compare.seed", 2**32 - 1),
        ("visualise.seed", 2**32 - 1),  # beyond it, t-SNE raises after all models are trained
        ("visualise.height", 8192),
        ("pretrain.steps", 2**31 - 1),
    ],
)
def test_a_number_that_no_library_takes_is_refused(tmp_path, key, most):
    section, name = key.split(".")
    content = parameters({})[section]
    with pytest.raises(InputError, match=rf"params\.yaml: {key} .*{most}, got {most + 1}"):
        load(written(tmp_path, {section: content | {name: most + 1}}))


def test_a_seed_beyond_32_bits_is_refused(tmp_path):
    assert load(written(tmp_path, {"seeds": [2**32 - 1]})).seeds == [2**32 - 1]
    with pytest.raises(InputError, match=r"params\.yaml: seeds\.0 .*got 4294967296"):
        load(written(tmp_path, {"seeds": [2**32]}))
