"""What one side brings to an offer or answer, and what both agreed on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from .codec import Codec
from .crypto import Encryption, MediaKeys
from .direction import Direction

MIN_PTIME: Final = 10  # ms; shorter packets cost more than they carry
MAX_PTIME: Final = 60  # ms; longer ones make a lost packet audible as a lost word


@dataclass(frozen=True, slots=True)
class LocalAudio:
    """Our side of one audio stream."""

    address: str
    """The IPv4 or IPv6 address the peer is told."""
    port: int
    """The RTP port; RTCP is on the next one unless both share it."""
    codecs: tuple[Codec, ...]
    """In order of preference. With TELEPHONE_EVENT among them DTMF is negotiated too, whatever
    clock rate the peer gives it; with COMFORT_NOISE the peer may send noise descriptions."""
    session_id: int
    """Of the `o=` line; the same through a call."""
    ptime: int = 20
    """Milliseconds a packet, unless the peer asks for something else."""
    direction: Direction = Direction.SENDRECV
    """What we are willing to do."""
    encryption: Encryption = Encryption.OFF
    random_bytes: Callable[[int], bytes] = bytes
    """Returns so many octets nobody can guess: keys are made of them. The default is for those
    who never encrypt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSession:
    """What an offer and its answer agree on, seen from our side."""

    remote_rtp: tuple[str, int] | None
    """Where our packets go; the host may be a DNS name. None: nowhere (`c=0.0.0.0`)."""
    remote_rtcp: tuple[str, int] | None
    rtcp_mux: bool
    """RTP and RTCP share a port (RFC 5761); `remote_rtcp` is `remote_rtp` then."""
    receive: Mapping[int, Codec]
    """Payload types we may get, and their audio codecs."""
    send_payload_type: int
    send_codec: Codec
    receive_events: Mapping[int, int]
    """Payload types of telephone-event we may get, and their clock rates in Hz."""
    send_events: tuple[int, int] | None
    """Payload type and clock rate of the events we send; None when the peer takes none."""
    comfort_noise: frozenset[int]
    """Payload types that describe noise: never decoded as audio (RFC 3389). 13 is one of them
    whether negotiated or not, unless an rtpmap gave that number to something else."""
    ptime: int
    """Milliseconds a packet of ours, 10 to 60."""
    direction: Direction
    """Ours: whether we send, whether we receive."""
    held: bool
    """The peer takes nothing from us for now: sendonly, inactive or `c=0.0.0.0`."""
    keys: MediaKeys | None = None
    """What both seal their packets with (RFC 3711); None: they are plain RTP."""
