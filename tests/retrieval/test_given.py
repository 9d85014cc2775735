"""The evaluator takes dense matrices of real numbers and says what else it was given."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from sttreid.retrieval import evaluate, evaluate_distances
from sttreid.runtime.errors import InputError

FEATURES = np.random.default_rng(0).standard_normal((6, 6))
LABELS = (np.arange(6) % 3, np.arange(6) // 3)
WRONG: dict[str, Any] = {
    "complex": FEATURES + 0j,
    "text": FEATURES.astype(str),
    "bytes": FEATURES.astype("S5"),
    "masked": np.ma.array(FEATURES, mask=FEATURES > 1),
    "sparse": scipy.sparse.csr_matrix(FEATURES),
    "objects": FEATURES.astype(object),
    "truth": FEATURES > 0,
    "dates": np.ones((6, 6), "M8[s]"),
    "records": np.zeros(6, [("a", "f4")]),
    "no axis": np.array(1.0),
    "one axis": FEATURES[:, 0],
    "three axes": FEATURES[None],
    "nothing": None,
    "a number": 3.0,
    "a word": "gpu",
    "a mapping": {},
    "ragged lists": [[1.0, 2.0], [3.0]],
    "complex tensor": torch.tensor(FEATURES + 0j),
    "sparse tensor": torch.tensor(FEATURES).to_sparse(),
    "tensor without values": torch.empty(6, 6, device="meta"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_matrix_of_real_numbers_is_refused(kind: str) -> None:
    for call in (
        lambda: evaluate(WRONG[kind], FEATURES, LABELS, LABELS),
        lambda: evaluate(FEATURES, WRONG[kind], LABELS, LABELS),
        lambda: evaluate_distances(WRONG[kind], LABELS, LABELS),
    ):
        with pytest.raises(InputError) as error:
            call()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("made", [np.ndarray.tolist, np.ma.array, pd.DataFrame, np.asmatrix, torch.tensor])
def test_lists_tables_and_tensors_count_as_their_numbers(made: Any) -> None:
    wanted = evaluate(FEATURES, FEATURES, LABELS, LABELS).metrics
    given = made(FEATURES)
    assert evaluate(given, given, LABELS, LABELS).metrics == wanted


@pytest.mark.parametrize(
    "values", [[[1], [2, 3]], 3, np.ma.array(LABELS[0], mask=LABELS[0] > 1), LABELS[0] + 0j, None, "gpu"]
)
def test_labels_must_be_a_whole_number_for_each_tracklet(values: Any) -> None:
    with pytest.raises(InputError):
        evaluate(FEATURES, FEATURES, (values, LABELS[1]), (values, LABELS[1]))


@pytest.mark.parametrize("side", [None, 3, (LABELS[0],), (*LABELS, LABELS[0])])
def test_a_side_is_a_pair(side: Any) -> None:
    with pytest.raises(InputError):
        evaluate(FEATURES, FEATURES, side, side)


@pytest.mark.parametrize(
    "options", [{"threads": "a"}, {"threads": 1.5}, {"tie": "a"}, {"tie": None}, {"protocol": None}]
)
def test_options_of_another_type_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        evaluate(FEATURES, FEATURES, LABELS, LABELS, **options)
