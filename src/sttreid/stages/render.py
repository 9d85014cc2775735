"""Stage ``render``: domains/NAME.yaml and a scale -> camera videos and tracks of one set of a study."""

from typing import Any

from sttreid.config import paths
from sttreid.config.conversion import dump
from sttreid.config.domain import load_domain
from sttreid.config.params import PARAMS, Simulate, rendered_set
from sttreid.simulate.dataset import render
from sttreid.stages.command import run


def main(name: str, rendered: dict[str, dict[str, Any]], simulate: Simulate) -> None:
    """Render a set of the section ``rendered``; the bytes do not depend on the number of worker processes."""
    scale = rendered_set(rendered, dump(simulate), name, PARAMS)
    render(scale.domain, load_domain(scale.domain), scale, paths.videos(name))


if __name__ == "__main__":
    run(main)
