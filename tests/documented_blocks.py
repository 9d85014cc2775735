"""The fenced blocks of README, CONTRIBUTING and docs, and the commands of their shell blocks.

A block without a language is shell. Marks on the lines before a block, which the page does not show, take
commands out of what the tests run: `<!-- not run: REASON -->` all of them, and
``<!-- not run: `make test`, `make lint`: REASON -->`` the lines that begin so.
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
MARK = re.compile(r" *<!-- not run:((?: `[^`]+`,?)+:)?(.*)-->")
OPERATORS = re.compile(r"[;&|()<>]+|\$")
KEYWORDS = {"do", "then", "else"}  # a command follows
COMPOUND = {"for", "done", "if", "fi", "while"}  # not a command
# commands of sttreid that need the git and DVC repository, beside every other program
OF_A_REPOSITORY = {"bench", "compare", "publish", "run-pipeline", "run-study", "watch"}


@dataclass(frozen=True)
class Excuse:
    """Why commands of a block are not run.

    Attributes:
        beginnings: of their lines; none: all of the block.
        reason: empty: the mark gives none.
    """

    beginnings: tuple[str, ...]
    reason: str

    def covers(self, line: str) -> bool:
        return not self.beginnings or any(f"{line} ".startswith(f"{each} ") for each in self.beginnings)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: its file.
        line: of its fence, from 1.
        language: the word after the fence.
        text: its content.
        excuses: the marks before it.
    """

    page: Path
    line: int
    language: str
    text: str
    excuses: tuple[Excuse, ...]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def runs(self) -> str:
        """The lines that the tests run."""
        kept = [line for line in lines(self.text) if not any(each.covers(line) for each in self.excuses)]
        return "".join(f"{line}\n" for line in kept)


def blocks(page: Path) -> Iterator[Block]:
    """All blocks of a page.

    Raises:
        ValueError: a fence is not closed.
    """
    text = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(text):
        fence = FENCE.fullmatch(text[number])
        if fence is None:
            number += 1
            continue
        indent, ticks, info = fence.groups()
        end = text.index(indent + ticks, number + 1)
        content = "\n".join(line.removeprefix(indent) for line in text[number + 1 : end]) + "\n"
        yield Block(page, number + 1, info.strip(), content, tuple(excuses(text[:number])))
        number = end + 1


def excuses(before: list[str]) -> Iterator[Excuse]:
    """Those of the marks that end some lines."""
    while before and (mark := MARK.fullmatch(before[-1])):
        yield Excuse(tuple(re.findall("`([^`]+)`", mark[1] or "")), mark[2].strip())
        before = before[:-1]


def all_blocks(*languages: str) -> list[Block]:
    """The blocks in some languages, of all pages."""
    return [block for page in PAGES for block in blocks(page) if block.language in languages]


def lines(text: str) -> list[str]:
    """The lines of a shell block, continued ones as one, without those that hold no command."""
    joined = re.sub(r" *\\\n *", " ", text).splitlines()
    return [line for line in joined if line.strip() and not line.lstrip().startswith("#")]


def commands(text: str) -> list[list[str]]:
    """The words of each simple command of a shell block, without assignments and redirections before it."""
    found: list[list[str]] = []
    for line in lines(text):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if OPERATORS.fullmatch(word):
                found.append(words)
                words = []
            elif words or not (word in KEYWORDS or re.match(r"[A-Za-z_]+=", word)):
                words.append(word)
    return [words for words in found if words and words[0] not in COMPOUND]


def needs_repository(text: str) -> bool:
    """Whether commands need more than files: a git and DVC repository whose pipeline has run."""
    return any(
        words[0] not in ("pip", "sttreid") or bool(OF_A_REPOSITORY & set(words[1:2]))
        for words in commands(text)
    )
