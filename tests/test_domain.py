from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from sttreid.domain import Crowd, Domain, Range, Scale, Skin

SCALE = {
    "identities": 100, "cameras": 5, "shortest": 10, "longest": 16, "width": 640, "height": 360, "fps": 12,
    "seed": 0, "train": 0.5, "validation": 0.14,
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


def test_an_identity_must_be_seen_by_two_cameras() -> None:
    with pytest.raises(ValidationError, match="at least 2"):
        TypeAdapter(Crowd).validate_python({"present": 3, "cameras": {"low": 1, "high": 3}, "jitter": 0.05})


def test_weights_must_not_be_negative() -> None:
    with pytest.raises(ValidationError):
        Skin(1, 1, -1, 1, 1, 1, 1)
