"""JSON and YAML that users write: bounded in depth, in numbers and in what aliases repeat; paths in them.

A few bytes may ask for endless work: lists in lists without end, a number of a million digits, aliases of
aliases that stand for 9^9 values. Each of them is an error before it takes time and memory. So is what two
programs read differently: a key that is given twice, NaN in JSON, and numbers such as 010, which is 8 in
YAML 1.1 (PyYAML) and 10 in YAML 1.2 (DVC, which records the parameters).
"""

import json
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any, BinaryIO, Final

import yaml

from sttreid.runtime.errors import InputError

JSON_BYTES: Final = 64 * 2**20
YAML_BYTES: Final = 2**20  # PyYAML reads about 100 kB a second
WHOLE_BYTES: Final = 2**30  # of any other file that is read at once
PIECE: Final = 2**22  # bytes that are read at once
PIPE_BYTES: Final = 2**26  # of what has no length of its own: a pipe, or a device, which may have no end
DEPTH: Final = 64  # lists and mappings in each other
VALUES: Final = 1_000_000  # of a YAML document whose aliases are written out
DIGITS: Final = 400  # of a number, at least as many as a float can have
NUMBERS: Final = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
AMBIGUOUS: Final = re.compile(r"[-+]?0[0-7_]+|.*:.*")  # base 8 or 60 in YAML 1.1, another value in YAML 1.2
CONTAINERS: Final = (dict, list, tuple, set)
BITS: Final = 128  # of a whole number: a universally unique identifier has so many
NAME_BYTES: Final = 255  # of a file or folder, on Linux and macOS
PATH_BYTES: Final = 4095  # of a path, on Linux


class _BoundError(Exception):
    """A bound is broken, or a value has two readings; the message is the end of a sentence."""


def parse_json(content: bytes, where: object) -> Any:
    """The content of a JSON document.

    Raises:
        InputError: it is no JSON in UTF-8, breaks a bound, or gives a key twice.
    """
    try:
        _check_length(content, JSON_BYTES)
        value = json.loads(
            content.decode(), parse_int=_whole_number, parse_constant=_constant, object_pairs_hook=_object
        )
        _check(value)
    except _BoundError as error:
        raise InputError(f"{where}: {error}") from None
    except RecursionError:
        raise InputError(f"{where}: {_too_deep()}") from None
    except ValueError as error:
        raise InputError(f"{where}: must be JSON in UTF-8 ({error})") from error
    return value


def parse_yaml(content: bytes | str, where: object) -> Any:
    """The content of a YAML 1.1 document.

    Raises:
        InputError: it is no YAML, breaks a bound, gives a key twice, or has a number in base 8 or 60.
    """
    try:
        _check_length(content, YAML_BYTES)
        value = yaml.load(content, _Loader)
        _check(value)
    except _BoundError as error:
        raise InputError(f"{where}: {error}") from None
    except RecursionError:
        raise InputError(f"{where}: {_too_deep()}") from None
    except Exception as error:  # PyYAML raises even IndexError for values that do not fit a tag or a type
        reason = " ".join(str(error).split())
        raise InputError(f"{where}: is not valid YAML ({reason})") from error
    return value


def check_path(where: object, path: PurePath | str) -> None:
    """Raise InputError for a path that no file can have; ``where`` tells what gives it.

    Python's ``exists`` and ``is_dir`` do not answer for such a path, but raise OSError.
    """
    parts = [len(part.encode(errors="surrogatepass")) for part in (str(path), *PurePath(path).parts)]
    if parts[0] > PATH_BYTES or max(parts[1:], default=0) > NAME_BYTES:
        rule = f"a path must have at most {PATH_BYTES:,} bytes, and {NAME_BYTES} in each of its names"
        raise InputError(f"{where}: {rule}, got {str(path)!r:.80} of {parts[0]:,} bytes")


