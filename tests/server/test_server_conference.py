"""Conferences on a live server: who hears whom, what is recorded of it, and what is told."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from farend.listener import Listener
from farend.phone import Phone
from farend.receiver import Receiver
from farend.server import Server
from farend.speech import encode, key_payloads
from farend.talker import Talker
from farend.waveform import Samples, decode, level, sine

CONFIG = Path(__file__).resolve().parents[2] / "config"

SPOKEN = 0.8
"""Seconds that a party speaks."""

LOUD = -35.0
"""dB of a tone that was heard some of the time; they are said at -15 dB."""

RING = 440.0
"""Hz of one of the tones that those who wait are played."""


_streams = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("conference")
    document = {"version": "1.0.0", "sections": {"main": [{"play": {"url": "ring:4:us"}}]}}
    receiver.pages["/wait"] = ("application/json", json.dumps(document).encode())
    note = {"request": {"url": receiver.url("/left/${call.sip_data.sip_from_user}"),
                        "method": "POST", "body": "${join_conference_result}"}}  # fmt: skip

    def join(name: str, **more: object) -> list[object]:
        told = {"status_callback": receiver.url(f"/told/{name}"), "beep": "false"}
        return [{"join_conference": {"name": name, **told, **more}}, note]

    recorded = {
        "record": "record-from-start",
        "trim": "do-not-trim",
        "recording_status_callback": receiver.url("/recorded/team"),
    }
    scripts: dict[str, list[object]] = {
        "team": join("team", **recorded),
        "minutes": join(
            "minutes", **recorded | {"recording_status_callback": receiver.url("/recorded/minutes")}
        ),
        "mute": join("quiet", muted=True),
        "quiet": join("quiet", max_participants=3),
        "guest": join("doors", start_on_enter=False, wait_url=receiver.url("/wait")),
        "chief": join("doors", end_on_exit=True),
        "agent": join("desk"),
        "coach": join("desk", coach="${call.headers[0].value}"),
        "beeping": [{"join_conference": {"name": "beeping"}}],
        "sample": yaml.safe_load((CONFIG / "conference.yaml").read_text())["sections"]["main"],
        "tour": join("tour"),
        "listened": join(
            "listened",
            stream={
                "url": "${call.headers[0].value}",
                "codec": "G722",
                "status_url": receiver.url("/told/listened-stream"),
            },
        ),
        "guide": join(
            "tour",
            stream={
                "url": "${call.headers[0].value}",
                "realtime": True,
                "status_url": receiver.url("/told/tour-stream"),
            },
        ),
    }
    with Server(folder, scripts) as server:
        yield server


@asynccontextmanager
async def calling(
    server: Server, user: str, law: str = "PCMU", name: str = "caller", *fields: str
) -> AsyncIterator[Phone]:
    async with Phone.open(server.sip, law=law, user=name) as phone:
        answer = await phone.invite(user, fields=fields)
        assert answer.status == 200, answer
        yield phone


async def speak(tones: dict[Phone, float], *listeners: Phone) -> None:
    """Let parties say a tone each, of so many Hz, at the same time; forget what was before."""
    for phone in (*tones, *listeners):
        phone.heard.clear()
    talks = []
    for phone, hertz in tones.items():
        talker = Talker(ssrc=next(_streams))
        codes = encode(phone.law, sine(hertz, SPOKEN, 6000.0))
        talks.append(phone.say(talker.say(codes, 8 if phone.law == "PCMA" else 0)))
    await asyncio.gather(*talks)
    await asyncio.sleep(0.2)


def hears(heard: Samples, *tones: float) -> set[float]:
    """Return those of `tones` that are in what was heard."""
    return {hertz for hertz in tones if level(heard, hertz) > LOUD}


async def joined(receiver: Receiver, name: str, size: int) -> list[str]:
    """Wait for so many members; return their calls' ids."""
    path = f"/told/{name}"

    def there() -> list[str]:
        events = [callback.params for callback in receiver.at(path)]
        return [str(p["call_id"]) for p in events if p["status"] == "participant-join"]

    await receiver.until(lambda: len(there()) >= size)
    return there()


