"""How an application knows that a request is ours (contracts A11, B6), and that it is no replay.

SignalWire's two headers are hex HMACs of the URL followed by the body. They say nothing of when:
so the three headers of Standard Webhooks 1.0 go beside them, whose signature covers an id that is
the same over all attempts and the second of this one. Their secret is the same key, which a
receiver writes as `whsec_` and the base64 of it.

Enfonica's header is the base64 HMAC-SHA256 of URL, event and body under a key of 64 octets.
"""

from __future__ import annotations

import base64
import hmac
from typing import Final

SHA1_HEADER: Final = "X-Signalwire-Signature"
SHA256_HEADER: Final = "X-Signalwire-SHA256-Signature"

EVENT_HEADER: Final = "X-Enfonica-Event"
ENFONICA_HEADER: Final = "X-Enfonica-Signature"

RECORDING_READY: Final = "RECORDING_READY"

_ENFONICA_PURPOSE: Final = b"mediaserver: Enfonica signatures, version 1"


class Signer:
    """Signs with the project's signing key, and for a rotation with those it replaces."""

    def __init__(self, key: str, *retired: str) -> None:
        assert key, "an empty key signs nothing"
        self._key = key.encode()
        self._keys = (self._key, *(old.encode() for old in retired))

    def request_headers(self, url: str, body: bytes) -> dict[str, str]:
        """Return SignalWire's headers for a request to `url`, which holds no user and password."""
        message = url.encode() + body
        return {
            SHA1_HEADER: hmac.digest(self._key, message, "sha1").hex(),
            SHA256_HEADER: hmac.digest(self._key, message, "sha256").hex(),
        }

    def webhook_headers(self, id: str, at: int, body: bytes) -> dict[str, str]:
        """Return the headers of Standard Webhooks for an attempt at `at` seconds since 1970."""
        assert "." not in id, "a dot would let id and time trade characters under one signature"
        message = f"{id}.{at}.".encode() + body
        signatures = (
            base64.b64encode(hmac.digest(key, message, "sha256")).decode() for key in self._keys
        )
        return {
            "webhook-id": id,
            "webhook-timestamp": str(at),
            "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
        }


class EnfonicaSigner:
    """Signs as Enfonica does (contract B6)."""

    def __init__(self, key: bytes) -> None:
        """`key` is the octets themselves, not their base64."""
        assert key, "an empty key signs nothing"
        self._key = key

    def headers(self, event: str, url: str, body: bytes) -> dict[str, str]:
        """Return the headers for an `event` told to `url`, which holds no user and password."""
        message = url.encode() + event.encode() + body
        signature = base64.b64encode(hmac.digest(self._key, message, "sha256")).decode()
        return {EVENT_HEADER: event, ENFONICA_HEADER: signature}


def derived_enfonica_key(signing_key: str) -> bytes:
    """Return the 64 octets that sign as Enfonica does where no key of their own is set."""
    return hmac.digest(signing_key.encode(), _ENFONICA_PURPOSE, "sha512")
