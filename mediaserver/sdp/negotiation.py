"""Offers and answers for one audio stream (RFC 3264).

Of several m-lines the first audio one we can use is taken; the others keep their place with port
0. An answer lists formats by the offer's numbers and in the offer's order (section 6.1). A later
offer of ours keeps the m-lines and the meaning of every number (section 8). The version in `o=`
goes up by one when, and only when, something else changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final

from ..errors import PeerError
from .codec import STATIC, Codec
from .description import Attribute, Connection, Media, Origin, SessionDescription
from .direction import Direction
from .remote import RemoteAudio
from .session import AudioSession, LocalAudio

__all__ = [
    "AudioSession",
    "Direction",
    "LocalAudio",
    "make_answer",
    "make_offer",
    "read_answer",
]

_DYNAMIC: Final = (101, *range(96, 101), *range(102, 128))
"""Dynamic payload types (RFC 3551 section 3), 101 first: everybody's number for DTMF."""

_EVENTS: Final = "0-15"
"""The ten digits, `*`, `#` and A to D (RFC 4733 section 3.2)."""

_COMFORT_NOISE: Final = 13

_TOLD: Final = 4  # m-lines whose fault is named in an error


def make_offer(
    local: LocalAudio, previous: SessionDescription | None = None, *, version: int = 1
) -> SessionDescription:
    """Return our offer; `previous` is what we said last in this call, `version` for the first.

    For an INVITE or re-INVITE that brought no offer, and for calls we make.
    """
    if previous is None:
        numbers = _numbers(local.codecs, {})
        media = [_audio(local, _Lines(numbers), local.direction, local.ptime)]
        return _describe(local, media, None, version)
    media = [m.refused() for m in previous.media]
    at = next((i for i, m in enumerate(previous.media) if m.kind == "audio" and m.port), None)
    before = previous.media[at] if at is not None else None
    used = RemoteAudio(previous, before).payload_types if before is not None else {}
    lines = _Lines(_numbers(local.codecs, used), before.protocol if before else "RTP/AVP")
    audio = _audio(local, lines, local.direction, local.ptime)
    if at is None:
        media.append(audio)
    else:
        media[at] = audio
    return _describe(local, media, previous, version)


def make_answer(
    offer: SessionDescription, local: LocalAudio, previous: SessionDescription | None = None
) -> tuple[SessionDescription, AudioSession]:
    """Return our answer and what it agrees on; `previous` is what we said last in this call.

    Raises PeerError 488 when none of the m-lines is audio we can take.
    """
    obstacles: list[str] = []
    for at, media in enumerate(offer.media):
        remote = RemoteAudio(offer, media)
        chosen = _Chosen.of(remote.payload_types, local.codecs)
        why = remote.obstacle(_family(local))
        if why is None and not chosen.audio:
            why = "has no codec that is spoken here"
        if why is None:
            break
        obstacles.append(f"m-line {at + 1} {why}")
    else:
        what = "; ".join(obstacles[:_TOLD]) if obstacles else "there is no m-line"
        raise PeerError(488, f"no audio can be accepted: {what}")
    direction = remote.direction.mirror.within(local.direction)
    ptime = remote.ptime(local.ptime)
    lines = _Lines(chosen.listed, media.protocol, remote.rtcp_mux)
    answered = [m.refused() for m in offer.media]
    answered[at] = _audio(local, lines, direction, ptime)
    events = {number: codec.clock_rate for number, codec in chosen.events.items()}
    session = _session(
        remote, local, send=chosen, receive=chosen.audio, events=events, mux=remote.rtcp_mux
    )
    return _describe(local, answered, previous, 1), session


def read_answer(
    offer: SessionDescription, answer: SessionDescription, local: LocalAudio
) -> AudioSession:
    """Return what the peer's answer to our offer agrees on.

    Raises PeerError 488 when the answer does not fit the offer or refuses the audio. The numbers
    we send by are the answer's, those we receive by the offer's (RFC 3264 section 6.1); packets
    numbered as in the answer are understood too, since some peers mix them up.
    """
    if len(answer.media) != len(offer.media):
        raise PeerError(488, "the answer has another number of m-lines than the offer")
    at = next(i for i, m in enumerate(offer.media) if m.kind == "audio" and m.port)
    ours, remote = RemoteAudio(offer, offer.media[at]), RemoteAudio(answer, answer.media[at])
    why = remote.obstacle(_family(local))
    if why is None and remote.media.protocol != ours.media.protocol:
        why = "has another profile than the offer"
    if why is not None:
        raise PeerError(488, f"the answer is no use: m-line {at + 1} {why}")
    offered = ours.payload_types
    answered = remote.payload_types
    # A dynamic number without an rtpmap of its own means what the offer said.
    missing = {str(n): n for n in offered if n not in answered}
    answered |= {n: offered[n] for text, n in missing.items() if text in remote.media.formats}
    chosen = _Chosen.of(answered, local.codecs)
    if not chosen.audio:
        raise PeerError(488, "the answer has no codec of the offer")
    mine = _Chosen.of(offered, local.codecs)
    receive = chosen.audio | mine.audio
    events = {n: c.clock_rate for n, c in (chosen.events | mine.events).items()}
    return _session(
        remote,
        local,
        send=chosen,
        receive={n: c for n, c in receive.items() if n not in mine.events},
        events={n: rate for n, rate in events.items() if n not in mine.audio},
        mux=ours.rtcp_mux and remote.rtcp_mux,
    )


