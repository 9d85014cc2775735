"""`python -m sttreid.simulate DOMAIN FOLDER`: renders a data set of the benchmark's scale."""

import argparse
import sys
from pathlib import Path

from sttreid.errors import InputError
from sttreid.params import PARAMS, load
from sttreid.simulate.dataset import render


def main(arguments: list[str] | None = None) -> None:
    """Renders one domain of the parameter file at the scale `benchmark`.

    Raises:
        InputError: the parameter file is bad, the domain is unknown, or the folder is there already.
    """
    parser = argparse.ArgumentParser(prog="python -m sttreid.simulate", description=__doc__)
    parser.add_argument("domain", help="a name under `domains` in the parameter file")
    parser.add_argument("folder", type=Path, help="is made; must not be there yet")
    parser.add_argument("--params", type=Path, default=PARAMS, help="parameter file (default: %(default)s)")
    parser.add_argument("--workers", type=int, help="processes (default: one a processor); changes no byte")
    given = parser.parse_args(arguments)
    params = load(given.params)
    if given.domain not in params.domains:
        raise InputError(f"{given.params}: domains has no {given.domain!r}, only {', '.join(params.domains)}")
    if given.folder.exists():
        raise InputError(f"{given.folder}: is there already; choose a folder that is not")
    render(given.domain, params.domains[given.domain], params.benchmark, given.folder, given.workers)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
