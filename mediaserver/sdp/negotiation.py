"""Offers and answers for one audio stream (RFC 3264).

Of several m-lines the first audio one we can use is taken; the others keep their place with port
0. An answer lists formats by the offer's numbers and in the offer's order (section 6.1), but either
G.711 or what is dearer to hear, as our own list begins (`formats.Formats.preferred`). A later
offer of ours keeps the m-lines and the meaning of every number (section 8). The version in `o=`
goes up by one when, and only when, something else changed.

Where encryption is optional, keys in an offer of plain RTP are taken up, and ours are made so: who
does not know `a=crypto` answers without it, and speaks plain RTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final

from .codec import OPUS, Codec
from .crypto import CryptoLine, Encryption, MediaKeys
from .description import Attribute, Connection, Media, Origin, SessionDescription
from .direction import Direction
from .formats import Formats, number_codecs
from .keying import agreed_keys, encryption_obstacle, own_lines, take_up
from .refusal import DescriptionRefused, Obstacle, WarnCode
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

_EVENTS: Final = "0-15"
"""The ten digits, `*`, `#` and A to D (RFC 4733 section 3.2)."""

_WIDE: Final = "maxplaybackrate=16000;sprop-maxcapturerate=16000"
"""Of Opus no more is heard, recorded and sent than a telephone's band (RFC 7587 section 6.1)."""

_OPUS_PTIMES: Final = (60, 40, 20, 10)
"""Milliseconds of a frame of Opus as long as our packets may be."""

_LONGEST: Final = 120
"""Milliseconds of the longest packet that is decoded."""

_COMFORT_NOISE: Final = 13

_TOLD: Final = 4  # m-lines whose fault is named in an error


def make_offer(
    local: LocalAudio, previous: SessionDescription | None = None, *, version: int = 1
) -> SessionDescription:
    """Return our offer; `previous` is what we said last in this call, `version` for the first.

    For an INVITE or re-INVITE that brought no offer, and for calls we make.
    """
    if previous is None:
        protocol = "RTP/SAVP" if local.encryption is Encryption.REQUIRED else "RTP/AVP"
        lines = _Lines(number_codecs(local.codecs, {}), protocol, crypto=own_lines(local))
        media = [_audio(local, lines, local.direction, local.ptime)]
        return _describe(local, media, None, version)
    media = [m.refused() for m in previous.media]
    at = next((i for i, m in enumerate(previous.media) if m.kind == "audio" and m.port), None)
    before = previous.media[at] if at is not None else None
    said = RemoteAudio(previous, before) if before is not None else None
    lines = _Lines(
        number_codecs(local.codecs, said.payload_types if said else {}),
        before.protocol if before else "RTP/AVP",
        # The same keys, so that nobody's counters begin anew.
        crypto=tuple(said.crypto) if said else (),
    )
    audio = _audio(local, lines, local.direction, local.ptime)
    if at is None:
        media.append(audio)
    else:
        media[at] = audio
    return _describe(local, media, previous, version)


def make_answer(
    offer: SessionDescription,
    local: LocalAudio,
    previous: SessionDescription | None = None,
    keys: MediaKeys | None = None,
) -> tuple[SessionDescription, AudioSession]:
    """Return our answer and what it agrees on; `previous` is what we said last in this call.

    `keys` are those in use. Ours stays while the peer's does; with another there may be another
    peer, who counts from zero.
    Raises DescriptionRefused 488 when none of the m-lines is audio we can take.
    """
    obstacles: list[tuple[int, Obstacle]] = []
    for at, media in enumerate(offer.media):
        remote = RemoteAudio(offer, media)
        chosen = Formats.preferred(remote.payload_types, local.codecs)
        why = remote.obstacle(_family(local))
        if why is None and not chosen.audio:
            why = Obstacle("has no codec that is spoken here", WarnCode.MEDIA_FORMAT)
        if why is None:
            why = encryption_obstacle(remote, local.encryption)
        if why is None:
            break
        obstacles.append((at + 1, why))
    else:
        raise _no_audio(obstacles)
    direction = remote.direction.mirror.within(local.direction)
    ptime = _packet_time(next(iter(chosen.audio.values())), remote.ptime(local.ptime))
    crypto: tuple[CryptoLine, ...] = ()
    if local.encryption is not Encryption.OFF and remote.crypto:
        keys, own = take_up(remote.crypto[0], local, keys)
        crypto = (own,)
    else:
        keys = None
    lines = _Lines(chosen.listed, media.protocol, remote.rtcp_mux, crypto)
    answered = [m.refused() for m in offer.media]
    answered[at] = _audio(local, lines, direction, ptime)
    events = {number: codec.clock_rate for number, codec in chosen.events.items()}
    session = _session(
        remote, local, send=chosen, receive=chosen.audio, events=events, mux=remote.rtcp_mux,
        keys=keys,
    )  # fmt: skip
    return _describe(local, answered, previous, 1), session


