"""Legs whose packets are looked at one by one: those that are encrypted, or speak no G.711.

All others are handled as arrays (`net.intake`, `net.media`), and nothing here costs them more than
the question whether a leg is served here. What came is undone on its way to the lines, and what is
sent is done on its way to the wire; between the two the engine knows plain RTP at the line's rate
alone: audio heard is linear samples (`Kind.LINEAR`), audio sent is G.711.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ..audio.g711 import ULAW_ENCODE
from ..rtp.codecs import Coded, Heard
from ..rtp.packet import HEADER, NOBODY, PacketBatch, PacketFields
from .endpoints import Endpoints
from .transmit import Outgoing

RTCP_KINDS: Final = (64, 95)
"""Second octets, less the marker bit, that say RTCP on a shared port (RFC 5761 section 4)."""

_TAKES: Final = 64
"""Packets that there is room for at first."""


class Cipher(Protocol):
    """The keys of one leg, both ways (RFC 3711)."""

    def open(self, datagram: bytes) -> bytes | None:
        """Return the RTP packet in a datagram; None if it is not the far end's, or was heard."""

    def seal(self, datagram: bytes) -> bytes | None:
        """Return an RTP packet as it is sent; None: not at all."""

    def open_report(self, datagram: bytes) -> bytes | None:
        """Return the RTCP packet in a datagram; None as above."""

    def seal_report(self, datagram: bytes) -> bytes | None:
        """Return an RTCP packet as it is sent; None: not at all."""


class Transcoder(Protocol):
    """What one leg's audio is made of, both ways. Packets are plain RTP, headers included.

    They are given and returned with a header of `HEADER` bytes: no CSRC, extension or padding.
    """

    undecodable: int
    """Packets that are none of their codec."""

    def hear(self, packet: bytes, arrival: float) -> list[Heard]:
        """Return what a packet of the far end says, by the line's clock, in order.

        What is no audio stays as it is. There may be none, while one that was overtaken is waited
        for, and several after.
        """

    def hear_rest(self, before: float) -> list[Heard]:
        """Return what arrived before that instant and was held back for what was overtaken."""

    def sends(self, codec: str) -> bool:
        """Tell whether the far end is spoken to in a codec, named as in SDP."""

    def say(self, packet: bytes, coded: Coded | None = None) -> list[bytes]:
        """Return what is sent for a packet whose audio is PCMU, by the clock on the wire.

        Where that was made of what the far end understands, `coded`, it is sent as it came.
        """


@dataclass(frozen=True, slots=True)
class Transcoded:
    """What the far ends of transcoded legs say: packets in which audio is linear samples."""

    batch: PacketBatch
    """Grouped by slot."""
    heard: list[Heard]
    """What each row is of."""


@dataclass(slots=True)
class _Served:
    cipher: Cipher | None = None
    transcoder: Transcoder | None = None