def read_bytes(path: Path, most: int) -> bytes:
    """The bytes of a file; of one longer than ``most``, one byte more than that.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return b"".join(_pieces(file, most + 1))
    except (OSError, ValueError) as error:  # ValueError: the path holds a zero byte
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', error)})") from error


def _pieces(file: BinaryIO, most: int) -> Iterator[bytes]:
    """At most so many bytes; memory holds no more than the file has."""
    while most and (piece := file.read(min(most, PIECE))):
        yield piece
        most -= len(piece)


def read_whole(path: Path, most: int = WHOLE_BYTES) -> bytes:
    """The bytes of a file that is not too long.

    Raises:
        InputError: the file cannot be read, or is longer than ``most``.
    """
    most = most if path.is_file() else min(most, PIPE_BYTES)
    content = read_bytes(path, most)
    if len(content) > most:
        raise InputError(f"{path}: must have at most {most:,} bytes, got more")
    return content


def read_text(path: Path, most: int = WHOLE_BYTES) -> str:
    """The text of a file in UTF-8, without a byte order mark.

    Raises:
        InputError: as :func:`read_whole`; it is not text in UTF-8.
    """
    try:
        return read_whole(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: must be text in UTF-8 ({error})") from error


def _check_length(content: bytes | str, most: int) -> None:
    if len(content) > most:
        raise _BoundError(f"must have at most {most:,} bytes, got more")


def _whole_number(text: str) -> int:
    """The number; Python converts no text of more than 4,300 digits."""
    if len(text) > DIGITS:
        raise _BoundError(f"a number must have at most {DIGITS} digits, got {len(text):,}")
    return int(text)


def _constant(text: str) -> float:
    raise _BoundError(f"a number must be finite, got {text}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        _check_keys(key for key, _ in pairs)
    return content


def _check_keys(keys: Iterable[Hashable]) -> None:
    """Readers differ in which value of a repeated key counts, and none says so."""
    for key, count in Counter(keys).items():
        if count > 1:
            raise _BoundError(f"a key must be given once in a mapping, got {key!r:.100} {count} times")


def _too_deep() -> str:
    return f"lists and mappings must be nested at most {DEPTH} times, got more"


def _check(content: Any) -> None:
    """Check depth and whole numbers, level by level."""
    level, depth = [content], 0
    while level:
        if depth >= DEPTH and any(isinstance(value, CONTAINERS) for value in level):
            raise _BoundError(_too_deep())
        for value in level:
            if isinstance(value, int) and value.bit_length() > BITS:
                raise _BoundError(f"a whole number must have at most {BITS} bits, got {value.bit_length()}")
        level, depth = [part for value in level for part in _parts(value)], depth + 1


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, CONTAINERS):
        yield from value
    if isinstance(value, dict):
        yield from value.values()


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which counts what it composes."""

    def __init__(self, stream: bytes | str) -> None:
        super().__init__(stream)
        self._depth = self._values = 0
        self._lengths: dict[int, int] = {}  # of a node, by identity: values with its aliases written out

    def compose_node(self, parent: Any, index: Any) -> Any:
        """As PyYAML, within the bounds."""
        is_alias = self.check_event(yaml.events.AliasEvent)
        self._depth += 1
        if self._depth > DEPTH + 1:
            raise _BoundError(_too_deep())
        before = self._values
        node = super().compose_node(parent, index)
        if is_alias and id(node) not in self._lengths:
            raise _BoundError("an alias must not stand inside of what it names")
        self._values += self._lengths[id(node)] if is_alias else 1
        if self._values > VALUES:
            raise _BoundError(f"must have at most {VALUES:,} values with its aliases written out, got more")
        self._lengths.setdefault(id(node), self._values - before)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        """As PyYAML; a key that is merged may be given again, as it is replaced."""
        node = super().compose_mapping_node(anchor)
        keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(keys):
            _check_keys(value for _, value in keys)
        return node

    def construct_scalar(self, node: Any) -> Any:
        """As PyYAML; a number must have few digits, and one reading."""
        value = super().construct_scalar(node)
        if node.tag in NUMBERS and len(value) > DIGITS:
            raise _BoundError(f"a number must have at most {DIGITS} digits, got {len(value):,}")
        if node.tag in NUMBERS and AMBIGUOUS.fullmatch(value):
            rule = "a number must have no leading 0 and no colon, or stand in quotation marks as a text"
            raise _BoundError(f"{rule}, got {value}")
        return value
