"""Two legs: a caller is connected on, both talk, and the recording holds both."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from farend.callee import Callee
from farend.phone import Phone
from farend.receiver import Receiver
from farend.server import Server
from farend.speech import choose, key_payloads, passage
from farend.talker import Talker
from farend.waveform import place
from farend.wire import SipMessage


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("connect")
    told = {
        "call_state_url": receiver.url("/connect/state"),
        "call_state_events": ["created", "ringing", "answered", "ended"],
        "status_url": receiver.url("/connect/status"),
    }
    header = "${call.headers[0].value}"
    note = {"request": {"url": receiver.url("/connect/${connect_result}"), "method": "POST",
                        "body": {"reason": "${connect_failed_reason}"}}}  # fmt: skip
    scripts: dict[str, list[object]] = {
        "bridge": [
            {"record_call": {"stereo": True, "status_url": receiver.url("/connect/recorded")}},
            {"connect": {"to": header, "from": "sip:us@example.com", **told}},
            note,
        ],
        "late": [{"connect": {"to": header, "answer_on_bridge": True, **told}}, note],
        "short": [{"connect": {"to": header, "timeout": 1, **told}}, note],
        "brief": [{"connect": {"to": header, "max_duration": 1}}, note, {"sleep": 5000}],
        "either": [
            {"connect": {"parallel": [{"to": header}, {"to": "${call.headers[1].value}"}]}},
            note,
        ],
        "next": [
            {"connect": {"serial": [{"to": header, "timeout": 1},
                                    {"to": "${call.headers[1].value}"}]}},
            note,
        ],
        "confirm": [
            {"connect": {"to": header, "confirm": [
                {"prompt": {"play": "silence:0.2", "max_digits": 1}},
                {"cond": [{"when": "prompt_value != '1'", "then": [{"hangup": {}}]}]},
            ]}},
            note,
        ],
    }  # fmt: skip
    with Server(folder, scripts) as server:
        yield server


class Caller(Phone):
    """A phone that is told of the answer later."""

    asking: asyncio.Future[SipMessage]


@asynccontextmanager
async def calling(server: Server, user: str, *callees: Callee) -> AsyncIterator[Caller]:
    """Call a script, telling it whom to call in header fields."""
    async with Caller.open(server.sip) as phone:
        assert isinstance(phone, Caller)
        fields = [f"X-To-{number}: {callee.uri}" for number, callee in enumerate(callees)]
        phone.asking = asyncio.ensure_future(phone.invite(user, fields=fields))
        yield phone


async def answered(phone: Caller) -> None:
    answer = await phone.asking
    assert answer.status == 200, answer


async def test_both_hear_each_other_to_the_sample_and_the_recording_holds_both(
    server: Server, receiver: Receiver, speech_files: tuple[Path, ...]
) -> None:
    speech = choose(speech_files, 2, 6)
    one, said = passage(speech[:3], 4)
    other, replied = passage(speech[3:6], 4)
    async with Callee.wait(server.sip) as callee, calling(server, "bridge", callee) as phone:
        await answered(phone)
        invite = await callee.rung()
        assert "<sip:us@example.com>" in invite.get("from")
        await callee.reply(180, "Ringing")
        await asyncio.sleep(0.3)
        await callee.answer()
        await asyncio.gather(
            phone.say(Talker(ssrc=1).say(one)),
            callee.say(Talker(ssrc=2, sequence=9, timestamp=77).say(other)),
        )
        await asyncio.sleep(0.2)
        await phone.hang_up()
        await callee.until_ended()
        assert place(replied, phone.received()).exact
        assert place(said, callee.listened()).exact
    end = await receiver.until_final("/connect/recorded")
    recorded = server.samples(end.params["recording_id"])
    assert recorded.shape[1] == 2
    speak, listen = place(said, recorded[:, 0]), place(replied, recorded[:, 1])
    assert speak.exact
    assert listen.exact
    # They began to talk in the same moment; what one hears is a tick late.
    assert abs(speak.offset - listen.offset) < 0.1 * 8000
    await receiver.until(lambda: len(receiver.accepted("/connect/state")) >= 4)
    states = [c.params["call_state"] for c in receiver.accepted("/connect/state")]
    assert states == ["created", "ringing", "answered", "ended"]
    await receiver.until(lambda: len(receiver.accepted("/connect/status")) >= 3)
    connect = [c.params["connect_state"] for c in receiver.accepted("/connect/status")]
    assert connect == ["connecting", "connected", "disconnected"]


async def told(receiver: Receiver, result: str, before: int) -> str:
    """Return the reason that the script gave after its `connect`."""
    await receiver.until(lambda: len(receiver.at(f"/connect/{result}")) > before)
    reason = json.loads(receiver.at(f"/connect/{result}")[before].body)["reason"]
    assert isinstance(reason, str)
    return reason


async def test_a_caller_is_answered_only_when_the_other_answers_if_that_is_wanted(
    server: Server,
) -> None:
    async with Callee.wait(server.sip) as callee, calling(server, "late", callee) as phone:
        await callee.rung()
        assert not phone.asking.done()
        await callee.reply(180, "Ringing")
        await asyncio.sleep(0.2)
        assert any(m.startswith(b"SIP/2.0 180") for m in phone.everything)
        await callee.answer()
        await answered(phone)
        await phone.hang_up()
        await callee.until_ended()


async def test_early_media_is_heard_before_the_answer(
    server: Server, speech_files: tuple[Path, ...]
) -> None:
    payload, said = passage(choose(speech_files, 2, 6)[:1], 1)
    async with Callee.wait(server.sip) as callee, calling(server, "late", callee) as phone:
        await callee.rung()
        await callee.reply(183, "Progress", body=callee.answering())
        while not any(m.startswith(b"SIP/2.0 183") for m in phone.everything):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        talker = Talker(ssrc=3)
        await callee.say(talker.say(payload))
        await asyncio.sleep(0.1)
        assert place(said, phone.received()).exact
        await callee.answer()
        await answered(phone)
        await callee.hang_up()


async def test_a_caller_who_gives_up_takes_the_call_to_the_other_with_him(server: Server) -> None:
    async with Callee.wait(server.sip) as callee, Phone.open(server.sip) as phone:
        giving_up = asyncio.ensure_future(give_up(phone, callee))
        await callee.rung()
        await callee.reply(180, "Ringing")
        assert (await giving_up) == 487
        await asyncio.wait_for(callee.cancelled.wait(), 5)


async def give_up(phone: Phone, callee: Callee) -> int:
    """Call `late`, and cancel once it rings; return the final answer."""
    phone.number += 1
    host, port = phone._server
    phone._to = f"sip:late@{host}:{port}"
    invite = phone.compose(
        "INVITE", body=phone.offer(), branch="z9hG4bKgiveup", fields=[f"X-To-0: {callee.uri}"]
    )
    asking = asyncio.create_task(phone.ask(invite))
    while not any(m.startswith(b"SIP/2.0 180") for m in phone.everything):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert (await phone.ask(phone.compose("CANCEL", branch="z9hG4bKgiveup"))).status == 200
    return (await asking).status


@pytest.mark.parametrize(
    ("status", "reason"), [(486, "486 Busy Here"), (603, "603 Decline"), (404, "404 Not Found")]
)
async def test_a_refusal_is_told_to_the_script(
    server: Server, receiver: Receiver, status: int, reason: str
) -> None:
    before = len(receiver.at("/connect/failed"))
    async with Callee.wait(server.sip) as callee, calling(server, "bridge", callee) as phone:
        await answered(phone)
        await callee.rung()
        await callee.reply(status, reason.partition(" ")[2])
        assert await told(receiver, "failed", before) == reason
        await phone.until_ended()


async def test_nobody_is_rung_for_longer_than_the_timeout(
    server: Server, receiver: Receiver
) -> None:
    before = len(receiver.at("/connect/failed"))
    async with Callee.wait(server.sip) as callee, calling(server, "short", callee) as phone:
        await answered(phone)
        await callee.rung()
        await callee.reply(180, "Ringing")
        await asyncio.wait_for(callee.cancelled.wait(), 5)
        assert await told(receiver, "failed", before) == "408 not answered within 1 s"


async def test_two_that_are_joined_are_parted_after_max_duration(
    server: Server, receiver: Receiver
) -> None:
    before = len(receiver.at("/connect/connected"))
    async with Callee.wait(server.sip) as callee, calling(server, "brief", callee) as phone:
        await answered(phone)
        await callee.take()
        began = time.monotonic()
        await callee.until_ended()
        assert time.monotonic() - began > 0.9
        await told(receiver, "connected", before)
        assert not phone.ended.is_set()
        await phone.hang_up()


async def test_the_first_to_answer_gets_the_call_and_the_other_is_cancelled(
    server: Server,
) -> None:
    async with (
        Callee.wait(server.sip) as slow,
        Callee.wait(server.sip) as quick,
        calling(server, "either", slow, quick) as phone,
    ):
        await asyncio.gather(answered(phone), slow.rung(), quick.rung())
        await slow.reply(180, "Ringing")
        await quick.answer()
        await asyncio.wait_for(slow.cancelled.wait(), 5)
        await quick.hang_up()
        await phone.until_ended()


async def test_the_next_is_called_when_the_first_does_not_answer(server: Server) -> None:
    async with (
        Callee.wait(server.sip) as away,
        Callee.wait(server.sip) as there,
        calling(server, "next", away, there) as phone,
    ):
        await asyncio.gather(answered(phone), away.rung())
        await away.reply(180, "Ringing")
        await there.take()
        assert away.cancelled.is_set()
        await there.hang_up()
        await phone.until_ended()


@pytest.mark.parametrize("key", [1, 2])
async def test_whoever_does_not_confirm_is_not_connected(
    server: Server, receiver: Receiver, key: int
) -> None:
    result = "connected" if key == 1 else "failed"
    before = len(receiver.at(f"/connect/{result}"))
    async with Callee.wait(server.sip) as callee, calling(server, "confirm", callee) as phone:
        await answered(phone)
        await callee.take()
        talker = Talker(ssrc=5)
        while not callee.heard:  # noqa: ASYNC110 - the question
            await asyncio.sleep(0.01)
        await callee.say(talker.press(key_payloads(key), lasting=0.16))
        if key == 1:
            payload = np.full(160, 0x55, np.uint8).tobytes()
            async with asyncio.timeout(5):
                while not any(h.data[12:] == payload for h in phone.heard):
                    await callee.say(talker.say(payload))
                    await asyncio.sleep(0.02)
            await callee.hang_up()
        else:
            await callee.until_ended()
        await told(receiver, result, before)
        await phone.until_ended()


async def test_keys_cross_in_the_form_the_other_side_takes(server: Server) -> None:
    async with (
        Callee.wait(server.sip, events=False) as callee,
        calling(server, "bridge", callee) as phone,
    ):
        await answered(phone)
        await callee.rung()
        await callee.answer(fields=["Allow: INVITE, ACK, BYE, CANCEL, INFO"])
        await phone.say(Talker(ssrc=6).press(key_payloads(7), lasting=0.16))
        async with asyncio.timeout(5):
            while not any(m.method == "INFO" for m in callee.requests):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        (info,) = [m for m in callee.requests if m.method == "INFO"]
        assert b"Signal=7" in info.body
        await phone.hang_up()


async def test_a_key_sent_by_info_becomes_an_event_for_the_other(server: Server) -> None:
    async with Callee.wait(server.sip) as callee, calling(server, "bridge", callee) as phone:
        await answered(phone)
        await callee.take()
        await asyncio.sleep(0.1)
        phone.number += 1
        body = b"Signal=5\r\nDuration=160\r\n"
        fields = ["Content-Type: application/dtmf-relay"]
        answer = await phone.ask(phone.compose("INFO", body=body, fields=fields))
        assert answer.status == 200
        async with asyncio.timeout(5):
            while not [h for h in callee.heard if len(h.data) == 16]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert {h.data[12] for h in callee.heard if len(h.data) == 16} == {5}
        await phone.hang_up()


async def test_laws_are_translated_where_the_two_speak_different_ones(
    server: Server, speech_files: tuple[Path, ...]
) -> None:
    payload, said = passage(choose(speech_files, 2, 6)[:2], 1, "PCMA")
    async with (
        Callee.wait(server.sip, law="PCMA") as callee,
        calling(server, "bridge", callee) as phone,
    ):
        await answered(phone)
        await callee.take()
        await callee.say(Talker(ssrc=7).say(payload, 8))
        await asyncio.sleep(0.2)
        heard = phone.received()
        assert heard.size >= said.size
        tail = heard[heard.size - said.size :].astype(np.int32)
        assert np.abs(tail - said).max() <= np.abs(said.astype(np.int32)).max() // 16 + 16
        await callee.hang_up()


async def test_hold_and_its_end_leave_the_other_side_in_the_call(server: Server) -> None:
    async with Callee.wait(server.sip) as callee, calling(server, "bridge", callee) as phone:
        await answered(phone)
        await callee.take()
        assert (await phone.invite("bridge", body=phone.offer("sendonly", 2))).status == 200
        await callee.say(Talker(ssrc=8).say(bytes([0x33]) * 1600))
        await asyncio.sleep(0.2)
        assert not [h for h in phone.heard if h.data[12:] == bytes([0x33]) * 160]
        assert (await phone.invite("bridge", body=phone.offer("sendrecv", 3))).status == 200
        await callee.say(Talker(ssrc=8, sequence=50, timestamp=9000).say(bytes([0x44]) * 1600))
        await asyncio.sleep(0.2)
        assert len([h for h in phone.heard if h.data[12:] == bytes([0x44]) * 160]) == 10
        await phone.hang_up()
        await callee.until_ended()


async def test_the_first_words_of_who_answers_are_heard(
    server: Server, speech_files: tuple[Path, ...]
) -> None:
    payload, said = passage(choose(speech_files, 2, 6)[:1], 1)
    async with Callee.wait(server.sip) as callee, calling(server, "bridge", callee) as phone:
        await answered(phone)
        await callee.rung()
        await callee.reply(180, "Ringing")
        while not phone.heard:  # noqa: ASYNC110 - the tone he hears meanwhile
            await asyncio.sleep(0.02)
        answering = asyncio.ensure_future(callee.answer())
        await asyncio.sleep(0)
        await callee.say(Talker(ssrc=9).say(payload))
        await answering
        await asyncio.sleep(0.2)
        assert place(said, phone.received()).exact
        await phone.hang_up()


async def test_a_bye_that_meets_our_ack_ends_the_call(server: Server, receiver: Receiver) -> None:
    before = len(receiver.at("/connect/failed")) + len(receiver.at("/connect/connected"))
    async with Callee.wait(server.sip) as callee, calling(server, "bridge", callee) as phone:
        await answered(phone)
        await callee.rung()
        await callee.accept()
        await callee.hang_up()
        await phone.until_ended()
    await receiver.until(
        lambda: (
            len(receiver.at("/connect/failed")) + len(receiver.at("/connect/connected")) > before
        )
    )
