"""The order of the test files: `make test` runs two at once."""

import pytest

from sttreid.runtime import numerics

numerics.choose()  # before a test loads torch

pytest_plugins = ["tests.store_fixtures", "tests.video_fixtures", "tests.browser"]
LONGEST = ["test_pipeline.py", "test_studies.py"]  # minutes: begun last, one would run alone at the end


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, one for each of two processes; all others stay in order."""
    items.sort(key=lambda item: [*LONGEST, item.path.name].index(item.path.name))
