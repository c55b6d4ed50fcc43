"""Telephones that speak G.722 and Opus: recorded, played to, bridged, and changing in mid-call.

The recordings are compared by shape and place: by how much a codec is late is made up for, to a
few milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from farend.callee import Callee
from farend.phone import Phone
from farend.receiver import Receiver
from farend.server import Server
from farend.speech import choose, encode, passage
from farend.talker import Talker, Timed
from farend.waveform import Samples, similarity
from farend.wide import CLOCKS, NUMBERS, WideTalker, understood
from mediaserver.rtp.dtmf import event_packets
from mediaserver.rtp.packet import HEADER

WIDE = tuple(CLOCKS)
ALIKE = {"G722": 0.95, "opus": 0.85, "PCMU": 0.97}
EVENTS = 101
NEAR = 0.012
"""Seconds by which two ways of the same sound may differ in their delay."""


@pytest.fixture(scope="module")
def speech(speech_files: tuple[Path, ...]) -> Samples:
    return passage(choose(speech_files, 2, 6), 6.4)[1]


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, receiver: Receiver, speech: Samples
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("wide")
    with wave.open(str(folder / "clip.wav"), "wb") as clip:
        clip.setparams((1, 2, 8000, 0, "NONE", ""))
        clip.writeframes(speech[-24_000:].astype("<i2").tobytes())
    record = {
        "record_call": {
            "stereo": True, "status_url": receiver.url("/wide/${call.sip_data.sip_from_user}"),
        }
    }  # fmt: skip
    told = {"request": {"url": receiver.url("/wide/keys/${call.sip_data.sip_from_user}"),
                        "method": "POST", "body": {"key": "${prompt_value}"}}}  # fmt: skip
    scripts: dict[str, list[object]] = {
        "wide": [record, {"play": {"url": str(folder / "clip.wav")}}, {"sleep": 9000}],
        "keys": [
            {"prompt": {"play": "silence:0.1", "max_digits": 2}}, told,
            {"send_digits": {"digits": "42"}}, {"sleep": 9000},
        ],
        "bridge": [record, {"connect": {"to": "${call.headers[0].value}"}}],
        "only-g711": [{"answer": {"codecs": "PCMU,PCMA"}}],
        "opus-first": [{"answer": {"codecs": "OPUS,PCMU"}}, {"sleep": 2000}],
    }  # fmt: skip
    with Server(folder, scripts) as server:
        yield server


def offer(phone: Phone, *names: str, version: int = 1, direction: str = "sendrecv") -> bytes:
    """Return SDP that offers codecs, with the events each needs beside it."""
    lines = [
        "v=0", f"o=- 20518 {version} IN IP4 {phone.host}", "s=-", f"c=IN IP4 {phone.host}", "t=0 0",
    ]  # fmt: skip
    numbers = {"PCMU": 0, **NUMBERS}
    kinds = " ".join(str(numbers[name]) for name in names)
    clock = 48_000 if names == ("opus",) else 8000
    lines.append(f"m=audio {phone.rtp.getsockname()[1]} RTP/AVP {kinds} {EVENTS}")
    for name in names:
        full = "opus/48000/2" if name == "opus" else f"{name}/8000"
        lines.append(f"a=rtpmap:{numbers[name]} {full}")
    lines += [f"a=rtpmap:{EVENTS} telephone-event/{clock}", "a=ptime:20", f"a={direction}"]
    return "".join(f"{line}\r\n" for line in lines).encode()


@asynccontextmanager
async def calling(
    server: Server, user: str, caller: str, *names: str, fields: tuple[str, ...] = ()
) -> AsyncIterator[Phone]:
    async with Phone.open(server.sip, user=caller) as phone:
        answer = await phone.invite(user, body=offer(phone, *names), fields=fields)
        assert answer.status == 200, answer
        yield phone


def heard_by(phone: Phone, name: str) -> Samples:
    packets = [h.data for h in phone.heard if h.kind == NUMBERS[name]]
    return understood(name, packets)


async def recorded(server: Server, receiver: Receiver, caller: str) -> Samples:
    end = await receiver.until_final(f"/wide/{caller}")
    return server.samples(end.params["recording_id"])


def where(sent: Samples, line: Samples, alike: float) -> float:
    """Return at which second of a line something is, which must be alike."""
    lag, shape = similarity(sent, line)
    assert shape > alike
    return lag / 8000


async def test_such_calls_are_recorded_and_hear_what_is_played(
    server: Server, receiver: Receiver, speech: Samples
) -> None:
    voice, clip = speech[:24_000], speech[-24_000:]

    async def call(name: str) -> Samples:
        async with calling(server, "wide", name, name) as phone:
            if name == "PCMU":
                packets = Talker().say(encode("PCMU", voice))
            else:
                packets = WideTalker(name).say(voice)
            await phone.say(packets)
            await asyncio.sleep(0.3)
            heard = phone.listened() if name == "PCMU" else heard_by(phone, name)
            await phone.hang_up()
            return heard

    calls = await asyncio.gather(*(call(name) for name in ("PCMU", *WIDE)))
    for name, heard in zip(("PCMU", *WIDE), calls, strict=True):
        assert where(clip[:20_000], heard, ALIKE[name]) < 0.02
        line = await recorded(server, receiver, name)
        at = where(voice, line[:, 0], ALIKE[name])
        assert 0 <= at < 0.5
        assert where(clip[:16_000], line[:, 1], 0.99) < 1.0


async def test_keys_are_heard_and_sent_by_the_clock_of_the_audio(
    server: Server, receiver: Receiver, speech: Samples
) -> None:
    async def call(name: str) -> list[bytes]:
        caller, clock = f"keys-{name}", CLOCKS[name]
        async with calling(server, "keys", caller, name) as phone:
            talker = WideTalker(name)
            packets = talker.say(speech[:3200])
            for key in "75":
                payloads = [p.payload for p in event_packets(key, clock_rate=clock)]
                packets += talker.press(payloads, EVENTS)
                packets += talker.say(speech[:1600])
            await phone.say(packets)
            await receiver.until(lambda: bool(receiver.at(f"/wide/keys/{caller}")))
            await asyncio.sleep(1.0)
            return [h.data for h in phone.heard if h.kind == EVENTS]

    for name, sent in zip(WIDE, await asyncio.gather(*map(call, WIDE)), strict=True):
        told = receiver.at(f"/wide/keys/keys-{name}")[0]
        assert json.loads(told.body) == {"key": "75"}
        keys = [packet[HEADER] for packet in sent if packet[HEADER + 1] & 0x80]
        assert keys == [4] * 3 + [2] * 3
        assert sent[0][HEADER + 2 :] == (CLOCKS[name] // 50).to_bytes(2, "big")


async def test_parties_of_different_codecs_hear_each_other(
    server: Server, receiver: Receiver, speech: Samples
) -> None:
    voice, reply = speech[:19_200], speech[-19_200:]

    async def call(name: str) -> tuple[Samples, Samples]:
        caller = f"bridge-{name}"
        async with Callee.wait(server.sip) as callee:
            field = (f"X-To-0: {callee.uri}",)
            async with Phone.open(server.sip, user=caller) as phone:
                body = offer(phone, name)
                asking = asyncio.ensure_future(phone.invite("bridge", body=body, fields=field))
                await callee.rung()
                await callee.answer()
                assert (await asking).status == 200
                await asyncio.gather(
                    phone.say(WideTalker(name).say(voice)),
                    callee.say(Talker(ssrc=2).say(encode("PCMU", reply))),
                )
                await asyncio.sleep(0.4)
                heard = heard_by(phone, name), callee.received()
                await phone.hang_up()
                await callee.until_ended()
                return heard

    for name, (far, near) in zip(WIDE, await asyncio.gather(*map(call, WIDE)), strict=True):
        assert where(reply[:18_000], far, ALIKE[name]) < 0.1
        assert where(voice[:18_000], near, ALIKE[name]) < 0.1
        line = await recorded(server, receiver, f"bridge-{name}")
        said, played = where(voice, line[:, 0], ALIKE[name]), where(reply, line[:, 1], 0.9)
        assert abs(said - played) < 0.15


async def test_the_codec_may_change_in_mid_call_and_the_recording_has_no_gap(
    server: Server, receiver: Receiver, speech: Samples
) -> None:
    parts = speech[:28_800].reshape(3, 9600)
    waits: dict[str, list[float]] = {}

    async def call(name: str) -> None:
        caller = f"change-{name}"
        async with calling(server, "wide", caller, "PCMU") as phone:
            plain = Talker(ssrc=5, at=0.0)
            await phone.say(plain.say(encode("PCMU", parts[0])))
            waits[name] = [await change(phone, offer(phone, name, version=2))]
            wide = WideTalker(name, ssrc=5, sequence=plain.sequence, timestamp=plain.timestamp)
            await phone.say(wide.say(parts[1]))
            waits[name].append(await change(phone, offer(phone, "PCMU", version=3)))
            again = Talker(ssrc=5, sequence=wide.sequence, timestamp=wide.timestamp)
            await phone.say(again.say(encode("PCMU", parts[2])))
            await asyncio.sleep(0.2)
            await phone.hang_up()

    await asyncio.gather(*map(call, WIDE))
    for name in WIDE:
        line = (await recorded(server, receiver, f"change-{name}"))[:, 0]
        first, second, third = (
            where(part, line, ALIKE[kind])
            for part, kind in zip(parts, ("PCMU", name, "PCMU"), strict=True)
        )
        for apart, wait in zip((second - first, third - second), waits[name], strict=True):
            # What goes on within 0.1 s follows at once; only a slow machine leaves a real gap.
            assert -NEAR < apart - 1.2 < NEAR + (wait if wait > 0.06 else 0)


async def change(phone: Phone, body: bytes) -> float:
    """Make another offer; return how many seconds the answer took."""
    begun = time.monotonic()
    answer = await phone.invite("wide", body=body)
    assert answer.status == 200
    return time.monotonic() - begun


async def test_g711_is_spoken_wherever_it_is_offered_unless_somebody_says_otherwise(
    server: Server,
) -> None:
    async def formats(user: str, *names: str) -> list[str]:
        async with Phone.open(server.sip) as phone:
            answer = await phone.invite(user, body=offer(phone, *names))
            lines = answer.body.decode().splitlines()
            return [x for line in lines if line.startswith("m=") for x in line.split()[3:]]

    assert await formats("wide", "opus", "G722", "PCMU") == ["0", "101"]
    assert (await formats("opus-first", "PCMU", "opus"))[0] == "111"
    assert await formats("only-g711", "opus") == []


async def test_random_octets_leave_the_call_standing(
    server: Server, receiver: Receiver, speech: Samples
) -> None:
    lines = server.text().count("\n")

    async def call(name: str) -> None:
        chance = random.Random(8)
        async with calling(server, "wide", f"junk-{name}", name) as phone:
            talker = WideTalker(name)
            junk = [chance.randbytes(chance.randrange(1, 300)) for _ in range(100)]
            await phone.say([Timed(0.0, timed.packet) for timed in talker.send(junk)])
            talker.at = 0.0
            await phone.say(talker.say(speech[:9600]))
            await asyncio.sleep(0.2)
            await phone.hang_up()

    await asyncio.gather(*map(call, WIDE))
    for name in WIDE:
        line = await recorded(server, receiver, f"junk-{name}")
        # The last few ms wait in the codec for what follows, should the line end with them.
        where(speech[1600:9440], line[:, 0], ALIKE[name])
    assert server.text().count("\n") - lines < 40


def test_nothing_was_logged_that_should_not_be(server: Server) -> None:
    server.assert_clean()
