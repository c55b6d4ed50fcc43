"""Phones that speak SRTP, with their keys in SDP (RFC 4568)."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from typing import Any

from pylibsrtp import Error, Session

from .callee import Callee
from .phone import Heard, Phone
from .srtp import line, lines_in, new_key, opening, sealing
from .talker import Timed


class SecurePhone(Phone):
    """A phone with keys of its own; what it hears is opened, and where that fails counted."""

    profile = "RTP/SAVP"
    """Of its offers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.suite = "AES_CM_128_HMAC_SHA1_80"
        self.unopened = 0
        """Packets that could not be opened."""
        self.rekey()
        super().__init__(*args, **kwargs)

    def rekey(self) -> None:
        """Seal with another key from now on; an offer tells it."""
        self.key = new_key(self.suite)
        self.sealer: Session | None = sealing(self.key, self.suite)
        self.opener: Session | None = None
        self._theirs = b""

    @property
    def encrypted(self) -> bool:
        """Whether the far end has told its key."""
        return self.opener is not None

    def offer(self, direction: str = "sendrecv", version: int = 1) -> bytes:
        """See `Phone.offer`."""
        plain = super().offer(direction, version).replace(b"RTP/AVP", self.profile.encode())
        return plain + f"{line(self.key, self.suite)}\r\n".encode()

    async def say(self, packets: Iterable[Timed], *, source: socket.socket | None = None) -> float:
        """See `Phone.say`."""
        ordered = sorted(packets, key=lambda timed: timed.arrival)
        return await super().say([self._sealed(timed) for timed in ordered], source=source)

    def _sealed(self, timed: Timed) -> Timed:
        if self.opener is None or self.sealer is None:
            return timed
        return Timed(timed.arrival, self.sealer.protect(timed.packet))

    def _follow(self, sdp: bytes) -> None:
        super()._follow(sdp)
        theirs = next((key for _, suite, key in lines_in(sdp) if suite == self.suite), b"")
        if theirs != self._theirs:
            self._theirs = theirs
            self.opener = opening(theirs, self.suite) if theirs else None

    def _hear(self) -> None:
        while True:
            try:
                data, source = self.rtp.recvfrom(2048)
                if self.opener is not None:
                    data = self.opener.unprotect(data)
            except OSError:
                return
            except Error:
                self.unopened += 1
                continue
            self.heard.append(Heard(time.monotonic(), source, data))


class SecureCallee(SecurePhone, Callee):
    """One who is called, and takes up the keys it is offered."""

    def answering(self, direction: str = "sendrecv") -> bytes:
        """See `Callee.answering`."""
        offered = self.invite_heard.body
        answer = super().answering(direction)
        for tag, suite, _ in lines_in(offered):
            if suite == self.suite:
                if b"RTP/SAVP" in offered:
                    answer = answer.replace(b"RTP/AVP", b"RTP/SAVP")
                return answer + f"{line(self.key, suite, int(tag))}\r\n".encode()
        return answer
