from dataclasses import replace
from pathlib import Path

import pytest

from sttreid.config.domain import (
    Clothing,
    Crowd,
    Domain,
    Hair,
    IntRange,
    Light,
    Range,
    Scale,
    Scenes,
    Sensor,
    Skin,
    View,
)
from sttreid.simulate.dataset import render


@pytest.fixture(scope="session")
def domain() -> Domain:
    """A domain in which every garment and every kind of scene is likely."""
    return Domain(
        skin=Skin(1, 1, 1, 1, 1, 1, 1),
        hair=Hair(1, 1, 1, 1, 1, 1, 1, 1),
        scenes=Scenes(1, 1, 1, 1),
        clothing=Clothing(*[0.5] * 15),
        view=View(Range(2.0, 4.0), Range(0.75, 1.2), Range(0.28, 0.5), 1.0),
        light=Light(Range(0.3, 1.0), Range(0.3, 0.7), 0.1, Range(0.8, 1.3), Range(0.7, 1.2), Range(2.0, 2.4)),
        sensor=Sensor(Range(0.0, 3.0), Range(0.0, 0.5), 0.3, IntRange(22, 26), "veryfast", 48),
        crowd=Crowd(3.0, IntRange(2, 2), 0.05, 0.5, 0.0),
    )


@pytest.fixture(scope="session")
def scale() -> Scale:
    return Scale(
        identities=6, distractors=0, cameras=2, min_frames=6, max_frames=7, width=256, height=144, fps=12,
        seed=3, train=0.34, validation=0.34,
    )  # fmt: skip


@pytest.fixture(scope="session")
def rendered(domain: Domain, scale: Scale, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small data set ``tiny``, rendered by one process."""
    folder = tmp_path_factory.mktemp("rendered") / "tiny"
    render("tiny", domain, scale, folder, workers=1)
    return folder


@pytest.fixture
def empty(domain: Domain) -> Domain:
    """The domain without occluders."""
    return replace(domain, view=replace(domain.view, occluders=0.0))
