"""Every way to record, as every format, channel layout and direction, ended in every way.

A caller hums from 1.2 to 2.2 s after the answer; from 2.6 s on a prompt plays him a tone of 0.6 s.
So two bursts tell who is heard in a file, when, and on which side. Recordings in the background run
side by side: all formats, layouts and directions of one kind and end on one and the same call.
"""

from __future__ import annotations

import asyncio
import json
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from farend.phone import Phone
from farend.receiver import Callback, Receiver
from farend.scene import ENDS
from farend.server import PROJECT, SPACE, Server
from farend.speech import encode, key_payloads
from farend.talker import Talker
from farend.waveform import Samples, decoded, sine

FORMATS: Final = ("wav", "mp3", "mp4")
ENDINGS: Final = ("terminator", "end_silence", "initial_timeout", "max_length", "stop", "hang_up")
DIRECTIONS: Final = {
    "record": ("speak", "listen"),
    "record_call": ("speak", "listen", "both"),
    "calling.record": ("speak", "listen", "both"),
}

HUM: Final = (1.2, 2.2)
TONE: Final = (2.6, 3.2)
END: Final = 3.8
"""Seconds after the answer at which whatever ends a recording does so, about."""

RULES: Final[dict[str, dict[str, object]]] = {
    "terminator": {"terminators": "#"},
    "end_silence": {"end_silence_timeout": 1.5},
    "initial_timeout": {"initial_timeout": 3.8},
    "max_length": {"max_length": 4},
    "stop": {},
    "hang_up": {},
}
QUIET: Final = {"terminators": "", "initial_timeout": 0, "end_silence_timeout": 0}

TOLERANCE: Final = {"wav": 0.02, "mp3": 0.06, "mp4": 0.06}
"""Seconds by which a burst may begin or end elsewhere."""


@dataclass(frozen=True)
class Case:
    """One recording."""

    method: str
    format: str
    stereo: bool
    direction: str
    ending: str

    def __str__(self) -> str:
        layout = "stereo" if self.stereo else "mono"
        return f"{self.method}-{self.format}-{layout}-{self.direction}-{self.ending}"

    @property
    def call(self) -> str:
        """The call it is made on."""
        if self.method == "record":
            return str(self).replace(".", "-")
        layout = "stereo" if self.stereo else "mono"
        return f"{self.method}-{layout}-{self.ending}".replace(".", "-")

    @property
    def path(self) -> str:
        """Where its callbacks go."""
        return f"/matrix/{self}"

    @property
    def control_id(self) -> str:
        """What it is called on its call."""
        return f"{self.format}-{self.direction}"

    @property
    def hears(self) -> tuple[bool, bool]:
        """Whether the caller's hum and the tone played to him are in it."""
        hum = self.direction in {"speak", "both"} and self.ending != "initial_timeout"
        tone = self.direction in {"listen", "both"} and self.method != "record"
        return hum, tone

    @property
    def state(self) -> str:
        """How it ends."""
        silent = not any(self.hears)
        return "no_input" if silent or self.ending == "initial_timeout" else "finished"

    def settings(self, receiver: Receiver) -> dict[str, object]:
        """Return what the method is told."""
        return {
            **QUIET,
            **RULES[self.ending],
            "format": self.format,
            "stereo": self.stereo,
            "direction": self.direction,
            "status_url": receiver.url(self.path),
        }


CASES: Final = tuple(
    Case(method, format, stereo, direction, ending)
    for method, directions in DIRECTIONS.items()
    for format, stereo, direction, ending in product(FORMATS, (False, True), directions, ENDINGS)
)


@dataclass
class Made:
    """What became of one recording."""

    callbacks: list[Callback]
    resource: dict[str, Any]
    audio: Samples
    """Shape (channels, n), at 8 kHz."""
    wait: float
    """Seconds the caller waited for the answer: so late he may have been to speak."""


def hum(seconds: float) -> Samples:
    """Return a voice: pulses of 120 Hz, slowly moving, through three formants."""
    time = np.arange(round(8000 * seconds)) / 8000
    phase = np.cumsum(120 + 30 * np.sin(2 * np.pi * 3 * time)) / 8000
    pulses = (np.diff(np.floor(phase), prepend=-1) > 0).astype(float)
    ring = np.arange(160)
    response = np.zeros(ring.size)
    for formant in (500, 1500, 2500):
        response += np.exp(-ring / 40) * np.sin(2 * np.pi * formant * ring / 8000)
    heard = np.convolve(pulses, response)[: time.size]
    hummed: Samples = (9000 * heard / np.abs(heard).max()).astype(np.int16)
    return hummed


