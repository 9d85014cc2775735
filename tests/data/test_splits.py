"""Random splits: a share of the identities, by a seed, multi-camera identities first."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sttreid.config.datasets import Validation
from sttreid.data.splits import validation_identities
from sttreid.runtime.errors import InputError

TENTH = Validation(share=0.1, seed=0)
SET = Path("sets/mine")


def table(cameras: dict[int, list[int]]) -> pd.DataFrame:
    rows = [(identity, camera, "train", 3) for identity, subset in cameras.items() for camera in subset]
    return pd.DataFrame(rows, columns=["identity", "camera", "split", "length"])


def drawn(output: pd.DataFrame, share: float, seed: int) -> NDArray[np.int64]:
    return validation_identities(output, Validation(share=share, seed=seed), SET)


@given(st.integers(2, 40), st.floats(0.001, 0.999), st.integers(0, 5))
def test_held_out_identities_are_a_share_and_seeded(count: int, share: float, seed: int) -> None:
    output = table({identity: [1, 2] for identity in range(10, 10 + count)})
    chosen = drawn(output, share, seed)
    assert len(set(chosen)) == len(chosen) == min(max(1, round(share * count)), count - 1)
    assert set(chosen) <= set(output["identity"])
    shuffled = output.sample(frac=1, random_state=1)
    assert drawn(shuffled, share, seed).tolist() == chosen.tolist()


def test_identities_of_two_cameras_are_held_out_first() -> None:
    output = table({1: [1], 2: [1, 1], 3: [2], 4: [1, 2], 5: [3], 6: [2, 3]})
    for seed in range(20):
        assert drawn(output, 0.34, seed).tolist() == [4, 6]
        assert {4, 6} < set(drawn(output, 0.5, seed))
    draws = {tuple(drawn(output, 0.5, seed)) for seed in range(20)}
    assert len(draws) == 4


def test_one_identity_cannot_train_and_validate() -> None:
    with pytest.raises(InputError, match=r"^sets/mine: .* at least 2 identities, got 1"):
        validation_identities(table({1: [1, 2]}), TENTH, SET)
