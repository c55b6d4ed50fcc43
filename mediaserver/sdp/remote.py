"""What the peer's description says about one of its m-lines, inheritance applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from .codec import Codec, codec_table
from .crypto import CryptoLine, crypto_lines
from .description import Connection, Media, SessionDescription
from .direction import Direction
from .refusal import Obstacle, WarnCode
from .session import MAX_PTIME, MIN_PTIME

PROFILES: Final = frozenset({"RTP/AVP", "RTP/AVPF"})
"""Plain RTP, with or without early feedback (RFC 4585), which we need not send."""

SECURE_PROFILES: Final = frozenset({"RTP/SAVP", "RTP/SAVPF"})
"""SRTP (RFC 3711), likewise, with keys in the description. Those that agree on keys along the
media's own way (`UDP/TLS/RTP/SAVPF`) are refused."""

_MUX_CONFLICT: Final = range(64, 96)
"""Payload types that look like RTCP on a shared port (RFC 5761 section 4)."""


@dataclass(frozen=True, slots=True)
class RemoteAudio:
    """One m-line of the peer."""

    description: SessionDescription
    media: Media

    @property
    def payload_types(self) -> dict[int, Codec]:
        """The codecs it lists, in its order of preference."""
        return codec_table(self.media.formats, self.media.values("rtpmap"))

    @property
    def connection(self) -> Connection | None:
        """Where it wants its media."""
        return self.description.connection_of(self.media)

    @property
    def direction(self) -> Direction:
        """Its direction as it means it; sendrecv when none is written (RFC 8866 6.7).

        `c=0.0.0.0` takes nothing, whatever the attribute says (RFC 3264 8.4).
        """
        stated = self._stated_direction()
        connection = self.connection
        if connection is not None and connection.is_nowhere:
            return stated.within(Direction.SENDONLY)
        return stated

    def _stated_direction(self) -> Direction:
        for attributes in (self.media.attributes, self.description.attributes):
            for attribute in attributes:
                name = attribute.name.lower()
                if name in _DIRECTIONS:
                    return _DIRECTIONS[name]
        return Direction.SENDRECV

    @property
    def rtp(self) -> tuple[str, int] | None:
        """Where our RTP goes, None for nowhere."""
        connection = self.connection
        if connection is None or connection.is_nowhere:
            return None
        return connection.host, self.media.port

    @property
    def rtcp(self) -> tuple[str, int] | None:
        """Where our RTCP goes: as `a=rtcp` says (RFC 3605), else the port after RTP's."""
        rtp = self.rtp
        if rtp is None:
            return None
        for value in self.media.values("rtcp"):
            port, _, address = value.strip().partition(" ")
            if port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65_536:
                host = _rtcp_host(address, self.connection) if address else rtp[0]
                if host is not None:
                    return host, int(port)
        return (rtp[0], rtp[1] + 1) if rtp[1] < 65_535 else None

    @property
    def rtcp_mux(self) -> bool:
        """Whether it can do with one port; not when a payload type would look like RTCP."""
        offered = any(True for _ in self.media.values("rtcp-mux"))
        return offered and not any(number in _MUX_CONFLICT for number in self.payload_types)

    @property
    def secure(self) -> bool:
        """Whether it speaks SRTP and nothing else."""
        return self.media.protocol in SECURE_PROFILES

    @property
    def crypto(self) -> list[CryptoLine]:
        """Its keys, one for each suite it could do, best first."""
        return list(crypto_lines(self.media.values("crypto")))

    def ptime(self, default: int) -> int:
        """Milliseconds a packet we send it: its ptime or `default`, within its maxptime."""
        wanted = self._milliseconds("ptime") or default
        longest = self._milliseconds("maxptime") or MAX_PTIME
        return max(MIN_PTIME, min(wanted, longest, MAX_PTIME))

    def _milliseconds(self, name: str) -> int | None:
        """Read a ptime; a fraction is cut off (RFC 8866 6.4 allows one). 0 is nothing."""
        for value in self.description.values(name, self.media):
            whole = value.strip().partition(".")[0]
            if whole.isascii() and whole.isdigit() and len(whole) <= 6:
                return int(whole) or None
        return None

    def obstacle(self, family: int) -> Obstacle | None:
        """Say why this m-line cannot be used by a side whose address is IPv`family`, or None."""
        media, connection = self.media, self.connection
        if media.kind != "audio":
            return Obstacle("is not audio", WarnCode.MEDIA_TYPE)
        if media.port == 0:
            return Obstacle("has port 0", WarnCode.OTHER)
        if media.protocol not in PROFILES | SECURE_PROFILES:
            what = "needs a profile other than RTP/AVP and RTP/SAVP"
            return Obstacle(what, WarnCode.TRANSPORT_PROTOCOL)
        if connection is None:
            return Obstacle("has no c= line", WarnCode.OTHER)
        if connection.network != "IN":
            return Obstacle("is not on the Internet", WarnCode.NETWORK_PROTOCOL)
        address = connection.address
        if address is None or connection.is_nowhere:
            return None
        if address.is_multicast or str(address) == "255.255.255.255":
            return Obstacle("asks for multicast or broadcast", WarnCode.MULTICAST)
        if address.version != family:
            return Obstacle("has an address of the other IP version", WarnCode.ADDRESS_FORMAT)
        return None


_DIRECTIONS: Final[Mapping[str, Direction]] = MappingProxyType({d.value: d for d in Direction})


def _rtcp_host(text: str, rtp: Connection | None) -> str | None:
    """Return the host of `IN IP4 192.0.2.1`, or None if RTCP beside `rtp` cannot go there."""
    fields = text.split()
    if len(fields) != 3 or fields[0].upper() != "IN":
        return None
    connection = Connection(fields[2], fields[1].upper())
    address = connection.address
    if address is None or connection.is_nowhere or address.is_multicast:
        return None
    beside = rtp.address if rtp is not None else None
    return connection.host if beside is None or beside.version == address.version else None
