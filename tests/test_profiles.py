"""Profiles name keys that exist, with values that the parameters accept."""

from pathlib import Path

import pytest
import yaml

from sttreid.config.params import load
from tests.tiny import ROOT, override, profile

NAMES = sorted(path.stem for path in (ROOT / "profiles").glob("*.txt"))


def test_the_profiles_paper_and_smoke_exist() -> None:
    assert {"paper", "smoke"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_overrides_existing_keys_with_valid_values(name: str, tmp_path: Path) -> None:
    content = override(yaml.safe_load((ROOT / "params.yaml").read_text()), profile(name))
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    load(path)


def test_the_paper_profile_is_the_full_network() -> None:
    values = profile("paper")
    assert (values["decode.height"], values["decode.width"], values["clip.frames"]) == (256, 128, 8)
    depths = [values[f"model.backbone.layer{i}"] for i in (1, 2, 3)]
    assert (values["model.backbone.width"], depths) == (64, [3, 4, 6])
