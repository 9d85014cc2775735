"""The evaluator's memory at a million gallery rows."""

import tracemalloc

import numpy as np

from sttreid.retrieval import Labels, evaluate


def test_a_million_rows_take_a_few_hundred_megabytes_beside_the_features():
    rng = np.random.default_rng(0)
    count, queries = 1_000_000, 100
    features = rng.standard_normal((count, 8), np.float32)
    identity, camera = rng.integers(0, 100_000, count), rng.integers(0, 6, count)
    query, gallery = Labels(identity[:queries], camera[:queries]), Labels(identity, camera)
    tracemalloc.start()
    try:
        result = evaluate(features[:queries], features, query, gallery, threads=2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.gallery == count
    assert peak < 200e6  # a matrix of all distances would take 400 MB, and 800 MB in double precision
