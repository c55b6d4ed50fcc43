"""Offers and answers of one call: SDP on one side, its media leg on the other (RFC 3264)."""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import replace
from functools import lru_cache
from typing import Final

from ..errors import PeerError
from ..sdp.codec import PCMA, PCMU, TELEPHONE_EVENT
from ..sdp.description import SessionDescription
from ..sdp.negotiation import AudioSession, LocalAudio, make_answer, make_offer, read_answer
from .ports import MediaLeg

CODECS: Final = (PCMU, PCMA, TELEPHONE_EVENT)
"""What this server speaks, best first."""


class Negotiation:
    """Answers the far end's offers for one leg, and makes ours when it brings none."""

    def __init__(self, leg: MediaLeg, signalling_host: str) -> None:
        """`signalling_host` is where the far end's SIP comes from; its RTP may come from there."""
        host, port = leg.address
        self._leg = leg
        self._signalling_host = signalling_host
        self._local = LocalAudio(
            address=host, port=port, codecs=CODECS, session_id=secrets.randbits(31)
        )
        self._said: SessionDescription | None = None
        self._offered: SessionDescription | None = None

    def respond(self, offer: bytes) -> bytes:
        """Return what answers `offer`, an SDP body; empty means: make an offer of our own.

        The leg follows the answer at once. Raises PeerError (400, 488) and changes nothing when
        the offer cannot be accepted.
        """
        if not offer:
            self._offered = make_offer(self._local, self._said)
            self._said = self._offered
            return str(self._offered).encode()
        description = SessionDescription.parse(offer)
        answer, session = make_answer(description, self._local, self._said)
        self._check_reachable(session)
        self._said = answer
        self._leg.connect(session, self._signalling_host)
        return str(answer).encode()

    def limit(self, codecs: tuple[str, ...]) -> None:
        """Speak only the codecs named, in that order; PeerError 488 if none is left."""
        named = [codec for name in codecs for codec in CODECS if codec.name == name.upper()]
        if not named:
            raise PeerError(488, f"none of the codecs {', '.join(codecs)} is spoken here")
        self._local = replace(self._local, codecs=(*named, TELEPHONE_EVENT))

    def accept(self, answer: bytes) -> None:
        """Take the far end's answer to our offer; PeerError if it does not fit."""
        if self._offered is None:
            return
        offered, self._offered = self._offered, None
        session = read_answer(offered, SessionDescription.parse(answer), self._local)
        self._check_reachable(session)
        self._leg.connect(session, self._signalling_host)

    def preview(self, answer: bytes) -> None:
        """Take what a provisional response answers: what is heard until the final one comes."""
        if self._offered is None:
            return
        session = read_answer(self._offered, SessionDescription.parse(answer), self._local)
        self._check_reachable(session)
        self._leg.connect(session, self._signalling_host)

    def offer(self) -> bytes:
        """Return an offer of ours, for a call we make."""
        return self.respond(b"")

    def _check_reachable(self, session: AudioSession) -> None:
        """Refuse an address that this leg's socket cannot send to."""
        if session.remote_rtp is None:
            return
        remote = _version(session.remote_rtp[0])
        if remote is None:
            raise PeerError(488, "the connection address in SDP must be an IP address")
        if remote != _version(self._leg.address[0]):
            raise PeerError(488, "this server's media address is of the other IP version")


@lru_cache(1024)
def _version(host: str) -> int | None:
    """Return the IP version of an address, None if it is none."""
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return None
