"""Mutations of valid files, for ``sttreid bench fuzz``: of bytes, of text, and of what a format holds.

Every mutation draws from a generator alone, so that seed, parser and number give the same input again.
"""

import io
import json
import pickle
import re
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.torch
import torch
import yaml

Rng = np.random.Generator
Mutation = Callable[[bytes, Rng, "Traps"], bytes]

EXTREMES: Final = (
    "0", "-1", "-0.0", "1", "65536", "2147483647", "2147483648", "-2147483649", "4294967296",
    "9223372036854775807", "9223372036854775808", "18446744073709551616", "10000000000", "1e308", "1e999",
    "-1e999", "1e-320", "nan", "inf", "NaN", "-Infinity", "0x1F", "1_000", "1,5", "", "9" * 5000,
    "0." + "1" * 5000,
)  # fmt: skip
VALUES: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 2**31, 2**63, 2**64, 10**10, 10**300, 0.5, -1e308, "", "a", "\0", "\ud7ff", "9" * 5000,
    "<b>", [], {}, [[]], {"": {}}, [None], "../../outside/canary.txt", list(range(3000)),
)  # fmt: skip
DEPTH: Final = 5000


@dataclass(frozen=True)
class Traps:
    """What no parser may touch.

    Attributes:
        outside: a file outside of the folder of the data; it must not be read.
        made: a file that code in an input would make; it must not come into being.
    """

    outside: Path
    made: Path


class Payload:
    """A pickle whose loading makes a file."""

    def __init__(self, command: str, how: int) -> None:
        self.command, self.how = command, how

    def __reduce__(self) -> tuple[Any, ...]:
        """The call that unpickling makes."""
        import os
        import subprocess

        calls = (
            (os.system, (self.command,)),
            (subprocess.check_output, (["sh", "-c", self.command],)),
            (eval, (f"__import__('os').system({self.command!r})",)),
        )
        return calls[self.how % len(calls)]


def flip(content: bytes, rng: Rng, _: Traps) -> bytes:
    """Some bits change."""
    data = bytearray(content)
    for place in rng.integers(0, max(len(data), 1), rng.integers(1, 9)).tolist() if data else []:
        data[place] ^= 1 << int(rng.integers(8))
    return bytes(data)


def truncate(content: bytes, rng: Rng, _: Traps) -> bytes:
    """The end is missing."""
    return content[: int(rng.integers(0, len(content) + 1))]


def duplicate(content: bytes, rng: Rng, _: Traps) -> bytes:
    """A span is there twice, or many times."""
    start, stop = _span(content, rng)
    times = int(rng.choice([1, 1, 2, 50]))
    return content[:stop] + content[start:stop][:4096] * times + content[stop:]


def remove(content: bytes, rng: Rng, _: Traps) -> bytes:
    """A span is missing."""
    start, stop = _span(content, rng)
    return content[:start] + content[stop:]


def noise(content: bytes, rng: Rng, _: Traps) -> bytes:
    """A span holds random bytes."""
    start, stop = _span(content, rng)
    return content[:start] + rng.bytes(stop - start) + content[stop:]


def integers(content: bytes, rng: Rng, _: Traps) -> bytes:
    """A binary number is extreme."""
    data, width = bytearray(content), int(rng.choice([1, 2, 4, 8]))
    values = (0, -1, 1, 2 ** (8 * width - 1) - 1, -(2 ** (8 * width - 1)), 7)
    for _place in range(int(rng.integers(1, 4))):
        place = int(rng.integers(0, max(1, len(data) - width)))
        value = int(rng.choice(len(values)))
        data[place : place + width] = (values[value] % 2 ** (8 * width)).to_bytes(
            width,
            str(rng.choice(["little", "big"])),  # type: ignore[arg-type]
        )
    return bytes(data)


