"""The command ``sttreid``: help and examples, bad input, and what each command hands over."""

import errno
import importlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer

from sttreid.cli import checkout
from sttreid.cli.commands import app, main
from sttreid.data import readers
from sttreid.model.weights import save
from sttreid.retrieval import Labels, evaluate
from sttreid.retrieval.protocol import PROTOCOLS
from tests.sections import MODEL, small_network

ROOT = Path(__file__).parents[1]
QUERIES, GALLERY, WIDTH = 6, 20, 4


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands and groups with the words that call them."""
    yield words, command
    for name, child in getattr(command, "commands", {}).items():
        yield from leaves(child, (*words, name))


COMMANDS = dict(leaves(typer.main.get_command(app)))
NAMES = [" ".join(words) for words in COMMANDS]


def examples(command: Any) -> list[str]:
    """The command lines of a command's examples; a backslash continues one."""
    lines = command.epilog.partition("\n\n")[0].replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines[2:]]


def run(*words: object) -> int:
    """The exit status of a command."""
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert isinstance(end.value.code, int)
    return end.value.code


def test_the_commands_are_those_of_the_front_door() -> None:
    assert {"simulate render", "simulate verify", "simulate sheet", "describe", "index"} <= set(NAMES)
    assert {"evaluate", "compare", "watch", "new-study", "check-study", "bench"} <= set(NAMES)
    assert {"run-pipeline", "run-study"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_help_explains_every_command_with_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*name.split(), "--help") == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: sttreid {name}".strip())
    assert f"  sttreid {name}".rstrip() in text.partition("Examples:")[2]


