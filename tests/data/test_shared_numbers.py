import pytest

from sttreid.data.shared_numbers import warn_of_shared_numbers


def test_numbers_that_run_from_1_in_two_cameras_are_a_warning_that_names_the_choice() -> None:
    told = warn_of_shared_numbers({"hall": {1, 2, 3}, "lobby": {1, 2}}, "say own")
    assert told is not None
    assert "hall" in told
    assert "lobby" in told
    assert "say own" in told
    assert warn_of_shared_numbers({"hall": {"0", "1"}, "lobby": {"1", "2", "3"}}, "say own")


@pytest.mark.parametrize(
    "numbers",
    [
        {"hall": {1, 2, 3}},
        {"hall": {1, 2, 3}, "lobby": {1, 3}},
        {"hall": {1, 2, 3}, "lobby": {2, 3}},
        {"hall": {"a", "b"}, "lobby": {"a"}},
        {"hall": {1}, "lobby": {1}},
        {"hall": set(), "lobby": {1, 2}},
    ],
)
def test_other_numbers_are_none(numbers: dict[str, set[int | str]]) -> None:
    assert warn_of_shared_numbers(numbers, "say own") is None
