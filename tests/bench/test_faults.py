"""The benchmark of faults: its tries are counted as they were, and damage that stays is seen."""

import json
import subprocess
from pathlib import Path
from random import Random

from bench.fault_kills import Chain, kill_cell, recover
from bench.fault_rows import KINDS, ROWS, cut, flip
from bench.fault_workspace import Workspace
from bench.faults import BEGIN, DOCUMENT, END, OUTCOMES, Journal, machine, table, write
from tests.runner.pipelines import pipeline, stage


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, check=True)


def playground(folder: Path, command: str) -> Path:
    """A pipeline of one cell that has run, committed."""
    pipeline(folder, {"cell": stage(f"mkdir -p artifacts && {command}", [], "artifacts/cell.txt")})
    git(folder, "init", "-q")
    (folder / ".gitignore").write_text("/artifacts\n/times.txt\n/.dvc/tmp\n/.dvc/cache\n")
    workspace = Workspace(folder, folder)
    assert workspace.dvc("repro").status == 0
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "run")
    return folder


def test_cells_are_killed_as_often_as_asked_and_other_bytes_are_seen(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "work", playground(tmp_path / "pristine", "sleep 1"))
    workspace.fresh()
    assert workspace.cells == ["cell"]
    assert not workspace.differences()
    chains = list(kill_cell(workspace, "cell", 2, Random(1), 2.0))
    assert sum(len(chain.kills) for chain in chains) == 2
    assert all(chain.ok for chain in chains)
    (workspace.folder / "artifacts" / "extra.txt").write_text("x")
    assert workspace.differences() == ["artifacts/extra.txt"]
    chain = Chain("cell")
    recover(workspace, chain, ("true",))
    assert not chain.ok


def test_damage_changes_one_bit_or_the_length(tmp_path: Path) -> None:
    path, content = tmp_path / "x", bytes(range(200))
    path.write_bytes(content)
    flip(path, Random(0))
    changed = [a ^ b for a, b in zip(path.read_bytes(), content, strict=True) if a != b]
    assert [value.bit_count() for value in changed] == [1]
    path.write_bytes(content)
    cut(path, Random(0))
    assert len(path.read_bytes()) < len(content)
    assert content.startswith(path.read_bytes())


def test_a_journal_resumes_and_forgets_a_row_that_did_not_end(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "here" / "outcomes.jsonl")
    journal.add(row="disk", name="ä", ok=True)
    journal.add(row="home", name="b", ok=False)
    again = Journal(journal.path)
    assert again.records == journal.records
    assert again.has("disk")
    assert not again.has("disk", "complete")
    again.forget("disk")
    assert [each["name"] for each in Journal(journal.path).records] == ["b"]


def test_the_table_counts_kills_tries_and_broken_promises() -> None:
    chain = Chain("cell", [("DVC", 1.0), ("the stage", 2.0)], first=255, repaired=True, left=["rwlock empty"])
    records = [
        {"row": "kills", "name": "x", "ok": True, "kills": 2, "chain": vars(chain)},
        {"row": "kills", "name": "complete cell", "ok": True},
        {"row": "disk", "name": "a", "ok": True},
        {"row": "disk", "name": "b", "ok": False},
    ]
    lines = {line.split("|")[1].strip(): line for line in table(records, machine()) if line.startswith("| ")}
    assert lines[ROWS["kills"].fault].endswith("| 2 | 0 |")
    assert lines[ROWS["disk"].fault].endswith("| 2 | 1 |")
    assert lines[ROWS["home"].fault].endswith("| not run |  |")
    text = "\n".join(table(records, machine()))
    assert "2 in 1 cells" in text
    assert "rwlock empty 1 times" in text


def test_writing_replaces_the_generated_part_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write(path, [BEGIN, "new", END])
    assert path.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


def test_the_document_has_the_table_of_its_outcomes() -> None:
    content = json.loads(OUTCOMES.read_text(encoding="utf-8"))
    generated = "\n".join(table(content["outcomes"], content["machine"]))
    assert generated in DOCUMENT.read_text(encoding="utf-8")
    assert sum(each.get("kills", 0) for each in content["outcomes"]) >= 100


def test_every_damaged_kind_of_file_is_read_by_a_stage() -> None:
    import importlib

    for words in KINDS.values():
        assert importlib.import_module(f"sttreid.stages.{words[0]}").main
