"""Far ends that fall silent: the call ends by itself, unless it is held or reports still come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from farend.callee import Callee
from farend.phone import Phone
from farend.server import Server
from farend.talker import Talker

TIMEOUT = 0.8
HOLD = 2.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("silence")
    scripts: dict[str, list[object]] = {
        "quiet": [{"answer": {}}, {"sleep": 20_000}],
        "bridge": [{"connect": {"to": "${call.headers[0].value}"}}],
    }
    server = Server(folder, scripts)
    server.set("rtp", "timeout", TIMEOUT)
    server.set("rtp", "hold_timeout", HOLD)
    with server:
        yield server


async def ended_in(phone: Phone, seconds: float) -> None:
    """Check that the server hangs up so long after the answer, give or take a busy machine."""
    await asyncio.wait_for(phone.ended.wait(), 8)
    assert seconds - 0.3 <= phone.ended_at - phone.answered_at < seconds + 1


async def test_a_call_ends_when_its_far_end_is_gone_and_not_before(server: Server) -> None:
    """All at once, for each takes seconds."""

    async def says_nothing() -> None:
        async with Phone.open(server.sip) as phone:
            await phone.call("quiet")
            await ended_in(phone, TIMEOUT)

    async def falls_silent() -> None:
        async with Phone.open(server.sip) as phone:
            await phone.call("quiet")
            await phone.say(Talker(ssrc=1).say(bytes(160 * 60)))
            await ended_in(phone, TIMEOUT + 1.2)

    async def reports() -> None:
        async with Phone.open(server.sip) as phone:
            await phone.call("quiet")
            host, port = phone.remote_rtp
            until = time.monotonic() + HOLD + 1
            while time.monotonic() < until:
                phone.rtcp.sendto(b"\x80\xc9\x00\x01\x00\x00\x00\x07", (host, port + 1))
                await asyncio.sleep(0.2)
            assert not phone.ended.is_set()
            await phone.hang_up()

    async def holds() -> None:
        async with Phone.open(server.sip) as phone:
            await phone.call("quiet")
            assert (await phone.invite("quiet", body=phone.offer("sendonly", 2))).status == 200
            await ended_in(phone, HOLD)

    async def loses_its_peer() -> None:
        async with Callee.wait(server.sip) as callee, Phone.open(server.sip) as phone:
            asking = asyncio.ensure_future(phone.invite("bridge", fields=[f"X-To: {callee.uri}"]))
            await callee.take()
            await asking
            talking = asyncio.ensure_future(talk(phone))
            await ended_in(callee, TIMEOUT)
            await asyncio.wait_for(phone.ended.wait(), 3)
            talking.cancel()
            with suppress(asyncio.CancelledError):
                await talking

    await asyncio.gather(says_nothing(), falls_silent(), reports(), holds(), loses_its_peer())
    causes = [line["cause"] for line in server.lines() if line["event"] == "call ended"]
    assert causes.count("media_timeout") == 4


async def talk(phone: Phone) -> None:
    """Talk for as long as it takes."""
    talker = Talker(ssrc=9)
    while True:
        await phone.say(talker.say(bytes(1600)))
