"""Playing and collecting on a real call: by a script, by commands, and under a bridge."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from farend.callee import Callee
from farend.phone import Phone
from farend.receiver import Receiver
from farend.server import Server
from farend.speech import encode, key_payloads
from farend.talker import Talker
from farend.waveform import Samples, decode, place
from mediaserver.calls.clips import amplify

RATE = 8000


def noise(seed: int, seconds: float) -> Samples:
    """Return noise in which every frame has its place, as it sounds after G.711."""
    samples = np.random.default_rng(seed).normal(0, 2500, round(seconds * RATE))
    return decode("PCMU", encode("PCMU", samples.astype(np.int16)))


def wav(samples: Samples) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as audio:
        audio.setparams((1, 2, RATE, 0, "NONE", ""))
        audio.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


CLIPS = {
    "long": noise(1, 4.0),
    "question": noise(2, 0.4),
    "more": noise(3, 0.3),
    "music": noise(4, 0.7),
    "news": noise(5, 0.8),
    "spoken": noise(6, 0.5),
}
SLEEP = {"sleep": 60_000}


class Story:
    """A call from whose script the application knows it, and the commands it is given."""

    def __init__(self, server: Server, receiver: Receiver, name: str) -> None:
        self.server = server
        self.receiver = receiver
        self.name = name

    @property
    def url(self) -> str:
        """Where its callbacks go."""
        return self.receiver.url(f"/playing/told/{self.name}")

    async def call_id(self) -> str:
        script = f"/playing/script/{self.name}"
        await self.receiver.until(lambda: bool(self.receiver.at(script)))
        return str(self.receiver.at(script)[0].event["call"]["call_id"])

    async def ask(self, command: str, control_id: str = "k", **params: Any) -> int:
        """Return the status that a command is answered with."""
        body = {
            "id": await self.call_id(),
            "command": f"calling.{command}",
            "params": {"control_id": control_id, **params},
        }
        sent = json.dumps(body).encode()
        answer = await asyncio.to_thread(self.server.post, "/api/calling/calls", sent)
        return answer.status

    async def say(self, command: str, control_id: str = "k", **params: Any) -> None:
        assert await self.ask(command, control_id, **params) == 200

    async def play(self, clip: str, control_id: str = "k", **params: Any) -> None:
        source = {"type": "audio", "params": {"url": self.receiver.url(f"/playing/{clip}.wav")}}
        params = {"status_url": self.url} | params
        await self.say("play", control_id, play=[source], **params)

    def states(self, control_id: str = "k") -> list[str]:
        told = [c.event for c in self.receiver.accepted(f"/playing/told/{self.name}")]
        return [
            event["params"]["state"]
            for event in told
            if event["event_type"] == "calling.call.play"
            and event["params"]["control_id"] == control_id
        ]

    def results(self) -> list[dict[str, Any]]:
        told = [c.event for c in self.receiver.accepted(f"/playing/told/{self.name}")]
        return [e["params"] for e in told if e["event_type"] == "calling.call.collect"]

    async def over(self, control_id: str = "k") -> None:
        await self.receiver.until(
            lambda: bool({"finished", "error"} & set(self.states(control_id))),
            otherwise=f"{self.name}: {control_id} does not end",
        )

    @asynccontextmanager
    async def call(self, *fields: str) -> AsyncIterator[Phone]:
        async with Phone.open(self.server.sip) as phone:
            answer = await phone.invite(self.name, fields=fields)
            assert answer.status == 200, answer
            yield phone
            if not phone.ended.is_set():
                await phone.hang_up()

    @asynccontextmanager
    async def bridge(self) -> AsyncIterator[tuple[Phone, Callee]]:
        async with (
            Callee.wait(self.server.sip) as callee,
            self.call(f"X-To: {callee.uri}") as phone,
        ):
            await callee.take()
            await asyncio.sleep(0.2)  # they are joined
            yield phone, callee


async def until_heard(phone: Phone, seconds: float) -> None:
    """Wait until a phone has heard so much more."""
    wanted = len(phone.heard) + round(seconds * 50)
    async with asyncio.timeout(10):
        while len(phone.heard) < wanted:  # noqa: ASYNC110 - packets set no event
            await asyncio.sleep(0.01)


def press(talker: Talker, *codes: int) -> list[Any]:
    packets = []
    for code in codes:
        packets += talker.press(key_payloads(code))
        talker.pause(0.06)
    return packets


GONE: dict[str, dict[str, Any]] = {
    "play.pause": {},
    "play.resume": {},
    "play.stop": {},
    "play.volume": {"volume": 1},
    "collect.stop": {},
    "collect.start_input_timers": {},
}
"""Commands to what is over."""

# The stories.


async def controlled(story: Story) -> dict[str, Any]:
    """A play is paused, resumed, made louder, and stopped."""
    async with story.call() as phone:
        await story.play("long")
        await until_heard(phone, 0.4)
        await story.say("play.pause")
        await asyncio.sleep(0.3)
        silent_from = len(phone.heard)
        await asyncio.sleep(0.4)
        silent = len(phone.heard) == silent_from
        again = await story.ask("play.pause")
        await story.say("play.resume")
        await until_heard(phone, 0.4)
        await story.say("play.volume", volume=6)
        await until_heard(phone, 0.4)
        await story.say("play.stop")
        await story.over()
        gone = [await story.ask(name, **params) for name, params in GONE.items()]
        alone = await story.ask("play", play=[tone()], direction="speak")
        unspoken = await story.ask("collect", digits={"max": 1}, speech={})
    return {
        "heard": phone.received(),
        "silent": silent,
        "gap": phone.listened().size - phone.received().size,
        "statuses": [again, *gone, alone, unspoken],
        "states": story.states(),
    }


async def bridged(story: Story) -> dict[str, Any]:
    """Each hears what is for it; the two hear each other before and afterwards."""
    voices = noise(21, 4.0), noise(22, 4.0)
    keys = []
    async with story.bridge() as (phone, callee):
        talkers = Talker(ssrc=1), Talker(ssrc=2)

        async def talk(seconds: float, start: float) -> None:
            part = slice(round(start * RATE), round((start + seconds) * RATE))
            for talker in talkers:
                talker.at = 0.0
            await asyncio.gather(
                phone.say(talkers[0].say(encode("PCMU", voices[0][part]))),
                callee.say(talkers[1].say(encode("PCMU", voices[1][part]))),
            )

        await talk(0.4, 0.0)
        await asyncio.sleep(0.2)  # all of it has crossed
        for control_id, direction in [("a", "listen"), ("b", "speak"), ("c", "both")]:
            await story.play("music", control_id, direction=direction)
            await story.over(control_id)
        await asyncio.sleep(0.1)
        await talk(0.4, 0.4)
        collecting = {"digits": {"max": 4, "terminators": "#"}, "status_url": story.url}
        await story.say("collect", "keys", **collecting, partial_results=True)
        second = await story.ask("collect", "others", **collecting)
        talkers[0].at = 0.0
        await phone.say(press(talkers[0], 1, 2, 11))
        await story.receiver.until(lambda: any(r["final"] for r in story.results()))
        await asyncio.sleep(0.2)
        keys = [h.data[12] for h in callee.heard if h.kind == 101]
    return {
        "heard": (phone.received(), callee.received()),
        "voices": voices,
        "keys": sorted(set(keys)),
        "second": second,
        "results": story.results(),
        "states": [story.states(name) for name in "abc"],
    }


async def scripted(story: Story) -> dict[str, Any]:
    """A script plays, with something missing; alone; and speaks. It goes on each time."""

    def told(name: str) -> list[dict[str, Any]]:
        return [c.params for c in story.receiver.accepted(f"/playing/told/{name}")]

    async with story.call() as phone:
        await phone.until_ended()
    await story.receiver.until(lambda: len(told("partly")) == 2 and bool(told("nothing")))
    return {"heard": phone.received(), "told": (told("partly"), told("nothing"))}


async def taken_over(story: Story) -> dict[str, Any]:
    """An application plays while a script does: the script goes on with its next step."""
    async with story.call() as phone:
        await until_heard(phone, 0.3)
        await story.play("news", "a")
        await story.receiver.until(lambda: bool(story.receiver.at("/playing/next")))
        await story.over("a")
    return {"heard": phone.received(), "states": story.states("a")}


async def rung(story: Story) -> dict[str, Any]:
    """A caller hears music while somebody is rung, and the application's news in between."""
    async with (
        Callee.wait(story.server.sip) as callee,
        story.call(f"X-To: {callee.uri}") as phone,
    ):
        await callee.rung()
        await callee.reply(180, "Ringing")
        await until_heard(phone, 0.9)
        await story.play("news", "a")
        await story.over("a")
        await until_heard(phone, 0.8)
        await callee.answer()
        said = noise(31, 0.4)
        await asyncio.sleep(0.2)
        await callee.say(Talker(ssrc=5).say(encode("PCMU", said)))
        await asyncio.sleep(0.1)
    return {"heard": phone.received(), "said": said}


