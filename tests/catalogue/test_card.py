"""Cards: what is written is read; a file that is no card is refused; a card lies beside its weights."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sttreid.catalogue.card import Card, Score, Training, TrainingSet, Weights, beside
from sttreid.runtime.errors import InputError

CARD = Card(
    name="tiny-v1",
    description="A model for tests",
    published="2026-01-31",
    weights=Weights("tiny-v1.safetensors", "ab" * 32, 123, 45),
    training=Training(
        model="artifacts/models/cross_domain/0/campus.pt",
        md5="cd" * 16,
        sets=(TrainingSet("unreal", "01.dir"), TrainingSet("campus", "02.dir")),
        params={"pretrain@0": {"loss": {"margin": 0.3}}},
        commit="ef" * 20,
        lock="12" * 16,
    ),
    scores=(Score("campus", "embedded", "rank1", 0.5, 0.4, 0.6, 100, 20, seen=True),),
)


def test_a_card_comes_back(tmp_path: Path) -> None:
    CARD.write(tmp_path / "tiny-v1.json")
    assert Card.read(tmp_path / "tiny-v1.json") == CARD


def test_a_card_says_what_the_model_is_for_and_its_limits() -> None:
    assert CARD.intended_use
    assert CARD.limits


@pytest.mark.parametrize("change", ["missing", "no JSON"])
def test_a_file_that_is_no_card_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "bad.json"
    CARD.write(path)
    content = json.loads(path.read_text())
    if change == "missing":
        del content["weights"]["sha256"]
    path.write_text("{" if change == "no JSON" else json.dumps(content))
    with pytest.raises(InputError, match=r"bad\.json: "):
        Card.read(path)


def test_the_card_beside_a_model_is_found(tmp_path: Path) -> None:
    other = replace(CARD, name="other-v2")
    other.write(tmp_path / "other-v2.json")
    assert beside(tmp_path / "other-v2.safetensors") == other
    assert beside(tmp_path / "tiny-v1.safetensors") is None
