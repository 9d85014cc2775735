"""Publications of studies, below metrics/: the newest of a study, and what its seeds found.

A study of the analysis ``claims`` publishes the results of its seeds, one row per query. A reader can repeat
its tests, and another study can be compared with its variants without training them again.
"""

import shutil
from pathlib import Path
from typing import Final

from sttreid.config.conversion import parse
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json
from sttreid.runtime.provenance import Provenance, checksums, publication_date

PROVENANCE: Final = "provenance.json"
SEEDS: Final = ("results", "history")  # folders of a publication, as below artifacts


def newest(root: Path, study: str) -> tuple[Path, Provenance] | None:
    """The newest publication of a study, its folder and its provenance; None: there is none.

    Args:
        root: of a checkout.
        study: its name.

    Raises:
        InputError: a publication cannot be read.
    """
    paths = (root / "metrics" / study).glob(f"**/{PROVENANCE}")
    written = [path for path in paths if path.parent.name[0] != "."]
    found = {path: parse(Provenance, read_json(path), str(path)) for path in written}
    if not found:
        return None
    path = max(found, key=lambda path: publication_date(found[path], path))
    return path.parent, found[path]


def copy_seeds(publication: Path, origin: Provenance, target: Path) -> None:
    """Copy what the seeds of a study found from its publication to a new folder.

    Raises:
        InputError: it was published without them, or a file has changed since.
    """
    named = {name: value for name, value in origin.files.items() if name.startswith(SEEDS)}
    if not named:
        rule = "must have the results of its seeds, to be compared with; publish the study anew"
        raise InputError(f"{publication}: {rule}")
    for name, checksum in named.items():
        path = publication / name
        if not path.is_file() or checksums(publication, [path])[name] != checksum:
            raise InputError(f"{path}: must be as it was published; restore it from git")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target / name)
