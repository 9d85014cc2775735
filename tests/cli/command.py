"""The command ``sttreid`` in this process."""

import pytest

from sttreid.cli.commands import main


def run(*words: object) -> int:
    """Its exit status."""
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert isinstance(end.value.code, int)
    return end.value.code
