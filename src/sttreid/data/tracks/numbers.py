"""Numbers in text, read exactly: no identity passes through a float."""

import math
import re
from typing import Final

_NUMBER: Final = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?", re.ASCII)
_LONGEST: Final = 64  # characters of a number
_SIX_DIGITS: Final = 10**6  # "%g" writes larger numbers with six digits and an exponent


def real(word: str) -> float | None:
    """A finite number, ``nan`` or an infinity; None: the word is no number."""
    if word.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return math.nan if "nan" in word.lower() else math.inf
    return float(word) if _match(word) else None


def whole(word: str) -> int | None:
    """A whole number in any notation (``17``, ``17.0``, ``1.7e+01``); None: the word is none."""
    match = _match(word)
    if match is None:
        return None
    sign, before, after, exponent = match.group(1), match.group(2), match.group(3) or "", match.group(4)
    shift = int(exponent or 0) - len(after)
    if shift >= 0:
        value, rest = int(before + after) * 10**shift, 0
    else:
        value, rest = divmod(int(before + after), 10**-shift)
    return None if rest else -value if sign == "-" else value


def was_rounded(word: str) -> bool:
    """Whether digits of a whole number were lost when it was written, as in ``1.23457e+08`` (``%g``)."""
    match = _match(word)
    if match is None or not match.group(4) or abs(whole(word) or 0) < _SIX_DIGITS:
        return False
    return int(match.group(4)) > len(match.group(3) or "")


def _match(word: str) -> re.Match[str] | None:
    match = _NUMBER.fullmatch(word) if len(word) <= _LONGEST else None
    return match if match and (match.group(2) or match.group(3)) else None
