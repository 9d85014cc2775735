"""The units of a packet of H.264 or HEVC (ISO/IEC 14496-10 and 23008-2, annex B; 14496-15 for lengths)."""

from typing import Any, Final

LENGTH_BYTE: Final = {"h264": 4, "hevc": 21}  # where the codec's configuration holds the bytes of a length


def length_bytes(stream: Any) -> int:
    """In how many bytes the length of a unit precedes it; 0 if units follow start codes.

    MP4 and Matroska have lengths, AVI and transport streams start codes.
    """
    codec = stream.codec_context
    configuration = bytes(codec.extradata or b"")
    place = LENGTH_BYTE.get(codec.name)
    if place is None or len(configuration) <= place or configuration[0] != 1:
        return 0
    return (configuration[place] & 3) + 1


def nal_units(packet: bytes, length: int) -> list[bytes]:
    """The units that are not empty, each from its header on.

    Args:
        packet: one access unit.
        length: as :func:`length_bytes`.
    """
    if not length:
        return [unit for unit in packet.split(b"\0\0\1")[1:] if unit]
    units, position = [], 0
    while position + length < len(packet):
        start = position + length
        position = start + int.from_bytes(packet[position:start], "big")
        units.append(packet[start:position])
    return [unit for unit in units if unit]
