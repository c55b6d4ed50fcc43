"""Where every millisecond came from, of calls that lost packets, were held, and pressed keys."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from farend.impairment import lose
from farend.phone import Phone
from farend.receiver import Receiver
from farend.server import PROJECT, Server
from farend.speech import choose, key_payloads, passage
from farend.talker import Talker
from farend.waveform import FRAME

SHARE = 0.15
PACKET_MS = 20
FIVE = 5
LISTENED, CUT = "listened", "cut"


@dataclass
class Truth:
    """What a far end did, in milliseconds and packets."""

    lost: int = 0
    sent: int = 0
    spoken: float = 0.0
    held: tuple[float, float] = (0.0, 0.0)
    """At least and at most: from answer to request, and from request to answer."""
    pressed: float = 0.0


@dataclass
class Told:
    """What the server said of it."""

    resource: dict[str, Any]
    samples: int
    truth: Truth = field(default_factory=Truth)

    @property
    def account(self) -> dict[str, Any]:
        """The account in the resource."""
        account: dict[str, Any] = self.resource["x-mediaserver"]["account"]
        return account

    @property
    def milliseconds(self) -> dict[str, int]:
        """Its parts."""
        milliseconds: dict[str, int] = self.account["milliseconds"]
        return milliseconds


def told(server: Server, recording_id: str, truth: Truth) -> Told:
    path = f"/v1beta1/projects/{PROJECT}/calls/-/recordings/{recording_id}?view=FULL"
    resource = json.loads(server.get(path).body)
    return Told(resource, server.samples(recording_id).shape[0], truth)


async def troubled(server: Server, receiver: Receiver, speech: tuple[Path, ...]) -> Told:
    """Speak with losses, be held, press a key, speak again."""
    truth = Truth()
    talker = Talker()
    payload, _ = passage(speech, 4.0)
    first, lost = lose(talker.say(payload), SHARE, 4)
    async with Phone.open(server.sip) as phone:
        await phone.call("troubled")
        left = await phone.say(first)
        began = time.monotonic()
        answer = await phone.invite("troubled", body=phone.offer("sendonly", 2))
        assert answer.status == 200
        on_hold = time.monotonic()
        await asyncio.sleep(1.0 + left - time.monotonic())
        ended = time.monotonic()
        answer = await phone.invite("troubled", body=phone.offer("sendrecv", 3))
        assert answer.status == 200
        truth.held = 1000 * (ended - on_hold), 1000 * (time.monotonic() - began)
        await asyncio.sleep(1.22 + left - time.monotonic())
        talker.pause(1.2)
        key = talker.press(key_payloads(FIVE, frames=10), lasting=0.26)
        rest, more = lose(talker.say(payload[: 100 * FRAME]), SHARE, 5)
        await phone.say([*key, *rest])
        await asyncio.sleep(0.02)
        await phone.hang_up()
    truth.lost, truth.sent = len(lost) + len(more), len(first) + len(key) + len(rest)
    truth.spoken, truth.pressed = 6000, 200
    final = await receiver.until_final("/account/troubled")
    return told(server, final.params["recording_id"], truth)


async def ended_by_silence(server: Server, receiver: Receiver, speech: tuple[Path, ...]) -> Told:
    payload, _ = passage(speech, 1.6)
    async with Phone.open(server.sip) as phone:
        await phone.call("silence")
        await phone.say(Talker().say(payload))
        await phone.until_ended()
    final = await receiver.until_final("/account/silence")
    return told(server, final.params["recording_id"], Truth(spoken=1600))


async def listened(server: Server, receiver: Receiver, speech: tuple[Path, ...]) -> Told:
    """Hear a beep while what is heard is recorded."""
    async with Phone.open(server.sip) as phone:
        await phone.call(LISTENED)
        await phone.say(Talker().say(passage(speech, 1.0)[0]))
        await phone.until_ended()
    final = await receiver.until_final(f"/account/{LISTENED}")
    return told(server, final.params["recording_id"], Truth())


class Calls:
    """What was told of each call, or what went wrong with it."""

    def __init__(self, found: dict[str, Told | BaseException]) -> None:
        self._found = found

    def __getitem__(self, name: str) -> Told:
        found = self._found[name]
        if isinstance(found, BaseException):
            raise found
        return found


async def cut_off(folder: Path, receiver: Receiver, speech: tuple[Path, ...]) -> Told:
    """Speak with losses to a server of one's own, which is killed."""
    record = {
        "initial_timeout": 0,
        "end_silence_timeout": 0,
        "max_length": 60,
        "status_url": receiver.url("/account/cut"),
    }
    server = Server(folder, {CUT: [{"record": record}]})
    packets, lost = lose(Talker().say(passage(speech, 4.0)[0]), SHARE, 6)
    await asyncio.to_thread(server.start)
    async with Phone.open(server.sip) as phone:
        await phone.call(CUT)
        await phone.say(packets)
        # Beyond what may still wait to be written: that of the last second.
        await phone.say(Talker(ssrc=7, at=0.0).say(b"\xff" * 8000 * 2))
        await asyncio.to_thread(server.kill)
        phone.over = True
    await asyncio.to_thread(server.start)
    try:
        final = await receiver.until_final("/account/cut", 20)
        return told(server, final.params["recording_id"], Truth(lost=len(lost)))
    finally:
        await asyncio.to_thread(server.stop)


