"""Print this run's numbers beside the newest publication of the study seeds: the end of `make repro`.

It reads the results and dvc.lock of the working directory, and computes nothing else.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sttreid.analysis import spread
from sttreid.analysis.spread import Comparison, Publication, Verdict
from sttreid.config.conversion import read_yaml
from sttreid.config.params import PARAMS, Params, load
from sttreid.retrieval.metrics import HEADLINE
from sttreid.runtime.errors import InputError
from sttreid.runtime.provenance import locked_outputs
from sttreid.stages.cross_domain import cross_domain

LABELS = {metric.name: metric.label for metric in HEADLINE}
RULES = (
    "identical: equal to the published number of the same seed.",
    "within: inside mean ± t sd sqrt(1 + 1/n) of the n published seeds, where a further seed lies in 95 % of "
    "cases (t: Student's 97.5 % quantile, n - 1 degrees of freedom).",
    "outside: elsewhere; by chance, about one number in 20.",
)


def main() -> list[str]:
    """The lines to print.

    Raises:
        InputError: results or a publication cannot be read.
    """
    publication = spread.published(Path())
    if publication is None:
        return ["There is no publication of the study seeds in metrics/seeds to compare this run with."]
    params, stages = load(), read_yaml(Path("dvc.lock"))["stages"]
    rows = spread.compare(publication, cross_domain(params.targets, params.seeds, params.simulate.domain))
    seeds = f"{len(publication.params['seeds'])} seeds"
    origin = f"commit {publication.commit[:10]}, {publication.numerics} numerics, {seeds}"
    counts = Counter(row.verdict for row in rows)
    return [
        f"This run beside the study seeds ({origin}), in per cent",
        "",
        *aligned(table(rows)),
        "",
        f"{len(rows)} numbers: {', '.join(f'{counts[verdict]} {verdict}' for verdict in Verdict)}.",
        *RULES,
        *_weights(publication, params.seeds, _present(locked_outputs(stages, "artifacts/models"), params)),
        *_differences(publication, locked_outputs(stages, "artifacts/tracklets")),
    ]


def table(rows: Sequence[Comparison]) -> list[list[str]]:
    """The header, and a row for each number."""
    lines = [["number", "seed", "this run", "published", "mean ± sd", "verdict"]]
    for row in rows:
        name = f"{LABELS[row.metric]} {row.name.replace('->', ' -> ').replace('_', '-')}"
        earlier = "-" if row.published is None else _percent(row.published)
        mean = f"{_percent(row.spread.mean)} ± {_percent(row.spread.sd)}"
        lines.append([name, str(row.seed), _percent(row.value), earlier, mean, str(row.verdict)])
    return lines


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width: words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    last = len(widths) - 1
    return [
        "  ".join(
            cell.ljust(width) if i in (0, last) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _present(models: Mapping[str, str], params: Params) -> dict[str, str]:
    """The models of the parameters; dvc.lock keeps those of dropped targets, too (tools/prune_lock.py)."""
    trained = [params.simulate.domain, *params.targets]
    names = [f"cross_domain/{seed}/{name}.pt" for seed in params.seeds for name in trained]
    return {name: models[name] for name in names if name in models}


def _weights(publication: Publication, seeds: Sequence[int], models: Mapping[str, str]) -> Iterator[str]:
    """Whether the models have the checksums of the published ones."""
    for seed in seeds:
        earlier = {
            name: md5
            for name, md5 in publication.models.items()
            if name.startswith(f"cross_domain/{seed}/") and name in models
        }
        equal = sum(models[name] == md5 for name, md5 in earlier.items())
        if earlier:
            yield f"Weights of seed {seed}: {equal} of {len(earlier)} models have the published MD5."
        else:
            yield f"Weights of seed {seed}: not published."


def _differences(publication: Publication, stores: Mapping[str, str]) -> Iterator[str]:
    """Why numbers may differ: parameters and data; the machines of the publication."""
    if params := spread.differing_params(read_yaml(PARAMS), publication.params):
        yield f"Parameters differ: {'; '.join(params)}."
    if data := [name for name, md5 in publication.tracklets.items() if stores.get(name) != md5]:
        yield f"Data differ: the tracklets of {', '.join(data)}."
    yield f"Published on: {'; '.join(dict.fromkeys(each.summary for each in publication.machines))}."


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


if __name__ == "__main__":
    try:
        print("\n".join(main()))
    except InputError as problem:
        sys.exit(f"error: {problem}")
