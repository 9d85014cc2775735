"""Numbers as text round as stated; phrases name every seed and protocol."""

from sttreid.analysis import phrases
from sttreid.analysis.uncertainty import Difference, Interval


def test_numbers_have_one_decimal_and_no_negative_zero():
    assert [phrases.percent(share) for share in (0, 0.5, 0.12345, 1)] == ["0.0", "50.0", "12.3", "100.0"]
    assert [phrases.percent(share) for share in (-1e-17, -0.0004, -0.0006)] == ["0.0", "0.0", "-0.1"]
    assert phrases.bracket(Interval(0.5, 0.4321, 0.6)) == "50.0 [43.2, 60.0]"
    assert phrases.signed(0.02, 0.01, 0.03) == "+2.0 [1.0, 3.0]"
    assert phrases.signed(-0.02, -0.02, -0.02) == "-2.0"


def test_the_end_of_an_interval_shows_on_which_side_of_zero_it_lies():
    assert phrases.signed(0.02, 0.0003, 0.04) == "+2.0 [0.03, 4.0]"
    assert phrases.signed(-0.02, -0.04, -0.00004) == "-2.0 [-4.0, -0.004]"
    assert phrases.signed(-0.0003, -0.02, -0.0001) == "-0.03 [-2.0, -0.01]"  # and no plus before it
    assert phrases.signed(0.0, 0.0, 0.0) == "+0.0"
    assert phrases.signed(0.02, 0.0, 0.04) == "+2.0 [0.0, 4.0]"
    assert phrases.signed(0.02, -1e-17, 0.04) == "+2.0 [0.0, 4.0]"
    assert phrases.bracket(Difference(0.03, -0.0004, 0.05, 0.06)) == "3.0 [-0.04, 5.0]"
    assert phrases.bracket(Interval(0.01, 0.0004, 0.05)) == "1.0 [0.0, 5.0]"


def test_phrases_name_seeds_and_protocols():
    assert (phrases.seeds_phrase([0]), phrases.seeds_phrase([0, 1])) == ("seed 0", "seeds 0, 1")
    assert phrases.protocols_phrase({"a": "market", "b": "market"}) == "protocol market"
    assert "market of a, mars-official of b" in phrases.protocols_phrase(
        {"a": "market", "b": "mars-official"}
    )