async def test_all_hear_each_other_and_the_recording_holds_all(
    server: Server, receiver: Receiver
) -> None:
    async with (
        calling(server, "team") as one,
        calling(server, "team", "PCMA") as two,
        calling(server, "team") as three,
    ):
        opener, *_ = await joined(receiver, "team", 3)
        tones = {one: 500.0, two: 900.0, three: 1500.0}
        await speak(tones)
        for phone, own in tones.items():
            assert hears(phone.listened(), *tones.values()) == set(tones.values()) - {own}
        await one.hang_up()
        await two.hang_up()
        await speak({three: 2100.0})
        await three.hang_up()
    await receiver.until(lambda: len(receiver.at("/recorded/team")) == 2)
    begun, ended = (callback.params for callback in receiver.at("/recorded/team"))
    assert (begun["status"], ended["status"]) == ("record-start", "record-stop")
    assert begun["call_id"] == ended["call_id"] == opener
    assert begun["recording_url"] == ended["recording_url"]
    assert ended["recording_duration"] >= 2
    samples = server.samples(ended["recording_url"].split("/")[-2])
    assert hears(samples, 500.0, 900.0, 1500.0, 2100.0) == {500.0, 900.0, 1500.0, 2100.0}
    assert ended["recording_file_size"] >= 2 * samples.size
    await receiver.until(lambda: len(receiver.at("/told/team")) == 8)
    told = [callback.params for callback in receiver.at("/told/team")]
    assert [params["status"] for params in told] == [
        "participant-join", "conference-start", "participant-join", "participant-join",
        "participant-leave", "participant-leave", "participant-leave", "conference-end",
    ]  # fmt: skip
    assert [params["size"] for params in told] == [1, 1, 2, 3, 2, 1, 0, 0]
    assert told[-1]["recording_url"] == ended["recording_url"]


async def test_any_member_may_have_the_recording_paused_and_stopped(
    server: Server, receiver: Receiver
) -> None:
    path = "/recorded/minutes"

    async def say(call: str, command: str, control_id: str, status: int = 200) -> None:
        params = {"control_id": control_id} if control_id else {}
        body = json.dumps({"id": call, "command": command, "params": params}).encode()
        answer = await asyncio.to_thread(server.post, "/api/calling/calls", body)
        assert answer.status == status, answer

    async def told(count: int) -> list[str]:
        await receiver.until(lambda: len(receiver.at(path)) == count)
        return [str(callback.params["status"]) for callback in receiver.at(path)]

    async with calling(server, "minutes") as one, calling(server, "minutes") as two:
        opener, other = await joined(receiver, "minutes", 2)
        await told(1)
        recording = receiver.at(path)[0].params["recording_url"].split("/")[-2]
        await speak({one: 500.0})
        await say(other, "calling.record.pause", recording)
        await say(other, "calling.record.pause", recording, 422)
        await speak({two: 900.0})
        await say(opener, "calling.record.resume", recording)
        await say(opener, "calling.record.resume", recording, 422)
        await speak({one: 1500.0})
        await say(other, "calling.disconnect", "")  # the conference goes on without this member
        await receiver.until(lambda: len(receiver.at("/left/caller")) > 0)
        await say(other, "calling.record.stop", recording, 404)
        await say(opener, "calling.record.stop", recording)
        await say(opener, "calling.record.stop", recording, 404)
        steps = ["record-start", "record-pause", "record-resume", "record-stop"]
        assert await told(4) == steps
        await speak({one: 2100.0})
        await one.hang_up()
    heard = hears(server.samples(recording), 500.0, 900.0, 1500.0, 2100.0)
    assert heard == {500.0, 1500.0}
    await receiver.until(lambda: receiver.at("/told/minutes")[-1].params["size"] == 0)
    assert await told(4) == steps


