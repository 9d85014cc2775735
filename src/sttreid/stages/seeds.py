"""Stage ``seeds``: cross-domain results of several seeds -> how far the default run's numbers spread."""

from sttreid.analysis import spread
from sttreid.analysis.results import tsv
from sttreid.config import paths
from sttreid.config.params import Simulate
from sttreid.report import render
from sttreid.report.study_pages import seeds_page
from sttreid.runtime.files import write_json, write_text
from sttreid.stages.command import run
from sttreid.stages.cross_domain import cross_domain


def main(simulate: Simulate, targets: list[str], seeds: list[int]) -> None:
    """The models are those of the default run, trained with several seeds."""
    results = spread.seed_results(cross_domain(targets, seeds, simulate.domain))
    page = seeds_page(results)
    folder = paths.publication()
    write_json(folder / "seeds.json", spread.content(results))
    write_text(folder / "seeds.md", render.markdown(page))
    write_text(folder / "plots" / "seeds.tsv", tsv(spread.table(results)))


if __name__ == "__main__":
    run(main)
