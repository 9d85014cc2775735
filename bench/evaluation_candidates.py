"""What evaluation is compared with: bare products, a simple evaluator, and other packages.

A candidate is made from an evaluation set, and called: from features of length 1 to rank-1 and mAP. faiss has
no metrics; it finds the nearest rows only.

torchreid's metrics are read from files, because the package imports much that is not needed here. rank.py is
in the PyPI package; the Cython, rank_cy.pyx, is in none: it is in torchreid/metrics/rank_cylib/ of
github.com/KaiyangZhou/deep-person-reid, and `cythonize -i rank_cy.pyx` compiles it (Cython 3, no change
needed). Its cost excludes normalisation, because the features have length 1, and the removal of junk, which
torchreid's readers never load: its gallery has none.
"""

import importlib.metadata
import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from bench.evaluation_set import EvaluationSet
from bench.plain_ranking import QUERIES, ranks

BLOCK: Final = 4096  # gallery rows at once
NEAREST: Final = 100  # that faiss finds


@dataclass(frozen=True)
class Outcome:
    """A candidate's metrics, NaN if it has none; CPU seconds of its ranking alone if they are measured."""

    rank1: float = np.nan
    mAP: float = np.nan  # noqa: N815 - the measure's own name
    ranking: float | None = None


# The preparation of a call is not measured.
Call = Callable[[], Outcome]


def done(_: object) -> Outcome:
    """The outcome of a bare product: no metrics."""
    return Outcome()


def torch_product(data: EvaluationSet) -> Call:
    """The bare product by torch, with the full result."""
    queries, gallery = torch.from_numpy(data.queries), torch.from_numpy(data.features)
    return lambda: done(torch.mm(queries, gallery.t()))


def numpy_product(data: EvaluationSet) -> Call:
    """The same by numpy."""
    return lambda: done(data.queries @ data.features.T)


def torch_blocks(data: EvaluationSet) -> Call:
    """The bare product by torch for BLOCK rows of the gallery at a time; each result is overwritten."""
    queries = torch.from_numpy(data.queries)

    def call() -> Outcome:
        out = torch.empty(len(queries) * BLOCK)
        for start in range(0, len(data.features), BLOCK):
            rows = torch.from_numpy(data.features[start : start + BLOCK])
            torch.mm(queries, rows.t(), out=out[: len(queries) * len(rows)].view(len(queries), -1))
        return Outcome()

    return call


