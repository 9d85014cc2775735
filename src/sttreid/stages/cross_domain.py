"""Stage ``cross_domain``: the evaluations of all seeds -> metrics/cross_domain.json and its plot table.

It depends on nothing of the ablation: a targeted experiment (``dvc exp run -S ... cross_domain``) ends here.
"""

import pandas as pd

from sttreid.config import paths
from sttreid.config.params import Simulate
from sttreid.report import plots, summary
from sttreid.report.evidence import evidence
from sttreid.runtime.files import read_json, read_table, write_json, write_text
from sttreid.stages.command import run


def main(simulate: Simulate, targets: list[str], seeds: list[int]) -> None:
    """Average over seeds."""
    results = [read_json(paths.cross_result(seed)) for seed in seeds]
    queries = pd.concat([read_table(paths.cross_queries(seed)) for seed in seeds], ignore_index=True)
    table = summary.matrix(results, targets, simulate.domain)
    known = evidence(queries, "source", table)
    content = summary.cross_domain(summary.names(results[0]["protocol"]), table, known)
    write_json(paths.METRICS / "cross_domain.json", content)
    write_text(paths.METRICS / "plots" / "cross_domain.tsv", plots.text(plots.cross_domain(table)))
    write_text(paths.METRICS / "plots" / "cmc.tsv", plots.text(plots.cmc(queries, table)))


if __name__ == "__main__":
    run(main)
