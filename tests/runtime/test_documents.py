"""Documents that ask for endless work are refused in a sentence, in little time and memory."""

import re
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sttreid.catalogue.card import Card
from sttreid.config.conversion import read_yaml
from sttreid.config.domain import load_benchmark, read_domain
from sttreid.config.params import load
from sttreid.data.describe import describe
from sttreid.data.folder_manifest import local_folder, read_manifest
from sttreid.data.readers.cameras import read_cameras
from sttreid.runtime import documents
from sttreid.runtime.documents import BITS, DEPTH, NAME_BYTES, check_path, parse_json, parse_yaml
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json
from sttreid.search.calibration import read_calibration

LAUGHS = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
MERGES = "m0: &m0 {k0: 1}\n" + "".join(
    f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}], k{n}: 1}}\n" for n in range(1, 10)
)
JSON = {
    "deep": "[" * 5000 + "]" * 5000,
    "deep mappings": '{"a":' * 5000 + "1" + "}" * 5000,
    "deep without an end": "[" * 100_000,
    "rather deep": "[" * (DEPTH + 1) + "]" * (DEPTH + 1),
    "many digits": "[" + "9" * 5000 + "]",
    "many bits": '{"a": ' + str(2**BITS) + "}",
    "key of a list": '{"a": {"b": [1, [2, {"c": -1' + "0" * 40 + "}]]}}",
}
YAML = JSON | {
    "aliases of aliases": LAUGHS,
    "merges of merges": MERGES,
    "alias of itself": "a: &a [*a]",
    "mapping of itself": "&a {b: *a}",
    "deep blocks": "".join("  " * n + "a:\n" for n in range(700)),
    "base 60": "a: 1" + ":59" * 100_000,
    "hexadecimal": "a: 0x" + "f" * 100_000,
    "float of many digits": "a: 0." + "1" * 100_000,
    "impossible date": "a: 2023-99-99",
    "empty whole number": 'a: !!int ""',
    "no truth": "a: !!bool maybe",
    "code": "a: !!python/object/apply:os.getcwd []",
    "list as a key": "{[1]: 2}",
    "no encoding": "a: \0",
}


def refusal(read: Callable[[], Any]) -> str:
    """The sentence; its making takes little time and memory."""
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(InputError) as error:
        read()
    assert time.process_time() - start < 10
    assert tracemalloc.get_traced_memory()[1] < 200 * 2**20
    tracemalloc.stop()
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500
    return str(error.value)


@pytest.mark.parametrize("kind", JSON)
def test_json_beyond_the_bounds_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(JSON[kind])
    assert refusal(lambda: read_json(path)).startswith(f"{path}: ")


def test_a_json_number_of_many_digits_is_refused_by_the_rule_of_the_project() -> None:
    told = refusal(lambda: parse_json(b"[" + b"9" * 10**6 + b"]", "a"))
    assert re.search("at most 400 digits.*1,000,000", told)
    assert "sys." not in told


@pytest.mark.parametrize("kind", YAML)
def test_yaml_beyond_the_bounds_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(YAML[kind])
    assert refusal(lambda: read_yaml(path)).startswith(f"{path}: ")


@pytest.mark.parametrize("text", ['{"a": 1, "b": 2, "a": 3}', '[{"c": {"a": 1, "\\u0061": 1}}]'])
def test_a_key_that_is_given_twice_is_refused(text: str) -> None:
    for read in (parse_json, parse_yaml):
        with pytest.raises(InputError, match=r"^here: .*once.*'a' 2 times"):
            read(text.encode(), "here")


def test_a_merged_key_may_be_given_again() -> None:
    text = "x: &x {a: 1, b: 1}\ny: {<<: *x, a: 2}\nz: {'1': a, 1: b}\n"
    assert parse_yaml(text, "a") == {"x": {"a": 1, "b": 1}, "y": {"a": 2, "b": 1}, "z": {"1": "a", 1: "b"}}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_in_json_is_refused(number: str) -> None:
    with pytest.raises(InputError, match=f"^here: .*finite, got {number}"):
        parse_json(b'{"a": [%s]}' % number.encode(), "here")


