"""How much memory a Parquet file takes is checked first: a megabyte may stand for many gigabytes.

Repeated values take next to no space in a file, but all of it in memory. Categories (dictionaries of Arrow)
count as the texts that they stand for, and tables are read with those. One row may hold a list of any length,
and an absent list of a fixed size takes its whole size in memory: so values are counted, not rows.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sttreid.runtime.errors import InputError

ALWAYS: Final = 2**29  # bytes that any file may take
TIMES: Final = 100  # a file's own bytes that a large one may take
WIDTHS: Final = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
OF_TEXT: Final = 16  # bytes of a text or of bytes beside its content: where it begins, and a pointer
OF_LEVELS: Final = 4  # bytes of a value in lists: where lists begin and what is absent, while it is read
OF_OFFSET: Final = 8  # bytes of the end of a list
OF_LIST: Final = 128  # bytes of an array of NumPy without its content: a list in a table of pandas
ROWS: Final = 2**16  # read at once, to measure texts


def most_memory(path: Path) -> int:
    """The bytes of memory that the content of a compressed file may take."""
    return max(ALWAYS, TIMES * path.stat().st_size)


def check_memory(path: Path, file: pq.ParquetFile, source: IO[bytes] | None = None) -> None:
    """Check that the columns of a file take no more memory than a file of its length may.

    Numbers and lists are counted by the file's metadata, before any is read. Texts are measured in blocks
    where their number and the length of all different ones leave it open.

    Args:
        path: of the file.
        file: the same, open.
        source: what it was opened from; None: the path.

    Raises:
        InputError: they take more, or a list, a structure or an extension holds categories.
        OSError, pyarrow.ArrowException: a text cannot be read.
    """
    for field in file.schema_arrow:
        # before a value is read: one row may hold all, and an extension of categories ends the process
        if not pa.types.is_dictionary(field.type) and _holds_categories(field.type):
            rule = f"{field.name!r:.100} must hold categories as plain values"
            raise InputError(f"{path}: {rule}, got {str(field.type)!r:.100}")
    most, groups = most_memory(path), range(file.metadata.num_row_groups)
    if sum(file.metadata.row_group(number).total_byte_size for number in groups) > most:
        raise _too_large(path, most)
    for number in groups if file.metadata.num_columns else ():  # 0 rows without columns: a division by 0
        # opens all columns, where damage of their metadata raises: it would end the process below; reads no
        # row, as one may hold a list of any length (ParquetFile.iter_batches would refuse 0 rows)
        next(file.reader.iter_batches(0, [number], use_threads=False), None)
    certain, possible = 0, 0
    texts: list[str] = []
    listed: list[str] = []
    fixed = [each for field in file.schema_arrow for each in _fixed_sizes(field.type)]
    for place in range(file.metadata.num_columns):
        column = file.metadata.schema.column(place)
        width = WIDTHS.get(column.physical_type, column.length or 0)
        for group in groups:
            chunk = file.metadata.row_group(group).column(place)
            rows, lists = file.metadata.row_group(group).num_rows, column.max_repetition_level
            size, inside = fixed[place]
            values = chunk.num_values * size if inside else max(chunk.num_values, rows * size)
            certain += values * ((width or OF_TEXT) + (OF_LEVELS if lists else 0) + OF_OFFSET * lists)
            certain += OF_LIST * {0: 0, 1: rows}.get(lists, values)
            certain += 0 if width else chunk.total_uncompressed_size
            possible += 0 if width else chunk.num_values * chunk.total_uncompressed_size
        if not width:
            (listed if column.max_repetition_level else texts).append(column.path)
    if certain <= most < certain + possible:
        certain += _measure(file, texts, most - certain) if texts else 0
        certain += _measure_listed(source or path, listed, most - certain) if listed else 0
    if certain > most:
        raise _too_large(path, most)


def without_categories(table: pd.DataFrame) -> pd.DataFrame:
    """The table with each column of categories as one of the values that they stand for."""
    kinds = {
        name: kind.categories.dtype
        for name, kind in table.dtypes.items()
        if isinstance(kind, pd.CategoricalDtype)
    }
    return table.astype(kinds) if kinds else table


def _holds_categories(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return _holds_categories(kind.storage_type)
    inner = (kind.field(place).type for place in range(kind.num_fields))
    return pa.types.is_dictionary(kind) or any(map(_holds_categories, inner))


def _fixed_sizes(kind: pa.DataType, size: int = 1, inside: bool = False) -> Iterator[tuple[int, bool]]:
    """Of each column of numbers or texts in a kind: how many values an absent list of a fixed size takes in
    memory, and whether such lists may lie in a list, so that their number is not that of the rows.
    """
    if isinstance(kind, pa.BaseExtensionType):
        yield from _fixed_sizes(kind.storage_type, size, inside)
    elif pa.types.is_fixed_size_list(kind):
        yield from _fixed_sizes(kind.value_type, size * max(1, kind.list_size), inside)
    elif pa.types.is_nested(kind):
        for place in range(kind.num_fields):
            yield from _fixed_sizes(kind.field(place).type, size, inside or not pa.types.is_struct(kind))
    else:
        yield size, inside


def _too_large(path: Path, most: int) -> InputError:
    return InputError(f"{path}: must take at most {most:,} bytes of memory, but its columns may take more")


def _measure(file: pq.ParquetFile, columns: list[str], most: int) -> int:
    """The bytes of some columns of texts, or of the first of them that take more than ``most``."""
    total = 0
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    longest = max(group.total_byte_size for group in groups)  # a text is no longer
    for batch in file.iter_batches(min(ROWS, max(1, most // longest)), columns=columns, use_threads=False):
        total += sum(map(_size, batch.columns))
        if total > most:
            break
    return total


def _measure_listed(source: IO[bytes] | Path, columns: list[str], most: int) -> int:
    """As :func:`_measure`, of texts in lists: one row may hold any number, so equal ones are held once."""
    total = 0
    with pq.ParquetFile(source, read_dictionary=columns) as file:
        for batch in file.iter_batches(ROWS, columns=columns, use_threads=False):
            total += sum(_size(leaf) for column in batch.columns for leaf in _leaves(column))
            if total > most:
                break
    return total


def _leaves(column: pa.Array) -> Iterator[pa.Array]:
    """The values inside of lists and structures."""
    if isinstance(column, pa.ExtensionArray):
        yield from _leaves(column.storage)
    elif pa.types.is_map(column.type):
        yield from (leaf for part in (column.keys, column.items) for leaf in _leaves(part))
    elif pa.types.is_struct(column.type):
        yield from (leaf for part in column.flatten() for leaf in _leaves(part))
    elif pa.types.is_nested(column.type):
        yield from _leaves(column.flatten())
    else:
        yield column


def _size(column: pa.Array) -> int:
    """The bytes of a column; of categories, those of the content of the texts that they stand for."""
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = pc.binary_length(column.dictionary).cast(pa.int64()).take(column.indices)
    return int(pc.sum(lengths).as_py() or 0)  # the caller has counted OF_TEXT of each
