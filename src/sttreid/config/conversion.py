"""Plain YAML or JSON content <-> typed sections: what does not fit is told in sentences that name the key."""

import difflib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from sttreid.runtime.errors import InputError

T = TypeVar("T")


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        InputError: the file cannot be read, or is not YAML.
    """
    try:
        return yaml.safe_load(path.read_bytes())  # bytes, so that a wrong encoding is a YAML error too
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: is not valid YAML ({' '.join(str(error).split())})") from error


def parse(section: type[T], content: object, where: str) -> T:
    """Convert plain YAML or JSON content to a section; ``where`` names its file in errors."""
    try:
        return TypeAdapter(section).validate_python(content)
    except ValidationError as error:
        raise InputError(f"{where}: {'; '.join(_sentences(section, error))}") from error


def dump(section: object) -> Any:
    """A section as plain JSON content (the inverse of :func:`parse`)."""
    return TypeAdapter(type(section)).dump_python(section, mode="json")


def hint(word: str, known: list[str]) -> str:
    """The known name that was probably meant, for the end of a sentence; empty if none is close."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _sentences(section: Any, error: ValidationError) -> list[str]:
    out = []
    for detail in error.errors():
        key = ".".join(str(part) for part in detail["loc"] if part != "[key]") or "the value"
        if detail["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            known = _known_keys(section, detail["loc"][:-1])
            out.append(f"unknown key {key}{hint(str(detail['loc'][-1]), known)}")
        elif detail["type"] in ("missing", "missing_argument"):
            out.append(f"the key {key} is missing")
        elif detail["type"] == "value_error":
            out.append(f"{key}: {detail['ctx']['error']}")
        else:
            reason = detail["msg"].removeprefix("Input ")
            out.append(f"{key} {reason}, got {detail['input']!r}")
    return out


def _known_keys(section: Any, location: tuple[int | str, ...]) -> list[str]:
    """The field names of the dataclass at a location inside ``section``."""
    for part in location:
        types = {field.name: field.type for field in fields(section)} if is_dataclass(section) else {}
        section = types.get(str(part), getattr(section, "__args__", (None, None))[-1])
    return [field.name for field in fields(section)] if is_dataclass(section) else []
