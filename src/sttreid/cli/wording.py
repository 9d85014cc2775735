"""What commands have in common: examples in their help, KEY=VALUE options, counts, facts in two columns."""

from typing import Any

from sttreid.runtime.errors import InputError


def examples(*commands: str) -> str:
    """The end of a command's help."""
    return as_written("Examples", *commands)


def as_written(title: str, *lines: str) -> str:
    """A paragraph of a command's help; the control character keeps the lines as they are."""
    return "\n".join(["\b", f"{title}:", *(f"  {line}" for line in lines)])


def counted(number: int, noun: str) -> str:
    """A number and its noun: "1 query", "2 queries"."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def columns(values: dict[str, Any]) -> list[str]:
    """Names and values in two columns."""
    return [
        f"{name:<12} {f'{value:.4g}' if isinstance(value, float) else value}"
        for name, value in values.items()
    ]


def pairs(words: list[str], option: str) -> dict[str, str]:
    """Words KEY=VALUE as a mapping.

    Raises:
        InputError: a word is none, or gives a key again.
    """
    pairs: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or not key:
            raise InputError(f"{option}: must be KEY=VALUE, got {word!r}")
        if key in pairs:
            raise InputError(f"{option}: a key must be given once, got {key}={pairs[key]} and {word}")
        pairs[key] = value
    return pairs
