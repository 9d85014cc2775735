"""The units of a packet of H.264 or HEVC (ISO/IEC 14496-10 and 23008-2, annex B; 14496-15 for lengths)."""


def nal_units(packet: bytes, prefixed: bool) -> list[bytes]:
    """The units that are not empty, each from its header on.

    Args:
        packet: one access unit.
        prefixed: whether each unit follows its length in four bytes, as in MP4 and Matroska, or a start code.
    """
    if not prefixed:
        return [unit for unit in packet.split(b"\0\0\1")[1:] if unit]
    units, position = [], 0
    while position + 4 < len(packet):
        length = int.from_bytes(packet[position : position + 4], "big")
        if length:
            units.append(packet[position + 4 : position + 4 + length])
        position += 4 + length
    return units