@pytest.fixture(scope="module")
def calls(
    tmp_path_factory: pytest.TempPathFactory,
    receiver: Receiver,
    speech_files: tuple[Path, ...],
) -> Iterator[Calls]:
    speech = tuple(choose(speech_files, 2.0, 6.0))
    url = receiver.url("/account/")
    endless = {"initial_timeout": 0, "end_silence_timeout": 0}
    scripts: dict[str, list[object]] = {
        "troubled": [{"record": {"status_url": url + "troubled", **endless}}],
        "silence": [
            {"record": {"status_url": url + "silence", "end_silence_timeout": 1.0}},
            {"hangup": {}},
        ],
        LISTENED: [
            {"record_call": {"status_url": url + LISTENED, "direction": "listen"}},
            {"play": {"urls": ["silence:0.5", "ring:1.0:us"]}},
            {"hangup": {}},
        ],
    }
    server = Server(tmp_path_factory.mktemp("account"), scripts)

    async def everything() -> Calls:
        works = (troubled, ended_by_silence, listened)
        done = await asyncio.gather(
            *(work(server, receiver, speech) for work in works),
            cut_off(tmp_path_factory.mktemp(CUT), receiver, speech),
            return_exceptions=True,
        )
        names = (*(work.__name__ for work in works), CUT)
        return Calls(dict(zip(names, done, strict=True)))

    with server:
        yield asyncio.run(everything())


@pytest.mark.parametrize("name", ["troubled", "ended_by_silence", "listened"])
def test_the_parts_add_up_to_the_duration(calls: Calls, name: str) -> None:
    call = calls[name]
    assert sum(call.milliseconds.values()) == call.samples * 1000 // 8000
    seconds = float(call.resource["duration"].removesuffix("s"))
    assert sum(call.milliseconds.values()) == int(1000 * seconds)


def test_what_was_lost_held_and_pressed_is_told_within_a_packet(calls: Calls) -> None:
    call = calls["troubled"]
    truth, found = call.truth, call.milliseconds
    assert abs(found["lost"] - PACKET_MS * truth.lost) <= PACKET_MS
    assert truth.held[0] - PACKET_MS <= found["held"] <= truth.held[1] + PACKET_MS
    assert abs(found["dtmf"] - truth.pressed) <= PACKET_MS
    assert found["concealed"] == found["paused"] == 0
    # Where a spurt begins and ends is told on a grid of frames, at each gap in it.
    assert abs(found["speech"] + found["lost"] - truth.spoken) <= 0.1 * truth.spoken


def test_the_legs_packets_are_counted_and_rated(calls: Calls) -> None:
    call = calls["troubled"]
    leg = call.account["leg"]
    assert leg["packets_received"] == call.truth.sent
    assert leg["packets_lost"] == call.truth.lost
    assert leg["packets_late"] == leg["packets_refused"] == 0
    percent = 100 * call.truth.lost / (call.truth.lost + call.truth.sent)
    assert leg["r_factor"] == pytest.approx(93.2 - 95 * percent / (percent + 4.3), abs=0.06)
    assert 1.0 <= leg["mos"] < 2.5
    assert calls["ended_by_silence"].account["leg"]["mos"] == 4.41


def test_the_trace_says_why_it_stopped(calls: Calls) -> None:
    trace = calls["troubled"].account["trace"]
    assert trace["stop_reason"] == "hangup"
    trace = calls["ended_by_silence"].account["trace"]
    assert trace["stop_reason"] == "end_silence"
    spoken = trace["spurts"][-1][1] - trace["spurts"][0][0]
    assert abs(spoken - 1600) <= 3 * PACKET_MS
    end = trace["last_speech_end_ms"] + trace["fade_ms"]
    assert trace["position_ms"] == end + 1000
    assert trace["rules"]["end_silence_timeout"] == 1.0
    assert trace["voice"]["mode"] == 2


def test_of_what_the_party_heard_it_is_told_what_was_sent(calls: Calls) -> None:
    found = calls["listened"].milliseconds
    assert set(found) == {"paused", "sent", "silence"}
    assert abs(found["sent"] - 1000) <= 2 * PACKET_MS
    assert "spurts" not in calls["listened"].account["trace"]


def test_what_was_lost_before_a_crash_is_told_after_it(calls: Calls) -> None:
    call = calls[CUT]
    assert sum(call.milliseconds.values()) == call.samples * 1000 // 8000
    assert call.milliseconds["lost"] == PACKET_MS * call.truth.lost
    trace = call.account["trace"]
    assert trace["stop_reason"] == "restart"
    assert trace["rules"]["max_length"] == 60
    assert "leg" not in call.account
