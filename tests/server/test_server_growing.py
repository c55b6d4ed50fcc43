"""A recording that is heard and seen while its call goes on, and rendered again afterwards."""

from __future__ import annotations

import asyncio
import json
import struct
import wave
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import aiohttp
import av
import numpy as np
import pytest

from farend.phone import Phone
from farend.receiver import Receiver
from farend.server import KEY, PROJECT, Answer, Server
from farend.speech import encode
from farend.talker import Talker
from farend.waveform import Samples, decode, level, place, read_wav, sine

SAID, PLAYED = 440, 1000
"""Hz of what the caller says, and of what it is played."""
SECONDS = 4.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("growing")
    with wave.open(str(folder / "clip.wav"), "wb") as clip:
        clip.setnchannels(1)
        clip.setsampwidth(2)
        clip.setframerate(8000)
        clip.writeframes(sine(PLAYED, 30.0).astype("<i2").tobytes())
    record = {"record_call": {"direction": "speak", "status_url": receiver.url("/growing")}}
    play = {"play": {"url": str(folder / "clip.wav")}}
    with Server(folder, {"along": [{"answer": {}}, record, play]}) as server:
        yield server


class Call:
    """What was had of the recording while the call was up, and after it."""

    def __init__(self, server: Server, receiver: Receiver) -> None:
        self.server = server
        self.receiver = receiver
        self.sent: Samples = np.zeros(0, np.int16)
        self.downloads: list[Answer] = []
        self.waveforms: list[Answer] = []
        self.followed = b""
        self.refused: list[Answer] = []
        self.params: dict[str, Any] = {}

    @property
    def audio(self) -> str:
        return f"/api/v1/recordings/{self.params['recording_id']}/download"

    @property
    def peaks(self) -> str:
        return f"/api/v1/recordings/{self.params['recording_id']}/peaks"

    @property
    def resource(self) -> str:
        return (
            f"/v1beta1/projects/{PROJECT}/calls/{self.params['call_id']}"
            f"/recordings/{self.params['recording_id']}"
        )

    async def make(self) -> None:
        payload = encode("PCMU", sine(SAID, SECONDS))
        self.sent = decode("PCMU", payload)
        async with Phone.open(self.server.sip) as phone:
            await phone.call("along")
            await self.receiver.until(lambda: bool(self.receiver.accepted("/growing")))
            self.params = self.receiver.accepted("/growing")[0].params
            talking = asyncio.create_task(phone.say(Talker().say(payload)))
            following = asyncio.create_task(self._follow())
            for at in (1.5, 1.5):
                await asyncio.sleep(at)
                self.downloads.append(await asyncio.to_thread(self.server.get, self.audio))
                self.waveforms.append(await asyncio.to_thread(self.server.get, self.peaks))
            for path, method in ((f"{self.audio}?format=mp3", "GET"), (self.resource, "DELETE")):
                self.refused.append(await asyncio.to_thread(self.server.get, path, method=method))
            self.refused.append(
                await asyncio.to_thread(self.server.post, f"{self.resource}:render", b"{}")
            )
            await talking
            await asyncio.sleep(0.3)
            await phone.hang_up()
            await following
        self.params = (await self.receiver.until_final("/growing")).params

    async def _follow(self) -> None:
        url = f"http://{self.server.host}:{self.server.http_port}{self.audio}?follow=true"
        headers = {"Authorization": f"Bearer {KEY}"}
        async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as response:
            assert response.status == 200
            self.followed = await response.read()


@pytest.fixture(scope="module")
def call(server: Server, receiver: Receiver) -> Call:
    call = Call(server, receiver)
    asyncio.run(call.make())
    return call


