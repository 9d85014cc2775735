"""Any text as Markdown that shows it as it is: names of data sets, parameters and results are not trusted.

A name may hold what Markdown interprets (pipes of tables, backticks, links, HTML) and line breaks, which
would begin a heading, a list or another row.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

# what is interpreted inside of a line (a bracket: if it could end a link's text) and at its start
INSIDE: Final = re.compile(r"[\\`*_<>|~&$]|\](?=[(\[:])")
START: Final = re.compile(r"^(\d+)(?=[.)](?: |$))|^(?=(?:[-+]|#{1,6})(?: |$)|-{3,}$|=+$)")


def inline(text: str) -> str:
    """A text for the inside of a line, a table's cell included: one line, whatever it holds."""
    return INSIDE.sub(r"\\\g<0>", " ".join(text.split()))


def line(text: str) -> str:
    """The same for a whole line."""
    return START.sub(r"\g<1>\\", inline(text))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1) -> Iterator[str]:
    """The lines of a table; its first ``left`` columns hold words, the others numbers."""
    yield _row(columns)
    yield "|" + "".join(":--|" if place < left else "--:|" for place in range(len(columns)))
    yield from map(_row, rows)


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(inline(str(cell)) for cell in cells)} |"
