"""The stream a leg sends: prompts in even frames, digits as events, timestamps that never stop.

The timestamp runs with time from the first packet on, also while nothing is sent, so that a
receiver places every prompt where it was played. A frame is due every `ptime`; a sender that is
asked late sends what it owes, but never more than `CATCH_UP` frames at once: what is later than
that is skipped in time, not squeezed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .dtmf import EventPacket, event_packets
from .packet import build_packet

CATCH_UP: Final = 5
"""Frames sent at once at the most."""

DIGIT_GAP: Final = 0.1
"""Seconds of silence between two digits."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One audio packet that is due: what goes on the wire, and its payload for who records it."""

    packet: bytes
    payload: bytes
    due: float
    """Monotonic seconds at which the frame begins to be heard."""


class Sender:
    """One outgoing RTP stream.

    `token` returns a random number of as many bits as it is asked for (RFC 3550 section 5.1 wants
    the beginnings of SSRC, sequence and timestamp unguessable).
    """

    def __init__(self, token: Callable[[int], int], rate: int = 8000) -> None:
        self.rate = rate
        self.ssrc = token(32)
        self._sequence = token(16)
        self._base = token(32)
        self._origin: float | None = None
        self.kind = 0
        """Payload type of the audio."""
        self.frame = rate // 50
        """Samples (and G.711 bytes) in a packet."""
        self.packets = 0
        self.octets = 0
        self.last_sent = 0.0
        self._audio = b""
        self._offset = 0
        self._next = 0.0
        self._digits: deque[tuple[float, EventPacket, int, int]] = deque()

    @property
    def playing(self) -> bool:
        """Tell whether audio is left to send."""
        return self._offset < len(self._audio)

    @property
    def busy(self) -> bool:
        """Tell whether anything is left to send."""
        return self.playing or bool(self._digits)

    def play(self, payload: bytes, now: float) -> None:
        """Send `payload` (encoded, one byte a sample) from `now` on; what played before stops.

        The frame sent last is heard to its end first: no two frames claim the same instant.
        """
        self._audio, self._offset = payload, 0
        self._next = max(self._next, now)

    def stop(self) -> None:
        """Send no more audio."""
        self._audio, self._offset = b"", 0

    def replace(self, payload: bytes) -> None:
        """Go on with another encoding of what is playing, from the same sample."""
        if self.playing:
            self._audio = payload

    def dial(self, digits: str, kind: int, clock_rate: int, now: float) -> float:
        """Queue DTMF digits as events of payload type `kind`; return when the last one is over.

        `w` waits half a second, `W` a whole one. ValueError for any other character.
        """
        at = max(now, self._digits[-1][0] + DIGIT_GAP if self._digits else now)
        for digit in digits:
            if digit in "wW":
                at += 0.5 if digit == "w" else 1.0
                continue
            begin = at
            for event in event_packets(digit, clock_rate=clock_rate):
                at = begin + event.at
                self._digits.append((at, event, kind, self._timestamp(begin)))
            at += DIGIT_GAP
        return at

    def due(self, now: float) -> tuple[list[Sent], list[bytes]]:
        """Return the audio packets and the event packets whose time has come by `now`."""
        audio: list[Sent] = []
        period = self.frame / self.rate
        if self.playing and now - self._next > CATCH_UP * period:
            self._next = now
        while self.playing and self._next <= now:
            payload = self._audio[self._offset : self._offset + self.frame]
            marker = self._offset == 0
            self._offset += len(payload)
            packet = self._packet(self.kind, self._timestamp(self._next), payload, marker=marker)
            audio.append(Sent(packet, payload, self._next))
            self._next += period
        events: list[bytes] = []
        while self._digits and self._digits[0][0] <= now:
            _, event, kind, timestamp = self._digits.popleft()
            events.append(self._packet(kind, timestamp, event.payload, marker=event.marker))
        if audio or events:
            self.last_sent = now
        return audio, events

    def timestamp(self, now: float) -> int:
        """Return the RTP timestamp that stands for the instant `now` (for sender reports)."""
        return self._timestamp(now)

    def _timestamp(self, at: float) -> int:
        if self._origin is None:
            self._origin = at
        return (self._base + round((at - self._origin) * self.rate)) & 0xFFFF_FFFF

    def _packet(self, kind: int, timestamp: int, payload: bytes, *, marker: bool) -> bytes:
        packet = build_packet(kind, self._sequence, timestamp, self.ssrc, payload, marker=marker)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        return packet
