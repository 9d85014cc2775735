"""The evaluator beside what others offer: `python -m bench.evaluation [--size mars lsvid million]`.

The features are drawn with the counts of MARS or LS-VID (bench/evaluation_set.py); "million" has 500 queries
of 512 dimensions. A candidate gets features of length 1 and labels, and answers with rank-1 and mAP, matrix
product included; faiss, which has no metrics, with the 100 nearest of each query, and the bare product with
nothing. "double precision" is the simplest evaluator that has our ranks (bench/plain_ranking.py). Candidates
run in turn, each in a process of its own (bench/costs.py), with one thread each.

torchreid's metrics are read from files, because the package imports much that is not needed here. Its Python
is in the package; its Cython, rank_cy.pyx, is in no package: the environment variable TORCHREID names a
folder with that file of github.com/KaiyangZhou/deep-person-reid (torchreid/metrics/rank_cylib), compiled by
`cythonize -i rank_cy.pyx`. Without it, the Python is measured instead.
"""

import importlib.metadata
import importlib.util
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from bench.costs import Call, Candidate, Cost, side_by_side
from bench.evaluation_set import SIZES, TINY, EvaluationSet, Size, generate, load
from bench.figures import Figure, Target, at_most, command_line, compared, missing, show
from bench.plain_ranking import ranks

FOLDER: Final = "TORCHREID"  # environment variable
BLOCK: Final = 4096  # gallery rows at once
NEAREST: Final = 100  # answers of faiss
MILLION: Final = replace(SIZES["million"], queries=500, query_identities=400, width=512)
LABELS: Final = {"mars": "MARS", "lsvid": "LS-VID", "million": "a million rows"}
OURS, PRODUCT, CYTHON, PYTHON = "evaluate", "bare matrix product", "torchreid's Cython", "torchreid's Python"
SKLEARN, TORCHMETRICS, FAISS = "scikit-learn", "torchmetrics", f"faiss, {NEAREST} nearest"
DOUBLE: Final = "double precision"
PACKAGES: Final = {SKLEARN: "sklearn", TORCHMETRICS: "torchmetrics", FAISS: "faiss"}
TARGETS: Final = {CYTHON: at_most(1.0), DOUBLE: at_most(1.0)}
BOUND: Final = at_most(1.75)  # of the bare product, at the sizes of MARS and LS-VID

Metrics = tuple[float, float] | None  # rank-1 and mAP


def ours(data: EvaluationSet) -> Call:
    from sttreid.retrieval import Labels, evaluate, protocol

    query = Labels(data.identity[data.query], data.camera[data.query])
    masks = {"query": data.query, "distractor": data.distractor, "junk": data.junk}
    gallery, rules = Labels(data.identity, data.camera, **masks), protocol("market")

    def call() -> Metrics:
        result = evaluate(data.queries, data.features, query, gallery, rules)
        return float(result.rank1), float(result.mAP)

    return call


def product(data: EvaluationSet) -> Call:
    """Blocks of the gallery, each over the last."""

    def call() -> None:
        out = np.empty((len(data.queries), BLOCK), np.float32)
        for start in range(0, len(data.features), BLOCK):
            rows = data.features[start : start + BLOCK]
            np.matmul(data.queries, rows.T, out=out[:, : len(rows)])

    return call


def double(data: EvaluationSet) -> Call:
    """All in double precision, a few queries at a time."""
    labels, query = (data.identity, data.camera), (data.identity[data.query], data.camera[data.query])

    def call() -> Metrics:
        firsts, precisions = [], []
        for found, _ in ranks(data.queries, data.features, query, labels, 1e-9, ranked=~data.junk):
            if len(found):
                firsts.append(found[0] == 1)
                precisions.append((np.arange(1, len(found) + 1) / found).mean())
        return float(np.mean(firsts)), float(np.mean(precisions))

    return call


def torchreid(data: EvaluationSet, rank: Callable[..., Any]) -> Call:
    """torchreid's readers never load junk, so its gallery has none."""
    queries, gallery = torch.from_numpy(data.queries), torch.from_numpy(data.features[~data.junk])
    sides = [column[rows] for column in (data.identity, data.camera) for rows in (data.query, ~data.junk)]

    def call() -> Metrics:
        distances = torch.mm(queries, gallery.t()).neg_().add_(1).numpy()
        curve, mean = rank(distances, *sides, 20)
        return float(curve[0]), float(mean)

    return call


def cython(data: EvaluationSet) -> Call:
    return torchreid(data, _function(next(Path(os.environ[FOLDER]).glob("rank_cy.*.so")), "evaluate_cy"))


def python(data: EvaluationSet) -> Call:
    return torchreid(data, _function(installed("metrics/rank.py"), "eval_market1501"))


def installed(suffix: str) -> Path:
    """A file of the installed torchreid, which is not imported."""
    files = importlib.metadata.files("torchreid") or []
    return Path(str(next(file for file in files if str(file).endswith(suffix)).locate()))