async def prompted(story: Story) -> dict[str, Any]:
    """A prompt of two sources, louder; its question is stopped by command, then keys come."""
    async with story.call() as phone:
        await until_heard(phone, 0.7)
        await asyncio.sleep(0.1)
        await phone.say(press(Talker(ssrc=3), 4, 2, 11))
        await story.receiver.until(lambda: bool(story.receiver.at("/playing/answered")))
        answered = json.loads(story.receiver.at("/playing/answered")[0].body)
        await story.receiver.until(lambda: bool(story.results()))
    return {"heard": phone.received(), "answered": answered, "results": story.results()}


def tone() -> dict[str, Any]:
    return {"type": "ringtone", "params": {"name": "us"}}


STORIES: dict[str, Callable[[Story], Awaitable[dict[str, Any]]]] = {
    "controlled": controlled,
    "bridged": bridged,
    "scripted": scripted,
    "taken-over": taken_over,
    "rung": rung,
    "prompted": prompted,
}


def scripts(receiver: Receiver) -> dict[str, Sequence[object]]:
    def clip(name: str) -> str:
        return receiver.url(f"/playing/{name}.wav")

    def told(name: str) -> str:
        return receiver.url(f"/playing/told/{name}")

    to = "${call.headers[0].value}"
    return {
        "controlled": [{"answer": {}}, SLEEP],
        "bridged": [{"connect": {"to": to}}],
        "scripted": [
            {"play": {"urls": [clip("question"), clip("none"), clip("more")],
                      "status_url": told("partly")}},
            {"play": {"url": clip("none"), "status_url": told("nothing")}},
            {"set": {"say_language": "fr-FR"}},
            {"play": {"url": "say:Bonjour", "say_gender": "male"}},
            {"play": {"url": clip("more"), "volume": -6}},
        ],
        "taken-over": [
            {"play": {"url": clip("long")}},
            {"request": {"url": receiver.url("/playing/next"), "method": "POST"}},
            SLEEP,
        ],
        "rung": [{"connect": {"to": to, "ringback": [clip("music")]}}],
        "prompted": [
            {"prompt": {"play": [clip("question"), clip("more")], "volume": 6, "max_digits": 4,
                        "terminators": "#", "status_url": told("prompted")}},
            {"request": {"url": receiver.url("/playing/answered"), "method": "POST", "body": {
                "result": "${prompt_result}", "value": "${prompt_value}",
                "terminator": "${prompt_digit_terminator}"}}},
            SLEEP,
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("playing")
    speaking = folder / "bin" / "espeak-ng"
    speaking.parent.mkdir()
    (folder / "spoken.wav").write_bytes(wav(CLIPS["spoken"]))
    speaking.write_text(
        f'#!/bin/sh\necho "$@" "$(cat)" >> {folder}/runs\ncat {folder}/spoken.wav\n'
    )
    speaking.chmod(0o755)
    path = f"{speaking.parent}:/usr/bin:/bin"
    server = Server(folder, {}, {"speech": {"engine": "espeak-ng"}}, {"PATH": path})
    for name, samples in CLIPS.items():
        receiver.pages[f"/playing/{name}.wav"] = ("audio/wav", wav(samples))
    receiver.refusals["/playing/none.wav"] = [404] * 9
    for name, steps in scripts(receiver).items():
        document = {"sections": {"main": steps}}
        page = f"/playing/script/{name}"
        receiver.pages[page] = ("application/json", json.dumps(document).encode())
        server.add_route(name, receiver.url(page))
    with server:
        yield server


@pytest.fixture(scope="module")
def stories(server: Server, receiver: Receiver) -> dict[str, Any]:
    """What became of all stories, which are lived at once."""

    async def live() -> list[Any]:
        told = [tell(Story(server, receiver, name)) for name, tell in STORIES.items()]
        return list(await asyncio.gather(*told, return_exceptions=True))

    return dict(zip(STORIES, asyncio.run(live()), strict=True))


@pytest.fixture
def lived(stories: dict[str, Any], request: pytest.FixtureRequest) -> dict[str, Any]:
    """What became of the story that a test names."""
    outcome = stories[request.param]
    if isinstance(outcome, BaseException):
        raise outcome
    assert isinstance(outcome, dict)
    return outcome


def of(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("lived", [name], indirect=True)


def heard_as(samples: Samples) -> Samples:
    """Return samples as they sound after G.711."""
    return decode("PCMU", encode("PCMU", samples))


@of("controlled")
def test_what_is_paused_and_made_louder_is_heard_without_a_sample_too_many_or_too_few(
    lived: dict[str, Any],
) -> None:
    heard, clip = lived["heard"], CLIPS["long"]
    differs = np.flatnonzero(heard != clip[: heard.size])
    louder_from = int(differs[0]) // 160 * 160
    assert louder_from >= 0.7 * RATE
    louder = heard_as(amplify(clip, 6.0))
    assert np.array_equal(heard[louder_from:], louder[louder_from : heard.size])
    assert 1.2 * RATE <= heard.size < clip.size
    assert lived["silent"]
    assert lived["gap"] >= 0.4 * RATE  # the pause is one for the receiver's clock, too
    assert lived["states"] == ["playing", "paused", "playing", "finished"]


@of("controlled")
def test_what_is_not_there_is_404_and_what_cannot_be_is_422(lived: dict[str, Any]) -> None:
    assert lived["statuses"] == [422, *[404] * 6, 422, 422]


@of("bridged")
def test_under_a_bridge_each_hears_what_is_for_it_and_the_other_before_and_after(
    lived: dict[str, Any],
) -> None:
    (here, there), (said, replied) = lived["heard"], lived["voices"]
    music, half = CLIPS["music"], round(0.4 * RATE)
    for heard, other in ((here, replied), (there, said)):
        parts = [other[:half], music, music, other[half : 2 * half]]
        assert [place(part, heard).exact for part in parts] == [True] * 4
        assert np.array_equal(heard, np.concatenate(parts))
    assert lived["states"] == [["playing", "finished"]] * 3


@of("bridged")
def test_keys_are_collected_under_a_bridge_and_still_reach_the_other_side(
    lived: dict[str, Any],
) -> None:
    def digits(text: str, terminator: str = "") -> dict[str, Any]:
        return {"type": "digit", "params": {"digits": text, "terminator": terminator}}

    told = [(result["result"], result["final"]) for result in lived["results"]]
    assert told == [(digits("1"), False), (digits("12"), False), (digits("12", "#"), True)]
    assert {result["control_id"] for result in lived["results"]} == {"keys"}
    assert lived["keys"] == [1, 2, 11]
    assert lived["second"] == 422


@of("scripted")
def test_a_script_plays_what_there_is_and_tells_what_there_is_not(
    lived: dict[str, Any], server: Server
) -> None:
    softer = heard_as(amplify(CLIPS["more"], -6.0))
    parts = [CLIPS["question"], CLIPS["more"], CLIPS["spoken"], softer]
    assert np.array_equal(lived["heard"], np.concatenate(parts))
    partly, nothing = lived["told"]
    assert [params["state"] for params in partly] == ["playing", "finished"]
    assert [params["state"] for params in nothing] == ["error"]
    assert "404" in nothing[0]["error"]
    runs = (server.folder / "runs").read_text()
    assert runs == "--stdin --stdout -v fr-fr+m3 Bonjour\n"


@of("taken-over")
def test_an_application_that_plays_ends_the_play_of_the_script(lived: dict[str, Any]) -> None:
    news, long = CLIPS["news"], CLIPS["long"]
    heard = lived["heard"]
    before = heard.size - news.size
    assert 0.3 * RATE <= before < long.size
    assert np.array_equal(heard, np.concatenate([long[:before], news]))
    assert lived["states"] == ["playing", "finished"]


@of("rung")
def test_ringback_goes_on_after_what_an_application_plays(lived: dict[str, Any]) -> None:
    heard, music, news = lived["heard"], CLIPS["music"], CLIPS["news"]
    ended = heard.size - lived["said"].size
    assert np.array_equal(heard[ended:], lived["said"])
    at = place(news, heard)
    assert at.exact
    rest = np.concatenate([heard[: at.offset], heard[at.offset + news.size : ended]])
    assert rest.size >= 1.6 * RATE
    assert np.array_equal(rest, np.resize(music, rest.size))  # not a sample is lost


@of("prompted")
def test_a_prompt_asks_with_several_sources_and_takes_keys_to_the_terminator(
    lived: dict[str, Any],
) -> None:
    asked = np.concatenate([CLIPS["question"], CLIPS["more"]])
    assert np.array_equal(lived["heard"], heard_as(amplify(asked, 6.0)))
    assert lived["answered"] == {"result": "match_digits", "value": "42", "terminator": "#"}
    (told,) = lived["results"]
    assert told["result"] == {"type": "digit", "params": {"digits": "42", "terminator": "#"}}
    assert set(told) == {"call_id", "node_id", "control_id", "result"}
