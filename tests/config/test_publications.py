"""What a study publishes of its seeds, and how another study reads it."""

import shutil
from pathlib import Path

import pytest

from sttreid.config.conversion import parse
from sttreid.config.publications import copy_seeds, newest
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, write_json, write_text
from sttreid.runtime.provenance import Provenance, checksums

RECORD = {
    "study": "mine",
    "commit": "a" * 40,
    "uncommitted_changes": False,
    "threads": 1,
    "machines": [],
    "params": {},
    "tracklets": {},
    "remarks": [],
}


def publish(root: Path, folder: str, date: str) -> Path:
    """A publication of two files of seeds and a page."""
    path = root / "metrics" / "mine" / folder
    for name in ("results/ablation/0.json", "history/ablation/0/a/trained.tsv", "mine.md"):
        write_text(path / name, f"{name} of {date}")
    files = checksums(path, [file for file in path.rglob("*") if file.is_file()])
    write_json(path / "provenance.json", {**RECORD, "published": date, "files": files})
    return path


def test_the_newest_publication_is_found_in_any_folder(tmp_path: Path) -> None:
    assert newest(tmp_path, "mine") is None
    publish(tmp_path, "b", "2026-03-01T00:00:00+00:00")
    for folder, date in ((".", "2026-01-01T00:00:00+00:00"), (".c.partial", "2026-04-01T00:00:00+00:00")):
        publish(tmp_path, folder, date)
    found = newest(tmp_path, "mine")
    assert found is not None
    assert (found[0].name, found[1].published[:7]) == ("b", "2026-03")


def test_files_of_seeds_are_copied_as_they_were_published(tmp_path: Path) -> None:
    folder = publish(tmp_path, "a", "2026-01-01T00:00:00+00:00")
    origin = parse(Provenance, read_json(folder / "provenance.json"), "provenance")
    copy_seeds(folder, origin, tmp_path / "whole")
    copied = {path.relative_to(tmp_path / "whole").as_posix() for path in (tmp_path / "whole").rglob("*.*")}
    assert copied == {"results/ablation/0.json", "history/ablation/0/a/trained.tsv"}
    changed = folder / "results" / "ablation" / "0.json"
    changed.write_text("changed")
    with pytest.raises(InputError, match=rf"{changed}: must be as it was published"):
        copy_seeds(folder, origin, tmp_path / "changed")
    changed.unlink()
    with pytest.raises(InputError, match=rf"{changed}: must be as it was published"):
        copy_seeds(folder, origin, tmp_path / "missing")


def test_a_publication_without_seeds_is_refused(tmp_path: Path) -> None:
    folder = publish(tmp_path, "a", "2026-01-01T00:00:00+00:00")
    shutil.rmtree(folder / "results")
    origin = Provenance(**{**RECORD, "published": "", "files": {"mine.md": "1"}})
    with pytest.raises(InputError, match=rf"{folder}: must have the results of its seeds"):
        copy_seeds(folder, origin, tmp_path / "out")
