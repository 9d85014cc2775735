"""The points of a learning curve."""

import pytest

from sttreid.config.study import Study
from sttreid.runtime.errors import InputError
from sttreid.stages.curves import identities_of


def points(**identities: int | None) -> Study:
    return Study("curves", {name: {"finetune": {"identities": each}} for name, each in identities.items()})


def test_null_stands_for_all_identities() -> None:
    assert identities_of(points(all=None, few=15), "finetune", 60) == {"all": 60, "few": 15}


def test_a_point_that_names_the_number_of_all_identities_is_no_second_point() -> None:
    """One of the two would be missing in the results."""
    with pytest.raises(InputError, match=r"study\.trials\.all: .* those of whole, got 60 of 60"):
        identities_of(points(few=15, whole=60, all=None), "finetune", 60)
