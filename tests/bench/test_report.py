"""The figures of all parts become one page; a part is measured anew without the others."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench import report
from bench.figures import alone, at_least, at_most, compared, missing
from bench.report import PARTS, Record, document, main, measure, read_record, row, write_record

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "bench" / report.TEMPLATE
FIGURES = (
    compared("decode a film", "CPU-s", [1.0, 1.5, 2.0], "bare decord", [1.0, 1.0, 1.0], at_most(1.15)),
    alone("share of the step: data", "%", [4.0]),
    alone("share of the step: backward", "%", [96.0]),
    missing("a step on a GPU", "no CUDA device", at_least(4)),
    alone("memory", "MB", [1234.5], note="imports included"),
)


def record(part: str, figures=FIGURES) -> Record:
    return Record(
        part, "2026-01-02T03:04:05+00:00", "abc", 12.3, "a CPU", (1.0, 2.0), {"python": "3"}, figures
    )


def test_a_record_survives_its_file(tmp_path: Path) -> None:
    write_record(record("clips"), tmp_path)
    assert read_record(tmp_path / "clips.json") == record("clips")
    assert [path.name for path in tmp_path.iterdir()] == ["clips.json"]


def test_every_part_is_a_benchmark_that_the_page_shows() -> None:
    text = TEMPLATE.read_text()
    for part in PARTS:
        assert (ROOT / "bench" / f"{part}.py").exists()
        assert f'table("{part}")' in text


def test_a_missed_target_is_shown_as_missed_wherever_it_is() -> None:
    page = document({"decoding": record("decoding")}, TEMPLATE)
    lines = [line for line in page.splitlines() if line.startswith("| decode a film |")]
    assert len(lines) == 2  # among the targets and in its part
    for line in lines:
        assert "**missed**" in line
        assert "1.5 (1 to 2)" in line
    assert row(FIGURES[3]).count("no CUDA device") == 1
    assert "open" in row(FIGURES[3])


def test_a_busy_machine_is_named() -> None:
    busy = replace(record("clips"), load=(0.5, 7.25))
    assert "7.25" in report.provenance([busy]).splitlines()[-1]
    assert "7.25" not in report.provenance([replace(busy, load=(0.5, 1.0))])
    assert report.provenance([busy]).count("python 3") == 1


def test_shares_are_a_sentence_and_notes_a_list() -> None:
    lines = report.table(record("steps")).splitlines()
    assert "Share of the step: data 4 %, backward 96 %." in lines
    assert "- memory: imports included" in lines
    assert not any(line.startswith("| share") for line in lines)


def test_a_part_is_measured_in_its_own_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    code = """
import os, sys
print("a word of a library")
print('[{"what": "a", "unit": "MB", "ours": %s, "target": null}]' % os.environ["OMP_NUM_THREADS"])
"""
    (tmp_path / "bench" / "own.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = measure("own")
    assert [(figure.what, figure.ours) for figure in found.figures] == [("a", 1)]
    assert found.seconds > 0
    assert "numpy" in found.versions


def test_one_part_is_measured_anew_and_a_failed_one_keeps_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(report, "DOCUMENT", tmp_path / "page.md")
    for part in ("clips", "growth"):
        write_record(record(part), tmp_path / "results")

    def anew(part: str) -> Record:
        if part == "growth":
            raise report.subprocess.CalledProcessError(3, ["bench"])
        return record(part, (alone("read", "s", [4321.0]),))

    monkeypatch.setattr(report, "measure", anew)
    assert main(["clips"]) == 0
    assert "4,321 s" in (tmp_path / "page.md").read_text()
    assert main(["growth", "clips"]) == 1
    assert "growth" in capsys.readouterr().err
    assert read_record(tmp_path / "results" / "growth.json") == record("growth")
    with pytest.raises(SystemExit):
        main(["nothing"])


def test_a_long_part_is_measured_only_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(report, "DOCUMENT", tmp_path / "page.md")
    measured: list[str] = []

    def anew(part: str) -> Record:
        measured.append(part)
        return record(part)

    monkeypatch.setattr(report, "measure", anew)
    assert main([]) == 0
    assert set(measured) == set(PARTS) - set(report.LONG)
    assert main(list(report.LONG)) == 0
    assert set(measured) == set(PARTS)


def test_the_published_page_is_that_of_the_published_figures(tmp_path: Path) -> None:
    report.write_document(ROOT / report.RESULTS, tmp_path / "page.md", TEMPLATE)
    assert (tmp_path / "page.md").read_text() == (ROOT / report.DOCUMENT).read_text()
    for path in (ROOT / report.RESULTS).glob("*.json"):
        assert json.loads(path.read_text())["part"] == path.stem