def bursts(samples: Samples) -> list[tuple[float, float]]:
    """Return where there is sound, seconds, to 5 ms; gaps shorter than 80 ms do not count."""
    frames = np.abs(samples[: samples.size // 40 * 40].astype(np.int32)).reshape(-1, 40)
    loud = np.flatnonzero(frames.max(axis=1) > 600)
    if not loud.size:
        return []
    cuts = np.flatnonzero(np.diff(loud) > 16)
    starts, ends = loud[np.r_[0, cuts + 1]], loud[np.r_[cuts, loud.size - 1]] + 1
    return [(a / 200, b / 200) for a, b in zip(starts, ends, strict=True)]


class Theatre:
    """One server, one receiver, and every call of the matrix."""

    def __init__(self, server: Server, receiver: Receiver) -> None:
        self.server = server
        self.receiver = receiver
        self._few = asyncio.Semaphore(40)  # talkers in one Python process
        self.answers: dict[str, int] = {}
        """What each command over HTTP was answered with."""
        self._waits: dict[str, float] = {}
        """By call, see `Made.wait`."""

    async def play(self, cases: tuple[Case, ...]) -> None:
        """Make one call, with all its recordings, and wait for their ends."""
        async with self._few:
            await self._call(cases)
        for case in cases:
            await self.receiver.until_final(case.path, 60)

    async def _call(self, cases: tuple[Case, ...]) -> None:
        one = cases[0]
        talker = Talker()
        silent = one.ending == "initial_timeout"
        voice = np.zeros(round(8000 * (HUM[1] - HUM[0])), np.int16) if silent else hum(1.0)
        packets = talker.say(encode("PCMU", np.zeros(round(8000 * HUM[0]), np.int16)))
        packets += talker.say(encode("PCMU", voice))
        packets += talker.say(encode("PCMU", np.zeros(round(8000 * (END - HUM[1])), np.int16)))
        if one.ending == "terminator":
            packets += talker.press(key_payloads(11))
        async with Phone.open(self.server.sip) as phone:
            invited = time.monotonic()
            await phone.call(one.call)
            self._waits[one.call] = phone.answered_at - invited
            steering = asyncio.create_task(self._steer(cases))
            await phone.say(packets)
            await steering
            if one.ending == "hang_up":
                await phone.hang_up()
            else:
                await phone.say(talker.say(encode("PCMU", np.zeros(800, np.int16))))
                await phone.until_ended(20)

    async def _steer(self, cases: tuple[Case, ...]) -> None:
        """Give the commands that are not in the script."""
        one = cases[0]
        if one.method == "calling.record":
            call_id = await self._call_id(one.call)
            for case in cases:
                self.answers[str(case)] = await self._command(call_id, "calling.record", {
                    "control_id": case.control_id,
                    "status_url": self.receiver.url(case.path),
                    "record": {"audio": {
                        name: value
                        for name, value in case.settings(self.receiver).items()
                        if name != "status_url"
                    }},
                })  # fmt: skip
        if one.ending == "stop" and one.method != "record_call":
            for case in cases:
                await self.receiver.until(lambda c=case: bool(self.receiver.accepted(c.path)))  # type: ignore[misc]
            first = self.receiver.accepted(one.path)[0]
            await asyncio.sleep(max(0.0, END - 0.3))
            for case in cases:
                params = self.receiver.accepted(case.path)[0].params
                await self._command(
                    first.params["call_id"], "calling.record.stop",
                    {"control_id": params["control_id"]},
                )  # fmt: skip

    async def _call_id(self, name: str) -> str:
        """Return the id of the call, which its script told us."""
        path = f"/began/{name}"
        await self.receiver.until(lambda: bool(self.receiver.at(path)))
        return str(self.receiver.at(path)[0].params["call_id"])

    async def _command(self, call_id: str, command: str, params: dict[str, object]) -> int:
        body = json.dumps({"id": call_id, "command": command, "params": params}).encode()
        answer = await asyncio.to_thread(self.server.post, "/api/calling/calls", body)
        return answer.status

    def made(self, case: Case) -> Made:
        """Return what became of a recording."""
        callbacks = self.receiver.accepted(case.path)
        params = callbacks[-1].params
        path = (
            f"/v1beta1/projects/{PROJECT}/calls/{params['call_id']}"
            f"/recordings/{params['recording_id']}"
        )
        resource = self.server.get(path).json
        file = self.server.file(params["recording_id"], case.format)
        return Made(callbacks, resource, decoded(file), self._waits[case.call])


def script(cases: tuple[Case, ...], receiver: Receiver, tone: Path) -> list[object]:
    """Return the steps of a call."""
    one = cases[0]
    if one.method == "record":
        return [{"record": one.settings(receiver)}, {"hangup": {}}]
    steps: list[object] = [{"answer": {}}]
    if one.method == "record_call":
        steps += [
            {"record_call": {"control_id": case.control_id, **case.settings(receiver)}}
            for case in cases
        ]
    else:
        # It ends at once; its callback tells which call this is.
        began = {"max_length": 0.02, "status_url": receiver.url(f"/began/{one.call}")}
        steps.append({"record_call": began})
    steps.append({"play": {"urls": [f"silence:{TONE[0]}", str(tone), "silence:0.6"]}})
    if one.method == "record_call" and one.ending == "stop":
        steps += [{"stop_record_call": {"control_id": case.control_id}} for case in cases]
    return [*steps, {"sleep": 1200}, {"hangup": {}}]


CALLS: Final = {
    name: tuple(case for case in CASES if case.call == name)
    for name in dict.fromkeys(case.call for case in CASES)
}


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Theatre]:
    folder = tmp_path_factory.mktemp("matrix")
    tone = folder / "tone.wav"
    with wave.open(str(tone), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(sine(880, TONE[1] - TONE[0]).astype("<i2").tobytes())
    scripts = {name: script(cases, receiver, tone) for name, cases in CALLS.items()}
    with Server(folder, scripts) as server:
        theatre = Theatre(server, receiver)

        async def everything() -> None:
            await asyncio.gather(*(theatre.play(cases) for cases in CALLS.values()))

        asyncio.run(everything())
        yield theatre


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_recording_is_announced_kept_and_heard(theatre: Theatre, case: Case) -> None:
    made = theatre.made(case)
    check_callbacks(case, made)
    check_resource(case, made)
    check_audio(case, made)


def check_callbacks(case: Case, made: Made) -> None:
    """Check every field of every callback (contract A2)."""
    assert [callback.state for callback in made.callbacks] == ["recording", case.state]
    began, ended = (callback.event for callback in made.callbacks)
    for event in (began, ended):
        assert set(event) == {
            "event_type", "event_channel", "timestamp", "project_id", "space_id", "params",
        }  # fmt: skip
        assert event["event_type"] == "calling.call.record"
        assert event["event_channel"].startswith("swml:")
        assert (event["project_id"], event["space_id"]) == (PROJECT, SPACE)
        audio = event["params"]["record"]["audio"]
        assert audio == {
            "format": case.format, "direction": case.direction, "stereo": case.stereo,
        }  # fmt: skip
    params = ended["params"]
    same = ("call_id", "node_id", "control_id", "url", "recording_id")
    assert [began["params"][name] for name in same] == [params[name] for name in same]
    assert set(params) - set(began["params"]) == {"start_time", "end_time", "duration", "size"}
    length = params["end_time"] - params["start_time"]
    assert params["duration"] == int(length + 1e-6)
    assert began["timestamp"] <= ended["timestamp"]
    if case.method != "record":
        assert params["control_id"] == case.control_id


def check_resource(case: Case, made: Made) -> None:
    """Check the REST resource (contract B1)."""
    resource = made.resource
    assert resource["state"] == ("SUCCEEDED" if case.state == "finished" else "EMPTY")
    assert resource["source"] == ("RECORD_ACTION" if case.method == "record" else "CALL_RECORDING")
    assert resource["channelCount"] == 1 + case.stereo
    types = {audio["mimeType"] for audio in resource["audio"]}
    if case.state == "finished":
        assert {"audio/x-wav", "audio/mpeg"} <= types
        params = made.callbacks[-1].params
        length = params["end_time"] - params["start_time"]
        assert float(resource["duration"].rstrip("s")) == pytest.approx(length, abs=0.002)
    else:
        assert types == set()


def check_audio(case: Case, made: Made) -> None:
    """Check who is heard in the file, where, when, and for how long."""
    assert made.audio.shape[0] == 1 + case.stereo
    params = made.callbacks[-1].params
    near = TOLERANCE[case.format]
    length = params["end_time"] - params["start_time"]
    assert made.audio.shape[1] / 8000 == pytest.approx(length, abs=0.1 + near)
    hum_heard, tone_heard = case.hears
    expected = [HUM] * hum_heard, [TONE] * tone_heard
    sides = [expected[0], expected[1]] if case.stereo else [[*expected[0], *expected[1]]]
    for channel, due in zip(made.audio, sides, strict=True):
        found = bursts(channel)
        assert len(found) == len(due), (found, due)
        for (start, end), (begin, finish) in zip(found, due, strict=True):
            assert end - start == pytest.approx(finish - begin, abs=near)
            # When the answer was heard, or the command came, is the network's and the machine's.
            assert begin - 1.15 < start < begin + 0.35
    if len(expected[0]) + len(expected[1]) == 2:
        hum_at = bursts(made.audio[0])[0][0]
        tone_at = bursts(made.audio[-1])[-1][0]
        between = TONE[0] - HUM[0]
        assert between - 0.3 - made.wait < tone_at - hum_at < between + 0.3


def test_all_of_the_matrix_was_announced_once(theatre: Theatre) -> None:
    for case in CASES:
        ends = [c for c in theatre.receiver.accepted(case.path) if c.state in ENDS]
        assert len(ends) == 1, case


def test_every_command_was_accepted(theatre: Theatre) -> None:
    assert set(theatre.answers.values()) == {200}
