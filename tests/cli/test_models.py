"""``sttreid info`` and ``export``: facts of a model, files in other formats, refusals."""

import json
from pathlib import Path

import pytest
import torch

from sttreid.model.weights import restore, save
from tests.catalogue.test_card import CARD
from tests.cli.command import run
from tests.sections import CLASSES, FRAMES, HEIGHT, MODEL, WIDTH, small_network


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny-v1.safetensors"
    save(small_network(), MODEL, path)
    return path


def test_info_says_what_a_model_is(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    CARD.write(model.with_suffix(".json"))
    assert run("info", model, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["frames"], facts["image_size"], facts["classes"]) == (FRAMES, [HEIGHT, WIDTH], CLASSES)
    assert facts["feature"] == 2 * MODEL.width
    assert facts["parameters"] == sum(p.numel() for p in small_network().parameters())
    assert facts["model"]["backbone"]["width"] == MODEL.backbone.width
    assert facts["card"]["training"]["commit"] == CARD.training.commit
    assert run("info", model) == 0
    text = capsys.readouterr().out
    for word in (f"{HEIGHT}x{WIDTH}", CARD.name, CARD.training.commit, *CARD.limits):
        assert word in text


def test_info_without_a_card(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", model, "--json") == 0
    assert json.loads(capsys.readouterr().out)["card"] is None


def test_export_writes_the_same_weights(model: Path, tmp_path: Path) -> None:
    save(small_network(), MODEL, tmp_path / "model.pt")
    target = tmp_path / "out.safetensors"
    assert run("export", tmp_path / "model.pt", "--format", "safetensors", "-o", target) == 0
    assert target.read_bytes() == model.read_bytes()
    state = restore(model).state_dict()
    assert all(torch.equal(value, state[name]) for name, value in restore(target).state_dict().items())


def test_export_overwrites_nothing_and_checks_the_name(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = model.read_bytes()
    assert run("export", model, "--format", "safetensors", "-o", model) == 2
    assert "exists" in capsys.readouterr().err
    assert model.read_bytes() == before
    assert run("export", model, "-o", "model.bin") == 2
    assert "'model.bin'" in capsys.readouterr().err


def test_a_missing_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("info", "export"):
        assert run(command, tmp_path / "none.pt") == 2
        assert "none.pt: no such weights file" in capsys.readouterr().err
