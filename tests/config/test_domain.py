from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from sttreid.config.conversion import dump
from sttreid.config.domain import (
    DEFAULT_SCALE,
    Crowd,
    Domain,
    IntRange,
    Light,
    Range,
    Scale,
    Sensor,
    Skin,
    View,
    benchmark_of,
    load_benchmark,
    load_domain,
    scaled,
)
from sttreid.runtime.errors import InputError
from tests.tiny import ROOT

FILES = sorted(path.stem for path in (ROOT / "domains").glob("*.yaml"))
NAMES = [name for name in FILES if not name.startswith("benchmark")]
SCALE = {
    "identities": 100, "distractors": 0, "cameras": 5, "min_frames": 10, "max_frames": 16, "width": 640,
    "height": 360, "fps": 12, "seed": 0, "train": 0.5, "validation": 0.14,
}  # fmt: skip


def sections(kind: Any) -> list[Any]:
    inner = [field.type for field in fields(kind) if is_dataclass(field.type)]
    return [kind, *(deep for section in inner for deep in sections(section))]


LATER = {"first_identity", "same_people_as"}  # files of earlier versions lack them


def test_no_field_of_a_domain_has_a_default_or_is_a_list() -> None:
    for section in sections(Domain) + sections(Scale):
        for field in fields(section):
            assert (field.default is MISSING) == (field.name not in LATER), field.name
            assert "list" not in str(field.type)


def test_what_came_later_is_left_out_of_files_at_its_default() -> None:
    assert "first_identity" not in dump(DEFAULT_SCALE)
    assert dump(replace(DEFAULT_SCALE, first_identity=3))["first_identity"] == 3
    domain = load_domain(NAMES[0], ROOT / "domains")
    plain = replace(domain, same_people_as=None)
    assert "same_people_as" not in dump(plain)
    assert dump(replace(plain, same_people_as="b")) == dump(plain) | {"same_people_as": "b"}


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("min_frames", 17, "min_frames must not be above max_frames"),
        ("train", 0.9, "must leave a test share"),
        ("width", 641, "multiple of 2"),
        ("cameras", 1, "greater than or equal to 2"),
        ("cameras", 1_001, "less than or equal to 1000"),
        ("distractors", 100_001, "less than or equal to 100000"),
        ("max_frames", 100_001, "less than or equal to 100000"),
        ("height", 8194, "less than or equal to 8192"),
        ("fps", 1_001, "less than or equal to 1000"),
        ("identities", 10_001, "less than 10001"),
        ("first_identity", 0, "greater than or equal to 1"),
        ("first_identity", 20, "first_identity must be odd.*got 20"),
        ("first_identity", 9_903, "last identity must be below 10001.*got 10002"),
        ("distractors", -1, "greater than or equal to 0"),
        ("seed", -1, "greater than or equal to 0"),
        ("surplus", 1, "Unexpected keyword"),
    ],
)
def test_a_scale_that_breaks_a_rule_is_refused(key: str, value: object, reason: str) -> None:
    adapter = TypeAdapter(Scale)
    assert adapter.validate_python(SCALE).identities == 100
    with pytest.raises(ValidationError, match=reason):
        adapter.validate_python(SCALE | {key: value})


def test_a_range_must_not_be_reversed() -> None:
    with pytest.raises(ValidationError, match="low must not be above high"):
        Range(low=2.0, high=1.0)


CROWD = {"present": 3, "cameras": {"low": 2, "high": 3}, "jitter": 0.05, "fragments": 0.1, "switches": 0.0}


