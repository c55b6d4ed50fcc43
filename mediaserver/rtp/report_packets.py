"""RTCP packets as they are on the wire (RFC 3550 section 6): reports, the CNAME, the goodbye.

What is said in them, and when, is `rtp.rtcp`'s to decide.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_HEADER: Final = struct.Struct(">BBH")
_SENDER: Final = struct.Struct(">QLLL")
_BLOCK: Final = struct.Struct(">LLLLLL")
_WORD: Final = 4
_VERSION: Final = 2
_CNAME: Final = 1
_MOST_LOST: Final = 0x7F_FFFF


class PacketType(IntEnum):
    """The packets that are looked into (section 12.1)."""

    SENDER_REPORT = 200
    RECEIVER_REPORT = 201
    NAMES = 202
    GOODBYE = 203


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What somebody says of one stream it hears (section 6.4.1)."""

    ssrc: int
    fraction_lost: int
    """Of 256, since the report before."""
    lost: int
    """In all; 24 bits with a sign, what is beyond them is said as the most there can be."""
    highest: int
    """Extended highest sequence number."""
    jitter: int
    """In units of the stream's clock."""
    last_report: int
    """Middle 32 bits of the NTP time in the last sender report; 0 if there was none."""
    delay: int
    """Since that came, in 1/65536 seconds."""

    def __bytes__(self) -> bytes:
        lost = max(-_MOST_LOST - 1, min(_MOST_LOST, self.lost)) & 0xFF_FFFF
        return _BLOCK.pack(
            self.ssrc,
            self.fraction_lost << 24 | lost,
            self.highest,
            self.jitter,
            self.last_report,
            self.delay,
        )

    @classmethod
    def parse(cls, payload: bytes, offset: int) -> ReportBlock:
        """Read the 24 bytes from `offset` on, which must be there."""
        ssrc, losses, highest, jitter, last_report, delay = _BLOCK.unpack_from(payload, offset)
        lost = losses & 0xFF_FFFF
        if lost > _MOST_LOST:
            lost -= 1 << 24
        return cls(ssrc, losses >> 24, lost, highest, jitter, last_report, delay)


@dataclass(frozen=True, slots=True)
class SenderInfo:
    """What somebody says of the stream it sends (section 6.4.1)."""

    ntp: int
    """64-bit NTP timestamp."""
    timestamp: int
    """The same instant on the stream's clock."""
    packets: int
    octets: int

    def __bytes__(self) -> bytes:
        return _SENDER.pack(self.ntp, self.timestamp, self.packets, self.octets)


@dataclass(frozen=True, slots=True)
class Report:
    """A sender report, or without a `sender` a receiver report (sections 6.4.1 and 6.4.2)."""

    ssrc: int
    sender: SenderInfo | None = None
    blocks: tuple[ReportBlock, ...] = ()

    def __bytes__(self) -> bytes:
        kind, info = PacketType.RECEIVER_REPORT, b""
        if self.sender is not None:
            kind, info = PacketType.SENDER_REPORT, bytes(self.sender)
        payload = self.ssrc.to_bytes(_WORD) + info + b"".join(map(bytes, self.blocks))
        return _packet(kind, len(self.blocks), payload)


@dataclass(frozen=True, slots=True)
class Goodbye:
    """These streams end (section 6.6)."""

    sources: tuple[int, ...]

    def __bytes__(self) -> bytes:
        payload = b"".join(source.to_bytes(_WORD) for source in self.sources)
        return _packet(PacketType.GOODBYE, len(self.sources), payload)


def names(ssrc: int, cname: bytes) -> bytes:
    """Return the packet that says whose stream it is; `cname` has at most 255 bytes (6.5.1)."""
    chunk = ssrc.to_bytes(_WORD) + bytes((_CNAME, len(cname))) + cname
    # At least one zero ends the items (section 6.5).
    chunk += bytes(_WORD - len(chunk) % _WORD)
    return _packet(PacketType.NAMES, 1, chunk)


def parse(data: bytes) -> list[Report | Goodbye] | None:
    """Return the reports and goodbyes of a compound packet; None if any part of it is malformed.

    Names are checked and not told, for nothing hangs on them; packets of other types are skipped.
    """
    found: list[Report | Goodbye] = []
    at = 0
    while at < len(data):
        if len(data) - at < _HEADER.size:
            return None
        first, kind, words = _HEADER.unpack_from(data, at)
        end = at + _HEADER.size + words * _WORD
        if first >> 6 != _VERSION or end > len(data):
            return None
        payload: bytes | None = data[at + _HEADER.size : end]
        if first & 0x20:
            payload = _without_padding(data[at + _HEADER.size : end])
        if payload is None:
            return None
        count = first & 0x1F
        if kind == PacketType.NAMES:
            if not _are_names(payload, count):
                return None
        elif kind in _READERS:
            packet = _READERS[kind](payload, count)
            if packet is None:
                return None
            found.append(packet)
        at = end
    return found


def _packet(kind: PacketType, count: int, payload: bytes) -> bytes:
    return _HEADER.pack(_VERSION << 6 | count, kind, len(payload) // _WORD) + payload


def _without_padding(payload: bytes) -> bytes | None:
    """Return what is before the padding, the last byte of which tells its length (6.4.1)."""
    if not payload or not 1 <= payload[-1] <= len(payload):
        return None
    return payload[: -payload[-1]]


def _sender_report(payload: bytes, count: int) -> Report | None:
    begin = _WORD + _SENDER.size
    if len(payload) < begin + count * _BLOCK.size:
        return None
    sender = SenderInfo(*_SENDER.unpack_from(payload, _WORD))
    return Report(int.from_bytes(payload[:_WORD]), sender, _blocks(payload, begin, count))


def _receiver_report(payload: bytes, count: int) -> Report | None:
    if len(payload) < _WORD + count * _BLOCK.size:
        return None
    return Report(int.from_bytes(payload[:_WORD]), None, _blocks(payload, _WORD, count))


def _blocks(payload: bytes, begin: int, count: int) -> tuple[ReportBlock, ...]:
    # What comes after them is an extension of some profile (section 6.4.3).
    return tuple(ReportBlock.parse(payload, begin + n * _BLOCK.size) for n in range(count))


def _goodbye(payload: bytes, count: int) -> Goodbye | None:
    # A reason may follow, for people to read.
    if len(payload) < count * _WORD:
        return None
    return Goodbye(struct.unpack_from(f">{count}L", payload))


_READERS: Final = {
    PacketType.SENDER_REPORT: _sender_report,
    PacketType.RECEIVER_REPORT: _receiver_report,
    PacketType.GOODBYE: _goodbye,
}


def _are_names(payload: bytes, count: int) -> bool:
    """Tell whether there are so many chunks, each of an SSRC and items that are whole (6.5)."""
    at = 0
    for _ in range(count):
        at += _WORD
        while at < len(payload) and payload[at]:
            if at + 2 > len(payload):
                return False
            at += 2 + payload[at + 1]
        if at > len(payload):
            return False
        at += _WORD - at % _WORD
    return True
