"""``python -m sttreid``: the same as the command ``sttreid``."""

from sttreid.cli.commands import main

if __name__ == "__main__":
    main()
