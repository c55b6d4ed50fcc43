"""Robustness R7 and R8: callbacks on real sockets, from the real outbox, under a clock that is set.

A test moves the clock and wakes the worker; nothing waits for the schedule.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import random
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from mediaserver.config.model import Callbacks
from mediaserver.errors import LocalError
from mediaserver.recording.announcement import Announcement
from mediaserver.store.outbox import Outbox
from mediaserver.web import delivery as delivery_module
from mediaserver.web.origins import PER_ORIGIN
from mediaserver.web.outbound import OutboundGuard
from mediaserver.web.signatures import Signer

DELAYS = Callbacks().schedule
KEY = "PSKtest1234567890abcdef"

Announce = Callable[..., Announcement]
OpenReceiver = Callable[..., Awaitable[Any]]
Deliver = Callable[..., Awaitable[Any]]


async def settled(outbox: Outbox, clock: Any, seconds: float = 5.0) -> None:
    """Return once nothing is due at this moment."""
    async with asyncio.timeout(seconds):
        # Its one event is the worker's to clear.
        while await outbox.due(round(clock.time() * 1e6), 1):  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.005)


async def until_due(outbox: Outbox, clock: Any, delay: float, seconds: float = 5.0) -> None:
    """Return once all that waits is due after `delay`, by the wall clock as it is now."""
    async with asyncio.timeout(seconds):
        while (
            await outbox.due(round((clock.time() + delay - 0.1) * 1e6), 1)
            or await outbox.next_due(round((clock.time() + delay + 0.1) * 1e6)) is not None
        ):
            outbox.changed.set()
            await asyncio.sleep(0.01)


async def waiting_until(outbox: Outbox) -> float | None:
    due = await outbox.next_due()
    return None if due is None else due / 1e6


def answering(*answers: Any) -> Callable[[Any], Awaitable[web.StreamResponse]]:
    """Give the answers one after another, the last for ever: a status, or a coroutine function."""
    rounds = itertools.chain(answers, itertools.repeat(answers[-1]))

    async def answer(got: Any) -> web.StreamResponse:
        this = next(rounds)
        if callable(this):
            return await this(got)  # type: ignore[no-any-return]
        return web.Response(status=this)

    return answer


async def test_a_callback_carries_body_ids_and_every_signature(
    outbox: Outbox, receiver: Any, make_announcement: Announce, deliver: Deliver, clock: Any
) -> None:
    await deliver()
    url = receiver.url("/hook?tenant=a%20b&x=%C3%BC").replace("http://", "http://us%40er:pa%3Ass@")
    await outbox.add([make_announcement(url, "rec-1", 3)])
    await receiver.until(1)
    (got,) = receiver.got
    assert (got.method, got.path) == ("POST", "/hook?tenant=a%20b&x=%C3%BC")
    assert json.loads(got.body) == {"event_type": "calling.call.record"}
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["X-Mediaserver-Delivery"] == got.headers["webhook-id"] == "rec-1-3"
    assert got.headers["X-Mediaserver-Sequence"] == "3"
    assert got.headers["webhook-timestamp"] == str(int(clock.now))
    assert got.headers["Authorization"] == ("Basic " + base64.b64encode(b"us@er:pa:ss").decode())
    # What the receiver can see of the URL is what was signed.
    seen = f"http://{got.headers['Host']}{got.path}"
    for name, value in Signer(KEY).request_headers(seen, got.body).items():
        assert got.headers[name] == value
    stamped = Signer(KEY).webhook_headers("rec-1-3", int(clock.now), got.body)
    assert got.headers["webhook-signature"] == stamped["webhook-signature"]


async def test_what_callers_sent_stays_inside_the_json(
    outbox: Outbox, receiver: Any, make_announcement: Announce, deliver: Deliver
) -> None:
    """S12."""
    nasty = "a\r\nX-Evil: 1\x00\u2028\udcff"
    body = json.dumps({"from": nasty}).encode()
    await deliver()
    await outbox.add([make_announcement(receiver.url(), body=body)])
    await receiver.until(1)
    assert "X-Evil" not in receiver.got[0].headers
    assert receiver.got[0].body.decode("ascii").count("\n") == 0
    assert json.loads(receiver.got[0].body) == {"from": nasty}


async def test_a_callback_not_taken_is_tried_again_on_schedule_with_the_same_id(
    outbox: Outbox, receiver: Any, make_announcement: Announce, deliver: Deliver, clock: Any
) -> None:
    receiver.answer = answering(500, 429, 302, 404, 200)
    await deliver()
    await outbox.add([make_announcement(receiver.url())])
    for attempt, delay in enumerate(DELAYS[:4], start=1):
        await receiver.until(attempt)
        await settled(outbox, clock)
        assert await waiting_until(outbox) == pytest.approx(clock.now + delay)
        clock.now += delay - 0.01
        outbox.changed.set()
        await asyncio.sleep(0.03)
        assert len(receiver.got) == attempt
        clock.now += 0.02
        outbox.changed.set()
    await receiver.until(5)
    await settled(outbox, clock)
    assert await waiting_until(outbox) is None
    assert set(receiver.ids) == {"stream-1"}
    stamps = [int(got.headers["webhook-timestamp"]) for got in receiver.got]
    assert stamps == sorted(set(stamps))


@pytest.mark.parametrize("set_by", [3600.0, -3600.0])
async def test_a_retry_comes_when_its_delay_is_over_however_the_wall_clock_is_set(
    outbox: Outbox,
    receiver: Any,
    make_announcement: Announce,
    deliver: Deliver,
    clock: Any,
    set_by: float,
) -> None:
    """R10."""
    receiver.answer = answering(500)
    worker = await deliver()
    await outbox.add([make_announcement(receiver.url())])
    for attempt, delay in enumerate(DELAYS[:3], start=1):
        await receiver.until(attempt)
        await settled(outbox, clock)
        clock.set_by += set_by
        outbox.changed.set()
        await asyncio.sleep(0.03)
        assert len(receiver.got) == attempt
        clock.now += delay
        outbox.changed.set()
    await receiver.until(4)
    await settled(outbox, clock)
    # Nor is it early or late after a restart, as far as the clock was seen to be set.
    clock.set_by += set_by
    await until_due(outbox, clock, DELAYS[3])
    await worker.stop()
    await deliver()
    clock.now += DELAYS[3] - 0.01
    outbox.changed.set()
    await asyncio.sleep(0.03)
    assert len(receiver.got) == 4
    clock.now += 0.02
    outbox.changed.set()
    await receiver.until(5)


async def test_a_retry_that_fails_while_the_wall_clock_is_set_is_neither_early_nor_late(
    outbox: Outbox, receiver: Any, make_announcement: Announce, deliver: Deliver, clock: Any
) -> None:
    """What is being written down at that moment is due by the clock as it was, or as it is."""
    receiver.answer = answering(500)
    await deliver()
    for number in range(40):
        await outbox.add([make_announcement(receiver.url(), f"stream-{number}")])
        if number % 10 == 9:
            clock.set_by -= 3600
    await receiver.until(40)
    await until_due(outbox, clock, DELAYS[0])
    assert await outbox.due(round((clock.time() + DELAYS[0] - 0.1) * 1e6), 100) == []
    assert len(await outbox.due(round((clock.time() + DELAYS[0] + 0.1) * 1e6), 100)) == 40


async def test_the_wall_clock_is_followed_once_the_database_is_back(
    outbox: Outbox, receiver: Any, make_announcement: Announce, deliver: Deliver, clock: Any
) -> None:
    receiver.answer = answering(500)
    flaky = FlakyOutbox(outbox)
    await deliver(queue=flaky)
    await outbox.add([make_announcement(receiver.url())])
    await receiver.until(1)
    await until_due(outbox, clock, DELAYS[0])
    flaky.failures = {"shift": 2}
    clock.set_by -= 3600
    await until_due(outbox, clock, DELAYS[0])


async def test_after_the_last_delay_it_is_set_aside_and_the_next_has_its_turn(
    outbox: Outbox, receiver: Any, make_announcement: Announce, deliver: Deliver, clock: Any
) -> None:
    async def refuse_first(got: Any) -> web.Response:
        return web.Response(status=500 if got.id == "stream-1" else 200)

    receiver.answer = refuse_first
    await deliver(delays=(1.0, 5.0))
    await outbox.add([make_announcement(receiver.url(), sequence=n) for n in (1, 2)])
    for attempt in (1, 2, 3):
        await receiver.until(attempt)
        await settled(outbox, clock)
        clock.now += 10
        outbox.changed.set()
    await receiver.until(4)
    await settled(outbox, clock)
    assert receiver.ids == ["stream-1"] * 3 + ["stream-2"]
    (dead,) = await outbox.dead(10)
    assert (dead.announcement.sequence, dead.attempts, dead.why) == (1, 3, "answered 500")


async def test_gone_is_final_at_once(
    outbox: Outbox, receiver: Any, make_announcement: Announce, deliver: Deliver, clock: Any
) -> None:
    receiver.answer = answering(410)
    await deliver()
    await outbox.add([make_announcement(receiver.url())])
    await receiver.until(1)
    await settled(outbox, clock)
    assert [dead.why for dead in await outbox.dead(10)] == ["answered 410"]


@pytest.mark.parametrize("url", ["ftp://h/x", "http://", "no url", "http://h/\r\nX-Evil: 1"])
async def test_a_url_that_is_none_is_set_aside_at_once(
    outbox: Outbox, make_announcement: Announce, deliver: Deliver, clock: Any, url: str
) -> None:
    await deliver()
    await outbox.add([make_announcement(url)])
    await settled(outbox, clock)
    assert len(await outbox.dead(10)) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("90", 90), ("Tue, 14 Nov 2023 22:15:00 GMT", 100), ("0", 1), ("nonsense", 1)],
)
async def test_retry_after_is_honoured(
    outbox: Outbox,
    receiver: Any,
    make_announcement: Announce,
    deliver: Deliver,
    clock: Any,
    header: str,
    seconds: float,
) -> None:
    async def later(_got: Any) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": header})

    receiver.answer = later
    await deliver()
    await outbox.add([make_announcement(receiver.url())])
    await receiver.until(1)
    await settled(outbox, clock)
    assert await waiting_until(outbox) == pytest.approx(clock.now + seconds, abs=0.001)


async def test_a_receiver_that_hangs_resets_or_is_away_is_tried_again(
    outbox: Outbox,
    receiver_at: OpenReceiver,
    make_announcement: Announce,
    deliver: Deliver,
    clock: Any,
) -> None:
    hanging, resetting = await receiver_at(), await receiver_at()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        away = f"http://127.0.0.1:{taken.getsockname()[1]}/"

    async def hang(_got: Any) -> web.Response:
        await asyncio.sleep(60)
        raise AssertionError

    hanging.answer = hang

    async def reset(_got: Any) -> web.Response:
        raise ConnectionResetError

    resetting.answer = reset
    await deliver(seconds=0.2)
    urls = [hanging.url(), resetting.url(), away]
    await outbox.add([make_announcement(url, f"s{n}") for n, url in enumerate(urls)])
    await settled(outbox, clock, seconds=10)
    hanging.answer = resetting.answer = answering(200)
    clock.now += 2
    outbox.changed.set()
    await hanging.until(2)
    await resetting.until(2)
    await settled(outbox, clock, seconds=10)


async def test_a_long_or_endless_answer_is_not_read_to_its_end(
    outbox: Outbox, receiver: Any, make_announcement: Announce, deliver: Deliver, clock: Any
) -> None:
    sent = 0

    async def endless(_got: Any) -> web.Response:
        async def flood() -> Any:
            nonlocal sent
            while True:
                sent += 65536
                yield bytes(65536)

        return web.Response(body=flood())

    receiver.answer = endless
    await deliver()
    await outbox.add([make_announcement(receiver.url())])
    await receiver.until(1)
    await settled(outbox, clock)
    # It was taken: the status came. What was read is what sockets hold.
    assert await waiting_until(outbox) is None
    assert sent < 20_000_000


async def test_a_stream_is_delivered_in_order_though_attempts_fail(
    outbox: Outbox, receiver: Any, make_announcement: Announce, deliver: Deliver, clock: Any
) -> None:
    chance = random.Random(7)

    async def fickle(_got: Any) -> web.Response:
        return web.Response(status=chance.choice([200, 500]))

    receiver.answer = fickle
    await deliver()
    streams = [f"s{n}" for n in range(8)]
    await outbox.add(
        [make_announcement(receiver.url(), s, n) for n in range(1, 6) for s in streams]
    )
    async with asyncio.timeout(20):
        while await outbox.next_due() is not None:
            clock.now += 2000
            outbox.changed.set()
            await settled(outbox, clock, 20)
    assert not await outbox.dead(1)
    for stream in streams:
        sequences = [
            int(got.headers["X-Mediaserver-Sequence"])
            for got in receiver.got
            if got.id.startswith(f"{stream}-")
        ]
        assert sequences == sorted(sequences)
        assert set(sequences) == {1, 2, 3, 4, 5}


async def test_a_dead_receiver_delays_no_other(
    outbox: Outbox, receiver_at: OpenReceiver, make_announcement: Announce, deliver: Deliver
) -> None:
    """R7: 600 callbacks wait for one that hangs; another's arrives within a second."""
    dead, alive = await receiver_at(), await receiver_at()
    most = now = 0

    async def hang(_got: Any) -> web.Response:
        nonlocal most, now
        now += 1
        most = max(most, now)
        try:
            await asyncio.sleep(60)
        finally:
            now -= 1
        raise AssertionError

    dead.answer = hang
    await outbox.add([make_announcement(dead.url(), f"dead{n}") for n in range(600)])
    await deliver()
    await dead.until(1)
    began = asyncio.get_running_loop().time()
    await outbox.add([make_announcement(alive.url(), f"alive{n}") for n in range(20)])
    await alive.until(20, 1.0)
    assert asyncio.get_running_loop().time() - began < 1.0
    assert most <= PER_ORIGIN


