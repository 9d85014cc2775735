"""Data sets in params.yaml: flat keys, options of the reader, and where a root may lie."""

from pathlib import Path

import pytest

from sttreid.config.conversion import parse
from sttreid.config.datasets import Dataset, Validation, check_root_variables, root_variable
from sttreid.runtime.errors import InputError


def test_two_keys_are_enough_and_the_others_belong_to_the_reader() -> None:
    content = {
        "mars": {"reader": "mars", "root": "sets/mars.json"},
        "mine": {"reader": "footage", "root": "data/mine", "protocol": "market", "test": 0.5, "other": [1]},
    }
    datasets = parse(dict[str, Dataset], content, "here")
    assert datasets["mars"] == Dataset("mars", Path("sets/mars.json"))
    mine = Dataset("footage", Path("data/mine"), "market", options={"test": 0.5, "other": [1]})
    assert datasets["mine"] == mine
    assert [dataset.has_manifest for dataset in datasets.values()] == [True, False]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"root": "data/campus"}, "here: the key reader is missing"),
        ({"reader": "mars", "rot": "a"}, "here: the key root is missing"),
        ({"reader": "mars", "root": "a", "protocol": "My Own"}, "here: protocol .*got 'My Own'"),
        ({"reader": "mars", "root": "$MARS"}, r"root must be a folder of the repository.*got '\$MARS'"),
        ({"reader": "mars", "root": "~/MARS"}, "root must be a folder of the repository.*got '~/MARS'"),
        ({"reader": "mars", "root": "/sets/MARS"}, "root must be a folder of the repo.*got '/sets/MARS'"),
        ({"reader": "mars", "root": "../sets/a.json"}, r"must be a folder of the repo.*got '\.\./sets"),
        ("mars", "here: "),
    ],
)
def test_an_error_names_key_rule_and_value(content: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(Dataset, content, "here")


def test_a_name_becomes_a_variable() -> None:
    assert root_variable("ls-vid_2") == "STTREID_ROOT_LS_VID_2"


def test_two_sets_do_not_share_a_variable() -> None:
    manifest, folder = Dataset("mars", Path("sets/a.json")), Dataset("mars", Path("data/a"))
    check_root_variables(Path("p.yaml"), {"a-b": manifest, "a_b": folder, "ab": manifest})
    with pytest.raises(InputError, match=r"^p\.yaml: .*STTREID_ROOT_A_B, got 'a-b' and 'A_b'$"):
        check_root_variables(Path("p.yaml"), {"a-b": manifest, "A_b": manifest})


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_a_share_leaves_both_splits_something(share: float) -> None:
    with pytest.raises(InputError, match="share should be"):
        parse(Validation, {"share": share, "seed": 0}, "here")
