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

import numpy as np
import pytest

from farend.callee import Callee
from farend.phone import Phone
from farend.receiver import Receiver
from farend.server import Server
from farend.speech import choose, encode, passage
from farend.talker import Talker, Timed
from farend.waveform import Samples, similarity
from farend.wide import (
    CLOCKS,
    NUMBERS,
    WideTalker,
    bright,
    brightness,
    resampled,
    understood,
)
from mediaserver.rtp.dtmf import event_packets
from mediaserver.rtp.packet import HEADER

WIDE = tuple(CLOCKS)
ALIKE = {"G722": 0.95, "opus": 0.85, "PCMU": 0.97}
BRIGHT = {"G722": 0.95, "opus": 0.75}
"""What is left of a sweep up to 7 kHz."""
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
        "same": [
            record,
            {"connect": {"to": "${call.headers[0].value}", "codecs": "${call.headers[1].value}"}},
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
    """Return what a telephone's band has of a recording, shape (n, channels), at 8 kHz."""
    whole, rate = await recording(server, receiver, caller)
    if rate == 8000:
        return whole
    assert rate == 16_000
    return np.stack([resampled(channel, 0.5) for channel in whole.T], axis=1)


async def recording(server: Server, receiver: Receiver, caller: str) -> tuple[Samples, int]:
    """Return a recording's samples, shape (n, channels), and their rate."""
    end = await receiver.until_final(f"/wide/{caller}")
    with wave.open(str(server.file(end.params["recording_id"]))) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
        return samples.reshape(-1, file.getnchannels()), file.getframerate()


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


async def test_what_is_said_beyond_a_telephones_band_is_recorded_and_crosses_as_it_came(
    server: Server, receiver: Receiver
) -> None:
    said, reply = bright(2.5), np.roll(bright(2.5), 1600)

    async def call(name: str) -> tuple[list[bytes], list[bytes]]:
        async with Callee.wait(server.sip, law=name) as callee:
            fields = (f"X-To-0: {callee.uri}", f"X-Codec: {name.upper()}")
            async with Phone.open(server.sip, user=f"bright-{name}") as phone:
                body = offer(phone, name)
                asking = asyncio.ensure_future(phone.invite("same", body=body, fields=fields))
                await callee.rung()
                await callee.answer()
                assert (await asking).status == 200
                ours = WideTalker(name, rate=16_000).say(said)
                theirs = WideTalker(name, kind=callee.spoken_as, rate=16_000, ssrc=3).say(reply)
                await asyncio.gather(phone.say(ours), callee.say(theirs))
                await asyncio.sleep(0.3)
                await phone.hang_up()
                await callee.until_ended()
                heard = [h.data for h in callee.heard if h.kind == callee.spoken_as]
                return [timed.packet for timed in ours], heard

    for name, (sent, heard) in zip(WIDE, await asyncio.gather(*map(call, WIDE)), strict=True):
        assert [p[HEADER:] for p in heard] == [p[HEADER:] for p in sent]
        samples, rate = await recording(server, receiver, f"bright-{name}")
        assert rate == 16_000
        for channel, source in zip(samples.T, (said, reply), strict=True):
            assert brightness(channel) > 0.8 * brightness(source)
            assert similarity(source[:32_000], channel)[1] > BRIGHT[name]


async def test_a_wide_recording_that_is_followed_has_the_rate_and_the_samples_of_its_file(
    server: Server, receiver: Receiver
) -> None:
    async def call(name: str) -> tuple[bytes, bytes]:
        caller = f"grows-{name}"
        async with calling(server, "wide", caller, name) as phone:
            await receiver.until(lambda: bool(receiver.accepted(f"/wide/{caller}")))
            told = receiver.accepted(f"/wide/{caller}")[0].params
            audio = f"/api/v1/recordings/{told['recording_id']}/download"
            talking = asyncio.create_task(phone.say(WideTalker(name, rate=16_000).say(bright(3))))
            following = asyncio.create_task(asyncio.to_thread(server.get, f"{audio}?follow=true"))
            await asyncio.sleep(2.0)
            so_far = await asyncio.to_thread(server.get, audio)
            await talking
            await phone.hang_up()
            return (await following).body, so_far.body

    for name, (followed, so_far) in zip(WIDE, await asyncio.gather(*map(call, WIDE)), strict=True):
        samples, rate = await recording(server, receiver, f"grows-{name}")
        for body in (followed, so_far):
            assert body[:4] == b"RIFF", body[:200]
            assert int.from_bytes(body[24:28], "little") == rate == 16_000
        assert followed[44:] == samples.astype("<i2").tobytes()
        # The last 2 ms of what is resampled wait for what follows.
        early = np.frombuffer(so_far[44:], "<i2").reshape(-1, 2)[:-64]
        assert np.array_equal(early, samples[: len(early)])
        assert brightness(early[:, 0]) > 0.2


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


async def test_a_server_that_is_killed_has_both_bands_of_what_was_said(
    server: Server, receiver: Receiver
) -> None:
    async def talk(name: str) -> None:
        async with calling(server, "wide", f"killed-{name}", name) as phone:
            await phone.say(WideTalker(name, rate=16_000).say(bright(4.0)))
            await asyncio.sleep(20)

    talks = [asyncio.create_task(talk(name)) for name in WIDE]
    await receiver.until(lambda: all(receiver.accepted(f"/wide/killed-{name}") for name in WIDE))
    await asyncio.sleep(2.5)
    server.kill()
    for one in talks:
        one.cancel()
    await asyncio.gather(*talks, return_exceptions=True)
    await asyncio.to_thread(server.start)
    for name in WIDE:
        samples, rate = await recording(server, receiver, f"killed-{name}")
        assert rate == 16_000
        assert len(samples) > 1.9 * rate
        said = samples[: round(1.9 * rate), 0]
        assert brightness(said) > 0.2
        assert similarity(bright(1.5), said)[1] > BRIGHT[name]
        # What was written last is of the line alone, if its band had not been written yet.
        assert np.abs(samples[-1600:, 0].astype(int)).max() < 8000


def test_nothing_was_logged_that_should_not_be(server: Server) -> None:
    server.assert_clean()
