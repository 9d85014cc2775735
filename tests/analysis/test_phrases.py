"""Numbers as text round as stated; phrases name every seed and protocol."""

from sttreid.analysis import phrases
from sttreid.analysis.uncertainty import Interval


def test_numbers_have_one_decimal_and_no_negative_zero():
    assert [phrases.percent(share) for share in (0, 0.5, 0.12345, 1)] == ["0.0", "50.0", "12.3", "100.0"]
    assert [phrases.percent(share) for share in (-1e-17, -0.0004, -0.0006)] == ["0.0", "0.0", "-0.1"]
    assert phrases.bracket(Interval(0.5, 0.4321, 0.6)) == "50.0 [43.2, 60.0]"
    assert phrases.signed(0.02, 0.01, 0.03) == "+2.0 [1.0, 3.0]"
    assert phrases.signed(-0.02, -0.02, -0.02) == "-2.0"


def test_phrases_name_seeds_and_protocols():
    assert (phrases.seeds_phrase([0]), phrases.seeds_phrase([0, 1])) == ("seed 0", "seeds 0, 1")
    assert phrases.protocols_phrase({"a": "market", "b": "market"}) == "protocol market"
    assert "market of a, mars-official of b" in phrases.protocols_phrase(
        {"a": "market", "b": "mars-official"}
    )