def numbers(content: bytes, rng: Rng, _: Traps) -> bytes:
    """Written numbers are extreme."""
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?(?:e-?\d+)?", content))
    if not found:
        return flip(content, rng, _)
    for match in sorted(
        rng.choice(len(found), min(len(found), int(rng.integers(1, 4))), False), reverse=True
    ):
        start, stop = found[match].span()
        content = content[:start] + str(rng.choice(EXTREMES)).encode() + content[stop:]
    return content


def nesting(content: bytes, rng: Rng, _: Traps) -> bytes:
    """A word is replaced by deep nesting, or by aliases that stand for 9^9 values."""
    laughs = ", ".join(f"&a{n} [{','.join([f'*a{n - 1}' if n else '1'] * 9)}]" for n in range(9))
    deep = (
        b"[" * DEPTH + b"]" * DEPTH,
        b'{"a":' * DEPTH + b"1" + b"}" * DEPTH,
        b"[" * DEPTH * 20,
        b"(" * DEPTH,
        f"[{laughs}]".encode(),
        b"&a [*a]",
    )
    return _replace_word(content, rng, deep[int(rng.integers(len(deep)))])


def encoding(content: bytes, rng: Rng, _: Traps) -> bytes:
    """The same text in another encoding, or with characters that few expect."""
    text = content.decode("latin-1")
    ways = (
        lambda: text.encode("utf-16"),
        lambda: text.encode("utf-16-le"),
        lambda: text.encode("utf-32"),
        lambda: b"\xef\xbb\xbf" + content,
        lambda: content.replace(b"\n", b"\r"),
        lambda: content.replace(b"\n", b"\r\n"),
        lambda: _replace_word(content, rng, "\u202e\u2028\u0085\u00e9".encode()),
        lambda: _replace_word(content, rng, b"\xff\xfe\xed\xa0\x80"),
        lambda: _replace_word(content, rng, b"a\0b"),
        lambda: _replace_word(content, rng, "\u0661\u0662".encode()),  # Arabic digits
        lambda: content.replace(b"\n", b"\x0b", 2),
        lambda: b"",
        lambda: b"\n" * 3,
    )
    return ways[int(rng.integers(len(ways)))]()


def names(content: bytes, rng: Rng, traps: Traps) -> bytes:
    """A word is a path that leads outside, or a command."""
    words = (
        "../outside/canary.txt",
        f"../../../../../../../..{traps.outside}",
        str(traps.outside),
        f"file://{traps.outside}",
        str(traps.outside.with_suffix("")),
        "..",
        "/",
        "~",
        "$HOME",
        "C:\\\\windows",
        f"$(touch {traps.made})",
        f"|touch {traps.made}",
        f"; touch {traps.made} #",
        f"`touch {traps.made}`",
        f"!!python/object/apply:os.system ['touch {traps.made}']",
        f"__import__('os').system('touch {traps.made}')",
        "http://127.0.0.1:9/x",
        "/dev/zero",
    )
    return _replace_word(content, rng, str(rng.choice(words)).encode())


def lines(content: bytes, rng: Rng, _: Traps) -> bytes:
    """Lines are exchanged, missing, or there twice."""
    rows = content.split(b"\n")
    for _change in range(int(rng.integers(1, 4))):
        place, other = rng.integers(0, len(rows), 2).tolist()
        change = int(rng.integers(4))
        if change == 0:
            rows[place], rows[other] = rows[other], rows[place]
        elif change == 1 and len(rows) > 1:
            del rows[place]
        elif change == 2:
            rows.insert(other, rows[place])
        else:
            rows[place] = rows[place].replace(b",", rng.choice([b"", b",,", b"\t", b";", b" "]), 1)
    return b"\n".join(rows)


def words(content: bytes, rng: Rng, _: Traps) -> bytes:
    """A word takes the place of another."""
    found = list(re.finditer(rb"[\w.+-]+", content))
    return _replace_word(content, rng, found[int(rng.integers(len(found)))][0] if found else b"a")


def tree(value: Any, rng: Rng) -> Any:
    """Plain content of which a few parts are missing, there twice, or something else."""
    for _change in range(int(rng.integers(1, 3))):
        value = _change_part(value, rng, int(rng.integers(0, 7)))
    return value


