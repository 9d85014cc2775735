"""The fenced blocks of README, CONTRIBUTING and docs, and the commands of their shell blocks.

A block without a language is shell. `<!-- not run: REASON -->` on the line before a block takes it out of the
tests, and is not visible on the page.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
SHELL = ("", "sh", "bash")
FENCE = re.compile(r"( *)(`{3,})(.*)")
EXCUSE = re.compile(r" *<!-- not run:(.*)-->")
OPERATORS = re.compile(r"[;&|()<>]+|\$")
KEYWORDS = {"do", "then", "else"}  # a command follows
COMPOUND = {"for", "done", "if", "fi", "while"}  # not a command


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: its file.
        line: of its fence, from 1.
        language: the word after the fence.
        text: its content.
        excuse: why it is not run; None: it is; empty: the marker gives no reason.
    """

    page: Path
    line: int
    language: str
    text: str
    excuse: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """All blocks of a page.

    Raises:
        ValueError: a fence is not closed.
    """
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        fence = FENCE.fullmatch(lines[number])
        if fence is None:
            number += 1
            continue
        indent, ticks, info = fence.groups()
        end = lines.index(indent + ticks, number + 1)
        text = "\n".join(line.removeprefix(indent) for line in lines[number + 1 : end]) + "\n"
        excuse = EXCUSE.fullmatch(lines[number - 1]) if number else None
        yield Block(page, number + 1, info.strip(), text, excuse[1].strip() if excuse else None)
        number = end + 1


def all_blocks(*languages: str) -> list[Block]:
    """The blocks in some languages, of all pages, that are not excused."""
    return [
        block
        for page in PAGES
        for block in blocks(page)
        if block.excuse is None and block.language in languages
    ]


def commands(text: str) -> list[list[str]]:
    """The words of each simple command of a shell block, without assignments and redirections before it."""
    found: list[list[str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if OPERATORS.fullmatch(word):
                found.append(words)
                words = []
            elif words or not (word in KEYWORDS or re.match(r"[A-Z_]+=", word)):
                words.append(word)
    return [words for words in found if words and words[0] not in COMPOUND]
