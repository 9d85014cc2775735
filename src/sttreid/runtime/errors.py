"""Errors that a user can act on; a stage prints one sentence instead of a traceback."""

import unicodedata
from typing import Final

HIDDEN: Final = ("C", "Zl", "Zp")  # Unicode's categories of what breaks a line or is not seen
SENTENCE: Final = 2_000  # characters of a sentence, however long the value is that it quotes
LEFT_OUT: Final = " [...] "


class InputError(ValueError):
    """Input breaks a rule: the message names the file or key, the rule and the value.

    Each argument is a sentence, on a line of its own. Control characters in it are escaped: a message may
    hold names that someone else gave, with line ends or commands for the terminal in them. The middle of a
    sentence of more than ``SENTENCE`` characters is left out: a line of a file may have gigabytes.
    """

    def __str__(self) -> str:
        """The sentences."""
        return "\n".join(_one_line(str(sentence)) for sentence in self.args)


class PlaceError(InputError):
    """An error at a position in a file; place and reason stay separate, because both may contain colons."""

    def __init__(self, place: object, reason: str) -> None:
        """The message is the place, a colon and the reason."""
        super().__init__(f"{place}: {reason}")
        self.place, self.reason = str(place), reason


class DecodeError(PlaceError):
    """A frame of a video that was opened cannot be decoded; the reason names it."""


class DivergedError(RuntimeError):
    """Training cannot continue: the message names the step and the term that is not finite."""


class StageError(RuntimeError):
    """Stages of a pipeline failed: the message names them."""


def shortened(message: str) -> str:
    """The message, in which no line has more than ``SENTENCE`` characters; beginnings and ends stay."""
    return "\n".join(map(_cut, message.split("\n")))


def _cut(sentence: str) -> str:
    if len(sentence) <= SENTENCE:
        return sentence
    kept = (SENTENCE - len(LEFT_OUT)) // 2
    return f"{sentence[:kept]}{LEFT_OUT}{sentence[-kept:]}"


def _one_line(text: str) -> str:
    text = _cut(text)
    if text.isprintable():
        return text
    return _cut("".join(map(_visible, text)))  # what is escaped is longer


def _visible(letter: str) -> str:
    hidden = unicodedata.category(letter).startswith(HIDDEN)
    return letter.encode("unicode_escape").decode() if hidden else letter