async def test_an_origin_that_failed_is_asked_one_at_a_time_until_it_answers(
    outbox: Outbox, receiver: Any, make_announcement: Announce, deliver: Deliver, clock: Any
) -> None:
    most = now = 0
    healthy = False

    async def measure(_got: Any) -> web.Response:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        return web.Response(status=200 if healthy else 500)

    receiver.answer = measure
    await outbox.add([make_announcement(receiver.url(), f"s{n}") for n in range(40)])
    await deliver()
    await receiver.until(9)
    most = 0
    await receiver.until(20)
    assert most == 1
    healthy = True
    await receiver.until(40)
    await settled(outbox, clock)
    assert most > 1


async def test_a_backlog_of_one_origin_does_not_wait_for_looks_into_the_outbox(
    outbox: Outbox, receiver: Any, make_announcement: Announce, deliver: Deliver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(delivery_module, "PACE", 60.0)
    many = PER_ORIGIN + delivery_module.IN_HAND
    await outbox.add(
        [make_announcement(receiver.url("/x"), f"rec-{n}", 1) for n in range(2 * many)]
    )
    await deliver()
    await receiver.until(many)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == len(receiver.got) == many


async def test_many_origins_are_served_at_once(
    outbox: Outbox, receiver_at: OpenReceiver, make_announcement: Announce, deliver: Deliver
) -> None:
    receivers = [await receiver_at(f"127.0.0.{n}") for n in range(2, 32)]
    release = asyncio.Event()

    async def hold(_got: Any) -> web.Response:
        await release.wait()
        return web.Response()

    for receiver in receivers:
        receiver.answer = hold
    await outbox.add([make_announcement(r.url(), f"s{n}") for n, r in enumerate(receivers)])
    await deliver()
    for receiver in receivers:
        await receiver.until(1)
    release.set()


async def test_what_a_worker_was_stopped_in_is_sent_again_by_the_next(
    outbox: Outbox, receiver: Any, make_announcement: Announce, deliver: Deliver, clock: Any
) -> None:
    async def hang(_got: Any) -> web.Response:
        await asyncio.sleep(60)
        raise AssertionError

    receiver.answer = answering(hang, 200)
    first = await deliver()
    await outbox.add([make_announcement(receiver.url())])
    await receiver.until(1)
    await first.stop(0.05)
    await deliver()
    await receiver.until(2)
    await settled(outbox, clock)
    assert receiver.ids == ["stream-1", "stream-1"]


async def test_a_stop_lets_an_attempt_end_and_begins_no_other(
    outbox: Outbox, receiver: Any, make_announcement: Announce, deliver: Deliver, clock: Any
) -> None:
    async def slow(_got: Any) -> web.Response:
        await asyncio.sleep(0.2)
        return web.Response()

    receiver.answer = slow
    worker = await deliver()
    await outbox.add([make_announcement(receiver.url(), sequence=n) for n in (1, 2)])
    await receiver.until(1)
    await worker.stop(5)
    assert receiver.ids == ["stream-1"]
    (head,) = await outbox.due(round(clock.now * 1e6), 10)
    assert head.announcement.sequence == 2


async def test_every_crash_leads_to_one_delivery_or_more_and_never_to_disorder(
    outbox: Outbox, receiver: Any, make_announcement: Announce, deliver: Deliver, clock: Any
) -> None:
    """R8: cut off at a random moment, 60 times over."""
    chance = random.Random(11)
    for number in range(60):
        await outbox.add([make_announcement(receiver.url(), f"r{number}", n) for n in (1, 2, 3)])
        worker = await deliver()
        await asyncio.sleep(chance.random() * 0.03)
        await worker.stop(0)
    await deliver()
    await settled(outbox, clock, 20)
    for number in range(60):
        mine = [id for id in receiver.ids if id.startswith(f"r{number}-")]
        assert set(mine) == {f"r{number}-{n}" for n in (1, 2, 3)}
        assert mine == sorted(mine)


class FlakyOutbox:
    """The real outbox, behind a database that is away now and then."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.failures = dict.fromkeys(("due", "delivered", "next_due"), 0)

    @property
    def changed(self) -> asyncio.Event:
        return self._outbox.changed

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **options: Any) -> Any:
            if self.failures.get(name):
                self.failures[name] -= 1
                raise LocalError("the database is locked")
            return await getattr(self._outbox, name)(*args, **options)

        return call


async def test_a_database_that_is_away_stops_nothing_for_good(
    outbox: Outbox,
    receiver: Any,
    make_announcement: Announce,
    deliver: Deliver,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery_module, "NAP", 0.02)
    monkeypatch.setattr(delivery_module, "STORE_WAITS", (0.01, 0.01, 0.01))
    flaky = FlakyOutbox(outbox)
    flaky.failures = {"due": 3, "delivered": 2, "next_due": 2}
    await outbox.add([make_announcement(receiver.url())])
    await deliver(queue=flaky)
    await receiver.until(1)
    await settled(outbox, clock)
    # Delivered once: what became of it was written as soon as it could be.
    assert receiver.ids == ["stream-1"]


async def test_a_forbidden_receiver_is_not_connected_to(
    outbox: Outbox, receiver: Any, make_announcement: Announce, deliver: Deliver, clock: Any
) -> None:
    with capture_logs() as lines:
        await deliver(guard=OutboundGuard())
        await outbox.add([make_announcement(receiver.url())])
        await settled(outbox, clock)
    # Nobody has answered, so there is no status that somebody could be asked about.
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("callback not taken", "warning")
    assert line["status"] is None
    assert "outbound.allow" in line["why"]
    assert receiver.connections == 0
    assert await waiting_until(outbox) == pytest.approx(clock.now + 1)


async def test_no_secret_of_a_url_reaches_the_log_or_the_outbox(
    outbox: Outbox, receiver: Any, make_announcement: Announce, deliver: Deliver, clock: Any
) -> None:
    receiver.answer = answering(200, 410)
    with capture_logs() as lines:
        await deliver()
        for number, path in enumerate(["/secret1?secret2", "/secret3?secret4"]):
            url = receiver.url(path).replace("http://", "http://secret5:secret6@")
            await outbox.add([make_announcement(url, f"s{number}")])
            await receiver.until(number + 1)
            await settled(outbox, clock)
        away = "http://secret7:secret8@127.0.0.1:1/secret9?secret0"
        await outbox.add([make_announcement(away, "s3")])
        await settled(outbox, clock)
    assert len(lines) == 3
    assert "secret" not in str(lines)
    assert "127.0.0.1" in str(lines)
    assert all("secret" not in dead.why for dead in await outbox.dead(10))
