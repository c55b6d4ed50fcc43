from __future__ import annotations

import base64
import hashlib
import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from mediaserver.web.signatures import EnfonicaSigner, Signer, derived_enfonica_key

KEY = "PSKtest1234567890abcdef"
URL = "https://example.ngrok.io/webhook"
BODY = b'{"event":"call.state","params":{"call_id":"abc-123","state":"answered"}}'


def webhook(key: str) -> Webhook:
    return Webhook("whsec_" + base64.b64encode(key.encode()).decode())


def test_the_vectors_of_the_contract_are_met() -> None:
    assert Signer(KEY).request_headers(URL, BODY) == {
        "X-Signalwire-Signature": "c3c08c1fefaf9ee198a100d5906765a6f394bf0f",
        "X-Signalwire-SHA256-Signature": (
            "2a29f8a92b11df39da80c3b185fd62173d49c294184da585ff951eae4433571c"
        ),
    }


def test_a_public_library_verifies_what_we_sign() -> None:
    headers = Signer(KEY).webhook_headers("stream-1", int(time.time()), BODY)
    assert webhook(KEY).verify(BODY, headers)["event"] == "call.state"


@pytest.mark.parametrize("bit", range(0, len(BODY) * 8, 37))
def test_one_flipped_bit_is_noticed(bit: int) -> None:
    headers = Signer(KEY).webhook_headers("stream-1", int(time.time()), BODY)
    flipped = bytearray(BODY)
    flipped[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises((WebhookVerificationError, UnicodeDecodeError)):
        webhook(KEY).verify(bytes(flipped), headers)


def test_an_old_attempt_cannot_be_replayed() -> None:
    headers = Signer(KEY).webhook_headers("stream-1", int(time.time()) - 3600, BODY)
    with pytest.raises(WebhookVerificationError):
        webhook(KEY).verify(BODY, headers)


def test_both_keys_are_good_while_they_change() -> None:
    headers = Signer("new key", "old key").webhook_headers("stream-1", int(time.time()), BODY)
    for key in ("new key", "old key"):
        assert webhook(key).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        webhook("another key").verify(BODY, headers)


# Enfonica's (contract B6): its vector, and HMAC worked out by RFC 2104 rather than by a library.

READY_KEY = base64.b64decode(
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
)
READY_URL = "https://example.com/hooks/rec?x=1"
READY_BODY = b'{"name":"projects/p/calls/c/recordings/r","state":"SUCCEEDED"}'
READY_SIGNATURE = "R0Hyq/L2XWaV5Fpoa1y3XJnWSA8zVu1S9AnTfFiVQbU="


def hmac_by_hand(key: bytes, message: bytes, name: str) -> bytes:
    """H(K xor opad, H(K xor ipad, message)), K padded with zeros to a block (RFC 2104 2)."""
    block = hashlib.new(name).block_size
    padded = (hashlib.new(name, key).digest() if len(key) > block else key).ljust(block, b"\0")
    inner = hashlib.new(name, bytes(octet ^ 0x36 for octet in padded) + message).digest()
    return hashlib.new(name, bytes(octet ^ 0x5C for octet in padded) + inner).digest()


def test_the_vector_of_enfonicas_signature_is_met() -> None:
    assert EnfonicaSigner(READY_KEY).headers("RECORDING_READY", READY_URL, READY_BODY) == {
        "X-Enfonica-Event": "RECORDING_READY",
        "X-Enfonica-Signature": READY_SIGNATURE,
    }


def test_every_signature_can_be_worked_out_by_hand() -> None:
    message = READY_URL.encode() + b"RECORDING_READY" + READY_BODY
    by_hand = base64.b64encode(hmac_by_hand(READY_KEY, message, "sha256")).decode()
    assert by_hand == READY_SIGNATURE
    signed = Signer(KEY).request_headers(URL, BODY)
    for header, name in (
        ("X-Signalwire-Signature", "sha1"),
        ("X-Signalwire-SHA256-Signature", "sha256"),
    ):
        assert signed[header] == hmac_by_hand(KEY.encode(), URL.encode() + BODY, name).hex()


@pytest.mark.parametrize(
    ("event", "url", "body"),
    [
        ("RECORDING_READY", READY_URL, READY_BODY + b" "),
        ("RECORDING_READY", READY_URL + "2", READY_BODY),
        ("CALL", READY_URL, READY_BODY),
    ],
)
def test_url_event_and_body_are_under_enfonicas_signature(
    event: str, url: str, body: bytes
) -> None:
    headers = EnfonicaSigner(READY_KEY).headers(event, url, body)
    assert headers["X-Enfonica-Signature"] != READY_SIGNATURE


def test_a_key_that_is_not_set_is_derived_and_opens_nothing_else() -> None:
    derived = derived_enfonica_key(KEY)
    purpose = b"mediaserver: Enfonica signatures, version 1"
    assert derived == hmac_by_hand(KEY.encode(), purpose, "sha512")
    assert len(derived) == 64
    assert derived_enfonica_key(KEY + "x") != derived
