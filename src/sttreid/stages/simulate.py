"""Stage ``simulate``: nothing -> camera videos and tracks of the synthetic pre-training domain."""

from sttreid.config import paths
from sttreid.config.domain import Domain
from sttreid.config.params import Simulate, run
from sttreid.simulate.dataset import render


def main(simulate: Simulate, domains: dict[str, Domain]) -> None:
    """Render the synthetic domain; the number of worker processes does not change a byte."""
    render(simulate.domain, domains[simulate.domain], simulate, paths.videos(simulate.domain))


if __name__ == "__main__":
    run(main)
