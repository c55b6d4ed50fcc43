"""Stopping and overload: what a trunk sees, and what becomes of the calls there are."""

from __future__ import annotations

import asyncio
from pathlib import Path

from farend.phone import Phone
from farend.receiver import Receiver
from farend.server import Server
from farend.speech import choose, passage
from farend.talker import Talker
from farend.waveform import place


async def test_sigterm_lets_calls_end_refuses_new_ones_and_exits_with_0(
    tmp_path: Path, receiver: Receiver, speech_files: tuple[Path, ...]
) -> None:
    path = "/drain/mailbox"
    record = {"record": {"status_url": receiver.url(path)}}
    with Server(tmp_path, {"mailbox": [record]}) as server:
        payload, sent = passage(choose(speech_files, 2, 4), 1.6)
        async with Phone.open(server.sip) as phone, Phone.open(server.sip) as late:
            await phone.call("mailbox")
            talking = asyncio.create_task(phone.say(Talker().say(payload)))
            await asyncio.sleep(0.8)
            server.terminate()
            await asyncio.sleep(0.3)
            answer = await late.invite("mailbox")
            assert answer.status == 503
            assert int(answer.get("retry-after").split(" ")[0]) >= 1
            late.number += 1
            options = await late.ask(late.compose("OPTIONS", uri="sip:127.0.0.1"))
            assert options.status == 503
            health = await asyncio.to_thread(server.get, "/health", key=None)
            assert health.status == 503
            assert health.json["status"] == "draining"
            await talking
            await asyncio.sleep(0.02)
            assert server.is_alive()
            assert not phone.ended.is_set()
            await phone.hang_up()
        last = await receiver.until_final(path)
        assert last.state == "finished"
        assert await asyncio.to_thread(server.wait, 10) == 0
        assert place(sent, server.samples(last.params["recording_id"])).exact


async def test_a_second_sigterm_ends_calls_and_keeps_their_recordings(
    tmp_path: Path, receiver: Receiver, speech_files: tuple[Path, ...]
) -> None:
    path = "/drain/impatient"
    record = {"record": {"status_url": receiver.url(path)}}
    with Server(tmp_path, {"mailbox": [record]}) as server:
        payload, sent = passage(choose(speech_files, 2, 4), 1.6)
        async with Phone.open(server.sip) as phone:
            await phone.call("mailbox")
            talking = asyncio.create_task(phone.say(Talker().say(payload)))
            await asyncio.sleep(1.0)
            server.terminate()
            await asyncio.sleep(0.3)
            server.terminate()
            await phone.until_ended(5)
            talking.cancel()
            assert await asyncio.to_thread(server.wait, 15) == 0
        last = await receiver.until_final(path)
        assert last.state == "finished"
        recorded = server.samples(last.params["recording_id"])
        assert place(sent[:6400], recorded).exact


async def test_calls_beyond_the_limit_are_told_to_come_back(tmp_path: Path) -> None:
    with Server(
        tmp_path, {"mailbox": [{"answer": {}}, {"sleep": 10000}]}, {"limits": {"max_calls": 2}}
    ) as server:
        async with Phone.open(server.sip) as a, Phone.open(server.sip) as b:
            await a.call("mailbox")
            await b.call("mailbox")
            async with Phone.open(server.sip) as c:
                answer = await c.invite("mailbox")
                assert answer.status == 503
                assert int(answer.get("retry-after").split(" ")[0]) >= 1
            await a.hang_up()
            await asyncio.sleep(0.2)
            async with Phone.open(server.sip) as d:
                await d.call("mailbox")
                await d.hang_up()
            await b.hang_up()
