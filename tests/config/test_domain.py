from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from sttreid.config.domain import Crowd, Domain, Light, Range, Scale, Sensor, Skin, View, Whole

SCALE = {
    "identities": 100, "distractors": 0, "cameras": 5, "shortest": 10, "longest": 16, "width": 640,
    "height": 360, "fps": 12, "seed": 0, "train": 0.5, "validation": 0.14,
}  # fmt: skip


def sections(kind: Any) -> list[Any]:
    inner = [field.type for field in fields(kind) if is_dataclass(field.type)]
    return [kind, *(deep for section in inner for deep in sections(section))]


def test_no_field_of_a_domain_has_a_default_or_is_a_list() -> None:
    for section in sections(Domain) + sections(Scale):
        for field in fields(section):
            assert field.default is MISSING, field.name
            assert "list" not in str(field.type)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("shortest", 17, "shortest must not be above longest"),
        ("train", 0.9, "must leave a test share"),
        ("width", 641, "multiple of 2"),
        ("cameras", 1, "greater than or equal to 2"),
        ("identities", 10_001, "less than 10001"),
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
        (lambda: Sensor(Range(-1, 3), Range(0, 1), 0.1, Whole(20, 26), "fast", 48), "noise must lie between"),
        (lambda: Sensor(Range(0, 3), Range(0, 1.2), 0.1, Whole(20, 26), "fast", 48), "soft must lie between"),
        (
            lambda: Sensor(Range(0, 3), Range(0, 1), 0.1, Whole(20, 52), "fast", 48),
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
