"""The simulator's commands: render a data set, verify one, draw a contact sheet."""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

import yaml

from sttreid.config.conversion import parse
from sttreid.config.domain import Scale
from sttreid.config.params import PARAMS, load
from sttreid.runtime.errors import InputError
from sttreid.simulate.dataset import render
from sttreid.simulate.manifest import MANIFEST, differences
from sttreid.simulate.sheet import write_sheet


def main(arguments: list[str] | None = None) -> None:
    """`python -m sttreid.simulate render | verify | sheet`; `--help` explains each.

    Raises:
        InputError: the parameter file is bad, the domain is unknown, the folder is there already, or files
            differ from their manifest.
    """
    parser = argparse.ArgumentParser(prog="python -m sttreid.simulate", description=__doc__)
    commands = parser.add_subparsers(required=True)
    _add_render(commands.add_parser("render", help="write camera videos, tracks, truth and manifest"))
    _add_verify(commands.add_parser("verify", help="compare files with the checksums of a manifest"))
    _add_sheet(commands.add_parser("sheet", help="draw a contact sheet: identities x cameras x moments"))
    given = vars(parser.parse_args(arguments))
    given.pop("command")(**given)


def _add_render(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_render)
    parser.add_argument("domain", help="a name under `domains` in the parameter file")
    parser.add_argument("folder", type=Path, help="is made; must not be there yet")
    parser.add_argument(
        "--scale", nargs="+", default=[], metavar="KEY=VALUE", help="other values than those of `benchmark`"
    )
    parser.add_argument("--params", type=Path, default=PARAMS, help="parameter file (default: %(default)s)")
    parser.add_argument("--workers", type=int, help="processes (default: one a processor); changes no byte")


def _render(domain: str, folder: Path, scale: list[str], params: Path, workers: int | None) -> None:
    values = load(params)
    if domain not in values.domains:
        raise InputError(f"{params}: domains has no {domain!r}, only {', '.join(values.domains)}")
    if folder.exists():
        raise InputError(f"{folder}: is there already; choose a folder that is not")
    # the name of the version belongs to the frozen sets alone, as this project's own parameters make them
    frozen = domain in values.targets and not scale and params == PARAMS
    size = _scaled(values.benchmark, scale)
    render(
        domain, values.domains[domain], size, folder, workers, values.benchmark.version if frozen else None
    )


def _scaled(scale: Scale, changes: list[str]) -> Scale:
    """The scale with values such as "identities=500" put into it."""
    content = {field.name: getattr(scale, field.name) for field in fields(Scale)}
    for change in changes:
        key, _, value = change.partition("=")
        if key not in content:
            raise InputError(f"--scale: the key must be one of {', '.join(content)}, got {change!r}")
        content[key] = yaml.safe_load(value)
    return parse(Scale, content, "--scale")


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_verify)
    parser.add_argument("folders", type=Path, nargs="+", metavar="folder", help="of a rendered data set")
    parser.add_argument("--manifest", type=Path, help="of another rendering (default: the folder's own)")


def _verify(folders: list[Path], manifest: Path | None) -> None:
    found = [line for folder in folders for line in differences(folder, manifest or folder / MANIFEST)]
    if found:
        raise InputError("\n".join(found))
    print("Every file has the checksum of its manifest.")


def _add_sheet(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=write_sheet)
    parser.add_argument("folder", type=Path, help="of a rendered data set")
    parser.add_argument("path", type=Path, help="the JPEG to write")
    parser.add_argument(
        "--identities", type=int, default=24, dest="count", help="how many (default: %(default)s)"
    )


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
