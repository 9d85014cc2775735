"""Stage ``cross_domain``: cross-domain results of all seeds -> the files of metrics/ and plot tables.

It does not depend on the ablation: ``dvc exp run -S ... cross_domain`` runs an experiment without it. The
ablation's files then stay those of other parameters, so this stage takes those variants out of them, and
marks the pages: what is stale must not look like a result. The stage ``report`` writes them again.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from sttreid.analysis import metrics_files, results
from sttreid.analysis.result_files import read_history, read_queries, read_result
from sttreid.analysis.results import Scores
from sttreid.analysis.summary import Summary, summary
from sttreid.config import fingerprint, paths
from sttreid.config.fingerprint import FINGERPRINT
from sttreid.config.params import Params
from sttreid.runtime.documents import read_text
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, write_json, write_text
from sttreid.runtime.progress import log
from sttreid.stages.command import run


def main(params: Params) -> None:
    """Means over seeds."""
    seeds, synthetic = params.seeds, params.simulate.domain
    scores, made_by = cross_domain(params.targets, seeds, synthetic), fingerprint.of_default_run(params)
    histories = {
        (name, seed): read_history(paths.history("cross_domain", seed, name))
        for name in (synthetic, *params.targets)
        for seed in seeds
    }
    curves = {
        paths.curve("cross_domain", seed, name): _labelled(results.training_curve(table), made_by)
        for (name, seed), table in histories.items()
    }
    few = summary(scores)
    write_json(paths.METRICS / "summary.json", few)
    write_json(paths.METRICS / "cross_domain.json", metrics_files.cross_domain_metrics(scores, made_by))
    plots = paths.METRICS / "plots"
    write_text(plots / "cross_domain.tsv", results.tsv(_labelled(results.matrix(scores), made_by)))
    write_text(plots / "cmc.tsv", results.tsv(_labelled(results.cmc(scores), made_by)))
    write_curves(curves)
    _leave_out_what_is_stale(params)
    log(f"cross_domain: {_sentence(few)}")


def cross_domain(targets: list[str], seeds: list[int], synthetic: str) -> Scores:
    """Read the cross-domain results."""
    contents = [read_result(paths.result("cross_domain", seed)) for seed in seeds]
    queries = pd.concat(
        [read_queries(paths.queries("cross_domain", seed), "sources") for seed in seeds], ignore_index=True
    )
    return results.cross_domain(contents, queries, targets, synthetic)


def write_curves(curves: Mapping[Path, pd.DataFrame]) -> None:
    """Write a folder of training curves; DVC keeps it, so curves of earlier runs are removed."""
    for path, curve in curves.items():
        write_text(path, results.tsv(curve))
    for folder in {path.parent for path in curves}:
        for path in folder.iterdir():
            if path not in curves:
                path.unlink()


def _labelled(table: pd.DataFrame, made_by: str) -> pd.DataFrame:
    return table.assign(**{FINGERPRINT: made_by})


def _leave_out_what_is_stale(params: Params) -> None:
    """Take variants of other parameters out of the ablation's files, and mark pages of other parameters."""
    current = fingerprint.of_variants(params)
    metrics, table = paths.METRICS / "ablation.json", paths.METRICS / "plots" / "ablation.tsv"
    if metrics.exists():
        content = read_json(metrics)
        if not isinstance(content, dict):
            raise InputError(f"{metrics}: must be a mapping with an entry for each variant")
        if (fresh := metrics_files.fresh_entries(content, current)) != content:
            write_json(metrics, fresh)
    if table.exists():
        _replace(table, metrics_files.fresh_rows(read_text(table), current, table))
    for name, made_by in current.items():
        for seed in params.seeds:
            curve = paths.curve("ablation", seed, name)
            if curve.exists() and f"\t{made_by}\n" not in read_text(curve):
                curve.unlink()
    whole = fingerprint.of_ablation(params)
    for name in ("report", "claims"):
        page = paths.METRICS / f"{name}.md"
        if page.exists():
            text = read_text(page)
            _replace(page, metrics_files.marked(text, whole))


def _replace(path: Path, text: str) -> None:
    """Write a file whose content changes."""
    if text != read_text(path):
        write_text(path, text)


def _sentence(few: Summary) -> str:
    """ "rank1_in 0.608, rank1_cross 0.512"; with several protocols, each before its numbers."""
    parts = []
    for name, value in few.items():
        text = f"{value:.3f}" if isinstance(value, float) else f"({_sentence(value)})"
        parts.append(f"{name} {text}")
    return ", ".join(parts)


if __name__ == "__main__":
    run(main)