def of_json(content: bytes, rng: Rng, _: Traps) -> bytes:
    """JSON with other parts."""
    return json.dumps(tree(json.loads(content), rng)).encode()


def of_yaml(content: bytes, rng: Rng, _: Traps) -> bytes:
    """YAML with other parts."""
    return yaml.safe_dump(tree(yaml.load(content, yaml.CSafeLoader), rng), sort_keys=False).encode()


def of_parquet(content: bytes, rng: Rng, _: Traps) -> bytes:
    """A Parquet file with other columns, types, rows and metadata."""
    table = pq.read_table(io.BytesIO(content))
    for _change in range(int(rng.integers(1, 3))):
        name = str(rng.choice(table.column_names)) if table.num_columns else ""
        place = table.column_names.index(name) if name else 0
        change = int(rng.integers(9))
        if change == 0 and name:
            table = table.drop_columns([name])
        elif change == 1 and name:
            table = table.set_column(place, name, pa.nulls(len(table), table[name].type))
        elif change == 2 and name:
            table = table.set_column(place, name, _column(len(table), rng))
        elif change == 3:
            table = (
                table.take(pa.array(rng.integers(0, max(len(table), 1), len(table)))) if len(table) else table
            )
        elif change == 4:
            table = table.slice(0, 0)
        elif change == 5 and name:
            table = table.append_column(name, table[name])
        elif change == 6 and len(table):
            table = table.take(pa.array(np.zeros(int(rng.choice([10, 200_000])), np.int64)))
        elif change == 7 and name:
            table = table.set_column(place, name, _one_changed(table[name], rng))
        else:
            old = dict(table.schema.metadata or {})
            text = [key for key, value in old.items() if value[:1] == b"{"]
            if text:
                key = text[int(rng.integers(len(text)))]
                old[key] = json.dumps(tree(json.loads(old[key]), rng)).encode()
            table = table.replace_schema_metadata(old or None)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression=str(rng.choice(["zstd", "snappy", "none"])))
    return buffer.getvalue()


def of_npy(content: bytes, rng: Rng, _: Traps) -> bytes:
    """A NumPy array of another type or shape, or a header that promises one."""
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if rng.integers(2):
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.save(buffer, _array(array, rng))
        return buffer.getvalue()
    shapes = (
        "(-1, 3)",
        "(0,)",
        "()",
        f"({2**40}, 4)",
        f"({2**62}, {2**62})",
        "(3.5, 2)",
        "'a'",
        "(1, 2",
        "None",
    )
    kinds = (
        "'<f8'",
        "'|O'",
        "'<c16'",
        "'<U5'",
        "'|V3'",
        "'<M8[s]'",
        "[('a', '<i4')]",
        "'<f8'*9",
        "None",
        "'|u1'",
    )
    kind, order, shape = rng.choice(kinds), rng.choice(["True", "False", "1"]), rng.choice(shapes)
    header = f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}"
    length = len(header) + 1 if rng.integers(4) else int(rng.choice([0, 1, 60_000]))
    return b"\x93NUMPY\x01\0" + struct.pack("<H", length) + header.encode() + b"\n" + content[-64:]


def _undated(name: str) -> zipfile.ZipInfo:
    """A member without the time of day, which would differ between two runs of one seed."""
    return zipfile.ZipInfo(name)


