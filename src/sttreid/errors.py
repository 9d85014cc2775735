"""Errors that a person can act on; a stage ends with their one sentence instead of a traceback."""


class InputError(ValueError):
    """Something given from outside breaks a rule: the message names the place, the rule and the value."""


class DivergedError(RuntimeError):
    """Training cannot go on: the message names the step and the term that is not finite."""
