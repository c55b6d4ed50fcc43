"""SRTP and SRTCP of one leg (RFC 3711, RFC 7714): opening the far end's packets, sealing ours.

The work is libsrtp's, through `pylibsrtp`. That takes 5 MiB, and some 20 ms to load: `load` does it
where nobody is kept waiting; else the first encrypted leg does.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

WINDOW: Final = 128
"""Packets behind the newest that are told from replayed ones; RFC 3711 3.3.2 wants 64 or more."""

OVERLAP: Final = 128
"""Packets opened by new keys after which the former ones open no more."""

_FORMER: Final = 2
"""Former keys that are kept: a far end that changes them faster than it sends has lost those."""

_STREAMS: Final = 32
"""Streams of one far end, by SSRC; with more, the one longest silent is forgotten."""

_RTP_HEADER: Final = 12
_RTCP_HEADER: Final = 8
_INDEX: Final = 4  # octets of the E flag and index behind an SRTCP packet


class _Shape(NamedTuple):
    """What a suite's packets look like at their ends, in octets."""

    profile: str
    """Its name in pylibsrtp."""
    tag: int
    """Of the tag behind an RTP packet's MKI; 0: it is part of the ciphertext before that."""
    report_tag: int
    """Likewise behind an RTCP packet's."""
    shortest: int
    """What a packet is longer by than what is in it."""


_SHAPES: Final = MappingProxyType(
    {
        "AES_CM_128_HMAC_SHA1_80": _Shape("SRTP_PROFILE_AES128_CM_SHA1_80", 10, 10, 10),
        # The tag of SRTCP has 80 bits all the same (RFC 4568 section 6.2.2).
        "AES_CM_128_HMAC_SHA1_32": _Shape("SRTP_PROFILE_AES128_CM_SHA1_32", 4, 10, 4),
        "AEAD_AES_128_GCM": _Shape("SRTP_PROFILE_AEAD_AES_128_GCM", 0, 0, 16),
        "AEAD_AES_256_GCM": _Shape("SRTP_PROFILE_AEAD_AES_256_GCM", 0, 0, 16),
    }
)


@dataclass(frozen=True, slots=True)
class Keys:
    """The master keys of both ways, each with its salt behind it."""

    suite: str
    """Name of a suite as RFC 4568 and RFC 7714 have it, one of those that `sdp.crypto` knows."""
    ours: bytes = field(repr=False)
    """What we seal with."""
    theirs: bytes = field(repr=False)
    """What the far end does."""
    mki: bytes = b""
    """What it may put into its packets to name that key (RFC 3711 section 3.1)."""


@cache
def load() -> Any:
    """Load libsrtp, and return its module."""
    import pylibsrtp

    return pylibsrtp


def loaded() -> bool:
    """Tell whether `load` has nothing to do."""
    return bool(load.cache_info().currsize)


class SrtpCipher:
    """The keys of a leg, in use (a `net.second_lane.Cipher`). Nothing it is given makes it raise.

    It knows streams by their SSRC, each with its own rollover counter and list of what was heard
    (RFC 3711 section 3.2.3): a far end may begin another stream at any time. None is what any
    method returns for a packet that cannot be opened, or sealed.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._ours = _Sealing(keys)
        self._theirs = _Opening(keys)
        self._former: list[_Opening] = []
        self._overlap = 0

    @property
    def suite(self) -> str:
        """Name of the suite in use."""
        return self._keys.suite

    def renew(self, keys: Keys) -> None:
        """Go on with what was agreed now. What stays the same keeps its counters.

        Packets that the far end sealed before it knew of new keys are opened by the former ones
        until `OVERLAP` packets came under the new.
        """
        before, self._keys = self._keys, keys
        if (keys.suite, keys.ours) != (before.suite, before.ours):
            self._ours = _Sealing(keys)
        if not self._theirs.opens_by(keys):
            known = [self._theirs, *self._former]
            # Keys that come back keep what they have heard: nothing of it may be played again.
            again = next((opening for opening in known if opening.opens_by(keys)), None)
            self._theirs = again or _Opening(keys)
            self._former = [opening for opening in known if opening is not again][:_FORMER]
            self._overlap = OVERLAP

    def open(self, datagram: bytes) -> bytes | None:
        """Return the RTP packet in a datagram; None if it is not the far end's, or was heard."""
        packet = self._theirs.open(datagram)
        if not self._former:
            return packet
        if packet is not None:
            self._pass_overlap()
            return packet
        packets = (former.open(datagram) for former in self._former)
        return next((packet for packet in packets if packet is not None), None)

    def open_report(self, datagram: bytes) -> bytes | None:
        """Return the RTCP packet in a datagram; None as above."""
        openings = (self._theirs, *self._former)
        packets = (opening.open_report(datagram) for opening in openings)
        return next((packet for packet in packets if packet is not None), None)

    def seal(self, datagram: bytes) -> bytes | None:
        """Return an RTP packet as it is sent."""
        return self._ours.seal(datagram)

    def seal_report(self, datagram: bytes) -> bytes | None:
        """Return an RTCP packet as it is sent."""
        return self._ours.seal_report(datagram)

    def _pass_overlap(self) -> None:
        self._overlap -= 1
        if self._overlap <= 0:
            self._former.clear()


