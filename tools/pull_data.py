"""Pull the pinned target sets, whatever a killed DVC command left behind: the first step of `make repro`."""

import subprocess
import sys
from pathlib import Path

from sttreid.runner import workplace
from sttreid.runtime.errors import InputError
from sttreid.runtime.pins import advice, differs_from_git

PIN = Path("data.dvc")


def main() -> None:
    """Repair DVC's lock files, then pull.

    Raises:
        InputError: files in data/ differ from the pin, this from the one in git, or the remote lacks some.
    """
    with workplace.hold(Path()):
        pull = ["dvc", "pull", "-q", str(PIN)]
        if differs_from_git(PIN) or subprocess.run(pull, check=False).returncode:
            raise InputError(advice(PIN))


if __name__ == "__main__":
    try:
        main()
    except InputError as problem:
        sys.exit(f"error: {problem}")
