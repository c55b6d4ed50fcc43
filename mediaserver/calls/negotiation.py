"""Offers and answers of one call: SDP on one side, its media leg on the other (RFC 3264)."""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import replace
from functools import lru_cache
from typing import Final

from ..errors import PeerError
from ..sdp.codec import G722, OPUS, PCMA, PCMU, Codec, with_events
from ..sdp.crypto import Encryption, MediaKeys
from ..sdp.description import SessionDescription
from ..sdp.negotiation import AudioSession, LocalAudio, make_answer, make_offer, read_answer
from ..sdp.refusal import DescriptionRefused, WarnCode
from .ports import MediaLeg

CODECS: Final = (PCMU, PCMA, G722, OPUS)
"""What this server speaks, best first, where nobody says otherwise."""


class Negotiation:
    """Answers the far end's offers for one leg, and makes ours when it brings none."""

    def __init__(
        self,
        leg: MediaLeg,
        signalling_host: str,
        encryption: Encryption = Encryption.OFF,
        codecs: tuple[Codec, ...] = CODECS,
    ) -> None:
        """`signalling_host` is where the far end's SIP comes from; its RTP may come from there.

        `encryption` says whether media may, or must, be encrypted. `codecs` are those that may be
        spoken, best first. Where that is G.711, our offers list no other (see `dialing.spoken`),
        unless another is spoken already or `limit` names it.
        """
        host, port = leg.address
        self._leg = leg
        self._signalling_host = signalling_host
        self._local = LocalAudio(
            address=host,
            port=port,
            codecs=with_events(codecs),
            session_id=secrets.randbits(31),
            encryption=encryption,
            random_bytes=secrets.token_bytes,
        )
        self._codecs = codecs
        self._offers_all = not codecs[0].is_g711
        self._keys: MediaKeys | None = None
        """Those in use."""
        self._said: SessionDescription | None = None
        self._offered: SessionDescription | None = None

    def respond(self, offer: bytes) -> bytes:
        """Return what answers `offer`, an SDP body; empty means: make an offer of our own.

        The leg follows the answer at once. Raises PeerError (400, 488) and changes nothing when
        the offer cannot be accepted.
        """
        if not offer:
            self._offered = make_offer(self._offering(), self._said)
            self._said = self._offered
            return str(self._offered).encode()
        description = SessionDescription.parse(offer)
        answer, session = make_answer(description, self._local, self._said, self._keys)
        self._check_reachable(session)
        self._said = answer
        self._connect(session)
        return str(answer).encode()

    def limit(self, codecs: tuple[str, ...]) -> None:
        """Speak only the codecs named, in that order; PeerError 488 if none is left."""
        named = named_codecs(codecs, self._codecs)
        if not named:
            reason = f"none of the codecs {', '.join(codecs)} is spoken here"
            raise DescriptionRefused(488, reason, WarnCode.MEDIA_FORMAT)
        self._local = replace(self._local, codecs=with_events(named))
        self._offers_all = True

    def accept(self, answer: bytes) -> None:
        """Take the far end's answer to our offer; PeerError if it does not fit."""
        if self._offered is None:
            return
        offered, self._offered = self._offered, None
        session = read_answer(offered, SessionDescription.parse(answer), self._local)
        self._check_reachable(session)
        self._connect(session)

    def preview(self, answer: bytes) -> None:
        """Take what a provisional response answers: what is heard until the final one comes."""
        if self._offered is None:
            return
        session = read_answer(self._offered, SessionDescription.parse(answer), self._local)
        self._check_reachable(session)
        self._connect(session)

    def _connect(self, session: AudioSession) -> None:
        self._keys = session.keys
        self._offers_all |= not session.send_codec.is_g711
        self._leg.connect(session, self._signalling_host)

    def offer(self) -> bytes:
        """Return an offer of ours, for a call we make."""
        return self.respond(b"")

    def _offering(self) -> LocalAudio:
        if self._offers_all:
            return self._local
        plain = tuple(codec for codec in self._codecs if codec.is_g711)
        return replace(self._local, codecs=with_events(plain))

    def _check_reachable(self, session: AudioSession) -> None:
        """Refuse an address that this leg's socket cannot send to."""
        if session.remote_rtp is None:
            return
        remote = _version(session.remote_rtp[0])
        if remote is None:
            reason = "the connection address in SDP must be an IP address"
            raise DescriptionRefused(488, reason, WarnCode.ADDRESS_FORMAT)
        if remote != _version(self._leg.address[0]):
            reason = "this server's media address is of the other IP version"
            raise DescriptionRefused(488, reason, WarnCode.ADDRESS_FORMAT)


def named_codecs(names: tuple[str, ...], known: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """Return those of the codecs known that are named, as `PCMU` or `OPUS@48000H@20I`, in order."""
    plain = [name.partition("@")[0].strip().upper() for name in names]
    found = [codec for name in plain for codec in known if codec.name.upper() == name]
    return tuple(dict.fromkeys(found))


def warning_of(error: PeerError) -> tuple[int, str] | None:
    """Return what the far end is told of its offer: the code and the text of a Warning.

    Any other error may speak of what is no business of its.
    """
    return (error.code, error.reason) if isinstance(error, DescriptionRefused) else None


@lru_cache(1024)
def _version(host: str) -> int | None:
    """Return the IP version of an address, None if it is none."""
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return None