class _Sealing:
    """Seals by one key."""

    def __init__(self, keys: Keys) -> None:
        library = load()
        self._failures = library.Error, ValueError  # the latter: too long
        policy = _policy(keys.suite, keys.ours)
        policy.ssrc_type = policy.SSRC_ANY_OUTBOUND
        session = library.Session(policy)
        self._protect, self._protect_rtcp = session.protect, session.protect_rtcp

    def seal(self, packet: bytes) -> bytes | None:
        try:
            sealed: bytes = self._protect(packet)
        except self._failures:
            return None
        return sealed

    def seal_report(self, packet: bytes) -> bytes | None:
        try:
            sealed: bytes = self._protect_rtcp(packet)
        except self._failures:
            return None
        return sealed


class _Opening:
    """Opens what was sealed by one key of the far end."""

    def __init__(self, keys: Keys) -> None:
        library = load()
        self._failures = library.Error, ValueError
        self._by = keys.suite, keys.theirs, keys.mki
        self._shape = _SHAPES[keys.suite]
        self._mki = keys.mki
        policy = _policy(keys.suite, keys.theirs)
        policy.ssrc_type = policy.SSRC_ANY_INBOUND
        self._session = library.Session(policy)
        self._streams: dict[bytes, None] = {}
        self._last = b""

    def opens_by(self, keys: Keys) -> bool:
        """Tell whether this is what opens by those keys."""
        return self._by == (keys.suite, keys.theirs, keys.mki)

    def open(self, datagram: bytes) -> bytes | None:
        if self._mki:
            datagram = self._without_mki(datagram, self._shape.tag)
        # libsrtp is handed nothing whose parts would overlap.
        if len(datagram) < _RTP_HEADER + self._shape.shortest:
            return None
        try:
            packet: bytes = self._session.unprotect(datagram)
        except self._failures:
            return None
        self._note(packet[8:12])
        return packet

    def open_report(self, datagram: bytes) -> bytes | None:
        if self._mki:
            datagram = self._without_mki(datagram, self._shape.report_tag)
        tag = self._shape.report_tag or self._shape.shortest
        if len(datagram) < _RTCP_HEADER + _INDEX + tag:
            return None
        try:
            packet: bytes = self._session.unprotect_rtcp(datagram)
        except self._failures:
            return None
        self._note(packet[4:8])
        return packet

    def _without_mki(self, datagram: bytes, tag: int) -> bytes:
        """Cut out the MKI, which no tag covers; some announce one and send none."""
        end = len(datagram) - tag
        start = end - len(self._mki)
        if start < 0 or datagram[start:end] != self._mki:
            return datagram
        return datagram[:start] + datagram[end:]

    def _note(self, ssrc: bytes) -> None:
        """Keep the streams within bounds. Only who has the key can begin one."""
        if ssrc == self._last:
            return
        self._last = ssrc
        self._streams.pop(ssrc, None)
        self._streams[ssrc] = None
        if len(self._streams) > _STREAMS:
            oldest = next(iter(self._streams))
            del self._streams[oldest]
            with contextlib.suppress(*self._failures):
                self._session.remove_stream(int.from_bytes(oldest, "big"))


def _policy(suite: str, master: bytes) -> Any:
    policy = load().Policy
    profile = getattr(policy, _SHAPES[suite].profile)
    made = policy(key=master, srtp_profile=profile)
    made.window_size = WINDOW
    return made