def numpy_blocks(data: EvaluationSet) -> Call:
    """The same by numpy."""

    def call() -> Outcome:
        out = np.empty(len(data.queries) * BLOCK, np.float32)
        for start in range(0, len(data.features), BLOCK):
            rows = data.features[start : start + BLOCK]
            np.matmul(data.queries, rows.T, out=out[: len(out) // BLOCK * len(rows)].reshape(-1, len(rows)))
        return Outcome()

    return call


def sttreid(data: EvaluationSet) -> Call:
    """This project's evaluator."""
    from sttreid.retrieval import Labels, evaluate, protocol

    query = Labels(data.identity[data.query], data.camera[data.query])
    masks = {"query": data.query, "distractor": data.distractor, "junk": data.junk}
    gallery = Labels(data.identity, data.camera, **masks)
    rules = protocol("market")

    def call() -> Outcome:
        result = evaluate(data.queries, data.features, query, gallery, rules)
        return Outcome(result.rank1, result.mAP)

    return call


def plain(data: EvaluationSet) -> Call:
    """The simplest evaluator: all in double precision."""
    labels = data.identity, data.camera
    query = data.identity[data.query], data.camera[data.query]

    def call() -> Outcome:
        firsts, precisions = [], []
        for found, _ in ranks(data.queries, data.features, query, labels, 1e-9, ranked=~data.junk):
            if len(found):
                firsts.append(found[0] == 1)
                precisions.append((np.arange(1, len(found) + 1) / found).mean())
        return Outcome(float(np.mean(firsts)), float(np.mean(precisions)))

    return call


def scikit_learn(data: EvaluationSet) -> Call:
    """Average precision query by query; rank-1 is the largest similarity's."""
    from sklearn.metrics import average_precision_score

    identity, camera = data.identity[data.query], data.camera[data.query]

    def call() -> Outcome:
        firsts, precisions = [], []
        for start in range(0, len(data.queries), QUERIES):
            similarities = data.queries[start : start + QUERIES] @ data.features.T
            for row, line in enumerate(similarities, start):
                same = data.identity == identity[row]
                kept = ~data.junk & ~(same & (data.camera == camera[row]))
                if (matches := same[kept]).any():
                    firsts.append(matches[line[kept].argmax()])
                    precisions.append(average_precision_score(matches, line[kept]))
        return Outcome(float(np.mean(firsts)), float(np.mean(precisions)))

    return call


def faiss_nearest(data: EvaluationSet) -> Call:
    """The nearest rows of each query."""
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    inner = faiss.METRIC_INNER_PRODUCT
    return lambda: done(faiss.knn(data.queries, data.features, NEAREST, metric=inner))


def torchreid(data: EvaluationSet, rank: Callable[..., tuple[NDArray[np.float32], float]]) -> Call:
    """A function of torchreid, and the cosine distances that it needs, computed as torchreid does."""
    queries = torch.from_numpy(data.queries)
    gallery = torch.from_numpy(data.features[~data.junk])
    sides = [column[rows] for column in (data.identity, data.camera) for rows in (data.query, ~data.junk)]

    def call() -> Outcome:
        distances = torch.mm(queries, gallery.t()).neg_().add_(1).numpy()
        start = time.process_time()
        curve, mean = rank(distances, *sides, 20)
        return Outcome(float(curve[0]), float(mean), time.process_time() - start)

    return call


def rank_file(folder: Path | None) -> Path | None:
    """torchreid's rank.py in a folder, or in the installed package; None: there is none."""
    if folder and (folder / "rank.py").is_file():
        return folder / "rank.py"
    try:
        files = importlib.metadata.files("torchreid") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if str(file).endswith("metrics/rank.py")), None)


def cython_file(folder: Path | None) -> Path | None:
    """torchreid's compiled rank_cy.pyx in a folder."""
    return next(folder.glob("rank_cy.*.so"), None) if folder else None


def module(path: Path) -> ModuleType:
    """torchreid's file, without the rest of the package."""
    spec = importlib.util.spec_from_file_location(path.name.split(".")[0], path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings(action="ignore"):  # of rank.py, about the compiled file
        spec.loader.exec_module(loaded)
    return loaded


PRODUCTS: Final = {"torch product": torch_product, "numpy product": numpy_product}
BLOCKS: Final = {"torch in blocks": torch_blocks, "numpy in blocks": numpy_blocks}
OTHERS: Final = {"float64": plain, "scikit-learn": scikit_learn, "faiss": faiss_nearest}
BUILT_IN: Final = PRODUCTS | BLOCKS | {"sttreid": sttreid} | OTHERS
ONCE: Final = ("python", "scikit-learn")  # slow: one round


def names(mapped: bool, folder: Path | None) -> Iterator[str]:
    """The candidates that can run here; similarities of all pairs do not fit beside a mapped gallery."""
    yield from BLOCKS if mapped else PRODUCTS
    yield from ("sttreid", "float64")
    if importlib.util.find_spec("faiss"):
        yield "faiss"
    if mapped:
        return
    if importlib.util.find_spec("sklearn"):
        yield "scikit-learn"
    if cython_file(folder):
        yield "cython"
    if rank_file(folder):
        yield "python"


def prepare(candidate: str, data: EvaluationSet, folder: Path | None) -> Call:
    """A candidate by its name; `folder` may contain torchreid's two files."""
    if candidate in BUILT_IN:
        return BUILT_IN[candidate](data)
    path = (cython_file if candidate == "cython" else rank_file)(folder)
    assert path is not None
    return torchreid(
        data, getattr(module(path), "evaluate_cy" if candidate == "cython" else "eval_market1501")
    )
