"""Errors that a user can act on; a stage prints one sentence instead of a traceback."""


class InputError(ValueError):
    """Input breaks a rule: the message names the file or key, the rule and the value."""


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
