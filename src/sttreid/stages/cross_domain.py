"""Stage ``cross_domain``: the evaluations of all seeds -> metrics/cross_domain.json and its plot table.

It depends on nothing of the ablation: a targeted experiment (``dvc exp run -S ... cross_domain``) ends here.
"""

from sttreid import paths
from sttreid.files import read_json, write_json, write_text
from sttreid.params import Simulate, run
from sttreid.report import plots, summary


def main(simulate: Simulate, targets: list[str], seeds: list[int]) -> None:
    """Average over seeds."""
    results = [read_json(paths.cross_result(seed)) for seed in seeds]
    content = summary.cross_domain(results, targets, simulate.domain)
    table = plots.cross_domain(results, targets, simulate.domain)
    write_json(paths.METRICS / "cross_domain.json", content)
    write_text(paths.METRICS / "plots" / "cross_domain.tsv", plots.text(table))


if __name__ == "__main__":
    run(main)
