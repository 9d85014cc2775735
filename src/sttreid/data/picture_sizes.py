"""Does the picture of a film change its size? The header of each keyframe tells, at little cost.

The headers that declare the size (:data:`DECLARED`) are compared byte by byte. Only if one differs, the
keyframes are decoded: a header may also change for another reason.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sttreid.data.film_files import import_av, open_film
from sttreid.data.nal_units import length_bytes, nal_units

Header = Callable[[bytes, int], bytes]


class Sizes:
    """The size of the picture of one video stream."""

    def __init__(self, stream: Any) -> None:
        self._header = DECLARED.get(stream.codec_context.name)
        self._prefix = length_bytes(stream)
        self._seen: set[bytes] = set()
        self.may_change = False

    def see(self, packet: Any) -> None:
        """Look at a keyframe."""
        if packet.has_sidedata("new_extradata"):
            self.may_change = True
        if self._header is not None and not self.may_change:
            header = self._header(bytes(packet), self._prefix)
            if header:
                self._seen.add(header)
                self.may_change = len(self._seen) > 1

    def decode(self, path: Path) -> tuple[str | None, int | None]:
        """Decode the keyframes: a sentence and a timestamp, of the first one of another size; or None."""
        first = None
        with open_film(path) as (container, stream):
            stream.codec_context.skip_frame = "NONKEY"
            try:
                for frame in container.decode(stream):
                    now = frame.width, frame.height
                    first = first or now
                    if now != first:
                        return (
                            f"the size of the picture must not change, got {_size(first)}, then {_size(now)}",
                            frame.pts,
                        )
            except import_av().FFmpegError:  # the damage is found elsewhere
                pass
        return None, None


def _size(pixels: tuple[int, int]) -> str:
    return f"{pixels[0]}x{pixels[1]}"


def _parameter_sets(kind: Callable[[int], bool]) -> Header:
    """The sequence parameter sets of a packet of H.264 or HEVC, one after the other."""

    def header(packet: bytes, prefix: int) -> bytes:
        units = nal_units(packet, prefix)
        return b"|".join(unit.rstrip(b"\0") for unit in units if kind(unit[0]))

    return header


def _jpeg_frame(packet: bytes, _: int) -> bytes:
    """Height and width in the start of frame of a JPEG image."""
    position = 2
    while position + 9 < len(packet) and packet[position] == 0xFF:
        marker = packet[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return packet[position + 5 : position + 9]
        position += 2 + int.from_bytes(packet[position + 2 : position + 4], "big")
    return b""


def _object_layer(packet: bytes, _: int) -> bytes:
    """The headers of MPEG-4 part 2 before the first picture: its time codes follow them."""
    start = packet.find(b"\0\0\1\x20")
    if start < 0:
        return b""
    ends = (packet.find(code, start) for code in (b"\0\0\1\xb3", b"\0\0\1\xb2", b"\0\0\1\xb6"))
    return packet[start : min((end for end in ends if end >= 0), default=len(packet))]


DECLARED: Final[dict[str, Header]] = {
    "h264": _parameter_sets(lambda first: first & 0x1F == 7),
    "hevc": _parameter_sets(lambda first: first >> 1 & 0x3F == 33),
    "mjpeg": _jpeg_frame,
    "mpeg4": _object_layer,
    "vp8": lambda packet, _: packet[6:10],
    "libvpx": lambda packet, _: packet[6:10],
    "vp9": lambda packet, _: packet[4:8],
    "libvpx-vp9": lambda packet, _: packet[4:8],
}
