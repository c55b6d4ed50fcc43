"""Which keys an offer and its answer agree on (RFC 4568 section 5)."""

from __future__ import annotations

from dataclasses import replace

from .crypto import OFFERED, SUITES, CryptoLine, Encryption, MediaKeys
from .refusal import Obstacle, WarnCode
from .remote import RemoteAudio
from .session import LocalAudio


def encryption_obstacle(remote: RemoteAudio, encryption: Encryption) -> Obstacle | None:
    """Say why an offered m-line cannot be used, as far as keys go."""
    if remote.secure and encryption is Encryption.OFF:
        what = "needs the profile RTP/AVP: nothing is encrypted here"
        return Obstacle(what, WarnCode.TRANSPORT_PROTOCOL)
    if remote.secure and not remote.crypto:
        return Obstacle("has no a=crypto that can be used here", WarnCode.OTHER)
    if encryption is Encryption.REQUIRED and not remote.crypto:
        what = "is not encrypted, and here RTP/SAVP with a=crypto must be"
        return Obstacle(what, WarnCode.TRANSPORT_PROTOCOL)
    return None


def own_lines(local: LocalAudio) -> tuple[CryptoLine, ...]:
    """Return the keys of a first offer."""
    if local.encryption is Encryption.OFF:
        return ()
    return tuple(
        CryptoLine(str(number), suite, local.random_bytes(SUITES[suite]))
        for number, suite in enumerate(OFFERED, 1)
    )


def take_up(
    theirs: CryptoLine, local: LocalAudio, keys: MediaKeys | None
) -> tuple[MediaKeys, CryptoLine]:
    """Return the keys that answer an offered line, and the line of the answer."""
    agreed = MediaKeys(theirs.suite, b"", theirs.key, theirs.mki)
    same = keys is not None and replace(keys, ours=b"") == agreed
    key = keys.ours if keys is not None and same else local.random_bytes(SUITES[theirs.suite])
    return replace(agreed, ours=key), CryptoLine(theirs.tag, theirs.suite, key)


def agreed_keys(offered: list[CryptoLine], answered: list[CryptoLine]) -> MediaKeys | None:
    """Return the keys of an offer of ours and its answer; None if it takes up none of them."""
    for theirs in answered:
        for ours in offered:
            if (ours.tag, ours.suite) == (theirs.tag, theirs.suite):
                return MediaKeys(ours.suite, ours.key, theirs.key, theirs.mki)
    return None
