"""The command ``sttreid compare``."""

from typing import Annotated

import typer

from sttreid.cli import checkout
from sttreid.runtime.errors import InputError


def compare(
    a: Annotated[str, typer.Argument(help="An experiment, a branch, tag or commit, or workspace.")],
    b: Annotated[str, typer.Argument(help="As A; the difference is B - A.")] = "workspace",
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    md: Annotated[bool, typer.Option("--md", help="Print a Markdown table.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Compare although data, protocol or numeric path differ.")
    ] = False,
) -> None:
    """Tell whether a difference between two runs is noise.

    Prints each difference with a confidence interval over people, and whether another seed would do as much.
    """
    from sttreid.analysis.comparison import compare
    from sttreid.analysis.spread import published
    from sttreid.cli import differences
    from sttreid.cli.revisions import read_outcomes

    if json_ and md:
        raise InputError("--json and --md: give one of them, got both")
    root = checkout.root()
    first, second = read_outcomes(root, [a, b])
    found = compare(first, second, published(root), differences.min_effect(root), force)
    form = differences.as_json if json_ else differences.as_markdown if md else differences.as_text
    print(form(found))
