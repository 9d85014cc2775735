"""Refuse files above 300 kB in git: DVC stores generated data and weights."""

import sys
from pathlib import Path

LIMIT = 300_000  # bytes; figures of the README and contact sheets are smaller


def main(names: list[str]) -> int:
    """Print the files that are too large.

    Returns:
        Exit status: 1 if there are any.
    """
    sizes = {name: Path(name).stat().st_size for name in names}
    large = {name: size for name, size in sizes.items() if size > LIMIT}
    for name, size in large.items():
        print(f"{name}: must be at most {LIMIT} bytes in git, got {size}")
    return int(bool(large))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
