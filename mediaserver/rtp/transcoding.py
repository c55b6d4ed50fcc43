"""The audio of one leg that speaks no G.711: heard as linear samples, sent as its far end wants it.

The line knows 8 kHz alone. What is heard has timestamps by that clock, whatever the clock on the
wire is, and what is sent gets those of the wire; RFC 3551 section 4.5.2 has G.722 count 8,000 a
second although it has twice as many samples, RFC 7587 section 4.1 has Opus count 48,000.

A codec remembers what came before, so it is given packets in order (`rtp.ordering`); what is lost
stays a gap, as it does for G.711. A codec is late, too: by so much the samples it returns are put
earlier, and of its first packet those are left out that were before the audio.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from .clock_scale import ClockScale
from .codecs import (
    WIDE_RATE,
    Codecs,
    Coded,
    Decoder,
    Encoder,
    Format,
    Heard,
    Samples,
    Terms,
)
from .counting import MAX_DROPOUT
from .event_clock import EventClock
from .ordering import Ordered, Ordering
from .packet import HEADER, wrap_distance

MOST_EARLY: Final = 100
"""Packets that wait for the codecs to be loaded: two seconds."""

_HEAD: Final = struct.Struct(">BBHII")
_WRAP: Final = 0xFFFF_FFFF

_ELSEWHERE: Final = 0x4000_0000
"""Ticks that no stream leaps: where one with another clock begins, the line counts anew."""


@dataclass(slots=True)
class _Voice:
    """A decoder, and how many of its samples are still to be left out."""

    name: str
    decoder: Decoder
    skip: int


@dataclass(slots=True)
class _Stream:
    """What is known of the SSRC that is heard."""

    ssrc: int
    order: Ordering = field(default_factory=Ordering)
    scale: ClockScale = field(default_factory=ClockScale)
    events: EventClock = field(default_factory=EventClock)
    voice: _Voice | None = None
    sequence: int | None = None
    """That of the packet heard last, whatever it was."""
    last: int = 0
    """Timestamp for the line of the audio heard last."""


class Transcoding:
    """What one leg's audio goes through, both ways. Packets have a header of `HEADER` bytes."""

    def __init__(self, codecs: Codecs, terms: Terms, rate: int = 8000) -> None:
        """`rate` is that of the line, in Hz."""
        self.terms = terms
        self.undecodable = 0
        """Packets that are none of their codec."""
        self.added_packets = self.added_octets = 0
        """By how much more was sent than was said to be: another count of packets, other octets."""
        self._codecs = codecs
        self._rate = rate
        self._early: list[tuple[bytes, float]] = []
        self._stream: _Stream | None = None
        self._encoder: Encoder | None = None
        self._encoder_rests = False
        """Whether something was sent as it came since the encoder had its turn."""
        self._out = ClockScale()
        self._out_events = EventClock()
        self._next: tuple[int, int] | None = None
        """Sequence number and timestamp of what is expected to be sent next; None at first."""
        self._shift = 0

    @property
    def clock_rate(self) -> int:
        """Hz of the timestamps of what is sent."""
        return self.terms.sent.clock_rate

    def agree(self, terms: Terms) -> None:
        """Go on with what was negotiated anew; what was heard before stays understood."""
        if (terms.sent, terms.ptime) != (self.terms.sent, self.terms.ptime):
            self._encoder = None
        self.terms = terms

    def hear(self, packet: bytes, arrival: float) -> list[Heard]:
        """Return what a packet of the far end says, by the line's clock.

        There may be none, while one that was overtaken is waited for, and several after. What is
        no audio stays as it is, but for its clock.
        """
        if not self._codecs.loaded:
            form = self.terms.heard.get(packet[1] & 0x7F)
            if self._early or (form is not None and form.coded):
                self._codecs.begin()
                if len(self._early) < MOST_EARLY:
                    self._early.append((packet, arrival))
                return []
        return [*self._hear_early(), *self._hear(packet, arrival)]

    def hear_rest(self, before: float) -> list[Heard]:
        """Return what arrived before that instant and was held back for what was overtaken."""
        heard = self._hear_early()
        if self._stream is not None:
            heard += self._turns(self._stream, self._stream.order.rest(before))
        return heard

    def sends(self, codec: str) -> bool:
        """Tell whether the far end is spoken to in a codec, named as in SDP."""
        return self.terms.sent.coded and self.terms.sent.name == codec

    def say(self, packet: bytes, coded: Coded | None = None) -> list[bytes]:
        """Return what is sent for a packet whose audio is PCMU.

        Where that was made of what the far end understands, `coded`, it is sent as it came.
        """
        _, second, sequence, timestamp, ssrc = _HEAD.unpack_from(packet)
        kind, payload = second & 0x7F, packet[HEADER:]
        step = 0 if self._next is None else wrap_distance(sequence, self._next[0], 16)
        self._follow(timestamp)
        pieces = self._pieces(kind, timestamp, payload, step, coded)
        if step < 0 and len(pieces) != 1:
            return []  # its number was given to others
        sent: list[bytes] = []
        for index, (stamp, piece) in enumerate(pieces):
            head = second if index == 0 else kind
            number = sequence + self._shift + index & 0xFFFF
            sent.append(_HEAD.pack(0x80, head, number, stamp & _WRAP, ssrc) + piece)
        if step >= 0:
            self._shift += len(pieces) - 1
            end = self._next[1] if self._next is not None else timestamp
            if kind == self.terms.send:
                end = timestamp + len(payload)
            self._next = sequence + 1 & 0xFFFF, end & _WRAP
        self.added_packets += len(pieces) - 1
        self.added_octets += sum(len(piece) for _, piece in pieces) - len(payload)
        return sent

    def stamp(self, timestamp: int) -> int:
        """Return what a timestamp of the leg's is on the wire."""
        self._follow(timestamp)
        return self._out.stamp(timestamp)

    def _follow(self, timestamp: int) -> None:
        """Count by the clock that was negotiated, on from where the one before is."""
        rates = self._rate, self.terms.sent.clock_rate
        self._out.follow(rates, timestamp, self._out.stamp(timestamp))

    def _pieces(
        self, kind: int, timestamp: int, payload: bytes, step: int, coded: Coded | None
    ) -> list[tuple[int, bytes]]:
        """Return timestamps and payloads of what is sent, by the clock there."""
        if kind in self.terms.sent_events:
            rates = self._rate, self.terms.sent_events[kind]
            return self._out_events.convert(timestamp, payload, rates, self._out.stamp)
        stamp = self._out.stamp(timestamp, note=step >= 0)
        if kind != self.terms.send or not self.terms.sent.coded:
            return [(stamp, payload)]
        if coded is not None and self.sends(coded.name):
            # A decoder is late, and leaves out of its first packet what was before the audio.
            self._encoder_rests = True
            return [(self._out.stamp(timestamp + len(payload) - coded.size), coded.payload)]
        if not self._codecs.loaded:
            self._codecs.begin()
            return []
        if self._encoder is None:
            self._encoder = self._codecs.encoder(self.terms.sent.name, self.terms.ptime)
        begins = self._next is None or (step >= 0 and timestamp != self._next[1])
        begins, self._encoder_rests = begins or self._encoder_rests, False
        pieces: list[tuple[int, bytes]] = []
        for piece, size in self._encoder.encode(payload, begins=begins):
            pieces.append((stamp, piece))
            stamp += size * self.clock_rate // self._rate
        return pieces

    def _hear_early(self) -> list[Heard]:
        """Return what came before there were codecs."""
        if not self._early or not self._codecs.loaded:
            return []
        early, self._early = self._early, []
        return [piece for packet, arrival in early for piece in self._hear(packet, arrival)]

    def _hear(self, packet: bytes, arrival: float) -> list[Heard]:
        ssrc = int.from_bytes(packet[8:HEADER], "big")
        heard: list[Heard] = []
        stream = self._stream
        if stream is None or stream.ssrc != ssrc:
            if stream is not None:
                heard = self._turns(stream, stream.order.rest(arrival))
            stream = self._stream = _Stream(ssrc)
        return [*heard, *self._turns(stream, stream.order.put(packet, arrival))]

    def _turns(self, stream: _Stream, turns: list[Ordered]) -> list[Heard]:
        heard = (self._take(stream, turn) for turn in turns)
        return [one for one in heard if one is not None]

    def _take(self, stream: _Stream, turn: Ordered) -> Heard | None:
        """Return what a packet says, in its turn."""
        head, payload = turn.packet[:HEADER], turn.packet[HEADER:]
        first, second, sequence, timestamp, ssrc = _HEAD.unpack(head)
        kind, wide, coded = second & 0x7F, None, None
        if not turn.late:
            self._note_lost(stream, sequence)
        form = self.terms.heard.get(kind)
        if form is not None and turn.late and form.clock_rate != stream.scale.rates[0]:
            return None  # of before the clock was another
        if form is not None or not stream.scale.rates[0]:
            self._count_from(stream, form or self.terms.sent, timestamp)
        if form is not None:
            stamp = stream.scale.stamp(timestamp, note=not turn.late)
            stream.last = stamp if not turn.late else stream.last
            if form.coded:
                decoded = self._decode(stream, form.name, payload, late=turn.late)
                if decoded is None:
                    return None
                offset, narrow, wide, size = decoded
                coded = Coded(form.name, payload, size)
                stamp, payload = stamp + offset & _WRAP, narrow.tobytes()
        elif kind in self.terms.events:
            rates, scale = (self.terms.events[kind], self._rate), stream.scale
            stamp, payload = stream.events.convert(timestamp, payload, rates, scale.stamp)[-1]
        else:
            stamp = stream.scale.stamp(timestamp)
        packet = _HEAD.pack(first, second, sequence, stamp & _WRAP, ssrc) + payload
        return Heard(packet, turn.arrival, wide, coded)

    @staticmethod
    def _note_lost(stream: _Stream, sequence: int) -> None:
        """Tell the decoder how many packets there were before this one that nobody heard."""
        before, stream.sequence = stream.sequence, sequence
        if before is not None and stream.voice is not None:
            lost = wrap_distance(sequence, before, 16) - 1
            if 0 < lost <= MAX_DROPOUT:
                stream.voice.decoder.lose(lost)

    def _count_from(self, stream: _Stream, form: Format, timestamp: int) -> None:
        """Count by the clock of a format; a new one leaves it to the line where it goes on."""
        to = timestamp
        if stream.scale.rates[0]:
            to = stream.last + _ELSEWHERE & _WRAP
        elif form.clock_rate != self._rate:
            to = timestamp + _ELSEWHERE & _WRAP
        stream.scale.follow((form.clock_rate, self._rate), timestamp, to)

    def _decode(
        self, stream: _Stream, name: str, payload: bytes, *, late: bool
    ) -> tuple[int, Samples, Samples, int] | None:
        """Return how many samples after the packet's timestamp it begins, and what it says, twice.

        With that the samples that the packet is of; None: it says nothing.

        What comes late is decoded by itself: the decoder has gone on.
        """
        voice = stream.voice
        if late or voice is None or voice.name != name:
            decoder = self._codecs.decoder(name)
            voice = _Voice(name, decoder, 0 if late else decoder.delay)
            if not late:
                stream.voice = voice
        try:
            narrow, wide = voice.decoder.decode(payload)
        except ValueError:
            self.undecodable += 1
            return None
        skipped = min(voice.skip, narrow.size)
        voice.skip -= skipped
        if narrow.size == skipped:
            return None
        offset = skipped - voice.decoder.delay
        wide = wide[skipped * WIDE_RATE // self._rate :]
        return offset, narrow[skipped:], wide, narrow.size
