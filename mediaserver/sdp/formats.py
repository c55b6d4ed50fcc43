"""The formats of an m-line: what each side means by its numbers, and what both know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .codec import STATIC, Codec

_FOR_EVENTS: Final = (101, *range(96, 101), *range(102, 128))
_FOR_AUDIO: Final = (*range(96, 101), *range(102, 128))
"""Dynamic payload types (RFC 3551 section 3); 101 is everybody's number for DTMF."""


@dataclass(frozen=True, slots=True)
class Formats:
    """The formats of an m-line that both sides know, by its numbers and in its order."""

    audio: dict[int, Codec]
    events: dict[int, Codec]
    """Every telephone-event it lists, at any clock rate."""
    listed_events: dict[int, Codec]
    """Those whose clock is a chosen codec's, as RFC 4733 section 2.1 wants it; else all."""
    noise: dict[int, Codec]
    """Comfort noise it lists."""
    listed: dict[int, Codec]
    """What an answer lists."""

    @classmethod
    def of(cls, offered: Mapping[int, Codec], known: tuple[Codec, ...]) -> Formats:
        """Sort what is offered; noise and events are ours only if `known` has them."""
        audio = {
            number: codec
            for number, codec in offered.items()
            if codec in known and not codec.is_event and not codec.is_comfort_noise
        }
        events = {
            number: codec
            for number, codec in offered.items()
            if codec.is_event and any(k.is_event for k in known)
        }
        rates = {codec.clock_rate for codec in audio.values()}
        listed_events = {n: c for n, c in events.items() if c.clock_rate in rates} or events
        noise = {number: codec for number, codec in offered.items() if codec.is_comfort_noise}
        listed = {
            number: codec
            for number, codec in offered.items()
            if number in audio or number in listed_events or (number in noise and codec in known)
        }
        return cls(audio, events, listed_events, noise, listed)

    @classmethod
    def preferred(cls, offered: Mapping[int, Codec], known: tuple[Codec, ...]) -> Formats:
        """Sort what is offered, and take up either G.711 or what must be transcoded, not both.

        That is the kind `known` begins with, unless none of it is offered: a leg that may hear
        other codecs costs ten times as much, whatever is spoken in the end.
        """
        first = next(codec for codec in known if not codec.is_event and not codec.is_comfort_noise)
        kin = tuple(
            codec
            for codec in known
            if codec.is_event or codec.is_comfort_noise or codec.is_g711 == first.is_g711
        )
        chosen = cls.of(offered, kin)
        return chosen if chosen.audio else cls.of(offered, known)

    def events_beside(self, codec: Codec) -> tuple[int, Codec] | None:
        """Return the events to send beside a codec, those of its clock if there are such."""
        listed = list(self.listed_events.items())
        fitting = [one for one in listed if one[1].clock_rate == codec.clock_rate]
        return next(iter(fitting or listed), None)


def number_codecs(codecs: tuple[Codec, ...], used: Mapping[int, Codec]) -> dict[int, Codec]:
    """Give every codec a number: the one it has in this call, its static one, a free one.

    A number once used for one codec is not used for another (RFC 3264 section 8.3.2). Events of a
    call keep the clock they have in it; ours at other clocks are left out then.
    """
    known: dict[Codec, int] = {}
    for number, codec in used.items():
        known.setdefault(codec, number)
    event = next((n for n, codec in used.items() if codec.is_event), None)
    static = {codec: number for number, codec in STATIC.items() if number not in used}
    numbers: dict[int, Codec] = {}
    for codec in codecs:
        chosen = known.get(codec, static.get(codec))
        if chosen is None and codec.is_event and event is not None:
            numbers[event] = used[event]
            continue
        if chosen is None:
            free = _FOR_EVENTS if codec.is_event else _FOR_AUDIO
            chosen = next((n for n in free if n not in used and n not in numbers), None)
        if chosen is not None:  # a peer that used up all numbers goes without this codec
            numbers[chosen] = codec
    return numbers
