"""Protocols are complete, distinct and have unique names."""

from dataclasses import replace

import pytest

from sttreid.retrieval.protocol import (
    DUKE_OFFICIAL,
    EMBEDDED,
    LSVID_OFFICIAL,
    MARKET,
    MARS_OFFICIAL,
    MINUS_QUERIES,
    NO_DISTRACTORS,
    PROTOCOLS,
    protocol,
)
from sttreid.runtime.errors import InputError


def rules(each):
    return each.gallery, each.excluded, each.average_precision, each.unmatched


def test_every_protocol_is_found_by_its_name():
    names = [candidate.name for candidate in PROTOCOLS]
    assert len(set(names)) == len(names)
    assert all(protocol(name).name == name for name in names)
    assert all(len(candidate.source) > 60 for candidate in PROTOCOLS)


def test_the_official_rules_are_those_of_their_evaluation_codes():
    official = ("all", "same identity and camera", "trapezoid", "zero")
    assert rules(MARS_OFFICIAL) == rules(LSVID_OFFICIAL) == official
    assert rules(DUKE_OFFICIAL) == (*official[:3], "drop")


def test_what_others_call_mars_differs_from_it_in_what_its_name_says():
    assert rules(MARKET) == ("all", "same identity and camera", "non-interpolated", "drop")
    assert rules(MINUS_QUERIES) == ("without queries", *rules(MARKET)[1:])
    assert rules(NO_DISTRACTORS) == ("without distractors", *rules(MARS_OFFICIAL)[1:])


@pytest.mark.parametrize("data", ["ilids", "prid"])
def test_two_camera_sets_have_ten_splits(data):
    splits = [protocol(f"{data}-{split}") for split in range(1, 11)]
    assert {each.excluded for each in splits} == {"same camera"}
    assert all(f"split {k} of its 10" in each.source for k, each in enumerate(splits, start=1))
    for wrong in (data, f"{data}-0", f"{data}-11"):
        with pytest.raises(InputError, match=f"'{data}-1' to '{data}-10'"):
            protocol(wrong)


def test_all_ties_are_pessimistic():
    assert {candidate.ties for candidate in PROTOCOLS} == {"pessimistic"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gallery", "without junk"),
        ("excluded", "same identity"),
        ("average_precision", "voc"),
        ("unmatched", "skip"),
        ("ties", "optimistic"),
    ],
)
def test_an_unknown_rule_is_refused_with_those_that_exist(field, value):
    with pytest.raises(InputError, match=f"protocol embedded: {field} must be one of .*, got '{value}'"):
        replace(EMBEDDED, **{field: value})


def test_an_unknown_name_is_refused_with_those_that_exist():
    with pytest.raises(InputError, match=r"must be one of 'embedded', 'mars-official'.*, got 'mars'"):
        protocol("mars")
