"""A user's footage -> a gallery of tracklets -> ranked answers and identities across cameras.

The package has the name of the public function ``sttreid.search``, and Python binds that name to the package
once any of its modules is imported. Calling the package is therefore calling the function.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sttreid.search.answers import Answers


class _Search(ModuleType):
    """A package that can be called."""

    def __call__(self, *given: object, **named: object) -> "tuple[Answers, ...]":
        """See :func:`sttreid.search.ranking.search`."""
        from sttreid.search.ranking import search

        return search(*given, **named)  # type: ignore[arg-type]


sys.modules[__name__].__class__ = _Search
