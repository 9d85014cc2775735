"""The fuzzer's inputs are the same in every run, and a few of them break no parser."""

import io
import time
from pathlib import Path

import numpy as np
import pytest

from bench.fuzz import MARKS, Tally, replaced
from bench.fuzz_mutations import FORMATS, Traps, mutate
from bench.fuzz_parsers import PARSERS, Parser
from sttreid.runtime.errors import InputError

CHEAP = ("domains/*.yaml", "published claims", "calibration", "distances, .npy", "manifest of the simulator",
         "manifest of a folder, local.yaml", "PRID2011", "labels and queries of search")  # fmt: skip
INPUTS = 12


def refusal(parser: Parser, data: Path) -> str:
    """The sentence of an InputError; empty if the parser reads the folder."""
    try:
        parser.read(data)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("parser", PARSERS, ids=lambda one: one.name)
def test_what_is_mutated_is_valid(tmp_path: Path, parser: Parser) -> None:
    parser.write(tmp_path)
    parser.read(tmp_path)


@pytest.mark.parametrize("parser", [one for one in PARSERS if one.name in CHEAP], ids=lambda one: one.name)
def test_mutations_are_accepted_or_refused_in_a_sentence(tmp_path: Path, parser: Parser) -> None:
    data, traps = tmp_path / "data", Traps(tmp_path / "outside" / "canary.txt", tmp_path / "made")
    data.mkdir()
    parser.write(data)
    parser.read(data)
    files = sorted({path for pattern in parser.files for path in data.glob(pattern) if path.is_file()})
    refused = 0
    for number in range(INPUTS):
        rng = np.random.default_rng([1, number])
        path = files[number % len(files)]
        valid = path.read_bytes()
        path.write_bytes(mutate(valid, path.suffix, rng, traps)[1])
        sentence = refusal(parser, data)
        refused += bool(sentence)
        assert "\n" not in sentence
        path.write_bytes(valid)
    assert refused
    assert not traps.made.exists()


@pytest.mark.parametrize("suffix", FORMATS)
def test_equal_seeds_give_equal_inputs_at_any_time(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    traps = Traps(Path("/away"), Path("/made"))
    content = b'{"a": [1, 2.5, "b"]}\n' * 3
    if suffix == ".npz":
        buffer = io.BytesIO()
        np.savez(buffer, features=np.eye(3), identities=np.arange(3))
        content = buffer.getvalue()
    both = []
    for seconds in (1_700_000_000.0, 1_800_000_000.0):  # archives hold the time of their members
        monkeypatch.setattr(time, "time", lambda now=seconds: now)
        both.append([mutate(content, suffix, np.random.default_rng([0, n]), traps) for n in range(30)])
    assert both[0] == both[1]
    assert len({made for _, made in both[0]}) > 10


def test_a_failure_is_counted_and_the_document_keeps_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally("a")
    for number, outcome in enumerate(("accepted", "refused", "crash", "refused")):
        tally.add(number, outcome, "flip", "b")
    assert (tally.counts, tally.failures) == (
        {"accepted": 1, "refused": 2, "crash": 1},
        [(2, "crash", "flip", "b")],
    )
    assert "a 2: crash" in capsys.readouterr().err
    text = f"before\n{MARKS[0]}\nold\n{MARKS[1]}\nafter\n"
    assert replaced(text, "new") == f"before\n{MARKS[0]}\n\nnew\n\n{MARKS[1]}\nafter\n"
    with pytest.raises(InputError):
        replaced("no marks", "new")