@pytest.mark.parametrize(
    ("group", "line"), [(words, line) for words, command in COMMANDS.items() for line in examples(command)]
)
def test_every_example_is_a_command_line_that_parses(group: tuple[str, ...], line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "sttreid"
    assert tuple(words[: len(group)]) == group
    command = COMMANDS[()]
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context(command.name, words)


def test_help_lists_all_protocols_and_readers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", "--help") == 0
    assert {each.name for each in PROTOCOLS if not each.name[-1].isdigit()} <= set(
        capsys.readouterr().out.split()
    )
    folder = Path(readers.__file__).parent
    assert run("describe", "--help") == 0
    words = capsys.readouterr().out.replace(",", " ").replace(";", " ").split()
    assert {path.stem for path in folder.glob("[a-z]*.py")} <= set(words)


def test_help_loads_no_heavy_package() -> None:
    code = (
        "import sys\nfrom sttreid.cli.commands import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print({'torch', 'numpy', 'pandas', 'pydantic', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_without_words_the_command_prints_its_help_and_the_module_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "sttreid"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: sttreid ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["evaluat"], "evaluat"),
        (["evaluate"], "--protocol"),
        (["evaluate", "--protocol", "markt"], "'markt'"),
        (["evaluate", "--protocol", "market"], "--query"),
        (["evaluate", "--protocol", "market", "--query", "q.npz"], "--query"),
        (["evaluate", "--protocol", "market", "--query", "q.npz", "--gallery", "g.npz"], "q.npz"),
        (["evaluate", "--protocol", "market", "--query", "q.txt", "--gallery", "g.npz"], "q.txt"),
        (["evaluate", "--protocol", "market", "--rerank", "--k1", "0"], "k1"),
        (["evaluate", "--protocol", "market", "--k1", "many"], "--k1"),
        (["evaluate", "--protocol", "market", "--query", "q.npz", "--gallery", "g.npz", "--k2", "3"], "--k2"),
        (["evaluate", "--protocol", "market", "--query", "q.npz", "--per-query", "q.csv"], "'q.csv'"),
        (["evaluate", "--protocol", "market", "--query", "q.npz", "--tie", "some"], "--tie"),
        (["describe", "marz", "."], "marz"),
        (["describe", "mars", ".", "-o", "split"], "'split'"),
        (
            ["describe", "mars", ".", "-o", "split=1", "-o", "test=0.5", "-o", "split=2"],
            "split=1 and split=2",
        ),
        (["simulate", "sheet", "out"], "path"),
        (["simulate", "render", "nowhere.yaml", "out"], "nowhere.yaml"),
        (["bench", "nothing"], "nothing"),
        (["bench"], "checkout"),
        (["check-study", "claims"], "checkout"),
        (["new-study", "mine"], "checkout"),
    ],
)
def test_bad_input_ends_with_status_2_and_one_sentence_that_names_it(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inside = words == ["bench", "nothing"]
    monkeypatch.chdir(ROOT if inside else tmp_path)
    assert run(*words) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert told in errors


CALLS = {
    "describe mars sets -o split=3 -o test=0.5 --strict --sheet s.jpg --tracklets 3 --seed 2": (
        "sttreid.data.describe.describe",
        ("mars", Path("sets"), {"split": "3", "test": "0.5"}, True, Path("s.jpg"), 3, 2),
    ),
    "describe campus": ("sttreid.data.describe.describe", ("campus", None, {}, False, None, 24, 0)),
    "index mars": ("sttreid.data.index.index", ("mars", None)),
    "index mars sets": ("sttreid.data.index.index", ("mars", Path("sets"))),
    "simulate render campus out --benchmark": (
        "sttreid.simulate.commands.render",
        ("campus", Path("out"), {}, True, None),
    ),
    "simulate render my.yaml out --identities 3 --train 0.5 --min-frames 4 --workers 1": (
        "sttreid.simulate.commands.render",
        ("my.yaml", Path("out"), {"identities": 3, "train": 0.5, "min_frames": 4}, False, 1),
    ),
    "simulate verify a b --manifest m.json": (
        "sttreid.simulate.commands.verify",
        ([Path("a"), Path("b")], Path("m.json")),
    ),
    "simulate sheet a s.jpg --identities 5": (
        "sttreid.simulate.commands.sheet",
        (Path("a"), Path("s.jpg"), 5),
    ),
    "new-study mine --from curves model.width=64 seeds=[0,1]": (
        "sttreid.config.experiments.new_study",
        (ROOT, "mine", "curves", ["model.width=64", "seeds=[0,1]"]),
    ),
    "check-study claims": ("sttreid.config.experiments.check_study", (ROOT, "claims")),
}


@pytest.mark.parametrize("words", CALLS)
def test_a_command_hands_its_words_to_the_library_and_prints_what_comes_back(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, arguments = CALLS[words]
    module, _, function = name.rpartition(".")
    calls = []

    def call(*given: object) -> object:
        calls.append(given)
        return ["some text"] if "study" in function else "some text"

    monkeypatch.setattr(importlib.import_module(module), function, call)
    monkeypatch.chdir(ROOT)
    assert run(*words.split()) == 0
    assert calls == [arguments]
    output = capsys.readouterr().out
    assert "some text" in output or (output and module.startswith("sttreid.simulate"))


def sides() -> dict[str, dict[str, Any]]:
    """Features and labels of a small test: query and gallery."""
    rng = np.random.default_rng(0)
    identity = rng.integers(0, 4, QUERIES + GALLERY)
    columns = {
        "features": rng.standard_normal((len(identity), WIDTH)).astype(np.float32),
        "identity": identity,
        "camera": rng.integers(0, 3, len(identity)),
        "junk": np.arange(len(identity)) == QUERIES + 3,
    }
    parts = {"query": slice(QUERIES), "gallery": slice(QUERIES, None)}
    return {side: {name: column[part] for name, column in columns.items()} for side, part in parts.items()}


def expected(rates: dict[str, dict[str, Any]], protocol: str) -> dict[str, Any]:
    """The metrics by the evaluator itself."""
    query, gallery = rates["query"], rates["gallery"]
    labels = Labels(gallery["identity"], gallery["camera"], junk=gallery["junk"])
    result = evaluate(
        query["features"],
        gallery["features"],
        Labels(query["identity"], query["camera"]),
        labels,
        protocol,
    )
    return {"protocol": protocol, "tie": 1e-9, **result.numbers()}


def evaluated(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    capsys.readouterr()
    assert run("evaluate", "--json", *words) == 0
    return json.loads(capsys.readouterr().out)


def test_evaluate_reads_features_and_labels_of_one_file_a_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = sides()
    for side, columns in test.items():
        np.savez(tmp_path / f"{side}.npz", **columns)
    files = "--query", tmp_path / "query.npz", "--gallery", tmp_path / "gallery.npz"
    for protocol in ("market", "mars-official"):
        assert evaluated(capsys, *files, "--protocol", protocol) == expected(test, protocol)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_evaluate_reads_labels_from_tables_and_writes_one_row_a_query(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test, words = sides(), []
    for side, columns in test.items():
        np.save(tmp_path / f"{side}.npy", columns["features"])
        table = pd.DataFrame({name: column for name, column in columns.items() if name != "features"})
        path = tmp_path / f"{side}.{suffix}"
        table.astype({"junk": int}).to_csv(path) if suffix == "csv" else table.to_parquet(path)
        words += [f"--{side}", tmp_path / f"{side}.npy", f"--{side}-labels", path]
    rows = tmp_path / "out" / "queries.parquet"
    found = evaluated(capsys, *words, "--protocol", "market", "--per-query", rows)
    assert found == expected(test, "market")
    assert len(pd.read_parquet(rows)) == QUERIES


def test_evaluate_takes_distances(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test, words = sides(), []
    unit = {}
    for side, columns in test.items():
        unit[side] = columns["features"] / np.linalg.norm(columns["features"], axis=1, keepdims=True)
        np.savez(tmp_path / f"{side}.npz", **columns)
        words += [f"--{side}-labels", tmp_path / f"{side}.npz"]
    np.save(tmp_path / "distances.npy", 1 - unit["query"].astype(float) @ unit["gallery"].T)
    words += ["--distances", tmp_path / "distances.npy"]
    assert evaluated(capsys, *words, "--protocol", "market") == expected(test, "market")
    assert run("evaluate", *words, "--protocol", "market", "--rerank") == 2
    tied = evaluated(capsys, *words, "--protocol", "market", "--tie", "2")
    assert tied["tie"] == 2
    assert tied["rank1"] < expected(test, "market")["rank1"]


def test_numbers_are_printed_although_the_table_of_queries_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, table: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    for side, columns in sides().items():
        np.savez(tmp_path / f"{side}.npz", **columns)
    monkeypatch.setattr("sttreid.runtime.files.write_table", full)
    words = "--query", tmp_path / "query.npz", "--gallery", tmp_path / "gallery.npz", "--protocol", "market"
    capsys.readouterr()
    assert run("evaluate", *words, "--per-query", tmp_path / "queries.parquet", "--json") != 0
    told = capsys.readouterr()
    assert json.loads(told.out) == expected(sides(), "market")
    assert "queries.parquet" in told.err


def test_what_the_evaluator_refuses_is_named_with_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = sides()
    test["gallery"]["features"][7, 1] = np.nan
    for side, columns in test.items():
        np.savez(tmp_path / f"{side}.npz", **columns)
    words = "--query", tmp_path / "query.npz", "--gallery", tmp_path / "gallery.npz", "--protocol", "market"
    for rerank in ([], ["--rerank"]):
        assert run("evaluate", *words, *rerank) == 2
        errors = capsys.readouterr().err
        assert str(tmp_path / "gallery.npz") in errors
        assert "gallery feature, row" in errors


def test_reranked_metrics_name_a_protocol_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for side, columns in sides().items():
        np.savez(tmp_path / f"{side}.npz", **columns)
    words = "--query", tmp_path / "query.npz", "--gallery", tmp_path / "gallery.npz", "--protocol", "market"
    found = evaluated(capsys, *words, "--rerank", "--k1", "5")
    assert found["protocol"] == "market-reranked"
    assert (found["rerank"]["k1"], found["tie"]) == (5, 1e-6)
    assert run("evaluate", *words, "--rerank", "--k1", "5") == 0
    assert "k1 5, k2 6, weight 0.3" in capsys.readouterr().out


def test_evaluate_embeds_a_store_with_a_model_and_prints_a_table(
    store_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(small_network(), MODEL, tmp_path / "model.pt")
    words = "--model", tmp_path / "model.pt", "--tracklets", store_folder, "--protocol", "embedded"
    numbers = evaluated(capsys, *words)
    assert run("evaluate", *words) == 0
    table = capsys.readouterr().out.splitlines()
    assert numbers["queries"] == 4
    rows = {line.rsplit(maxsplit=2)[0]: line.split() for line in table if line.endswith("%")}
    assert rows["mAP"] == ["mAP", f"{100 * numbers['mAP']:.1f}", "%"]
    assert "protocol embedded:" in table


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("labels.csv", b"identity\n1\n", "camera"),
        ("labels.csv", b"identity,camera\nx,1\n", "identity"),
        ("labels.csv", b"identity,camera,junk\n1,1,2\n", "junk"),
        ("labels.csv", b"", "CSV"),
        ("labels.parquet", b"none", "Parquet"),
        ("labels.npz", b"none", "NumPy"),
        ("labels.json", b"{}", ".json"),
    ],
)
def test_labels_that_cannot_be_used_are_named_with_their_file(
    name: str, content: bytes, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "features.npy", np.eye(2))
    path = tmp_path / name
    path.write_bytes(content)
    files = "--query", tmp_path / "features.npy", "--gallery", tmp_path / "features.npy"
    labels = "--query-labels", path, "--gallery-labels", path
    assert run("evaluate", "--protocol", "market", *files, *labels) == 2
    errors = capsys.readouterr().err
    assert str(path) in errors
    assert told in errors


def test_bench_lists_what_can_be_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT / "docs")  # anywhere in the checkout
    assert run("bench", "--list") == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(checkout.benchmarks(ROOT))
    assert {"training", "evaluation"} <= set(listed)
    assert "trees" not in listed  # a module that benchmarks import


@pytest.mark.parametrize(
    ("words", "name", "given"),
    [(["own", "--help", "--size", "3"], "own", "--help --size 3"), ([], "report", "")],
    ids=["one", "those of the document"],
)
def test_bench_runs_a_module_in_the_root_with_its_own_options(
    words: list[str], name: str, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in checkout.MARKS:
        (tmp_path / folder).mkdir(parents=True)
    code = """
import sys
from pathlib import Path

if __name__ == "__main__":
    Path("words").write_text(" ".join(sys.argv[1:]))
    sys.exit(7)
"""
    (tmp_path / "bench" / f"{name}.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    assert run("bench", *words) == 7
    assert (tmp_path / "words").read_text() == given
