"""Stage ``simulate``: domains/<name>.yaml -> camera videos and tracks of the synthetic pre-training set."""

from sttreid.config import paths
from sttreid.config.domain import load_domain
from sttreid.config.params import Simulate, run
from sttreid.simulate.dataset import render


def main(simulate: Simulate) -> None:
    """Renders the synthetic set; the number of worker processes does not change a byte."""
    domain = load_domain(simulate.domain)
    render(simulate.domain, domain, simulate, paths.videos(simulate.domain))


if __name__ == "__main__":
    run(main)
