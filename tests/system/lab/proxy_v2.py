"""PROXY protocol v2 headers taken apart, as the specification describes them.

Written from the specification alone, so that it shares no mistake with what it
reads.
"""
import ipaddress
import struct
from dataclasses import dataclass

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
FIXED = struct.Struct("!12sBBH")
TLV = struct.Struct("!BH")
CRC32C, NOOP = 0x03, 0x04
COMMANDS = {0x20: "LOCAL", 0x21: "PROXY"}
FAMILIES = {0x11: struct.Struct("!4s4sHH"), 0x21: struct.Struct("!16s16sHH")}


@dataclass
class Header:
    command: str
    family: int
    source: tuple  # (address, port); None with LOCAL
    destination: tuple
    tlvs: list  # (type, value)
    raw: bytes

    @property
    def crc_is_right(self):
        values = [value for kind, value in self.tlvs if kind == CRC32C]
        assert len(values) == 1
        at = self.raw.index(bytes([CRC32C, 0, 4]) + values[0], FIXED.size) + 3
        zeroed = self.raw[:at] + bytes(4) + self.raw[at + 4:]
        return int.from_bytes(values[0], "big") == crc32c(zeroed)


def crc32c(data):
    """Bit by bit: RFC 3720, appendix B.4."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def parse(raw):
    """The header that `raw` is, from its first byte to its last."""
    signature, command, family, size = FIXED.unpack_from(raw)
    assert signature == SIGNATURE, raw[:12].hex()
    assert len(raw) == FIXED.size + size, f"{len(raw)} bytes, length {size}"
    at, source, destination = FIXED.size, None, None
    if COMMANDS[command] == "PROXY":
        layout = FAMILIES[family]
        src, dst, sport, dport = layout.unpack_from(raw, at)
        source = (str(ipaddress.ip_address(src)), sport)
        destination = (str(ipaddress.ip_address(dst)), dport)
        at += layout.size
    tlvs = []
    while at < len(raw):
        kind, length = TLV.unpack_from(raw, at)
        value = raw[at + TLV.size:at + TLV.size + length]
        assert len(value) == length, "a TLV that ends behind the header"
        tlvs.append((kind, value))
        at += TLV.size + length
    return Header(COMMANDS[command], family, source, destination, tlvs, raw)
