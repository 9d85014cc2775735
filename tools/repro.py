"""Run the pipeline, then print this run beside the published seeds: `make repro`.

The arguments are those of `sttreid run-pipeline`.
"""

import sys

import published

from sttreid.cli.commands import main
from sttreid.runtime.errors import InputError

if __name__ == "__main__":
    try:
        main(["run-pipeline", *sys.argv[1:]])
    except SystemExit as end:
        if end.code:
            raise
    try:
        print("\n".join(published.main()))
    except InputError as problem:
        sys.exit(f"error: {problem}")
