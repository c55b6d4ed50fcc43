"""Callbacks that are asked for as a GET: what is said is in the query, and signed with it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mediaserver.recording.announcement import Announcement, Envelope, Kind
from mediaserver.store.outbox import Outbox

from .conftest import SIGNING_KEY

ENVELOPE = Envelope(project_id="p", space_id="s", node_id="n", session_id="session")


@pytest.mark.parametrize(
    ("url", "begins"),
    [
        ("http://app/hook", "http://app/hook?event_type="),
        ("http://app/hook?a=%20b#top", "http://app/hook?a=%20b&event_type="),
    ],
)
def test_the_event_is_added_to_the_query_as_it_was_written(url: str, begins: str) -> None:
    params = {"state": "finished", "name": "a & b", "device": {"type": "ws"}}
    asked = ENVELOPE.ask("calling.call.stream", params, 1_500_000, url)
    assert asked.startswith(begins)
    fields = {name: value for name, (value,) in parse_qs(urlsplit(asked).query).items()}
    fields.pop("a", None)
    assert json.loads(fields.pop("device")) == {"type": "ws"}
    assert fields == {
        "event_type": "calling.call.stream",
        "event_channel": "swml:session",
        "timestamp": "1.5",
        "project_id": "p",
        "space_id": "s",
        "state": "finished",
        "name": "a & b",
    }


async def test_it_is_a_get_without_a_body_and_signed(
    outbox: Outbox,
    receiver: Any,
    make_announcement: Callable[..., Announcement],
    deliver: Callable[..., Awaitable[Any]],
) -> None:
    await deliver()
    url = receiver.url("/hook?state=finished")
    await outbox.add([make_announcement(url, "stream-1", 2, kind=Kind.QUERY, body=b"")])
    await receiver.until(1)
    (got,) = receiver.got
    assert (got.method, got.path, got.body) == ("GET", "/hook?state=finished", b"")
    signed = hmac.new(SIGNING_KEY.encode(), url.encode(), hashlib.sha1).hexdigest()
    assert got.headers["X-SignalWire-Signature"] == signed
    assert got.headers["X-Mediaserver-Delivery"] == "stream-1-2"