@pytest.mark.parametrize("number", ["010", "-07", "0_7", "1:30", "1:30.5", "!!int 010"])
def test_a_number_that_yaml_1_1_and_1_2_read_differently_is_refused(number: str) -> None:
    with pytest.raises(InputError, match=rf"^here: a number .*got {number.split()[-1]}"):
        parse_yaml(f"a: {number}", "here")


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("-0", 0), ("0.5", 0.5), ("0x1f", 31), ('"010"', "010"), ("1_000", 1000)]
)
def test_a_number_with_one_reading_is_read(text: str, value: object) -> None:
    assert parse_yaml(f"a: {text}", "here") == {"a": value}


def test_what_is_within_the_bounds_is_read() -> None:
    nested = "[" * DEPTH + "1" + "]" * DEPTH
    assert str(parse_json(nested.encode(), "a")) == str(parse_yaml(nested, "a")) == nested
    numbers = [0, -1, 2**63, 1 - 2**BITS, 2**BITS - 1, 1.5, True, None, "9" * 5000]
    text = str(numbers).replace("'", '"').replace("True", "true").replace("None", "null")
    assert parse_json(text.encode(), "a") == parse_yaml(text, "a") == numbers
    shared = "a: &a {x: [1, 2]}\nb: {<<: *a, y: 3}\nc: [*a, *a]\n"
    one = {"x": [1, 2]}
    assert parse_yaml(shared, "a") == {"a": one, "b": one | {"y": 3}, "c": [one, one]}


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, read in (("JSON_BYTES", read_json), ("YAML_BYTES", read_yaml)):
        path = tmp_path / name
        path.write_text('["' + "a" * 96 + '"]')
        monkeypatch.setattr(documents, name, 100)
        assert read(path) == ["a" * 96]
        monkeypatch.setattr(documents, name, 99)
        assert "at most 99 bytes" in refusal(lambda path=path, read=read: read(path))
    with pytest.raises(InputError, match=r"at most .* bytes"):
        read_yaml(Path("/dev/zero"))


def _local(path: Path) -> None:
    local_folder("mine", path.with_name("mine.json"))


# Where files of users are read: name of the file -> what reads it
READERS: dict[str, Callable[[Path], Any]] = {
    "params.yaml": load,
    "harbour.yaml": read_domain,
    "benchmark.yaml": lambda path: load_benchmark(path.parent),
    "local.yaml": _local,
    "manifest.json": lambda path: read_cameras(path.parent),
    "set.json": lambda path: read_manifest(path, "mine"),
    "model.calibration.json": read_calibration,
    "card.json": Card.read,
}


@pytest.mark.parametrize("kind", ["rather deep", "many digits", "aliases of aliases"])
@pytest.mark.parametrize("name", READERS)
def test_every_reader_of_a_user_s_file_keeps_the_bounds(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    path.write_text(YAML[kind])
    sentence = refusal(lambda: READERS[name](path))
    assert sentence.startswith(f"{path}: ")
    words = {"rather deep": "nested", "many digits": "digits", "aliases of aliases": "values"}
    assert (words[kind] if path.suffix == ".yaml" or kind != "aliases of aliases" else "JSON") in sentence


def test_values_on_the_command_line_keep_the_bounds() -> None:
    for kind in ("deep", "many digits"):
        with pytest.raises(InputError, match=r"^--option tracks\.class: "):
            describe("footage", Path("mine"), {"tracks.class": YAML[kind]})


@pytest.mark.parametrize(
    "path", ["a" * (NAME_BYTES + 1), "ü" * 128, "b/" * 2048, "b/" * 20 + "\ud800" * 100, "/" + "9" * 5000]
)
def test_a_path_that_no_file_can_have_is_refused(path: str) -> None:
    sentence = refusal(lambda: check_path("list.txt:3", path))
    assert sentence.startswith("list.txt:3: ")
    assert f"got {path[:9]!r}"[:-1] in sentence


def test_a_path_that_a_file_may_have_is_not(tmp_path: Path) -> None:
    for name in ("a" * NAME_BYTES, "ü" * 127):
        check_path("here", tmp_path / name)
        (tmp_path / name).write_bytes(b"")
