"""The order of the test files, of which `make test` runs several at once, and what they share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sttreid.runtime import numerics
from tests.forking import forks

# Several files run at once. With a thread for each core in both, threads wait in loops for those of
# the other process, which costs several times the work. As the path, this must be set before torch is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
numerics.choose()

pytest_plugins = ["tests.store_fixtures", "tests.video_fixtures", "tests.browser"]
# begun last, one of these would end alone
LONGEST = [
    "test_pipeline.py",
    "test_studies.py",
    "test_stages.py",
    "test_browser.py",
    "test_checkpoints.py",
    "test_faults.py",
    "test_package.py",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; all others stay in order."""
    items.sort(key=lambda item: [*LONGEST, item.path.name].index(item.path.name))


@pytest.fixture(scope="session")
def programs() -> Iterator[str]:
    """A folder for the front of PATH: commands load their libraries once for all tests."""
    with forks(Path(__file__).parents[1] / "src") as folder:
        yield folder
