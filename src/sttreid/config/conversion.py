"""Plain YAML or JSON content <-> typed sections; errors are sentences that name the key."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from sttreid.runtime.documents import YAML_BYTES, parse_yaml, read_bytes
from sttreid.runtime.errors import InputError

T = TypeVar("T")
SHOWN: Final = 200  # letters of a value in an error


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        InputError: the file cannot be read, is not YAML, or breaks a bound of
            :mod:`sttreid.runtime.documents`.
    """
    return parse_yaml(read_bytes(path, YAML_BYTES), path)


def read_mapping(path: Path) -> dict[Any, Any]:
    """The same of a file that holds a mapping.

    Raises:
        InputError: as :func:`read_yaml`; the file holds something else.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be a mapping, got {content!r:.100}")
    return content


def parse(section: type[T], content: object, where: str, renamed: Mapping[str, str] | None = None) -> T:
    """Convert plain YAML or JSON content to a section.

    Args:
        section: a dataclass, or another type that pydantic can validate.
        content: plain values.
        where: file of the content, for errors.
        renamed: former dotted key -> the present name, for the error about an unknown key.

    Raises:
        InputError: a key is unknown or missing, or a value breaks its field's rule.
    """
    try:
        parsed = TypeAdapter(section).validate_python(content)
    except ValidationError as error:
        raise InputError(f"{where}: {'; '.join(_sentences(section, error, renamed or {}))}") from error
    if truths := [f"{key} must be a number, got {value}" for key, value in _as_numbers(content, parsed)]:
        raise InputError(f"{where}: {'; '.join(truths)}")
    return parsed


def _as_numbers(content: object, parsed: object, key: str = "") -> Iterator[tuple[str, bool]]:
    """The truth values that pydantic took for 0 and 1: "off" may mean no limit, and would be the limit 0."""
    if isinstance(content, bool):
        if isinstance(parsed, int | float) and not isinstance(parsed, bool):
            yield key.lstrip(".") or "the value", content
    elif isinstance(content, Mapping):
        for name, value in content.items():
            part = parsed.get(name) if isinstance(parsed, Mapping) else getattr(parsed, str(name), None)
            yield from _as_numbers(value, part, f"{key}.{name}")
    elif isinstance(content, list) and isinstance(parsed, list | tuple) and len(content) == len(parsed):
        for number, (value, part) in enumerate(zip(content, parsed, strict=True)):
            yield from _as_numbers(value, part, f"{key}.{number}")


def dump(section: object) -> Any:
    """A section as plain JSON content (the inverse of :func:`parse`)."""
    return TypeAdapter(type(section)).dump_python(section, mode="json")


def hint(word: str, names: list[str]) -> str:
    """A clause that suggests the name that was probably meant; empty if none is close."""
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _sentences(section: Any, error: ValidationError, renamed: Mapping[str, str]) -> list[str]:
    sentences = []
    for detail in error.errors():
        key = ".".join(str(part) for part in detail["loc"] if part != "[key]") or "the value"
        if detail["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            suggestion = hint(str(detail["loc"][-1]), _keys(section, detail["loc"][:-1]))
            if key in renamed:
                suggestion = f" (it is now {renamed[key]})"
            sentences.append(f"unknown key {key}{suggestion}")
        elif detail["type"] in ("missing", "missing_argument"):
            sentences.append(f"the key {key} is missing")
        elif detail["type"] == "value_error":
            sentences.append(
                f"{key}: {detail['ctx']['error']}" if detail["loc"] else str(detail["ctx"]["error"])
            )
        elif detail["type"] == "dataclass_type":
            names = ", ".join(_keys(section, detail["loc"]))
            sentences.append(f"{key} must be a section with the keys {names}, got {_shown(detail['input'])}")
        else:
            reason = detail["msg"].removeprefix("Input ").partition(", got ")[0]  # the value follows
            empty = " (or empty)" if _allows_none(section, detail["loc"]) else ""
            sentences.append(f"{key} {reason}{empty}, got {_shown(detail['input'])}")
    return sentences


def _shown(value: object) -> str:
    """The beginning of a value as text."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _allows_none(section: Any, location: tuple[int | str, ...]) -> bool:
    """Whether the field at a location inside ``section`` may be None."""
    for part in location[:-1]:
        section = _member(section, part)
    return type(None) in getattr(_member(section, location[-1]), "__args__", ()) if location else False


def _keys(section: Any, location: tuple[int | str, ...]) -> list[str]:
    """The field names of the dataclass at a location inside ``section``."""
    for part in location:
        section = _member(section, part)
    return [field.name for field in fields(section)] if is_dataclass(section) else []


def _member(section: Any, part: int | str) -> Any:
    """The type of a dataclass's field, or of a mapping's or list's elements."""
    types = {field.name: field.type for field in fields(section)} if is_dataclass(section) else {}
    return types.get(str(part), getattr(section, "__args__", (None, None))[-1])
