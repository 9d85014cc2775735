"""An index of a large gallery, by faiss: it finds candidates, and their exact distances decide the order.

The gallery is divided into cells by k-means (an inverted file, IVF: Jegou, Douze and Schmid, "Product
Quantization for Nearest Neighbor Search", 2011); a query looks into the cells that are nearest to it. An
answer in another cell is missed. Building the index takes longer than many exact searches.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sttreid.retrieval.features import FeatureRows, Singles
from sttreid.runtime.errors import InputError
from sttreid.search.neighbours import Integers, Limits, Nearest, nearest, ordered

PROBES: Final = 128  # cells that a query looks into
SAMPLES: Final = 40  # tracklets per cell from which k-means learns
ROUNDS: Final = 8  # of k-means
BLOCK: Final = 1 << 14  # rows that are added at once
SPARE: Final = 32  # further candidates, because some must not answer
MOST: Final = 2048  # candidates of a query; if they do not suffice, the search is exact


@dataclass(frozen=True, eq=False)
class Index:
    """An index of G embeddings.

    Attributes:
        cells: the index of faiss, over inner products of L2-normalised rows.
        count: G.
    """

    cells: Any
    count: int

    def nearest(self, features: NDArray[np.floating], embeddings: Singles, limits: Limits, k: int) -> Nearest:
        """As :func:`sttreid.search.neighbours.nearest`, but answers in cells far from a query are missed.

        A query for which the cells hold fewer answers than it may have is searched exactly.

        Args:
            features: [Q, D'].
            embeddings: [G, D'], of which this is the index.
            limits: which rows may answer a query.
            k: number of answers.

        Raises:
            InputError: the index is of another number of embeddings.
        """
        if len(embeddings) != self.count:
            raise InputError(f"the index must be of {len(embeddings)} tracklets, got {self.count}")
        queries = FeatureRows("query", features, np.arange(len(features)))
        wanted = np.minimum(limits.candidates(), k)
        pending, number, parts = np.arange(len(features)), k + SPARE, []
        while len(pending) and number <= max(MOST, k + SPARE):
            owner, column = self._candidates(queries, pending, limits, min(number, self.count))
            enough = np.bincount(owner, minlength=len(features))[pending] >= wanted[pending]
            kept = np.isin(owner, pending[enough])
            parts.append((owner[kept], column[kept]))
            pending, number = pending[~enough], 4 * number
        rows = FeatureRows("gallery", embeddings, np.arange(self.count))
        owners, columns = (
            np.concatenate([part[side] for part in parts] or [np.zeros(0, np.int64)]) for side in (0, 1)
        )
        found = [ordered(queries, rows, owners, columns, k)]
        if len(pending):
            owner, column, distance = nearest(features[pending], embeddings, limits.take(pending), k)
            found.append((pending[owner], column, distance))
        whole = [np.concatenate(part) for part in zip(*found, strict=True)]
        order = np.argsort(whole[0], kind="stable")
        return whole[0][order], whole[1][order], whole[2][order]

    def _candidates(
        self, queries: FeatureRows, pending: Integers, limits: Limits, number: int
    ) -> tuple[Integers, Integers]:
        """Queries and rows that may answer them, among the ``number`` nearest rows of the cells."""
        _, column = self.cells.search(queries.unit32(pending), number)
        rows, excluded = limits.rows[pending], limits.excluded
        may = (column >= 0) & (column != rows[:, None])
        if excluded is not None:
            may &= limits.cameras[column] != excluded[pending, None]
        line, place = np.nonzero(may)
        return pending[line], column[line, place]


def build_index(embeddings: Singles, probes: int = PROBES, cells: int | None = None, seed: int = 0) -> Index:
    """Build an index of embeddings.

    Args:
        embeddings: [G, D'] of a gallery, in memory or mapped.
        probes: cells that a query looks into: more are slower and miss less.
        cells: number of cells; None: twice the square root of G, fewer for a small gallery.
        seed: of k-means and of the tracklets that it learns from.

    Raises:
        InputError: faiss is not installed, or a number is not in its range.
    """
    faiss = _faiss()
    count, width = embeddings.shape
    cells = max(1, min(round(2 * count**0.5), count // SAMPLES)) if cells is None else cells
    for name, value, most in (("cells", cells, count), ("probes", probes, np.inf)):
        if not 1 <= value <= most:
            raise InputError(f"an index of {count} tracklets needs 1 to {most} {name}, got {value}")
    rows = FeatureRows("gallery", embeddings, np.arange(count))
    sample = np.random.default_rng(seed).permutation(count)[: SAMPLES * cells]
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed, index.cp.niter, index.nprobe = seed, ROUNDS, min(probes, cells)
    index.train(rows.unit32(np.sort(sample)))
    for start in range(0, count, BLOCK):
        index.add(rows.unit32(np.arange(start, min(start + BLOCK, count))))
    return Index(index, count)


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise InputError(
            f"an approximate search needs faiss: pip install 'sttreid[faiss]', got no module ({error})"
        ) from error
    return faiss
