"""Data sets in params.yaml: which options a reader takes, and where a root may lie."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from sttreid.config.conversion import parse
from sttreid.config.datasets import (
    CAMERAS,
    FOOTAGE,
    OPTIONS,
    PROTOCOLS,
    Dataset,
    Reader,
    Validation,
    check_variables,
)
from sttreid.config.params import Evaluate
from sttreid.data.published import READERS
from sttreid.retrieval.protocol import protocol
from sttreid.runtime.errors import InputError


def test_every_reader_exists() -> None:
    assert set(get_args(Reader)) == {CAMERAS, FOOTAGE, *READERS}
    assert OPTIONS.keys() <= {FOOTAGE, *READERS}


def test_three_lines_name_a_published_set() -> None:
    found = parse(dict[str, Dataset], {"mars": {"reader": "mars", "root": "sets/mars.json"}}, "here")["mars"]
    assert found == Dataset("mars", Path("sets/mars.json"))
    assert found.elsewhere
    assert not Dataset("cameras", Path("data/campus")).elsewhere


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"root": "data/campus"}, "here: the key reader is missing"),
        ({"reader": "mers", "root": "a"}, "here: reader should be 'cameras', 'footage', 'mars'"),
        ({"reader": "mars", "root": "a", "split": 1}, "the reader mars has no split"),
        ({"reader": "cameras", "root": "a", "gap": 1}, "the reader cameras has no gap"),
        ({"reader": "prid2011", "root": "a"}, "the reader prid2011 needs split"),
        ({"reader": "footage", "root": "a", "gap": 1, "test": 0.5}, "the reader footage needs numbers"),
        (
            {"reader": "footage", "root": "a", "gap": 1, "test": 0.5, "numbers": "own"},
            "test must be 0 where each camera has numbers of its own.*got 0.5",
        ),
        ({"reader": "footage", "root": "a", "gap": 1, "test": 1, "numbers": "shared"}, "test should be less"),
        ({"reader": "unreal_person", "root": "a"}, "the reader unreal_person needs gap"),
        (
            {"reader": "ilids_vid", "root": "a", "split": 11},
            "split should be less than or equal to 10, got 11",
        ),
        ({"reader": "mars", "root": "$MARS"}, r"root must be a folder of the repository.*got '\$MARS'"),
        ({"reader": "mars", "root": "~/MARS"}, "root must be a folder of the repository.*got '~/MARS'"),
        ({"reader": "mars", "root": "/sets/MARS"}, "root must be a folder of the repo.*got '/sets/MARS'"),
        ({"reader": "mars", "root": "../sets/a.json"}, r"must be a folder of the repo.*got '\.\./sets"),
    ],
)
def test_what_does_not_fit_is_told(content: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(Dataset, content, "here")


def test_two_sets_do_not_share_a_variable() -> None:
    there, here = Dataset("mars", Path("sets/a.json")), Dataset("mars", Path("data/a"))
    check_variables(Path("p.yaml"), {"a-b": there, "a_b": here, "ab": there})
    with pytest.raises(InputError) as error:
        check_variables(Path("p.yaml"), {"a-b": there, "A_b": there})
    rule = "two of datasets must not share the variable STTREID_ROOT_A_B"
    assert str(error.value) == f"p.yaml: {rule}, got 'a-b' and 'A_b'"


def test_every_reader_has_a_protocol_which_a_set_may_replace() -> None:
    assert PROTOCOLS.keys() == set(get_args(Reader))
    split = {"ilids_vid": {"split": 3}, "prid2011": {"split": 10}}
    options = {"footage": {"gap": 1, "test": 0.5, "numbers": "shared"}, "unreal_person": {"gap": 1}, **split}
    names = {r: Dataset(r, Path("x"), **options.get(r, {})).rules for r in get_args(Reader)}
    assert {protocol(name).name for name in names.values()} == set(names.values())
    assert (names["ilids_vid"], names["prid2011"]) == ("ilids-3", "prid-10")
    mars = Dataset("mars", Path("x"), protocol="minus-queries")
    evaluate = parse(
        Evaluate, {"protocol": "own", "rerank": {"use": False, "k1": 1, "k2": 1, "weight": 0}}, ""
    )
    assert evaluate.of(mars) == replace(evaluate, protocol="minus-queries")
    assert replace(evaluate, protocol="market").of(mars).protocol == "market"


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_a_share_leaves_both_splits_something(share: float) -> None:
    with pytest.raises(InputError, match="share should be"):
        parse(Validation, {"share": share, "seed": 0}, "here")