def _function(path: Path, name: str) -> Callable[..., Any]:
    spec = importlib.util.spec_from_file_location(path.name.split(".")[0], path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings(action="ignore"):  # of rank.py, about the compiled file
        spec.loader.exec_module(module)
    function: Callable[..., Any] = getattr(module, name)
    return function


def one_by_one(data: EvaluationSet, precision: Callable[..., Any]) -> Call:
    """A function for the average precision of one query, and what the field adds around it."""
    identity, camera = data.identity[data.query], data.camera[data.query]

    def call() -> Metrics:
        firsts, precisions = [], []
        for start in range(0, len(data.queries), 256):  # of queries; all would fill the memory
            similarity = data.queries[start : start + 256] @ data.features.T
            for row, scores in enumerate(similarity, start):
                same = data.identity == identity[row]
                kept = ~data.junk & ~(same & (data.camera == camera[row]))
                if (matches := same[kept]).any():
                    firsts.append(bool(matches[scores[kept].argmax()]))
                    precisions.append(float(precision(matches, scores[kept])))
        return float(np.mean(firsts)), float(np.mean(precisions))

    return call


def sklearn(data: EvaluationSet) -> Call:
    from sklearn.metrics import average_precision_score

    return one_by_one(data, average_precision_score)


def torchmetrics(data: EvaluationSet) -> Call:
    """The function of one query; the class for all needs 24 bytes for every pair at once."""
    from torchmetrics.functional.retrieval import retrieval_average_precision

    def precision(matches: NDArray[np.bool_], scores: NDArray[np.float32]) -> float:
        above = torch.from_numpy(scores + 2)  # scores up to 0 would never match
        return float(retrieval_average_precision(above, torch.from_numpy(matches)))

    return one_by_one(data, precision)


def faiss(data: EvaluationSet) -> Call:
    """The gallery lies in the index; the nearest rows give no metric, because late matches are missing."""
    import faiss as library

    library.omp_set_num_threads(1)
    index = library.IndexFlatIP(data.features.shape[1])
    for start in range(0, len(data.features), BLOCK):
        index.add(np.ascontiguousarray(data.features[start : start + BLOCK]))

    def call() -> None:
        index.search(data.queries, NEAREST)

    return call


CALLS: Final[dict[str, Callable[[EvaluationSet], Call]]] = {
    OURS: ours,
    PRODUCT: product,
    DOUBLE: double,
    CYTHON: cython,
    PYTHON: python,
    SKLEARN: sklearn,
    TORCHMETRICS: torchmetrics,
    FAISS: faiss,
}


def prepare(candidate: str, folder: Path, mapped: bool) -> Call:
    """A candidate's call, after one on a tiny set, which loads what it needs."""
    torch.set_num_threads(1)
    CALLS[candidate](load(folder / "warm", mapped))()
    return CALLS[candidate](load(folder, mapped))


def candidates(size: str) -> list[str]:
    """All at the size of MARS, the fast ones elsewhere; distances of all pairs exceed memory at a million."""
    names = [OURS, PRODUCT, DOUBLE]
    if size != "million":
        names += [CYTHON if os.environ.get(FOLDER) else PYTHON, SKLEARN]
    if size == "mars":
        names.append(TORCHMETRICS)
    if size != "lsvid":
        names.append(FAISS)
    return [name for name in names if name not in PACKAGES or find_spec(PACKAGES[name])]


def run(size: Size, names: Sequence[str], rounds: int, mapped: bool) -> dict[str, list[Cost]]:
    """The costs of candidates at a size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "warm").mkdir()
        generate(size, folder)
        generate(replace(TINY, width=size.width), folder / "warm")
        works = {each: Candidate(prepare, (each, folder, mapped)) for each in names}
        slow = {PYTHON, DOUBLE} if mapped else {PYTHON}
        return side_by_side(works, rounds, frozenset(slow), mapped)


def figures_of(label: str, costs: dict[str, list[Cost]], bound: Target | None = None) -> Iterator[Figure]:
    """CPU time beside each rival, memory beside those that have the same metrics.

    Args:
        label: of the size.
        costs: of the candidates.
        bound: on the CPU time beside the bare product.
    """
    mine = costs[OURS]
    with_metrics = []
    for name, rows in costs.items():
        if name == OURS:
            continue
        target, note = bound if name == PRODUCT else TARGETS.get(name), ""
        if rows[0].result is not None:
            with_metrics.append(name)
            note = _agreement(mine[0].result, rows[0].result)
        seconds = [cost.cpu for cost in mine], name, [cost.cpu for cost in rows]
        yield compared(f"evaluate, {label}", "CPU-s", *seconds, target=target, note=note)
    for name in with_metrics[:2]:
        memory = [cost.memory for cost in mine], name, [cost.memory for cost in costs[name]]
        yield compared(f"evaluate, {label}: memory beside the features", "MB", *memory)


def _agreement(mine: tuple[float, float], other: tuple[float, float]) -> str:
    rank1, mean = (abs(a - b) for a, b in zip(mine, other, strict=True))
    return f"rank-1 differs by {rank1:.0e}, mAP by {mean:.0e}"


def figures(sizes: Sequence[str] = ("mars", "lsvid", "million"), rounds: int = 3) -> Iterator[Figure]:
    """What docs/performance.md quotes."""
    if not os.environ.get(FOLDER):
        reason = f"the variable {FOLDER} names no folder with the compiled rank_cy.pyx"
        yield missing("evaluate beside torchreid's Cython", reason, TARGETS[CYTHON])
    for size in sizes:
        mapped = size == "million"
        of_size = MILLION if mapped else SIZES[size]
        costs = run(of_size, candidates(size), rounds, mapped)
        counts = f"{of_size.queries:,} x {of_size.gallery:,} x {of_size.width:,}"
        yield from figures_of(f"{LABELS[size]} ({counts})", costs, None if mapped else BOUND)


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = command_line("evaluation", __doc__, figures)
    parser.add_argument("--size", nargs="*", default=["mars"], choices=LABELS)
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    given = parser.parse_args(words)
    show(figures(given.size, given.repeats))


if __name__ == "__main__":
    main()
