"""Stage ``simulate``: domains/<name>.yaml -> camera videos and tracks of the synthetic pre-training set."""

from sttreid.config import paths
from sttreid.config.domain import load_domain
from sttreid.config.params import Simulate
from sttreid.simulate.dataset import render
from sttreid.stages.command import run


def main(simulate: Simulate) -> None:
    """Render the synthetic domain; the bytes do not depend on the number of worker processes."""
    render(simulate.domain, load_domain(simulate.domain), simulate, paths.videos(simulate.domain))


if __name__ == "__main__":
    run(main)
