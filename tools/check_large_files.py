"""Refuse files above 300 kB: generated data, weights and caches belong to DVC, not to git."""

import sys
from pathlib import Path

LIMIT = 300_000  # bytes; README figures and contact sheets stay below it


def main(names: list[str]) -> int:
    """Print the files that are too large; 1 if there is one."""
    large = [name for name in names if Path(name).stat().st_size > LIMIT]
    for name in large:
        print(f"{name}: must be at most {LIMIT} bytes in git, got {Path(name).stat().st_size}")
    return int(bool(large))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
