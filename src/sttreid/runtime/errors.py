"""Errors that a person can act on; a stage ends with their one sentence instead of a traceback."""


class InputError(ValueError):
    """Something given from outside breaks a rule: the message names the place, the rule and the value."""


class PlaceError(InputError):
    """One about a place in a file: what lists errors takes the two apart, as either may hold a colon."""

    def __init__(self, place: object, reason: str) -> None:
        """The sentence is the place, a colon and the reason."""
        super().__init__(f"{place}: {reason}")
        self.place, self.reason = str(place), reason


class DivergedError(RuntimeError):
    """Training cannot go on: the message names the step and the term that is not finite."""
