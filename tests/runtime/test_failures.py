"""What a machine lacks is told in a sentence; a bug is not."""

import errno
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from sttreid.runtime.failures import machine_failure


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.EROFS, "Read-only file system", "out/a.pt"), "out/a.pt: cannot be written"),
        (OSError(errno.ENOSPC, "No space left on device", "a.pt", None, "out/a.pt"), "out/a.pt: cannot be"),
        (OSError(errno.ENOSPC, "No space left on device"), "a file cannot be written"),
        (OSError(errno.EISDIR, "Is a directory"), "Is a directory"),
        (PermissionError(errno.EACCES, "Permission denied", "a.txt"), "a.txt: cannot be opened"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a" * 5000), "a: no such file or folder can be"),
        (OSError(errno.EISDIR, "Is a directory", ".a.tmp", None, "out/a.pt"), "out/a.pt: no such file"),
        (
            FileExistsError(errno.EEXIST, "File exists", "notes.txt"),
            "notes.txt: no such file or folder can be",
        ),
        (MemoryError("Unable to allocate 4 GiB"), "4 GiB"),
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory"),
        (BrokenProcessPool("terminated abruptly"), "worker"),
    ],
)
def test_what_is_missing_is_named(error: Exception, told: str) -> None:
    sentence = machine_failure(error) or ""
    assert told in sentence
    assert len(sentence) < 500
    assert str(Path.cwd()) not in sentence  # the working directory is not at fault


@pytest.mark.parametrize("error", [RuntimeError("shape"), OSError(errno.EBADF, "Bad file"), KeyError("x")])
def test_other_errors_have_no_sentence(error: Exception) -> None:
    assert machine_failure(error) is None
