"""The structure of Matroska, MP4, AVI, ASF and MXF files: where does it break?

FFmpeg searches for the next intact part of a file whose structure is broken, and tells nobody but stderr.
This module follows the sizes of the parts from the first byte to the last, without reading their content. Of
ASF (.wmv) and MXF it only compares the length of the file with the one that the header announces.

Sources: RFC 8794 (EBML), RFC 9559 (Matroska), ISO/IEC 14496-12 (boxes), Microsoft's AVI RIFF File Reference
and Advanced Systems Format Specification, SMPTE ST 377-1 (MXF).
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

EBML, SEGMENT, CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
FILLING: Final = frozenset({0xEC, 0xBF})  # void, checksum
PARTS: Final = FILLING | {
    CLUSTER, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367
}  # fmt: skip
BLOCKS: Final = FILLING | {0xE7, 0x5854, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF}  # the parts of a cluster
FIRST_BOXES: Final = (b"ftyp", b"moov", b"wide", b"mdat", b"free", b"skip")
WHOLE: Final = frozenset({b"moov", b"mdat"})  # what follows them in a file without fragments is not needed
ASF_HEADER: Final = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
MXF_HEADER: Final = bytes.fromhex("060e2b34020501010d010201")
HEADER: Final = 16  # bytes of the longest header of a part


@dataclass(frozen=True)
class Fault:
    """Where the structure breaks: everything before ``byte`` is whole.

    Attributes:
        byte: the first byte of the part that is not.
        at_end: whether that part is the last one: the file was cut short.
        exact: whether every frame that begins before ``byte`` is whole; else all but the last are.
    """

    byte: int
    at_end: bool
    exact: bool = True


def first_fault(path: Path) -> Fault | None:
    """The first fault of a Matroska, WebM, MP4, MOV, AVI, ASF or MXF file; None: none is found.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        number = file.fileno()
        end = os.fstat(number).st_size
        start = os.pread(number, HEADER, 0)
        if start[:4] == EBML.to_bytes(4, "big"):
            return _matroska(number, end)
        if start[4:8] in FIRST_BOXES:
            return _boxes(number, end)
        if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
            return _riff(number, end)
        announced = 0
        if start == ASF_HEADER:
            announced = _asf_length(number, end)
        elif start.startswith(MXF_HEADER):
            announced = _mxf_length(number)
        return Fault(end, True, exact=False) if announced > end else None


def _matroska(file: int, end: int) -> Fault | None:
    """Follow the parts of the segment and, in the same walk, those of its clusters."""
    position, segment_end, cluster_end = 0, end, 0
    in_cluster = False
    while position < min(segment_end, end):
        if in_cluster and position == cluster_end:
            in_cluster = False
        header = _element(os.pread(file, HEADER, position))
        if header is None:
            return Fault(position, end - position < HEADER or not _any(file, position))
        name, size, content = header[0], header[1], position + header[2]
        if name in (EBML, SEGMENT):
            if name == SEGMENT and size is not None:
                segment_end = content + size
            position = content if name == SEGMENT else content + (size or 0)
            continue
        if in_cluster and name in PARTS - FILLING and cluster_end == end:  # after a cluster of unknown size
            in_cluster = False
        if name not in (BLOCKS if in_cluster else PARTS):
            return Fault(position, False)
        if name == CLUSTER:
            in_cluster, cluster_end = True, end if size is None else content + size
            position = content
        elif size is None:
            return Fault(position, False)
        else:
            position_after = content + size
            if in_cluster and position_after > cluster_end:
                return Fault(position, False)
            if position_after > end:
                return Fault(position, True)
            position = position_after
    return Fault(end, True) if segment_end > end or (in_cluster and cluster_end > end) else None


def _element(header: bytes) -> tuple[int, int | None, int] | None:
    """Identifier, size (None: unknown) and length of the header of an EBML element; None if it is none."""
    if not header or not header[0]:
        return None
    id_length = 9 - header[0].bit_length()
    if id_length > 4 or len(header) <= id_length or not header[id_length]:
        return None
    size_length = 9 - header[id_length].bit_length()
    if len(header) < id_length + size_length:
        return None
    bits = 7 * size_length
    size = int.from_bytes(header[id_length : id_length + size_length], "big") & ((1 << bits) - 1)
    unknown = size == (1 << bits) - 1
    return int.from_bytes(header[:id_length], "big"), None if unknown else size, id_length + size_length


def _any(file: int, position: int) -> bool:
    """Whether something other than zeros follows; a recorder that broke off may have reserved space."""
    return any(os.pread(file, HEADER, position))


def _boxes(file: int, end: int) -> Fault | None:
    """Follow the outermost boxes."""
    position, seen = 0, set[bytes]()
    while position < end:
        header = os.pread(file, HEADER, position)
        size, name = int.from_bytes(header[:4], "big"), header[4:8]
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        if size == 0 and name == b"mdat":  # up to the end of the file
            return None
        broken = size < 8 or not all(32 <= letter < 127 for letter in name)
        if broken or position + size > end:
            if seen >= WHOLE and b"moof" not in seen:
                return None
            cut = name == b"mdat" and not broken
            return Fault(
                end if cut else position, not broken or end - position < 8 or not _any(file, position)
            )
        seen.add(name)
        position += size
    return None


def _riff(file: int, end: int) -> Fault | None:
    """Follow the chunks, and those in the lists of the film."""
    position = 0
    promised = 0  # the end of the current RIFF list
    while position + 8 <= end:
        header = os.pread(file, HEADER, position)
        name, size, kind = header[:4], int.from_bytes(header[4:8], "little"), header[8:12]
        after = position + 8 + size + size % 2
        if name == b"RIFF":
            promised = position + 8 + size if size else end + 1  # 0 until the recorder closes the file
            position += 12
        elif name == b"LIST" and kind in (b"movi", b"rec "):
            position += 12
        elif promised <= position:  # what follows the film
            return None
        elif not all(32 <= letter < 127 for letter in name):
            return Fault(position, not _any(file, position))
        elif after - size % 2 > end:
            return Fault(position, True)
        else:
            position = after
    return Fault(end, True) if promised > end else None


def _asf_length(file: int, end: int) -> int:
    """The length of the file that its properties give; 0: unknown, as in a broadcast."""
    position = 30
    while position + 24 <= end:
        part = os.pread(file, 92, position)
        if part[:16] == ASF_PROPERTIES and len(part) == 92:
            is_broadcast = part[88] & 1
            return 0 if is_broadcast else int.from_bytes(part[40:48], "little")
        size = int.from_bytes(part[16:24], "little")
        if size < 24:
            return 0
        position += size
    return 0


def _mxf_length(file: int) -> int:
    """The least length of the file, one byte more than the place of the last part; 0: unknown."""
    header = os.pread(file, 64, 0)
    first = header[16] if len(header) == 64 else 0
    length_bytes = 1 + (first & 0x7F if first & 0x80 else 0)
    footer = header[16 + length_bytes + 24 :][:8]
    place = int.from_bytes(footer, "big") if len(footer) == 8 else 0
    return place + 1 if place else 0
