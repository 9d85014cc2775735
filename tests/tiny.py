"""Parameters of the tests: a complete small file of their own, and the overrides of a profile."""

from pathlib import Path
from typing import Any

import yaml

from sttreid.runtime import numerics

ROOT = Path(__file__).parents[1]


def profile(name: str) -> dict[str, Any]:
    """The overrides of profiles/NAME.txt."""
    lines = (ROOT / "profiles" / f"{name}.txt").read_text().splitlines()
    pairs = [line.split("=", 1) for line in lines if line.strip() and not line.startswith("#")]
    return {key: yaml.safe_load(value) for key, value in pairs}


def override(content: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Set dotted keys, which must exist already."""
    for key, value in values.items():
        *parents, last = key.split(".")
        section = content
        for parent in parents:
            section = section[parent]
        assert last in section, f"{key} is no key of the parameters"
        section[last] = value
    return content


def parameters(values: dict[str, Any]) -> dict[str, Any]:
    """The tests' parameters with overrides."""
    content: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("tiny.yaml").read_text())
    content["compute"]["numerics"] = numerics.current()
    return override(content, values)


CLAIMS: dict[str, Any] = {
    "min_seeds": 5,
    "alpha": 0.05,
    "min_effect": 0.02,
    "target_rank1": 0.4,
    "contrasts": {
        "global-cnn": {"question": "RQ1", "ours": "global", "theirs": "cnn", "confirmatory": True},
        "full-cnn": {"question": "RQ1", "ours": "full", "theirs": "cnn", "confirmatory": False},
        "transfer-untrained": {
            "question": "RQ4",
            "ours": "full-pretrained",
            "theirs": "full-untrained",
            "confirmatory": True,
        },
    },
}
