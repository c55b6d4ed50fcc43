"""RECORDING_READY on real sockets, from the real outbox (contract B6)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from mediaserver.recording.announcement import Announcement, Kind
from mediaserver.recording.resource import Format, Recording
from mediaserver.store.outbox import Outbox
from mediaserver.web.links import Links
from mediaserver.web.outbound import OutboundGuard
from mediaserver.web.views import announced

KEY = bytes(range(64))
BODY = b'{"name":"projects/p/calls/c/recordings/r","state":"SUCCEEDED"}'
DELAYS = (1, 2, 4, 8, 60, 1800, 3600, 7200)

OpenReceiver = Callable[..., Awaitable[Any]]
Deliver = Callable[..., Awaitable[Any]]
MakeReady = Callable[..., Announcement]


@pytest.fixture
def make_ready(make_announcement: Callable[..., Announcement]) -> MakeReady:
    def make(url: str, stream: str = "rec-1-ready") -> Announcement:
        return make_announcement(url, stream, 1, kind=Kind.READY, body=BODY)

    return make


def signature(url: str, body: bytes = BODY) -> str:
    """Work out by hand what a request to `url` must carry."""
    message = url.encode() + b"RECORDING_READY" + body
    return base64.b64encode(hmac.new(KEY, message, hashlib.sha256).digest()).decode()


def answering(status: int, **headers: str) -> Callable[[Any], Awaitable[web.Response]]:
    async def answer(_got: Any) -> web.Response:
        return web.Response(status=status, headers=headers)

    return answer


async def settled(outbox: Outbox, clock: Any) -> None:
    """Return once nothing is due at this moment."""
    async with asyncio.timeout(5):
        while await outbox.due(round(clock.now * 1e6), 1):  # noqa: ASYNC110 - the worker's event
            await asyncio.sleep(0.005)


async def test_it_carries_event_signature_and_ids_and_nothing_of_signalwires(
    outbox: Outbox, receiver: Any, make_ready: MakeReady, deliver: Deliver
) -> None:
    await deliver()
    url = receiver.url("/ready?tenant=a%20b&x=%C3%BC")
    await outbox.add([make_ready(url.replace("http://", "http://us%40er:pa%3Ass@"))])
    await receiver.until(1)
    (got,) = receiver.got
    assert (got.method, got.path, got.body) == ("POST", "/ready?tenant=a%20b&x=%C3%BC", BODY)
    assert got.headers["Content-Type"] == "application/json; charset=utf-8"
    assert got.headers["X-Enfonica-Event"] == "RECORDING_READY"
    # What the receiver can see of the URL is what was signed.
    assert f"http://{got.headers['Host']}{got.path}" == url
    assert got.headers["X-Enfonica-Signature"] == signature(url)
    assert got.headers["X-Mediaserver-Delivery"] == "rec-1-ready-1"
    assert got.headers["X-Mediaserver-Sequence"] == "1"
    assert got.headers["Authorization"] == "Basic " + base64.b64encode(b"us@er:pa:ss").decode()
    assert not [name for name in got.headers if "signalwire" in name.lower()]
    assert not [name for name in got.headers if name.lower().startswith("webhook-")]


def link_parts(uri: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(uri).query))


async def test_the_links_of_every_attempt_work_for_an_hour_from_it(
    outbox: Outbox,
    receiver: Any,
    make_ready: MakeReady,
    deliver: Deliver,
    clock: Any,
    links: Links,
    finished: Callable[..., tuple[Recording, bytes]],
) -> None:
    recording, _ = finished(ready_uri="https://app.example/ready", status_url="https://a.example")
    (wav,) = recording.audio
    recording = replace(recording, audio=(wav, replace(wav, format=Format.MP3, rendition=1)))
    made = announced(recording, partial(links.signed, recording.id))
    receiver.answer = answering(500)
    await deliver()
    await outbox.add([replace(make_ready(receiver.url()), body=made)])
    await receiver.until(1)
    await settled(outbox, clock)
    receiver.answer = receiver.accept
    clock.now += 7200
    outbox.changed.set()
    await receiver.until(2)
    first, second = receiver.got
    assert first.body == made
    told = json.loads(second.body)
    for audio, format, rendition in zip(told["audio"], ("wav", "mp3"), ("0", "1"), strict=True):
        parts = link_parts(audio["uri"])
        assert (parts["format"], parts["rendition"]) == (format, rendition)
        assert float(parts["expires"]) == pytest.approx(clock.now + 3600, abs=1)
        assert links.opens(recording.id, **parts)
        assert audio["uri"].startswith("https://media.example/api/v1/recordings/")
    assert second.headers["X-Enfonica-Signature"] == signature(receiver.url(), second.body)
    assert second.id == first.id
    # But for the links it is what it was, octet by octet.
    without = [re.sub(rb'"uri":"[^"]*"', b"", got.body) for got in (first, second)]
    assert without[0] == without[1]


async def test_it_is_tried_eight_times_more_to_the_letter_and_then_set_aside(
    outbox: Outbox, receiver: Any, make_ready: MakeReady, deliver: Deliver, clock: Any
) -> None:
    receiver.answer = answering(500)
    await deliver()
    await outbox.add([make_ready(receiver.url())])
    for attempt, delay in enumerate(DELAYS, start=1):
        await receiver.until(attempt)
        await settled(outbox, clock)
        assert await outbox.next_due() == round((clock.now + delay) * 1e6)
        clock.now += delay
        outbox.changed.set()
    await receiver.until(9)
    await settled(outbox, clock)
    assert await outbox.next_due() is None
    assert set(receiver.ids) == {"rec-1-ready-1"}
    (dead,) = await outbox.dead(10)
    assert (dead.announcement.kind, dead.attempts, dead.why) == (Kind.READY, 9, "answered 500")
    assert dead.announcement.body == BODY


@pytest.mark.parametrize(
    ("status", "headers"),
    [(410, {}), (503, {"Retry-After": "600"}), (404, {}), (304, {}), (302, {})],
)
async def test_whatever_is_not_2xx_is_a_failure_like_any_other(
    outbox: Outbox,
    receiver: Any,
    make_ready: MakeReady,
    deliver: Deliver,
    clock: Any,
    status: int,
    headers: dict[str, str],
) -> None:
    receiver.answer = answering(status, **headers)
    await deliver()
    await outbox.add([make_ready(receiver.url())])
    await receiver.until(1)
    await settled(outbox, clock)
    assert await outbox.next_due() == round((clock.now + 1) * 1e6)
    assert await outbox.dead(1) == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_followed_with_its_body_and_signed_for_where_it_leads(
    outbox: Outbox,
    receiver_at: OpenReceiver,
    make_ready: MakeReady,
    deliver: Deliver,
    clock: Any,
    status: int,
) -> None:
    first, second = await receiver_at(), await receiver_at()
    first.answer = answering(status, Location=second.url("/there?x=1"))
    await deliver()
    await outbox.add([make_ready(first.url().replace("http://", "http://user:secret@"))])
    await second.until(1)
    await settled(outbox, clock)
    (got,) = second.got
    assert (got.method, got.path, got.body) == ("POST", "/there?x=1", BODY)
    assert got.headers["X-Enfonica-Signature"] == signature(second.url("/there?x=1"))
    assert got.id == first.got[0].id
    assert "Authorization" in first.got[0].headers
    assert "Authorization" not in got.headers
    assert await outbox.next_due() is None


async def test_see_other_is_looked_at_without_the_body(
    outbox: Outbox, receiver_at: OpenReceiver, make_ready: MakeReady, deliver: Deliver, clock: Any
) -> None:
    first, second = await receiver_at(), await receiver_at()
    first.answer = answering(303, Location=second.url("/done"))
    await deliver()
    await outbox.add([make_ready(first.url())])
    await second.until(1)
    await settled(outbox, clock)
    (got,) = second.got
    assert (got.method, got.path, got.body) == ("GET", "/done", b"")
    assert "X-Enfonica-Signature" not in got.headers
    assert await outbox.next_due() is None


async def test_three_redirects_are_followed_and_no_fourth(
    outbox: Outbox, receiver: Any, make_ready: MakeReady, deliver: Deliver, clock: Any
) -> None:
    async def count_down(got: Any) -> web.Response:
        left = int(got.path.rsplit("/", 1)[1])
        if left == 0:
            return web.Response()
        return web.Response(status=307, headers={"Location": f"/{left - 1}"})

    receiver.answer = count_down
    await deliver()
    await outbox.add([make_ready(receiver.url("/3"))])
    await receiver.until(4)
    await settled(outbox, clock)
    assert await outbox.next_due() is None
    await outbox.add([make_ready(receiver.url("/4"), "rec-2-ready")])
    await receiver.until(8)
    await settled(outbox, clock)
    assert [got.path for got in receiver.got] == ["/3", "/2", "/1", "/0", "/4", "/3", "/2", "/1"]
    assert await outbox.next_due() == round((clock.now + 1) * 1e6)


@pytest.mark.parametrize("status", [301, 303, 307])
async def test_no_redirect_leads_to_a_forbidden_address(
    outbox: Outbox,
    receiver_at: OpenReceiver,
    make_ready: MakeReady,
    deliver: Deliver,
    clock: Any,
    status: int,
) -> None:
    public, inner = await receiver_at("127.0.0.2"), await receiver_at("127.0.0.1")
    await deliver(guard=OutboundGuard([ip_network("127.0.0.2/32")]))
    places = [
        inner.url(),
        inner.url().replace("127.0.0.1", "2130706433"),
        inner.url().replace("127.0.0.1", "[::ffff:127.0.0.1]"),
        inner.url().removeprefix("http:"),
        "file:///etc/passwd",
        "http://[",
    ]
    for number, place in enumerate(places):
        public.answer = answering(status, Location=place)
        await outbox.add([make_ready(public.url(), f"rec-{number}-ready")])
        await public.until(number + 1)
        await settled(outbox, clock)
    assert inner.connections == 0
    assert await outbox.dead(1) == []
    assert await outbox.next_due() is not None


async def test_neither_kind_waits_for_the_others_receiver(
    outbox: Outbox,
    receiver_at: OpenReceiver,
    make_ready: MakeReady,
    make_announcement: Callable[..., Announcement],
    deliver: Deliver,
    clock: Any,
) -> None:
    dead, alive = await receiver_at(), await receiver_at()
    dead.answer = answering(500)
    await deliver()
    await outbox.add([make_announcement(dead.url(), "rec-1", 1), make_ready(alive.url())])
    await alive.until(1)
    await outbox.add([make_ready(dead.url(), "rec-2-ready")])
    await outbox.add([make_announcement(alive.url(), "rec-2", 1)])
    await alive.until(2)
    await dead.until(2)
    await settled(outbox, clock)
    assert sorted(alive.ids) == ["rec-1-ready-1", "rec-2-1"]


async def test_no_secret_reaches_the_log(
    outbox: Outbox, receiver: Any, make_ready: MakeReady, deliver: Deliver, clock: Any
) -> None:
    receiver.answer = answering(307, Location="http://u:secret@192.0.2.1/secret?secret")
    with capture_logs() as lines:
        await deliver()
        await outbox.add([make_ready(receiver.url("/secret").replace("//", "//u:secret@"))])
        await receiver.until(1)
        await settled(outbox, clock)
    assert lines
    assert "secret" not in str(lines)