def test_each_download_of_a_call_that_is_up_is_whole_and_the_next_one_longer(call: Call) -> None:
    first, second = (read_wav(answer.body) for answer in call.downloads)
    assert [answer.status for answer in call.downloads] == [200, 200]
    assert first.size > 0.8 * 8000
    assert second.size > first.size + 8000
    for samples in (first, second):
        heard = samples[-4000:]
        assert level(heard, SAID) > -14
        assert level(heard, PLAYED) < -60
    for answer, samples in zip(call.downloads, (first, second), strict=True):
        with av.open(BytesIO(answer.body), "r") as container:
            assert sum(frame.samples for frame in container.decode(audio=0)) == samples.size


def test_what_was_had_early_is_how_the_file_begins(call: Call) -> None:
    whole = call.server.samples(call.params["recording_id"])
    assert place(call.sent, whole).exact
    for answer in call.downloads:
        samples = read_wav(answer.body)
        assert np.array_equal(samples, whole[: samples.size])


def test_who_followed_heard_the_whole_file(call: Call) -> None:
    assert struct.unpack_from("<I", call.followed, 40) == (0xFFFFFFFF,)
    followed = np.frombuffer(call.followed[44:], "<i2")
    assert np.array_equal(followed, call.server.samples(call.params["recording_id"]))


def test_what_cannot_be_had_yet_says_why(call: Call) -> None:
    mp3, deleted, rendered = call.refused
    assert mp3.status == 404
    assert "format=wav" in mp3.json["error"]["message"]
    for answer in (deleted, rendered):
        assert (answer.status, answer.json["error"]["status"]) == (400, "FAILED_PRECONDITION")


def test_peaks_are_those_of_the_audio_before_and_after_the_end(call: Call) -> None:
    whole = call.server.get(call.peaks)
    assert whole.status == 200
    assert whole.headers["content-type"] == "application/octet-stream"
    _, flags, rate, span, length, channels = struct.unpack_from("<iIiiIi", whole.body)
    assert (flags, rate, span, channels) == (1, 8000, 160, 1)
    samples = call.server.samples(call.params["recording_id"])
    assert length == -(-samples.size // 160)
    pairs = np.frombuffer(whole.body, np.int8, offset=24).reshape(-1, 2)
    assert pairs.max() == int(samples.max() / 256)
    for growing in call.waveforms:
        early = np.frombuffer(growing.body, np.int8, offset=24).reshape(-1, 2)
        assert 40 < len(early) < len(pairs)
        # The last one stood for less than 20 ms then.
        assert np.array_equal(early[:-1], pairs[: len(early) - 1])
    shown = call.server.get(f"{call.peaks}?format=json").json
    assert shown["data"] == pairs.reshape(-1).tolist()


def test_after_the_end_what_was_played_can_be_had_as_mp3(call: Call) -> None:
    before = len(call.receiver.accepted("/growing"))
    order = json.dumps({"format": "mp3", "direction": "listen"}).encode()
    answer = call.server.post(f"{call.resource}:render", order)
    assert answer.status == 200, answer.body
    described = answer.json["x-mediaserver"]["audio"][-1]
    assert (described["rendition"], described["format"]) == (1, "mp3")
    assert described["direction"] == "listen"
    uri = answer.json["audio"][-1]["uri"]
    file = call.server.get(uri[uri.index("/api/") :], key=None)
    assert file.status == 200
    path = call.server.folder / "again.mp3"
    path.write_bytes(file.body)
    with av.open(str(path)) as container:
        parts = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    heard = np.concatenate(parts)
    middle = np.rint(heard[8000:-8000] * 32767).astype(np.int16)
    assert level(middle, PLAYED) > -14
    assert level(middle, SAID) < -60
    assert abs(heard.size / 8000 - call.params["duration"]) < 1.1
    # Nothing was announced of it, and the wav is what it was.
    assert len(call.receiver.accepted("/growing")) == before
    wav = call.server.file(call.params["recording_id"])
    assert call.server.get(call.audio).body == wav.read_bytes()
    assert wav.with_name(f"{wav.stem}-1.mp3").read_bytes() == file.body
