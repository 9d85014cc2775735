"""What commands have in common: examples in their help, and options that are KEY=VALUE."""

from sttreid.runtime.errors import InputError


def examples(*commands: str) -> str:
    """The end of a command's help; the control character keeps the lines as they are."""
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])


def pairs(words: list[str], option: str) -> dict[str, str]:
    """Words KEY=VALUE as a mapping."""
    pairs = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or not key:
            raise InputError(f"{option}: must be KEY=VALUE, got {word!r}")
        pairs[key] = value
    return pairs
