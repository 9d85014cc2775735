"""Protocols are named, complete and checked."""

from dataclasses import asdict, replace

import pytest

from sttreid.errors import InputError
from sttreid.retrieval.protocol import EMBEDDED, PROTOCOLS, protocol


def test_every_protocol_is_found_by_its_name():
    assert [protocol(p.name) for p in PROTOCOLS] == list(PROTOCOLS)


def test_an_unknown_name_is_refused_with_the_names_that_exist():
    with pytest.raises(InputError, match=r"evaluate\.protocol must be one of 'embedded', got 'mars'"):
        protocol("mars")


def test_names_are_unique():
    assert len({p.name for p in PROTOCOLS}) == len(PROTOCOLS)


def test_the_embedded_protocol_drops_unmatched_queries_and_is_pessimistic_about_ties():
    assert (EMBEDDED.unmatched, EMBEDDED.ties, EMBEDDED.average_precision) == ("drop", "pessimistic", "step")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("average_precision", "auc"),
        ("unmatched", "ignore"),
        ("ties", "optimistic"),
        ("gallery", "test"),
        ("queries", "all"),
    ],
)
def test_a_value_that_the_evaluator_does_not_know_is_refused(field, value):
    with pytest.raises(InputError, match=f"protocol embedded: {field} must be one of .*, got '{value}'"):
        replace(EMBEDDED, **{field: value})


def test_the_embedded_protocol_asks_for_the_test_among_distractors():
    assert (EMBEDDED.queries, EMBEDDED.gallery) == ("test", "test and distractors")
    assert "distractors" in EMBEDDED.source


def test_every_field_of_a_protocol_is_text_for_the_results_file():
    for known in PROTOCOLS:
        assert all(isinstance(value, str) and value for value in asdict(known).values())
