"""Stage ``cross_domain``: cross-domain results of all seeds -> the files of metrics/ and plot tables.

It does not depend on the ablation: ``dvc exp run -S ... cross_domain`` runs an experiment without it.
"""

import pandas as pd

from sttreid.analysis import results
from sttreid.analysis.results import Scores
from sttreid.analysis.summary import summary
from sttreid.config import paths
from sttreid.config.params import Simulate
from sttreid.runtime.files import read_json, read_table, write_json, write_text
from sttreid.stages.command import run


def main(simulate: Simulate, targets: list[str], seeds: list[int]) -> None:
    """Means over seeds."""
    scores = cross_domain(targets, seeds, simulate.domain)
    write_json(paths.METRICS / "summary.json", summary(scores))
    write_json(paths.METRICS / "cross_domain.json", results.cross_domain_metrics(scores))
    write_text(paths.METRICS / "plots" / "cross_domain.tsv", results.tsv(results.matrix(scores)))
    write_text(paths.METRICS / "plots" / "cmc.tsv", results.tsv(results.cmc(scores)))


def cross_domain(targets: list[str], seeds: list[int], synthetic: str) -> Scores:
    """Read the cross-domain results."""
    contents = [read_json(paths.result("cross_domain", seed)) for seed in seeds]
    queries = pd.concat(
        [read_table(paths.queries("cross_domain", seed)) for seed in seeds], ignore_index=True
    )
    return results.cross_domain(contents, queries, targets, synthetic)


if __name__ == "__main__":
    run(main)
