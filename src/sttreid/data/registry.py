"""The declaration of a reader, and the list of all readers.

A reader is one module of :mod:`sttreid.data.readers` that exports one object, ``READER``. All modules of that
folder are in the list, so a new reader is one new file.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from pydantic.dataclasses import dataclass as checked_dataclass

from sttreid.config.conversion import hint, parse
from sttreid.config.datasets import CONFIG, Dataset, OnError, Validation
from sttreid.runtime.errors import InputError

PARAMS: Final = Path("params.yaml")
RENAMED: Final = {"gap": "max_frame_gap", "numbers": "identity_scope"}  # options of earlier versions

Options = TypeVar("Options")


class Source(Protocol):
    """What a reader returns: :data:`sttreid.data.reading.DataSource`."""

    @property
    def name(self) -> str:
        """The name of the data set, as it is printed."""


@checked_dataclass(frozen=True, config=CONFIG)
class NoOptions:
    """The options of a reader that has none."""


@dataclass(frozen=True)
class ReadSettings:
    """What every reader receives in addition to the folder and its options.

    Attributes:
        validation: which training identities validate, for readers that draw the splits.
        strict: whether a count that differs from the official one is an error.
        on_error: whether damage is an error, or left out and counted where a reader meets it.
        scratch: folder for temporary files with names and numbers of the images; None: the system's.
    """

    validation: Validation
    strict: bool = False
    scratch: Path | None = None
    on_error: OnError = "raise"


@dataclass(frozen=True)
class Reader(Generic[Options]):
    """One layout of data sets.

    Attributes:
        name: in params.yaml; that of its module.
        read: folder, options and settings -> the set. Raises InputError if the folder does not hold one.
        protocol: name of the evaluation protocol of its sets; may hold ``{option}``.
        options: frozen pydantic dataclass of its options; those without a default must be given.
        usual: options that the command ``describe`` assumes if none are given.
        landmarks: layouts, each a set of glob patterns that all match below the root of such a set.
    """

    name: str
    read: Callable[[Path, Options, ReadSettings], Source]
    protocol: str
    options: type[Options]
    usual: Mapping[str, Any] = field(default_factory=dict)
    landmarks: tuple[tuple[str, ...], ...] = ()


@cache
def readers() -> dict[str, Reader[Any]]:
    """All readers by name."""
    package = importlib.import_module("sttreid.data.readers")
    modules = [module.name for module in pkgutil.iter_modules(package.__path__)]
    listed = [importlib.import_module(f"{package.__name__}.{name}").READER for name in sorted(modules)]
    return {reader.name: reader for reader in listed}


def check_datasets(datasets: Mapping[str, Dataset], path: Path = PARAMS) -> None:
    """Check that the reader of every data set exists and takes the options that are given.

    Raises:
        InputError: a reader or an option is unknown, an option is missing or breaks a rule; the sentence
            names the parameter file ``path``, the key, the rule and the value.
    """
    for name, dataset in datasets.items():
        parse_options(dataset, f"{path}: datasets.{name}")


def parse_options(dataset: Dataset, where: str = "options") -> Any:
    """The options of a data set as its reader declares them.

    Args:
        dataset: the data set.
        where: the place of its options, for errors.

    Raises:
        InputError: as :func:`check_datasets`.
    """
    reader = find_reader(dataset.reader, f"{where}.reader")
    declared = [option.name for option in fields(reader.options)]
    for key, value in dataset.options.items():
        if key not in declared:
            takes = f"takes {', '.join(declared)}" if declared else "takes no options"
            other = [generic.name for generic in fields(Dataset) if generic.name != "options"]
            rule = f"{where}.{key}: the reader {reader.name} {takes}"
            raise InputError(f"{rule}, got {value!r}{_suggest(key, [*declared, *other])}")
    return parse(reader.options, dataset.options, f"{where}: the reader {reader.name}")


def find_reader(name: str, key: str = "reader") -> Reader[Any]:
    """A reader by its name; InputError, naming the ``key``, if there is none."""
    names = list(readers())
    if name not in names:
        raise InputError(f"{key} must be one of {', '.join(names)}, got {name!r}{hint(name, names)}")
    return readers()[name]


def protocol_name(dataset: Dataset) -> str:
    """The evaluation protocol of a data set, by default that of its reader."""
    if dataset.protocol is not None:
        return dataset.protocol
    return find_reader(dataset.reader).protocol.format(**asdict(parse_options(dataset)))


def _suggest(key: str, keys: list[str]) -> str:
    renamed = RENAMED.get(key)
    return f" (did you mean {renamed!r}?)" if renamed in keys else hint(key, keys)