def test_an_identity_must_be_seen_by_two_cameras() -> None:
    assert TypeAdapter(Crowd).validate_python(CROWD).cameras.low == 2
    with pytest.raises(ValidationError, match="at least 2"):
        TypeAdapter(Crowd).validate_python(CROWD | {"cameras": {"low": 1, "high": 3}})


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (
            lambda: View(Range(0.1, 3), Range(0.7, 1), Range(0.2, 0.5), 1.0),
            "height must lie between 0.5 and 30",
        ),
        (lambda: View(Range(2, 3), Range(0.1, 1), Range(0.2, 0.5), 1.0), "focal must lie between 0.2 and 10"),
        (
            lambda: View(Range(2, 3), Range(0.7, 1), Range(0.2, 1.1), 1.0),
            "person must lie between 0.05 and 0.9",
        ),
        (
            lambda: Sensor(Range(-1, 3), Range(0, 1), 0.1, IntRange(20, 26), "fast", 48),
            "noise must lie between",
        ),
        (
            lambda: Sensor(Range(0, 3), Range(0, 1.2), 0.1, IntRange(20, 26), "fast", 48),
            "soft must lie between",
        ),
        (
            lambda: Sensor(Range(0, 3), Range(0, 1), 0.1, IntRange(20, 52), "fast", 48),
            "crf must lie between 0 and 51",
        ),
        (lambda: light(sun=Range(-0.1, 1)), "sun must lie between 0 and 10"),
        (lambda: light(gamma=Range(0.0, 2)), "gamma must lie between 0.1 and 10"),
        (lambda: light(exposure=Range(0.0, 2)), "exposure must lie between 0.1 and 10"),
    ],
)
def test_a_camera_that_cannot_be_is_refused(build: Callable[[], object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        build()


def light(**changes: Range) -> Light:
    whole = {name: Range(1.0, 1.0) for name in ("sun", "ambient", "exposure", "saturation", "gamma")}
    return Light(white_balance=0.1, **(whole | changes))


def test_weights_must_not_be_negative() -> None:
    with pytest.raises(ValidationError):
        Skin(1, 1, -1, 1, 1, 1, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one domain, harbour, and a benchmark."""
    (tmp_path / "harbour.yaml").write_bytes((ROOT / "domains" / f"{NAMES[0]}.yaml").read_bytes())
    content = dump(DEFAULT_SCALE) | {"version": "v1", "domains": ["harbour"]}
    (tmp_path / "benchmark.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


def edit(path: Path, key: str, value: object) -> None:
    """Sets a dotted key of a YAML file."""
    content = yaml.safe_load(path.read_text())
    *parents, last = key.split(".")
    section = content
    for parent in parents:
        section = section[parent]
    section[last] = value
    path.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize("name", NAMES)
def test_the_repositorys_domains_are_valid(name: str) -> None:
    assert isinstance(load_domain(name, ROOT / "domains"), Domain)


def test_the_repositorys_benchmark_pins_domains_that_exist() -> None:
    benchmarks = [load_benchmark(ROOT / "domains", name) for name in FILES if name not in NAMES]
    assert len({each.version for each in benchmarks}) == len(benchmarks) >= 1
    for benchmark in benchmarks:
        assert set(benchmark.domains) <= set(NAMES)
        assert all(benchmark_of(name, ROOT / "domains") == benchmark for name in benchmark.domains)


def test_numbers_that_dvc_writes_as_text_are_numbers(folder: Path) -> None:
    """`dvc exp run -S` writes 0.00001 as 1e-05, which YAML 1.1 reads as text."""
    edit(folder / "harbour.yaml", "view.person.low", "6e-02")
    edit(folder / "harbour.yaml", "sensor.keyframes", "60")
    domain = load_domain("harbour", folder)
    assert (domain.view.person.low, domain.sensor.keyframes) == (0.06, 60)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("clothing.backpak", 0.3, r"clothing\.backpak .*did you mean 'backpack'"),
        ("clothing.twins", 0.3, r"clothing\.twins \(it is now clothing\.look_alikes\)"),
        ("clothing.hat", 1.5, r"clothing\.hat .*less than or equal to 1, got 1\.5"),
        ("view.person.low", "tall", r"view\.person\.low .*got 'tall'"),
        ("sensor.preset", "slwo", r"sensor\.preset .*'slow'.*got 'slwo'"),
        (
            "light.gamma",
            {"low": 3.0, "high": 2.0},
            r"light\.gamma: low must not be above high, got 3\.0 and 2\.0",
        ),
        (
            "skin",
            dict.fromkeys(("fair", "pale", "light", "olive", "brown", "dark", "deep"), 0),
            "skin must have",
        ),
    ],
)
def test_a_broken_rule_is_named_with_file_key_and_value(
    folder: Path, key: str, value: object, reason: str
) -> None:
    edit(folder / "harbour.yaml", key, value)
    with pytest.raises(InputError, match=rf"harbour\.yaml: .*{reason}"):
        load_domain("harbour", folder)


def test_a_missing_key_is_named(folder: Path) -> None:
    content = yaml.safe_load((folder / "harbour.yaml").read_text())
    del content["crowd"]["jitter"]
    (folder / "harbour.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=r"harbour\.yaml: .*crowd\.jitter is missing"):
        load_domain("harbour", folder)


def test_a_domain_that_does_not_exist_is_refused_with_a_suggestion(folder: Path) -> None:
    with pytest.raises(
        InputError, match=r"must be one of harbour, got 'habour' \(did you mean 'harbour'\?\)"
    ):
        load_domain("habour", folder)
    with pytest.raises(InputError, match=r"got 'benchmark'"):
        load_domain("benchmark", folder)
    with pytest.raises(InputError, match=r"none: .*got 'harbour'"):
        load_domain("harbour", folder / "none")


def test_a_file_that_is_not_yaml_is_named(folder: Path) -> None:
    (folder / "harbour.yaml").write_text("skin: {fair: 1")
    with pytest.raises(InputError, match=r"harbour\.yaml: is not valid YAML"):
        load_domain("harbour", folder)


def test_a_benchmark_is_a_scale_with_a_version(folder: Path) -> None:
    benchmark = load_benchmark(folder)
    assert (benchmark.version, benchmark.domains) == ("v1", ("harbour",))
    assert all(getattr(benchmark, f.name) == getattr(DEFAULT_SCALE, f.name) for f in fields(Scale))
    edit(folder / "benchmark.yaml", "min_frames", 90)
    with pytest.raises(
        InputError, match=r"benchmark\.yaml: .*min_frames must not be above max_frames, got 90"
    ):
        load_benchmark(folder)


def test_each_domain_belongs_to_the_benchmark_that_lists_it(folder: Path) -> None:
    content = yaml.safe_load((folder / "benchmark.yaml").read_text())
    second = folder / "benchmark-v2.yaml"
    second.write_text(yaml.safe_dump(content | {"version": "v2", "domains": ["pier"], "identities": 30}))
    assert benchmark_of("harbour", folder) == load_benchmark(folder)
    assert (benchmark_of("pier", folder).version, benchmark_of("pier", folder).identities) == ("v2", 30)
    with pytest.raises(InputError, match=r"must be one of harbour, pier, got 'airport'"):
        benchmark_of("airport", folder)
    with pytest.raises(InputError, match=r"must be one of harbour, got 'benchmark-v2'"):
        load_domain("benchmark-v2", folder)
    edit(second, "domains", ["pier", "harbour"])
    with pytest.raises(InputError, match=r"one benchmark alone must pin 'harbour', got v1, v2"):
        benchmark_of("harbour", folder)


def test_a_domain_may_have_the_people_of_another(folder: Path) -> None:
    content = yaml.safe_load((folder / "harbour.yaml").read_text())
    pier = folder / "pier.yaml"
    pier.write_text(yaml.safe_dump(content | {"same_people_as": "harbour"}))
    assert load_domain("pier", folder) == replace(load_domain("harbour", folder), same_people_as="harbour")
    assert load_domain("pier", folder).drawn_as("pier") == "harbour"
    assert load_domain("harbour", folder).drawn_as("harbour") == "harbour"
    (folder / "quay.yaml").write_text(yaml.safe_dump(content | {"same_people_as": "pier"}))
    with pytest.raises(InputError, match=r"quay\.yaml: .*people of its own, got 'pier'"):
        load_domain("quay", folder)
    edit(pier, "same_people_as", "harbuor")
    with pytest.raises(InputError, match=r"pier\.yaml: .*got 'harbuor' \(did you mean 'harbour'\?\)"):
        load_domain("pier", folder)


def test_a_scale_is_the_default_with_changes() -> None:
    assert scaled({}, "x") == DEFAULT_SCALE
    assert scaled({"fps": 25, "train": 0.3}, "x") == replace(DEFAULT_SCALE, fps=25, train=0.3)
    with pytest.raises(InputError, match=r"^x: unknown key fsp \(did you mean 'fps'\?\)"):
        scaled({"fsp": 25}, "x")
