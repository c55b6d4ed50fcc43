"""A far end's own SRTP, by libsrtp without anything of the server's."""

from __future__ import annotations

import base64
import re
import secrets

from pylibsrtp import Policy, Session

PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    "AES_CM_128_HMAC_SHA1_32": (Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 30),
    "AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    "AEAD_AES_256_GCM": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
}
"""What a suite is called in libsrtp, and the octets of its master key and salt."""


def new_key(suite: str = "AES_CM_128_HMAC_SHA1_80") -> bytes:
    """Return a master key and salt."""
    return secrets.token_bytes(PROFILES[suite][1])


def sealing(key: bytes, suite: str = "AES_CM_128_HMAC_SHA1_80") -> Session:
    """Return what seals packets; its counters begin at zero."""
    return Session(Policy(key, Policy.SSRC_ANY_OUTBOUND, srtp_profile=PROFILES[suite][0]))


def opening(key: bytes, suite: str = "AES_CM_128_HMAC_SHA1_80") -> Session:
    """Return what opens them."""
    policy = Policy(key, Policy.SSRC_ANY_INBOUND, srtp_profile=PROFILES[suite][0])
    policy.window_size = 1024
    return Session(policy)


def line(key: bytes, suite: str = "AES_CM_128_HMAC_SHA1_80", tag: int = 1) -> str:
    """Return the `a=crypto` that tells a key."""
    return f"a=crypto:{tag} {suite} inline:{base64.b64encode(key).decode()}"


def lines_in(sdp: bytes) -> list[tuple[str, str, bytes]]:
    """Return tag, suite and key of every `a=crypto`."""
    found = re.findall(rb"^a=crypto:(\S+) (\S+) inline:([^|\s]+)", sdp, re.MULTILINE)
    return [(tag.decode(), suite.decode(), base64.b64decode(key)) for tag, suite, key in found]
