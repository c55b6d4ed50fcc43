"""Why a session description cannot be accepted, in the codes SIP has for that (RFC 3261 20.43)."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from ..errors import PeerError


class WarnCode(IntEnum):
    """What was found wrong, for a Warning header field."""

    NETWORK_PROTOCOL = 300
    ADDRESS_FORMAT = 301
    TRANSPORT_PROTOCOL = 302
    MEDIA_TYPE = 304
    MEDIA_FORMAT = 305
    MULTICAST = 330
    OTHER = 399


class Obstacle(NamedTuple):
    """Why an m-line is of no use."""

    why: str
    """Goes on after the m-line's name: `is not audio`."""
    code: WarnCode


class DescriptionRefused(PeerError):
    """An offer or an answer that is none (400), or that we cannot accept (488).

    Its sentence speaks of what the peer wrote and of nothing else, so it may be told to the peer.
    """

    def __init__(self, status: int, reason: str, code: WarnCode = WarnCode.OTHER) -> None:
        super().__init__(status, reason)
        self.code = code