def of_npz(content: bytes, rng: Rng, traps: Traps) -> bytes:
    """An archive with other members, names that lead outside, or more than it may hold."""
    buffer, changed = io.BytesIO(), False
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            member, target = old.read(name), name
            if rng.integers(3) == 0 or not changed:
                changed, change = True, int(rng.integers(7))
                if change == 0:
                    continue
                if change == 1:
                    target = str(
                        rng.choice(["../" + name, str(traps.outside), "a\\b.npy", "features", name + "/"])
                    )
                elif change == 2:
                    member = pickle.dumps(Payload(f"touch {traps.made}", int(rng.integers(3))))
                elif change == 3:
                    member += bytes(int(rng.choice([1, 10_000_000])))
                else:
                    member = of_npy(member, rng, traps)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                new.writestr(_undated(target), member, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def of_weights(content: bytes, rng: Rng, traps: Traps) -> bytes:
    """A ``torch.save`` archive with other values, or with code."""
    change, buffer = int(rng.integers(6)), io.BytesIO()
    if change == 0:
        payload = Payload(f"touch {traps.made}", int(rng.integers(3)))
        torch.save({"state": payload, "model": {}}, buffer)
        return buffer.getvalue()
    if change == 1:
        return pickle.dumps(
            Payload(f"touch {traps.made}", int(rng.integers(3))), protocol=int(rng.integers(5))
        )
    value = torch.load(io.BytesIO(content), weights_only=True)
    if change == 2:
        torch.save(value, buffer, _use_new_zipfile_serialization=False)
        return flip(buffer.getvalue(), rng, traps)
    torch.save(_tensors(value, rng), buffer)
    return buffer.getvalue()


def of_safetensors(content: bytes, rng: Rng, traps: Traps) -> bytes:
    """A safetensors file whose header, or the architecture in it, says something else."""
    length = int.from_bytes(content[:8], "little")
    header, rest = json.loads(content[8 : 8 + length]), content[8 + length :]
    change = int(rng.integers(5))
    metadata = header.get("__metadata__", {})
    if change == 0 and metadata:
        key = next(iter(metadata))
        metadata[key] = json.dumps(tree(json.loads(metadata[key]), rng))
    elif change == 1 and metadata:
        key = next(iter(metadata))
        metadata[key] = nesting(metadata[key].encode(), rng, traps).decode("latin-1")
    elif change == 2 and metadata:
        key = next(iter(metadata))
        metadata[key] = numbers(metadata[key].encode(), rng, traps).decode("latin-1")
    else:
        header = tree(header, rng)
    text = json.dumps(header).encode()
    if change == 3:
        text = nesting(text, rng, traps)
    size = len(text) if rng.integers(6) else int(rng.choice([0, 2**31, 2**63 - 1, len(text) + 9]))
    return size.to_bytes(8, "little") + text + rest


def of_pictures(content: bytes, rng: Rng, traps: Traps) -> bytes:
    """An image with another size in its header, or another kind of file."""
    change = int(rng.integers(4))
    if change == 0 and content[:4] == b"\x89PNG":
        sides = rng.choice([0, 1, 65535, 2**31 - 1], 2)
        return content[:16] + struct.pack(">II", *sides.tolist()) + content[24:]
    if change == 1 and b"\xff\xc0" in content:
        place = content.index(b"\xff\xc0")
        return content[: place + 5] + struct.pack(">HH", 65535, 65535) + content[place + 9 :]
    if change == 2:
        return (
            b"GIF89a" + content[6:]
            if rng.integers(2)
            else b"%!PS-Adobe-3.0 EPSF-3.0\n" + names(b"a", rng, traps)
        )
    return integers(content, rng, traps)


def archive(content: bytes, rng: Rng, traps: Traps) -> bytes:
    """A zip or tar in place of the file, whose members lead outside."""
    buffer = io.BytesIO()
    target = str(rng.choice(["../canary", str(traps.made), "/a", "a/../../b", "data.pkl"]))
    if rng.integers(2):
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr(_undated(target), content[:100])
    else:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            entry = tarfile.TarInfo(target)
            entry.type, entry.linkname = tarfile.SYMTYPE, str(traps.outside)
            tar.addfile(entry)
    return buffer.getvalue()


BYTES: Final[tuple[Mutation, ...]] = (flip, truncate, duplicate, remove, noise, integers, archive)
TEXT: Final[tuple[Mutation, ...]] = (numbers, numbers, nesting, encoding, names, lines, words)
FORMATS: Final[dict[str, tuple[Mutation, ...]]] = {
    ".json": (*TEXT, of_json, of_json, of_json),
    ".yaml": (*TEXT, of_yaml, of_yaml),
    ".dvc": (*TEXT, of_yaml, of_yaml),
    ".lock": (*TEXT, of_yaml, of_yaml),
    ".ini": TEXT,
    ".txt": TEXT,
    ".csv": TEXT,
    ".tsv": TEXT,
    ".parquet": (of_parquet,) * 5,
    ".npy": (of_npy,) * 5,
    ".npz": (of_npz,) * 5,
    ".pt": (of_weights,) * 4,
    ".safetensors": (of_safetensors,) * 5,
    ".jpg": (of_pictures,) * 3,
    ".png": (of_pictures,) * 3,
    ".mat": (integers, integers, integers),
}


def mutate(content: bytes, suffix: str, rng: Rng, traps: Traps) -> tuple[str, bytes]:
    """A mutation of a file, and its name; one in eight files is changed twice.

    Args:
        content: of a valid file.
        suffix: of its name, which says its format.
        rng: draws everything.
        traps: what a parser must not touch.
    """
    kinds = (*BYTES, *FORMATS.get(suffix, ()))
    first = kinds[int(rng.integers(len(kinds)))]
    content = _applied(first, content, rng, traps)
    if rng.integers(8):
        return first.__name__, content
    second = BYTES[int(rng.integers(len(BYTES)))]
    return f"{first.__name__}, {second.__name__}", _applied(second, content, rng, traps)


def _applied(mutation: Mutation, content: bytes, rng: Rng, traps: Traps) -> bytes:
    """The content after a mutation; where it does not apply, some bits change."""
    try:
        return mutation(content, rng, traps)
    except Exception:  # the libraries that write the formats refuse some content themselves
        return flip(content, rng, traps)


def _span(content: bytes, rng: Rng) -> tuple[int, int]:
    start = int(rng.integers(0, len(content) + 1))
    return start, min(len(content), start + int(rng.choice([1, 4, 64, 1000])))


def _replace_word(content: bytes, rng: Rng, word: bytes) -> bytes:
    found = list(re.finditer(rb"[\w./+-]+", content))
    if not found:
        return word
    start, stop = found[int(rng.integers(len(found)))].span()
    return content[:start] + word + content[stop:]


def _change_part(value: Any, rng: Rng, depth: int) -> Any:
    """The value with a change at some depth."""
    if depth and isinstance(value, dict) and value:
        key = list(value)[int(rng.integers(len(value)))]
        return {**value, key: _change_part(value[key], rng, depth - 1)}
    if depth and isinstance(value, list) and value:
        place = int(rng.integers(len(value)))
        return [*value[:place], _change_part(value[place], rng, depth - 1), *value[place + 1 :]]
    change = int(rng.integers(5))
    if change == 0 and isinstance(value, dict) and value:
        gone = list(value)[int(rng.integers(len(value)))]
        return {key: part for key, part in value.items() if key != gone}
    if change == 1 and isinstance(value, list) and value:
        return value + value[:1] if rng.integers(2) else value[1:]
    if change == 2 and isinstance(value, dict):
        return {**value, str(rng.choice(["", "size", "\u202e", "a/b", "__class__", "0"])): None}
    if change == 3 and isinstance(value, str | int | float):
        return str(value) if rng.integers(2) else [value]
    return VALUES[int(rng.integers(len(VALUES)))]


def _column(count: int, rng: Rng) -> pa.Array:
    """A column of another type."""
    made: tuple[Callable[[], pa.Array], ...] = (
        lambda: pa.array([2**63 - 1] * count, pa.int64()),
        lambda: pa.array([-1] * count, pa.int32()),
        lambda: pa.array([float("nan")] * count),
        lambda: pa.array(["9" * 100] * count),
        lambda: pa.array([b"\xff\0"] * count),
        lambda: pa.array([[1, None]] * count),
        lambda: pa.array([{"a": 1}] * count),
        lambda: pa.array([True] * count),
        lambda: pa.array(["a"] * count).dictionary_encode(),
        lambda: pa.array([2**64 - 1] * count, pa.uint64()),
    )
    return made[int(rng.integers(len(made)))]()


def _one_changed(column: pa.ChunkedArray, rng: Rng) -> pa.Array:
    """The column with one extreme value of its own type, if that exists."""
    values = column.to_pylist()
    if not values:
        return column.combine_chunks()
    choices: tuple[Any, ...] = (
        None,
        0,
        -1,
        2**31 - 1,
        -(2**31),
        2**63 - 1,
        float("nan"),
        float("inf"),
        "",
        "../a",
        b"",
    )
    values[int(rng.integers(len(values)))] = choices[int(rng.integers(len(choices)))]
    try:
        return pa.array(values, column.type)
    except (pa.ArrowException, OverflowError, TypeError):
        return column.combine_chunks()


def _array(array: Any, rng: Rng) -> Any:
    """An array of another type, shape or content."""
    if isinstance(array, np.ndarray) and array.size and array.dtype.kind in "fiub":
        changed = array.copy().reshape(-1)
        extremes = [0, 1, 127] if array.dtype.kind in "ub" else [0, -1, 2**31 - 1]
        extremes = [np.nan, np.inf, -np.inf, 1e30, 0.0] if array.dtype.kind == "f" else extremes
        changed[int(rng.integers(changed.size))] = np.array(
            extremes[int(rng.integers(len(extremes)))]
        ).astype(array.dtype)
        changed = changed.reshape(array.shape)
    else:
        changed = np.zeros(3)
    ways: tuple[Callable[[], Any], ...] = (
        lambda: changed,
        lambda: changed,
        lambda: changed.astype(complex),
        lambda: changed.astype("U9"),
        lambda: changed.astype("S9"),
        lambda: changed.astype(np.float16),
        lambda: changed.astype(">f8"),
        lambda: changed.astype(np.uint64),
        lambda: changed.reshape(-1),
        lambda: changed[None],
        lambda: changed[:0],
        lambda: np.asfortranarray(changed),
        lambda: changed.astype("M8[s]") if changed.dtype.kind in "iu" else changed,
        lambda: np.zeros(len(changed.reshape(-1)), [("a", "f4"), ("b", "i4")]),
        lambda: np.array(3.0),
        lambda: changed.reshape(-1)[:1].repeat(5),
    )
    return ways[int(rng.integers(len(ways)))]()


def _tensors(value: Any, rng: Rng) -> Any:
    """The content of a checkpoint with other numbers or tensors."""
    if rng.integers(3):
        names = [name for name in value if name != "state"]
        plain = tree({name: value[name] for name in names}, rng) if names else {}
        return {**value, **plain} if isinstance(plain, dict) else plain
    state = dict(value.get("state", value))
    name = list(state)[int(rng.integers(len(state)))]
    tensor = state[name]
    ways: tuple[Callable[[], Any], ...] = (
        lambda: None,
        lambda: "text",
        lambda: tensor.double() if isinstance(tensor, torch.Tensor) else 1,
        lambda: torch.zeros(1).expand(1 << 20, 1 << 12),
        lambda: torch.zeros(tuple(tensor.shape), dtype=torch.complex64),
        lambda: torch.zeros(2, 2).to_sparse(),
        lambda: torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.qint8),
        lambda: torch.full(tuple(tensor.shape), float("nan")),
        lambda: torch.empty(3, device="meta"),
        lambda: torch.nested.nested_tensor([torch.zeros(1)]),
        lambda: state,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state[name] = ways[int(rng.integers(len(ways)))]()
    if rng.integers(6) == 0:
        return {**value, "state": None}
    return {**value, "state": state} if "state" in value else state


def encode_safetensors(state: dict[str, torch.Tensor], metadata: dict[str, str]) -> bytes:
    """The bytes of a safetensors file."""
    return safetensors.torch.save(state, metadata=metadata)