def read_answer(
    offer: SessionDescription, answer: SessionDescription, local: LocalAudio
) -> AudioSession:
    """Return what the peer's answer to our offer agrees on.

    Raises DescriptionRefused 488 when the answer does not fit the offer or refuses the audio. The
    numbers we send by are the answer's, those we receive by the offer's (RFC 3264 section 6.1);
    packets numbered as in the answer are understood too, since some peers mix them up.
    """
    if len(answer.media) != len(offer.media):
        raise DescriptionRefused(488, "the answer has another number of m-lines than the offer")
    at = next(i for i, m in enumerate(offer.media) if m.kind == "audio" and m.port)
    ours, remote = RemoteAudio(offer, offer.media[at]), RemoteAudio(answer, answer.media[at])
    why = remote.obstacle(_family(local))
    if why is None and remote.media.protocol != ours.media.protocol:
        why = Obstacle("has another profile than the offer", WarnCode.TRANSPORT_PROTOCOL)
    keys = agreed_keys(ours.crypto, remote.crypto)
    if why is None and ours.secure and keys is None:
        why = Obstacle("has no a=crypto that takes up one of the offer", WarnCode.OTHER)
    if why is not None:
        reason = f"the answer is no use: m-line {at + 1} {why.why}"
        raise DescriptionRefused(488, reason, why.code)
    offered = ours.payload_types
    answered = remote.payload_types
    # A dynamic number without an rtpmap of its own means what the offer said.
    missing = {str(n): n for n in offered if n not in answered}
    answered |= {n: offered[n] for text, n in missing.items() if text in remote.media.formats}
    chosen = Formats.of(answered, local.codecs)
    if not chosen.audio:
        reason = "the answer has no codec of the offer"
        raise DescriptionRefused(488, reason, WarnCode.MEDIA_FORMAT)
    mine = Formats.of(offered, local.codecs)
    # What is dear to hear is listened for only if the answer has it.
    receive = chosen.audio | {
        n: c for n, c in mine.audio.items() if c.is_g711 or c in chosen.audio.values()
    }
    events = {n: c.clock_rate for n, c in (chosen.events | mine.events).items()}
    return _session(
        remote,
        local,
        send=Formats.preferred(answered, local.codecs),
        receive={n: c for n, c in receive.items() if n not in mine.events},
        events={n: rate for n, rate in events.items() if n not in mine.audio},
        mux=ours.rtcp_mux and remote.rtcp_mux,
        keys=keys,
    )


def _no_audio(obstacles: list[tuple[int, Obstacle]]) -> DescriptionRefused:
    """Return the error for an offer of whose m-lines, counted from 1, each has an obstacle.

    The code is that of the first one that is audio: video beside it was not to be had anyway.
    """
    if not obstacles:
        reason = "no audio can be accepted: there is no m-line"
        return DescriptionRefused(488, reason, WarnCode.MEDIA_TYPE)
    told = "; ".join(f"m-line {number} {found.why}" for number, found in obstacles[:_TOLD])
    codes = (found.code for _, found in obstacles if found.code is not WarnCode.MEDIA_TYPE)
    code = next(codes, WarnCode.MEDIA_TYPE)
    return DescriptionRefused(488, f"no audio can be accepted: {told}", code)


def _session(
    remote: RemoteAudio,
    local: LocalAudio,
    *,
    send: Formats,
    receive: Mapping[int, Codec],
    events: Mapping[int, int],
    mux: bool,
    keys: MediaKeys | None,
) -> AudioSession:
    number, codec = next(iter(send.audio.items()))
    event = send.events_beside(codec)
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
        ptime=_packet_time(codec, remote.ptime(local.ptime)),
        direction=remote.direction.mirror.within(local.direction),
        held=not remote.direction.receives,
        keys=keys,
    )


@dataclass(frozen=True, slots=True)
class _Lines:
    """What an audio m-line of ours is written from."""

    numbers: Mapping[int, Codec]
    protocol: str = "RTP/AVP"
    rtcp_mux: bool = False
    crypto: tuple[CryptoLine, ...] = ()


def _audio(local: LocalAudio, lines: _Lines, direction: Direction, ptime: int) -> Media:
    """Write our m-line with everything under it."""
    attributes: list[Attribute] = []
    for number, codec in lines.numbers.items():
        attributes.append(Attribute("rtpmap", f"{number} {codec}"))
        if codec.is_event:
            attributes.append(Attribute("fmtp", f"{number} {_EVENTS}"))
        elif codec == OPUS:
            attributes.append(Attribute("fmtp", f"{number} {_WIDE}"))
    attributes.append(Attribute("ptime", str(ptime)))
    if not all(c.is_g711 or c.is_event or c.is_comfort_noise for c in lines.numbers.values()):
        attributes.append(Attribute("maxptime", str(_LONGEST)))
    if lines.rtcp_mux:
        attributes.append(Attribute("rtcp-mux"))
    attributes += (Attribute("crypto", str(line)) for line in lines.crypto)
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


def _packet_time(codec: Codec, wanted: int) -> int:
    """Return the milliseconds of our packets: those wanted, or of Opus the next shorter frame."""
    return next(ms for ms in _OPUS_PTIMES if ms <= wanted) if codec == OPUS else wanted


def _family(local: LocalAudio) -> int:
    return ip_address(local.address).version
