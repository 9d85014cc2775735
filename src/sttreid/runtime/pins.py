"""The pin of a data set: the checksums in its .dvc file, as git has them.

DVC (3.67) writes the checksums of changed files into the .dvc file before any stage has looked at the files,
in ``dvc repro`` as in ``dvc exp run``; ``frozen: true`` does not keep it from that. A stage that refuses the
files takes it back, and the runner refuses a pin that git does not have: where no stage reads the changed
files, or none runs, only DVC has seen them.
"""

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from sttreid.runtime.files import write_bytes

BASELINE: Final = "DVC_EXP_BASELINE_REV"  # set by `dvc exp run`, whose index already has the changed pin


def pin_of(path: Path) -> Path | None:
    """The .dvc file that tracks a file, a folder, or a folder above it; None: nothing tracks it."""
    named = (each for each in (path, *path.parents) if each.name)
    pins = (each.with_name(f"{each.name}.dvc") for each in named)
    return next((pin for pin in pins if pin.is_file()), None)


def take_back(pin: Path) -> bool:
    """Give a .dvc file the content that git would commit.

    Returns:
        Whether it had another one. What git does not know stays as it is.
    """
    expected = _in_git(pin)
    if expected is None or not differs_from_git(pin):
        return False
    write_bytes(pin, expected)
    return True


def differs_from_git(pin: Path) -> bool:
    """Whether a .dvc file is not what git would commit. What git does not know differs from nothing."""
    return _in_git(pin) not in (None, pin.read_bytes())


def _in_git(pin: Path) -> bytes | None:
    """What git would commit; None: nothing, or there is no git."""
    command = ["git", "show", f"{os.environ.get(BASELINE, '')}:./{pin.name}"]
    with suppress(OSError):
        done = subprocess.run(command, cwd=pin.parent, capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else None
    return None


def advice(pin: Path) -> str:
    """How to get the pinned files back, and how to keep others."""
    files = pin.with_suffix("")
    back, keep = f"`dvc pull --force {pin}` brings", f"`dvc add {files}` pins"
    if _in_git(pin) is not None:
        back = f"`git checkout {pin}` and `dvc pull --force {pin}` bring"
        keep = f"`dvc add {files}` and `git add {pin}` pin"
    return f"{files}: is not as {pin} in git says; {back} the pinned files back, {keep} yours"