async def test_who_is_muted_hears_and_is_not_heard_and_a_full_conference_takes_nobody(
    server: Server, receiver: Receiver
) -> None:
    async with (
        calling(server, "mute") as muted,
        calling(server, "quiet") as one,
        calling(server, "quiet") as two,
    ):
        await joined(receiver, "quiet", 3)
        await speak({muted: 500.0, one: 900.0}, two)
        assert hears(muted.listened(), 500.0, 900.0) == {900.0}
        assert hears(two.listened(), 500.0, 900.0) == {900.0}
        async with calling(server, "quiet", "PCMU", "fourth") as fourth:
            await fourth.until_ended()
        await receiver.until(lambda: bool(receiver.at("/left/fourth")))
        assert receiver.at("/left/fourth")[0].body == b"failed"


async def test_who_waits_hears_what_wait_url_plays_until_it_starts_and_goes_when_it_ends(
    server: Server, receiver: Receiver
) -> None:
    async with (
        calling(server, "guest", "PCMU", "anna") as anna,
        calling(server, "guest", "PCMU", "bert") as bert,
    ):
        await joined(receiver, "doors", 2)
        await speak({anna: 500.0}, bert)
        assert hears(bert.listened(), 500.0, RING) == {RING}
        asked = json.loads(receiver.at("/wait")[0].body)
        assert asked["call"]["call_state"]
        async with calling(server, "chief") as chief:
            await joined(receiver, "doors", 3)
            await asyncio.sleep(0.1)
            await speak({anna: 500.0, chief: 900.0}, bert)
            assert hears(bert.listened(), 500.0, 900.0, RING) == {500.0, 900.0}
            assert hears(chief.listened(), 500.0, 900.0, RING) == {500.0}
            await chief.hang_up()
            await anna.until_ended()
            await bert.until_ended()
    await receiver.until(lambda: bool(receiver.at("/left/anna") and receiver.at("/left/bert")))
    assert receiver.at("/left/anna")[0].body == b"completed"
    await receiver.until(
        lambda: receiver.at("/told/doors")[-1].params["status"] == "conference-end"
    )
    last = receiver.at("/told/doors")[-1].params
    assert last["reason_ended"] == "participant-with-end-conference-on-exit-left"


async def test_a_coach_is_heard_by_one_alone(server: Server, receiver: Receiver) -> None:
    async with calling(server, "agent") as agent:
        call_id, *_ = await joined(receiver, "desk", 1)
        async with (
            calling(server, "agent") as customer,
            calling(server, "coach", "PCMU", "coach", f"X-Coach: {call_id}") as coach,
        ):
            await joined(receiver, "desk", 3)
            tones = {agent: 500.0, customer: 900.0, coach: 1500.0}
            await speak(tones)
            assert hears(agent.listened(), *tones.values()) == {900.0, 1500.0}
            assert hears(customer.listened(), *tones.values()) == {500.0}
            assert hears(coach.listened(), *tones.values()) == {500.0, 900.0}


async def test_a_beep_is_heard_when_somebody_comes_and_another_when_he_goes(
    server: Server,
) -> None:
    async with calling(server, "beeping") as one:
        await asyncio.sleep(0.5)
        one.heard.clear()
        async with calling(server, "beeping") as two:
            await asyncio.sleep(0.6)
            assert hears(one.listened(), 1000.0, 500.0) == {1000.0}
            await two.hang_up()
        one.heard.clear()
        await asyncio.sleep(0.6)
        assert hears(one.listened(), 1000.0, 500.0) == {500.0}


