"""RTP packets, many at a time (RFC 3550 section 5.1).

A `PacketBatch` is what one sweep of the sockets brought: rows of bytes and beside them, in
parallel arrays, what the sockets know of each row. Nothing here makes an object per packet.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

HEADER: Final = 12
"""Bytes of the fixed header."""

STRIDE: Final = 31 * 64
"""Bytes kept of a datagram: an Ethernet frame's worth, or 120 ms of linear samples at 8 kHz; what
is longer is cut and then refused. An odd number of cache lines, so that headers do not share a
few."""

NOBODY: Final = -1
"""In place of a source key: the row of a batch is empty."""

_FIXED: Final = struct.Struct(">BBHII")


@dataclass(slots=True)
class PacketBatch:
    """`count` datagrams, those of one slot in the order of arrival.

    Rows may be empty: their length is 0 and their source `NOBODY`.

    Shapes: `data` (capacity, STRIDE) uint8; the others (capacity,).
    """

    data: NDArray[np.uint8]
    length: NDArray[np.int64]
    """Bytes in each row."""
    slot: NDArray[np.int64]
    """Which leg's socket the datagram came in on."""
    source: NDArray[np.int64]
    """Who sent it: see `source_key`."""
    arrival: NDArray[np.float64]
    """Monotonic seconds."""
    count: int = 0
    _views: dict[tuple[int, int], NDArray[np.void]] = field(default_factory=dict)

    @classmethod
    def empty(cls, capacity: int) -> PacketBatch:
        """Return a batch with room for `capacity` datagrams."""
        return cls(
            data=np.zeros((capacity, STRIDE), np.uint8),
            length=np.zeros(capacity, np.int64),
            slot=np.zeros(capacity, np.int64),
            source=np.zeros(capacity, np.int64),
            arrival=np.zeros(capacity, np.float64),
        )

    @property
    def room(self) -> int:
        """Number of datagrams that can be added."""
        return self.length.size - self.count

    def heads(self, row: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return a copy, shape (n, HEADER), of the fixed headers in rows."""
        return self._view(0, HEADER)[row].view(np.uint8).reshape(-1, HEADER)

    def set_heads(self, row: NDArray[np.int64], head: NDArray[np.uint8]) -> None:
        """Write fixed headers, shape (n, HEADER), to rows."""
        view = self._view(0, HEADER)
        view[row] = head.view(view.dtype)[:, 0]

    def payloads(self, row: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
        """Return a copy, shape (n, size), of the payloads in rows, all of one size."""
        return self._view(HEADER, size)[row].view(np.uint8).reshape(-1, size)

    def set_payloads(self, row: NDArray[np.int64], payload: NDArray[np.uint8]) -> None:
        """Write payloads, shape (n, size), to rows."""
        view = self._view(HEADER, payload.shape[1])
        view[row] = payload.view(view.dtype)[:, 0]

    def _view(self, start: int, size: int) -> NDArray[np.void]:
        """Return `size` bytes of every row as one item each: to copy those is a `memcpy` a row."""
        view = self._views.get((start, size))
        if view is None:
            view = self._views[start, size] = np.ndarray(
                self.length.shape, np.dtype(f"V{size}"), self.data.data, start, (STRIDE,)
            )
        return view

    def append(self, slot: int, datagram: bytes, source: int, arrival: float) -> None:
        """Add one datagram by hand: what tests and the portable lane use."""
        row = self.count
        size = min(len(datagram), STRIDE)
        self.data[row, :size] = np.frombuffer(datagram, np.uint8, size)
        self.length[row] = size
        self.slot[row] = slot
        self.source[row] = source
        self.arrival[row] = arrival
        self.count = row + 1


@dataclass(frozen=True, slots=True)
class PacketFields:
    """The header fields of the RTP packets of a batch, in parallel arrays, grouped by slot.

    `row` says which row of the batch each came from; its payload starts at column `HEADER` there.
    """

    row: NDArray[np.int64]
    slot: NDArray[np.int64]
    kind: NDArray[np.uint8]
    """Payload type, 0 to 127."""
    sequence: NDArray[np.int64]
    timestamp: NDArray[np.int64]
    ssrc: NDArray[np.int64]
    size: NDArray[np.int64]
    """Payload bytes."""

    def take(self, wanted: NDArray[np.bool_]) -> PacketFields:
        """Return the fields of those packets that `wanted` marks."""
        return PacketFields(
            *(
                getattr(self, name)[wanted]
                for name in ("row", "slot", "kind", "sequence", "timestamp", "ssrc", "size")
            )
        )


def first_of_each(slot: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the first packet of each leg among packets grouped by slot, of which there are some."""
    first = np.empty(slot.size, np.bool_)
    first[0] = True
    np.not_equal(slot[1:], slot[:-1], out=first[1:])
    return first


def rank_in_leg(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the packets of each leg from 0, given where each begins and how many there are."""
    size = int(starts[-1] + counts[-1])
    rank: NDArray[np.int64] = np.arange(size) - np.repeat(starts, counts)
    return rank


def source_key(host: str, port: int) -> int:
    """Return a number that stands for an address and port (the port in the low 16 bits).

    An IPv4 address is its own 32 bits; an IPv6 one is folded into 47 bits by a hash.
    """
    return host_key(host) << 16 | port


def host_key(host: str) -> int:
    """Return the host's part of a `source_key`, positive and below 2**47."""
    parts = host.split(".")
    if len(parts) == 4 and all(p.isdigit() for p in parts):
        return int(parts[0]) << 24 | int(parts[1]) << 16 | int(parts[2]) << 8 | int(parts[3])
    return (hash(host) & 0x3FFF_FFFF_FFFF) | 0x4000_0000_0000


def parse_batch(
    batch: PacketBatch, wanted: NDArray[np.bool_], *, grouped: bool = True
) -> PacketFields:
    """Return the fields of every `wanted` row that holds a well-formed RTP packet.

    `grouped` says that the rows of each slot lie together already.
    Rows with CSRCs, an extension or padding are rewritten in place so that their payload starts
    at column `HEADER` like everybody else's. Rows that are not RTP version 2 or whose lengths do
    not add up are left out (RFC 3550 appendix A.1).
    """
    n = batch.count
    first = batch.data[:n, 0]
    plain = wanted & (first == 0x80) & (batch.length[:n] >= HEADER)
    size = batch.length[:n] - HEADER
    for odd in np.flatnonzero(wanted & ~plain):
        payload = _normalise(batch, int(odd))
        plain[odd] = payload >= 0
        size[odd] = payload
    row: NDArray[np.int64] = np.flatnonzero(plain).astype(np.int64, copy=False)
    slot = batch.slot[row]
    if not grouped:
        order = np.argsort(slot, kind="stable")
        row, slot = row[order], slot[order]
    head = batch.heads(row)
    words = head.view(">u4").astype(np.int64)
    return PacketFields(
        row=row,
        slot=slot,
        kind=head[:, 1] & np.uint8(0x7F),
        sequence=words[:, 0] & 0xFFFF,
        timestamp=words[:, 1],
        ssrc=words[:, 2],
        size=size[row],
    )


def _normalise(batch: PacketBatch, row: int) -> int:
    """Move the payload of an odd packet to column HEADER; return its size, -1 if not RTP."""
    end = int(batch.length[row])
    data = batch.data[row]
    if end < HEADER or data[0] >> 6 != 2:
        return -1
    start = HEADER + 4 * int(data[0] & 0x0F)
    if data[0] & 0x10:
        if start + 4 > end:
            return -1
        start += 4 + 4 * (int(data[start + 2]) << 8 | int(data[start + 3]))
    if start > end:
        return -1
    if data[0] & 0x20:
        padding = int(data[end - 1]) if end > start else 0
        if not 0 < padding <= end - start:
            return -1
        end -= padding
    data[HEADER : HEADER + end - start] = data[start:end].copy()
    return end - start


def build_packet(
    kind: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, *, marker: bool = False
) -> bytes:
    """Return an RTP packet; sequence, timestamp and SSRC wrap by themselves."""
    head = _FIXED.pack(
        0x80,
        kind | (0x80 if marker else 0),
        sequence & 0xFFFF,
        timestamp & 0xFFFF_FFFF,
        ssrc & 0xFFFF_FFFF,
    )
    return head + payload


def wrap_distance(new: int, old: int, bits: int) -> int:
    """Return how far `new` is ahead of `old` (negative: behind) for counters of `bits` bits."""
    half = 1 << (bits - 1)
    return ((new - old + half) & ((1 << bits) - 1)) - half