class SecondLane:
    """The legs among `capacity` that are served here."""

    def __init__(self, endpoints: Endpoints, capacity: int) -> None:
        self.serves: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        """Whether a leg is encrypted or transcoded."""
        self.refused: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Packets of each leg that its keys do not open."""
        self._ciphered: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        self._transcoded: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        self._endpoints = endpoints
        self._legs: dict[int, _Served] = {}

    def __len__(self) -> int:
        return len(self._legs)

    def serve(self, slot: int, cipher: Cipher | None, transcoder: Transcoder | None) -> None:
        """Serve a leg from now on; neither of both: no more."""
        served = _Served(cipher, transcoder)
        self._ciphered[slot], self._transcoded[slot] = cipher is not None, transcoder is not None
        self.serves[slot] = self._ciphered[slot] | self._transcoded[slot]
        if self.serves[slot]:
            self._legs[slot] = served
        else:
            self._legs.pop(slot, None)

    def close(self, slot: int) -> None:
        """Forget a leg."""
        self.serve(slot, None, None)
        self.refused[slot] = 0

    def open(self, batch: PacketBatch, known: NDArray[np.bool_]) -> None:
        """Decipher the rows of encrypted legs in place; a row that is none of theirs is emptied.

        Before it is decided who sent it: only what is authentic may say where a leg's media is.
        `known`, of shape (batch.count,), marks what comes from hosts that could be believed; the
        others are refused anyway, and are spared the work that a flood would make of them.
        """
        rows = np.flatnonzero(self._ciphered[batch.slot[: batch.count]] & known)
        for row in rows.tolist():
            size, slot = int(batch.length[row]), int(batch.slot[row])
            if not size:
                continue
            cipher = self._legs[slot].cipher
            assert cipher is not None
            datagram = batch.data[row, :size].tobytes()
            is_report = size > 1 and RTCP_KINDS[0] <= datagram[1] & 0x7F <= RTCP_KINDS[1]
            plain = cipher.open_report(datagram) if is_report else cipher.open(datagram)
            if plain is None:
                self.refused[slot] += 1
                plain = b""
                batch.source[row] = NOBODY
            batch.length[row] = len(plain)
            batch.data[row, : len(plain)] = np.frombuffer(plain, np.uint8)

    def hear(
        self, batch: PacketBatch, fields: PacketFields
    ) -> tuple[PacketFields, Transcoded | None]:
        """Take out of `fields` those of transcoded legs; return the rest, and what those say."""
        special = self._transcoded[fields.slot]
        if not special.any():
            return fields, None
        heard = _Pieces()
        for index in np.flatnonzero(special).tolist():
            slot, row = int(fields.slot[index]), int(fields.row[index])
            transcoder = self._legs[slot].transcoder
            assert transcoder is not None
            head = batch.data[row, :HEADER].tobytes()
            # Whatever was between header and payload was cut out when the packet was read.
            packet = (
                b"\x80"
                + head[1:]
                + batch.data[row, HEADER : HEADER + int(fields.size[index])].tobytes()
            )
            source, arrival = int(batch.source[row]), float(batch.arrival[row])
            for piece in transcoder.hear(packet, arrival):
                heard.add(slot, piece, source)
        return fields.take(~special), heard.whole()

    def hear_rest(self, slots: NDArray[np.int64], before: float) -> Transcoded | None:
        """Return what arrived before that instant and was held back; None: nothing."""
        heard = _Pieces()
        for slot in slots[self._transcoded[slots]].tolist():
            transcoder = self._legs[slot].transcoder
            assert transcoder is not None
            for piece in transcoder.hear_rest(before):
                heard.add(slot, piece, 0)
        return heard.whole()

    def sends(self, slot: int, coded: Coded | None) -> bool:
        """Tell whether what a leg is given is sent to its far end as it came."""
        served = self._legs.get(slot)
        if served is None or served.transcoder is None or coded is None:
            return False
        return served.transcoder.sends(coded.name)

    def send(self, packets: Outgoing, coded: Sequence[Coded | None] = ()) -> Outgoing:
        """Send the packets of legs that are served here; return the others.

        `coded` says what each of them was made of; empty: none of a codec.
        """
        special = self.serves[packets.slot]
        if not special.any():
            return packets
        for index in np.flatnonzero(special).tolist():
            head = ctypes.string_at(int(packets.head[index]), int(packets.head_size[index]))
            body = ctypes.string_at(int(packets.body[index]), int(packets.body_size[index]))
            self.send_one(int(packets.slot[index]), head + body, coded[index] if coded else None)
        return packets.take(~special)

    def send_one(self, slot: int, packet: bytes, coded: Coded | None = None) -> None:
        """Send one RTP packet of any leg. What its socket does not take is lost, as RTP may be."""
        target = self._endpoints.address(slot)
        if target is None:
            return
        served = self._legs.get(slot)
        pieces = [packet]
        if served is not None and served.transcoder is not None:
            pieces = served.transcoder.say(packet, coded)
        for piece in pieces:
            sealed: bytes | None = piece
            if served is not None and served.cipher is not None:
                sealed = served.cipher.seal(piece)
            if sealed is not None:
                with contextlib.suppress(OSError):  # full buffer or unreachable
                    self._endpoints.sockets[slot].sendto(sealed, target)

    def open_report(self, slot: int, datagram: bytes) -> bytes | None:
        """Return the RTCP packet in what came on a leg's second port; None if it is nobody's."""
        served = self._legs.get(slot)
        if served is None or served.cipher is None:
            return datagram
        report = served.cipher.open_report(datagram)
        if report is None:
            self.refused[slot] += 1
        return report

    def seal_report(self, slot: int, packet: bytes) -> bytes | None:
        """Return an RTCP packet as a leg sends it; None: not at all."""
        served = self._legs.get(slot)
        if served is None or served.cipher is None:
            return packet
        return served.cipher.seal_report(packet)


def narrow(batch: PacketBatch, fields: PacketFields, audio: NDArray[np.bool_]) -> None:
    """Make PCMU of the linear samples in rows of `batch`: what is passed on is G.711.

    `audio` says which of `fields` are audio; their sizes are in samples.
    """
    for index in np.flatnonzero(audio).tolist():
        row, size = int(fields.row[index]), int(fields.size[index])
        samples = batch.data[row, HEADER : HEADER + 2 * size].tobytes()
        batch.data[row, HEADER : HEADER + size] = ULAW_ENCODE.take(
            np.frombuffer(samples, np.uint16)
        )


class _Pieces:
    """Packets that are put together to a batch."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, Heard, int]] = []

    def add(self, slot: int, piece: Heard, source: int) -> None:
        self._pieces.append((slot, piece, source))

    def whole(self) -> Transcoded | None:
        """Return them; None if there are none."""
        if not self._pieces:
            return None
        batch = PacketBatch.empty(max(_TAKES, len(self._pieces)))
        for slot, piece, source in self._pieces:
            batch.append(slot, piece.packet, source, piece.arrival)
        return Transcoded(batch, [piece for _, piece, _ in self._pieces])