async def test_the_server_of_a_stream_hears_the_conference_and_is_heard_by_all_but_itself(
    server: Server, receiver: Receiver
) -> None:
    async with Listener.open() as listener:
        # The one who comes first and names the stream goes first: it is the conference's.
        async with calling(server, "guide", "PCMU", "guide", f"X-Url: {listener.url()}") as guide:
            stream = await listener.came()
            async with calling(server, "tour") as one, calling(server, "tour", "PCMA") as two:
                opener, *_ = await joined(receiver, "tour", 3)
                await guide.hang_up()
                assert stream.headers["x-mediaserver-call"] == opener
                stream.messages.clear()
                said = encode("PCMU", sine(900.0, SPOKEN, 6000.0))
                payload = base64.b64encode(said).decode()
                await stream.say("media", payload=payload)
                await stream.say("mark", name="said")
                await speak({one: 500.0}, two)
                await receiver.until(lambda: bool(stream.of("mark")))
                assert hears(one.listened(), 500.0, 900.0) == {900.0}
                assert hears(two.listened(), 500.0, 900.0) == {500.0, 900.0}
                media = [message["media"] for message in stream.of("media")]
                octets = b"".join(base64.b64decode(one["payload"]) for one in media)
                assert hears(decode("PCMU", octets), 500.0, 900.0) == {500.0}
                await one.hang_up()
                assert not stream.over.is_set()
                await two.hang_up()
        await asyncio.wait_for(stream.over.wait(), 8)
        assert stream.messages[-1]["stop"]["reason"] == "call_ended"
    await receiver.until(lambda: len(receiver.at("/told/tour-stream")) == 2)
    events = [callback.params for callback in receiver.at("/told/tour-stream")]
    assert [event["state"] for event in events] == ["streaming", "finished"]


async def test_any_member_may_have_the_stream_of_the_conference_stopped(
    server: Server, receiver: Receiver
) -> None:
    told, streamed = "/told/listened", "/told/listened-stream"

    async def stop(call: str, control_id: str) -> int:
        order = {"command": "calling.stream.stop", "id": call, "params": {"control_id": control_id}}
        body = json.dumps(order).encode()
        return (await asyncio.to_thread(server.post, "/api/calling/calls", body)).status

    async with Listener.open() as listener:
        url = f"X-Url: {listener.url()}"
        async with calling(server, "listened", "PCMU", "one", url):
            stream = await listener.came()
            async with calling(server, "listened", "PCMU", "two", url):
                _, other = await joined(receiver, "listened", 2)
                await receiver.until(lambda: bool(receiver.at(streamed)))
                control_id = receiver.at(streamed)[0].params["control_id"]
                assert await stop(other, "another") == 404
                assert await stop(other, control_id) == 200
                await asyncio.wait_for(stream.over.wait(), 8)
                assert stream.messages[-1]["stop"]["reason"] == "stopped"
                await receiver.until(lambda: len(receiver.at(streamed)) == 2)
                assert receiver.at(streamed)[1].params["reason"] == "stopped"
                assert await stop(other, control_id) == 404
                assert receiver.at(told)[-1].params["size"] == 2  # and the conference goes on


async def test_a_conference_goes_on_without_a_stream_that_cannot_be_had(
    server: Server, receiver: Receiver
) -> None:
    async with calling(server, "guide", "PCMU", "guide", "X-Url: ws://127.0.0.1:9/"):
        await joined(receiver, "tour", 4)
        async with calling(server, "tour") as one, calling(server, "tour") as two:
            await joined(receiver, "tour", 6)
            await speak({one: 500.0}, two)
            assert hears(two.listened(), 500.0) == {500.0}
    assert "conference not streamed" in server.text()


async def dial(phone: Phone, digits: str) -> None:
    """Press keys, one after the other."""
    talker = Talker(ssrc=next(_streams))
    for digit in digits:
        await phone.say(talker.press(key_payloads(int(digit)), lasting=0.15))
        await asyncio.sleep(0.05)


async def test_the_document_in_config_lets_the_chair_start_and_end_it(server: Server) -> None:
    async with calling(server, "sample") as guest, calling(server, "sample") as chair:
        await asyncio.sleep(0.2)
        await dial(guest, "1470")
        await dial(chair, "2580")
        await asyncio.sleep(0.8)  # the beep and its echo
        await speak({guest: 700.0, chair: 900.0})
        assert hears(chair.listened(), 700.0, 900.0) == {700.0}
        assert hears(guest.listened(), 700.0, 900.0) == {900.0}
        await chair.hang_up()
        await guest.until_ended()
