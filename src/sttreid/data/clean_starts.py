"""Where the decoding of a film may start without a trace of what came before.

A keyframe is not enough: in an open group of pictures, frames that follow it need frames before it.
"""

from collections.abc import Callable
from typing import Any, Final

from sttreid.data.nal_units import length_bytes, nal_units

H264_IDR: Final = 5
HEVC_IDR: Final = (19, 20)


class CleanStarts:
    """The packets of one video stream at which decoding may start."""

    def __init__(self, stream: Any) -> None:
        self._is_clean = CLEAN.get(stream.codec_context.name)
        self._prefix = length_bytes(stream)

    def include(self, packet: Any) -> bool:
        """Whether a packet is one; False for all packets of other codecs."""
        return bool(
            self._is_clean is not None and packet.is_keyframe and self._is_clean(bytes(packet), self._prefix)
        )


def _clean_h264(packet: bytes, prefix: int) -> bool:
    return any(unit[0] & 0x1F == H264_IDR for unit in nal_units(packet, prefix))


def _clean_hevc(packet: bytes, prefix: int) -> bool:
    return any(unit[0] >> 1 & 0x3F in HEVC_IDR for unit in nal_units(packet, prefix))


def _always(_: bytes, __: int) -> bool:
    return True


CLEAN: Final[dict[str, Callable[[bytes, int], bool]]] = {
    "h264": _clean_h264,
    "hevc": _clean_hevc,
    "mjpeg": _always,
    "vp8": _always,
    "vp9": _always,
}
