"""Commands over HTTP to a real call that is up: what becomes of the file and of the callbacks."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import random
from collections.abc import Iterator
from typing import Any

import aiohttp
import numpy as np
import pytest

from farend.phone import Phone
from farend.receiver import Receiver
from farend.scene import ENDS
from farend.server import KEY, PROJECT, Server
from farend.speech import encode
from farend.talker import Talker
from farend.waveform import Samples, decode, is_quiet, level, place, sine

RATE = 8000
GAP = 0.4
"""Seconds of silence in which a command is given."""
BEFORE, PAUSED, AFTER, STOPPED = 400, 1000, 1600, 2200
"""Hz of what is said before a pause, in it, after it, and after the stop."""
NAMES = ("skip", "silence", "beep", "several", "end", "unanswered", "hang-up", "storm")
WAYS = ("skip", "silence")
"""What may become of the time of a pause."""
FOR_EVER = {"initial_timeout": 0, "end_silence_timeout": 0}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Server]:
    server = Server(
        tmp_path_factory.mktemp("calling"),
        {},
        {"api_keys": [KEY, {"key": "only-lists", "permissions": ["voice.recordings.list"]}]},
    )
    for name in NAMES:
        steps: list[object] = [{"answer": {}}, {"sleep": 60_000}]
        document = {"sections": {"main": steps[1:] if name == "unanswered" else steps}}
        path = f"/calling/script/{name}"
        receiver.pages[path] = ("application/json", json.dumps(document).encode())
        server.add_route(name, receiver.url(path))
    with server:
        yield server


class Application:
    """Knows a call by the request for its script, and commands it."""

    def __init__(self, server: Server, receiver: Receiver, name: str) -> None:
        self.server = server
        self.receiver = receiver
        self.path = f"/calling/{name}"
        self._script = f"/calling/script/{name}"

    async def call_id(self) -> str:
        await self.receiver.until(lambda: bool(self.receiver.at(self._script)))
        return str(self.receiver.at(self._script)[0].event["call"]["call_id"])

    async def say(self, command: str, key: str = KEY, **params: Any) -> tuple[int, Any]:
        sent = {"id": await self.call_id(), "command": command, "params": params}
        url = f"http://{self.server.host}:{self.server.http_port}/api/calling/calls"
        basic = base64.b64encode(f"{PROJECT}:{key}".encode()).decode()
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Basic {basic}"}) as client,
            client.post(url, json=sent) as response,
        ):
            return response.status, await response.json()

    async def must(self, command: str, **params: Any) -> dict[str, Any]:
        status, answer = await self.say(command, **params)
        assert status == 200, answer
        assert isinstance(answer, dict)
        return answer

    async def record(self, control_id: str = "k", **audio: Any) -> dict[str, Any]:
        url = self.receiver.url(f"{self.path}/{control_id}")
        settings = {"format": "wav", **FOR_EVER, **audio}
        return await self.must(
            "calling.record", control_id=control_id, record={"audio": settings}, status_url=url
        )

    async def ended(self, control_id: str = "k") -> dict[str, Any]:
        """Return the params of the callback that ended a recording."""
        return (await self.receiver.until_final(f"{self.path}/{control_id}")).params


async def paused_call(server: Server, receiver: Receiver, behavior: str) -> Application:
    """Talk in tones through a recording that is paused, resumed and stopped."""
    application = Application(server, receiver, behavior)
    talker = Talker()
    packets = []
    for frequency in (BEFORE, PAUSED, AFTER, STOPPED):
        packets += talker.say(encode("PCMU", sine(frequency, 1.0)))
        talker.pause(GAP)
    async with Phone.open(server.sip) as phone:
        await phone.call(behavior)
        await application.record()
        talking = asyncio.create_task(phone.say(packets))
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, (command, params) in enumerate(
            [
                ("calling.record.pause", {"behavior": behavior}),
                ("calling.record.resume", {}),
                ("calling.record.stop", {}),
            ],
            start=1,
        ):
            # In the middle of the gap behind each tone.
            at = began + number * (1.0 + GAP) - GAP / 2
            await asyncio.sleep(at - loop.time())
            answer = await application.must(command, control_id="k", **params)
            assert (answer["id"], answer["status"]) == (await application.call_id(), "answered")
        await talking
        await phone.hang_up()
    await application.ended()
    return application


def said(frequency: float) -> Samples:
    """Return a tone as whoever decodes it has it."""
    return decode("PCMU", encode("PCMU", sine(frequency, 1.0)))


def check_callbacks(application: Application, behavior: str) -> None:
    callbacks = application.receiver.accepted(f"{application.path}/k")
    assert [(c.state, c.params.get("pause_behavior")) for c in callbacks] == [
        ("recording", None),
        ("paused", behavior),
        ("recording", None),
        ("finished", None),
    ]
    assert [c.headers["x-mediaserver-sequence"] for c in callbacks] == ["1", "2", "3", "4"]
    assert {c.params["control_id"] for c in callbacks} == {"k"}
    assert {c.params["recording_id"] for c in callbacks} == {callbacks[0].params["recording_id"]}


@pytest.fixture(scope="module")
def paused(server: Server, receiver: Receiver) -> dict[str, Application]:
    """A call that was paused in each way; both are made at once."""

    async def call_all() -> list[Application]:
        return await asyncio.gather(*(paused_call(server, receiver, way) for way in WAYS))

    return dict(zip(WAYS, asyncio.run(call_all()), strict=True))


async def test_a_pause_that_is_skipped_is_not_in_the_file(
    server: Server, paused: dict[str, Application]
) -> None:
    application = paused["skip"]
    check_callbacks(application, "skip")
    params = await application.ended()
    samples = server.samples(params["recording_id"])
    before, after = place(said(BEFORE), samples), place(said(AFTER), samples)
    assert before.exact
    assert after.exact
    # One gap is left of what lay between: half of the one before the pause, half of that after.
    assert abs(after.offset - before.offset - RATE * (1.0 + GAP)) < RATE * GAP / 2
    for frequency in (PAUSED, STOPPED):
        assert level(samples, frequency) < -70
    assert params["duration"] == samples.size // RATE == 2
    view = server.get(f"/v1beta1/projects/{PROJECT}/calls/-/recordings/{params['recording_id']}")
    assert (view.json["state"], view.json["source"]) == ("SUCCEEDED", "CALL_RECORDING")
    assert params["end_time"] - params["start_time"] > 3.5  # the pause passed all the same


async def test_a_pause_of_silence_keeps_the_timing(
    server: Server, paused: dict[str, Application]
) -> None:
    application = paused["silence"]
    check_callbacks(application, "silence")
    params = await application.ended()
    samples = server.samples(params["recording_id"])
    before, after = place(said(BEFORE), samples), place(said(AFTER), samples)
    assert before.exact
    assert after.exact
    assert after.offset - before.offset == RATE * 2 * (1.0 + GAP)
    assert is_quiet(samples[before.offset + RATE : after.offset])
    assert level(samples, STOPPED) < -70


async def test_the_beep_is_heard_and_is_not_in_the_recording(
    server: Server, receiver: Receiver
) -> None:
    application = Application(server, receiver, "beep")
    tone = Talker().say(encode("PCMU", sine(BEFORE, 1.0)))
    async with Phone.open(server.sip) as phone:
        await phone.call("beep")
        await application.record(beep=True, direction="both", stereo=True)
        assert receiver.at(f"{application.path}/k") == []
        await receiver.until(lambda: len(receiver.accepted(f"{application.path}/k")) == 1)
        heard = phone.received()
        await phone.say(tone)
        await asyncio.sleep(0.1)
        await application.must("calling.record.stop", control_id="k")
        params = await application.ended()
    assert np.count_nonzero(np.abs(heard.astype(np.int32)) > 500) > 0.2 * RATE
    assert level(heard, 1000) > -25
    recorded = server.samples(params["recording_id"])
    assert place(said(BEFORE), recorded[:, 0]).exact
    assert is_quiet(recorded[:, 1])


async def test_several_recordings_run_beside_each_other_and_end_one_by_one(
    server: Server, receiver: Receiver
) -> None:
    application = Application(server, receiver, "several")
    async with Phone.open(server.sip) as phone:
        await phone.call("several")
        await application.record("one")
        await application.record("two", format="mp3", direction="both", stereo=True)
        status, answer = await application.say(
            "calling.record", control_id="one", record={"audio": {}}
        )
        assert (status, answer["errors"][0]["attribute"]) == (422, "control_id")
        status, answer = await application.say("calling.record.resume", control_id="one")
        assert (status, answer["errors"][0]["attribute"]) == (422, "control_id")
        stop = "calling.record.stop"
        assert await application.say(stop, control_id="three") == (404, {"error": "Not Found"})
        assert await application.say(stop, "only-lists", control_id="one") == (
            403, {"error": "Forbidden"},
        )  # fmt: skip
        await phone.say(Talker().say(encode("PCMU", sine(BEFORE, 1.0))))
        await asyncio.sleep(0.1)  # the last packet lasts 20 ms
        await application.must(stop, control_id="one")
        first = await application.ended("one")
        assert receiver.final(f"{application.path}/two") is None
        await application.must(stop, control_id="two")
        second = await application.ended("two")
        await application.record("one")  # its name is free again
        await phone.hang_up()
    assert place(said(BEFORE), server.samples(first["recording_id"])).exact
    assert second["record"]["audio"] == {"format": "mp3", "direction": "both", "stereo": True}
    assert second["size"] == server.file(second["recording_id"], "mp3").stat().st_size
    path = f"{application.path}/one"
    await receiver.until(lambda: sum(c.state in ENDS for c in receiver.accepted(path)) == 2)
    assert await application.say("calling.end") == (404, {"error": "Not Found"})


async def test_the_end_of_the_call_ends_what_is_paused(server: Server, receiver: Receiver) -> None:
    application = Application(server, receiver, "hang-up")
    async with Phone.open(server.sip) as phone:
        await phone.call("hang-up")
        await application.record()
        await phone.say(Talker().say(encode("PCMU", sine(BEFORE, 1.0))))
        await asyncio.sleep(0.1)
        await application.must("calling.record.pause", control_id="k")
        await phone.say(Talker(timestamp=50_000).say(encode("PCMU", sine(PAUSED, 0.5))))
        await phone.hang_up()
    params = await application.ended()
    assert params["state"] == "finished"
    samples = server.samples(params["recording_id"])
    assert place(said(BEFORE), samples).exact
    assert level(samples, PAUSED) < -70
    states = [c.state for c in receiver.accepted(f"{application.path}/k")]
    assert states == ["recording", "paused", "finished"]


async def test_a_storm_of_commands_leaves_every_recording_announced_once(
    server: Server, receiver: Receiver
) -> None:
    """Whatever order they come in, and however many at once: none is a fault of ours."""
    application = Application(server, receiver, "storm")
    chance = random.Random(1)
    url = receiver.url("/calling/storm/any")
    kinds: dict[str, Any] = {
        "calling.record": lambda: {
            "record": {"audio": {"beep": chance.random() < 0.3, **FOR_EVER}},
            "status_url": url,
        },
        "calling.record.pause": lambda: {"behavior": chance.choice(["skip", "silence"])},
        "calling.record.resume": dict,
        "calling.record.stop": dict,
    }
    answers: list[int] = []

    async def client(number: int) -> None:
        for _ in range(15):
            command = chance.choice(list(kinds))
            name = f"k{chance.randrange(4)}"
            status, _ = await application.say(command, control_id=name, **kinds[command]())
            answers.append(status)

    async with Phone.open(server.sip) as phone:
        await phone.call("storm")
        talking = asyncio.create_task(phone.say(Talker().say(encode("PCMU", sine(BEFORE, 4.0)))))
        await asyncio.gather(*(client(number) for number in range(8)))
        await phone.hang_up()
        talking.cancel()
    assert set(answers) == {200, 404, 422}

    def by_recording() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for callback in receiver.accepted("/calling/storm/any"):
            found.setdefault(callback.params["recording_id"], []).append(callback.state)
        return found

    await receiver.until(
        lambda: bool(by_recording()) and all(s[-1] in ENDS for s in by_recording().values())
    )
    for states in by_recording().values():
        assert states[0] == "recording"
        assert sum(state in ENDS for state in states) == 1
        for state, following in itertools.pairwise(states[:-1]):
            assert {state, following} == {"recording", "paused"}


async def test_a_call_is_ended_by_command(server: Server, receiver: Receiver) -> None:
    application = Application(server, receiver, "end")
    async with Phone.open(server.sip) as phone:
        await phone.call("end")
        answer = await application.must("calling.end", reason="hangup")
        assert answer["status"] == "ended"
        assert isinstance(answer["duration_ms"], int)
        await phone.until_ended()


async def test_a_call_that_rings_is_refused_by_command_and_not_recorded(
    server: Server, receiver: Receiver
) -> None:
    application = Application(server, receiver, "unanswered")
    async with Phone.open(server.sip) as phone:
        inviting = asyncio.create_task(phone.invite("unanswered"))
        status, answer = await application.say(
            "calling.record", control_id="k", record={"audio": {}}
        )
        assert (status, answer["errors"][0]["attribute"]) == (422, "id")
        await application.must("calling.end", reason="busy")
        assert (await inviting).status == 486
