from __future__ import annotations

import base64
import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from mediaserver.web.signatures import Signer

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
