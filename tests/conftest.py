"""The order of the test files: `make test` runs two at once."""

import pytest

from sttreid.runtime import numerics

numerics.choose()  # before a test loads torch

pytest_plugins = ["tests.store_fixtures", "tests.video_fixtures", "tests.browser"]
LONGEST = "test_pipeline.py"  # minutes: begun last, it would run alone at the end


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the file that takes longest; all others stay in order."""
    items.sort(key=lambda item: item.path.name != LONGEST)