@dataclass(frozen=True, slots=True)
class _Chosen:
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
    def of(cls, offered: Mapping[int, Codec], known: tuple[Codec, ...]) -> _Chosen:
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


def _session(
    remote: RemoteAudio,
    local: LocalAudio,
    *,
    send: _Chosen,
    receive: Mapping[int, Codec],
    events: Mapping[int, int],
    mux: bool,
) -> AudioSession:
    number, codec = next(iter(send.audio.items()))
    event = next(iter(send.listed_events.items()), None)
    noise = set(send.noise)
    if _COMFORT_NOISE not in receive and _COMFORT_NOISE not in events:
        noise.add(_COMFORT_NOISE)
    return AudioSession(
        remote_rtp=remote.rtp,
        remote_rtcp=remote.rtp if mux else remote.rtcp,
        rtcp_mux=mux,
        receive=MappingProxyType(dict(receive)),
        send_payload_type=number,
        send_codec=codec,
        receive_events=MappingProxyType(dict(events)),
        send_events=None if event is None else (event[0], event[1].clock_rate),
        comfort_noise=frozenset(noise),
        ptime=remote.ptime(local.ptime),
        direction=remote.direction.mirror.within(local.direction),
        held=not remote.direction.receives,
    )


def _numbers(codecs: tuple[Codec, ...], used: Mapping[int, Codec]) -> dict[int, Codec]:
    """Give every codec a number: the one it has in this call, its static one, a free one.

    A number once used for one codec is not used for another (RFC 3264 section 8.3.2).
    """
    known: dict[Codec, int] = {}
    for number, codec in used.items():
        known.setdefault(codec, number)
    event = next((n for n, codec in used.items() if codec.is_event), None)
    static = {codec: number for number, codec in STATIC.items() if number not in used}
    free = (number for number in _DYNAMIC if number not in used)
    numbers: dict[int, Codec] = {}
    for codec in codecs:
        if codec.is_event and event is not None:
            numbers[event] = used[event]
            continue
        chosen = known.get(codec, static.get(codec))
        if chosen is None:
            chosen = next(free, None)
        if chosen is not None:  # a peer that used up all numbers goes without this codec
            numbers[chosen] = codec
    return numbers


@dataclass(frozen=True, slots=True)
class _Lines:
    """What an audio m-line of ours is written from."""

    numbers: Mapping[int, Codec]
    protocol: str = "RTP/AVP"
    rtcp_mux: bool = False


def _audio(local: LocalAudio, lines: _Lines, direction: Direction, ptime: int) -> Media:
    """Write our m-line with everything under it."""
    attributes: list[Attribute] = []
    for number, codec in lines.numbers.items():
        attributes.append(Attribute("rtpmap", f"{number} {codec}"))
        if codec.is_event:
            attributes.append(Attribute("fmtp", f"{number} {_EVENTS}"))
    attributes.append(Attribute("ptime", str(ptime)))
    if lines.rtcp_mux:
        attributes.append(Attribute("rtcp-mux"))
    attributes.append(Attribute(direction.value))
    return Media(
        kind="audio",
        port=local.port,
        protocol=lines.protocol,
        formats=tuple(str(number) for number in lines.numbers),
        attributes=tuple(attributes),
    )


def _describe(
    local: LocalAudio, media: list[Media], previous: SessionDescription | None, version: int
) -> SessionDescription:
    """Put our session part above `media`, with the right version (RFC 3264 section 8)."""
    connection = Connection.of(local.address)
    origin = Origin(
        session_id=str(local.session_id),
        version=version if previous is None else previous.origin.version,
        host=local.address,
        address_type=connection.address_type,
    )
    description = SessionDescription(origin=origin, connection=connection, media=tuple(media))
    if previous is None or description == previous:
        return description
    return replace(description, origin=replace(origin, version=origin.version + 1))


def _family(local: LocalAudio) -> int:
    return ip_address(local.address).version
