"""Whether a call is encrypted: what it asks for, and what its way allows."""

from __future__ import annotations

import asyncio

from ..rtp import srtp
from ..sdp.crypto import Encryption
from .dialing import NotDialled


def encryption_of(asked: str, trunk: Encryption | None, server: Encryption) -> Encryption:
    """Return how a call is to be offered; NotDialled when that cannot be.

    `asked` is `mandatory`, `optional` or `forbidden` (contract A8); `trunk` what is set for the
    way it takes, None: nothing, so that what is set for the `server` holds.
    """
    key = "rtp.encryption" if trunk is None else "trunks[].encryption"
    allowed = server if trunk is None else trunk
    if asked == "mandatory":
        if allowed is Encryption.OFF:
            raise NotDialled(f"encryption: mandatory cannot be kept: {key} is off")
        return Encryption.REQUIRED
    if asked == "forbidden":
        if allowed is Encryption.REQUIRED:
            raise NotDialled(f"encryption: forbidden cannot be kept: {key} is required")
        return Encryption.OFF
    return allowed


async def make_ready(encryption: Encryption, offer: bytes = b"") -> None:
    """Load what encrypts, beside the loop, if a call may need it that begins with this offer.

    Without one, the offer is ours, and has keys in it.
    """
    wanted = encryption is not Encryption.OFF and (not offer or b"a=crypto" in offer)
    if wanted and not srtp.loaded():
        await asyncio.to_thread(srtp.load)
