"""Recordings that are read while they grow, over HTTP and from real journals."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
import wave
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaserver.errors import LocalError
from mediaserver.recording.journal import JournalHeader, create, offset
from mediaserver.recording.render import render
from mediaserver.recording.rendering import RenderJob, Target
from mediaserver.recording.resource import Direction, Format, Pause, PauseBehavior, Recording, Span
from mediaserver.recording.states import State
from mediaserver.web import growing as subject
from mediaserver.web import peaks as waveform

Make = Callable[..., Recording]
Samples = NDArray[np.int16]

RATE = 8000
FIRST = 1000
LEG = "journals/leg"
_RNG = np.random.default_rng(8)


def noise(seconds: float) -> Samples:
    return _RNG.integers(-9000, 9000, round(seconds * RATE)).astype(np.int16)


class Tape:
    """A recording in progress whose leg is a test."""

    def __init__(self, folder: Path, recording: Recording) -> None:
        self.present = recording
        self.position = FIRST
        self.fault: LocalError | None = None
        self._looked_at = asyncio.Event()
        self._files = {}
        for side in (Direction.SPEAK, Direction.LISTEN):
            header = JournalHeader(leg_id="leg", direction=side, rate=RATE, first=FIRST, wall_us=0)
            path = folder / LEG / f"{side.value}.journal"
            self._files[side] = header, create(path, header)

    def close(self) -> None:
        for _, fd in self._files.values():
            os.close(fd)

    def hear(self, samples: Samples, heard: Samples | None = None) -> None:
        for side, part in ((Direction.SPEAK, samples), (Direction.LISTEN, heard)):
            header, fd = self._files[side]
            if part is not None:
                os.pwrite(fd, part.astype("<i2").tobytes(), offset(header, self.position))
        self.position += samples.size

    def pause(self, behavior: PauseBehavior) -> None:
        pause = Pause(start=self.position, behavior=behavior)
        self.present = replace(self.present, pauses=(*self.present.pauses, pause))

    def resume(self) -> None:
        *others, last = self.present.pauses
        self.present = replace(self.present, pauses=(*others, replace(last, end=self.position)))

    def end(self) -> None:
        span = replace(self.present.span, end=self.position)
        self.present = replace(self.present, span=span)

    async def until_looked_at(self, times: int) -> None:
        """Return when somebody has asked so often how far it is."""
        async with asyncio.timeout(10):
            for _ in range(times):
                self._looked_at.clear()
                await self._looked_at.wait()

    async def settled(self) -> int:
        self._looked_at.set()
        if self.fault is not None:
            raise self.fault
        return self.position


@pytest.fixture
async def record(api: Any, tmp_path: Path, running: dict[str, Any], make_recording: Make) -> Any:
    """Begins a recording whose audio is what the test writes."""
    tapes = []

    async def begin(**changes: Any) -> Tape:
        span = Span(journal=LEG, rate=RATE, start=FIRST)
        recording = make_recording(1, **{"span": span, **changes})
        await api.recordings.add(recording)
        tape = running[recording.id] = Tape(tmp_path, recording)
        tapes.append(tape)
        return tape

    yield begin
    for tape in tapes:
        tape.close()


def path_of(tape: Tape, what: str = "download") -> str:
    return f"/api/v1/recordings/{tape.present.id}/{what}"


def wav(body: bytes) -> Samples:
    """Return the samples by the standard library's reader, shape (n,) or (n, channels)."""
    with wave.open(BytesIO(body)) as file:
        assert (file.getframerate(), file.getsampwidth()) == (RATE, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
        assert samples.size == file.getnframes() * file.getnchannels()
        return (
            samples.reshape(-1, file.getnchannels()).squeeze(axis=1)
            if (file.getnchannels() == 1)
            else samples.reshape(-1, file.getnchannels())
        )


async def test_what_there_is_so_far_is_a_whole_wav_and_later_a_longer_one(
    api: Any, record: Any
) -> None:
    tape = await record()
    first, second = noise(25.3), noise(1.7)
    tape.hear(first)
    status, headers, body = await api.ask(path_of(tape))
    assert status == 200
    assert headers["Content-Type"] == "audio/x-wav"
    assert headers["Content-Length"] == str(44 + 2 * first.size) == str(len(body))
    assert headers["Accept-Ranges"] == "none"
    assert "ETag" not in headers
    assert np.array_equal(wav(body), first)
    tape.hear(second)
    _, _, body = await api.ask(path_of(tape) + "?format=wav")
    assert np.array_equal(wav(body), np.concatenate([first, second]))


async def test_nothing_yet_is_a_wav_of_no_length(api: Any, record: Any) -> None:
    tape = await record()
    status, _, body = await api.ask(path_of(tape))
    assert (status, wav(body).size) == (200, 0)


async def test_head_tells_how_long_it_is_so_far(api: Any, record: Any) -> None:
    tape = await record()
    tape.hear(noise(1.0))
    status, headers, body = await api.ask(path_of(tape), method="HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(44 + 16_000))


async def test_stereo_and_both_directions_are_as_they_will_be_rendered(
    api: Any, record: Any
) -> None:
    tape = await record(stereo=True, direction=Direction.BOTH)
    said, heard = noise(0.5), noise(0.5)
    tape.hear(said, heard)
    _, _, body = await api.ask(path_of(tape))
    assert np.array_equal(wav(body), np.stack([said, heard], axis=1))


def as_rendered(folder: Path, tape: Tape, sample_rate: int) -> bytes:
    """Return the wav that will be made of it."""
    recording = tape.present
    span = recording.span
    target = Target(format=Format.WAV, rendition=9, sample_rate=sample_rate)
    job = RenderJob(
        data_dir=str(folder),
        recording_id=recording.id,
        journal=LEG,
        rate=RATE,
        start=span.start,
        end=tape.position,
        targets=(target,),
        direction=recording.direction,
        stereo=recording.stereo,
        pauses=recording.pauses,
    )
    render(job)
    path = folder / job.path(target)
    made = path.read_bytes()
    path.unlink()
    return made


@pytest.mark.parametrize("sample_rate", [16_000, 48_000])
@pytest.mark.parametrize("stereo", [False, True])
async def test_its_sample_rate_is_that_of_the_file_and_so_is_every_sample(
    api: Any, record: Any, follow: Any, tmp_path: Path, sample_rate: int, stereo: bool
) -> None:
    tape = await record(stereo=stereo, direction=Direction.BOTH if stereo else Direction.SPEAK)
    async with follow(tape) as response:
        for seconds in (10.7, 0.33):
            tape.hear(noise(seconds), noise(seconds))
            if seconds < 1:
                tape.pause(PauseBehavior.SKIP)
                tape.hear(noise(0.5), noise(0.5))
                tape.resume()
            status, headers, body = await api.ask(path_of(tape))
            assert (status, headers["Content-Length"]) == (200, str(len(body)))
            assert body == as_rendered(tmp_path, tape, sample_rate)
        tape.end()
        followed = await response.read()
    assert followed[44:] == body[44:]
    assert followed[20:36] == body[20:36]


@pytest.mark.parametrize("sample_rate", [16_000])
async def test_nothing_yet_is_a_wav_of_no_length_at_any_sample_rate(
    api: Any, record: Any, sample_rate: int
) -> None:
    tape = await record()
    _, _, body = await api.ask(path_of(tape))
    assert len(body) == 44


@pytest.mark.parametrize("behavior", list(PauseBehavior))
async def test_what_is_said_in_a_pause_is_never_heard(
    api: Any, record: Any, behavior: PauseBehavior
) -> None:
    """Not even in the moment before the database knows of the pause."""
    tape = await record()
    before, secret, after = noise(1.0), noise(0.5), noise(0.7)
    tape.hear(before)
    tape.pause(behavior)
    tape.hear(secret)
    _, _, body = await api.ask(path_of(tape))
    left = 0 if behavior is PauseBehavior.SKIP else secret.size
    found = wav(body)
    assert found.size == before.size + left
    assert np.array_equal(found[: before.size - 40], before[:-40])
    assert not found[before.size :].any()
    tape.resume()
    tape.hear(after)
    _, _, body = await api.ask(path_of(tape))
    found = wav(body)
    assert found.size == before.size + left + after.size
    assert np.array_equal(found[-after.size + 40 :], after[40:])
    assert not found[before.size : before.size + left].any()


async def test_a_recording_that_is_being_rendered_is_there_in_full(
    api: Any, record: Any, running: dict[str, Any]
) -> None:
    tape = await record()
    said = noise(1.5)
    tape.hear(said)
    tape.end()
    tape.hear(noise(1.0))  # of another recording of the leg
    await api.recordings.save(replace(tape.present, state=State.RENDERING))
    del running[tape.present.id]
    _, _, body = await api.ask(path_of(tape))
    assert np.array_equal(wav(body), said)


@pytest.mark.parametrize("format", [Format.MP3, Format.MP4])
async def test_another_format_is_told_where_wav_is_had(
    api: Any, record: Any, format: Format
) -> None:
    tape = await record(format=format)
    tape.hear(noise(0.5))
    for path in (path_of(tape), f"{path_of(tape)}?format={format.value}"):
        status, _, body = await api.ask(path)
        assert status == 404
        assert "format=wav" in body["error"]["message"]
    status, _, body = await api.ask(path_of(tape) + "?format=wav")
    assert (status, wav(body).size) == (200, 4000)


async def test_a_rendition_that_was_never_made_is_not_the_growing_one(
    api: Any, record: Any
) -> None:
    tape = await record()
    assert (await api.ask(path_of(tape) + "?rendition=1"))[0] == 404


async def test_a_disk_that_fails_is_answered_503_and_hides_why(api: Any, record: Any) -> None:
    tape = await record()
    tape.fault = LocalError("cannot write the journal /somewhere: full")
    for path in (path_of(tape), path_of(tape) + "?follow=true", path_of(tape, "peaks")):
        status, _, body = await api.ask(path)
        assert (status, "somewhere" in json.dumps(body)) == (503, False)


@pytest.mark.parametrize("follow", ["yes", "1", "TRUE"])
async def test_follow_is_true_or_false(api: Any, record: Any, follow: str) -> None:
    tape = await record()
    assert (await api.ask(f"{path_of(tape)}?follow={follow}"))[0] == 400


async def test_a_key_is_needed(api: Any, record: Any) -> None:
    tape = await record()
    for what in ("download", "peaks"):
        assert (await api.ask(path_of(tape, what), key=None))[0] == 401
        assert (await api.ask(path_of(tape, what), key="key-that-lists"))[0] == 403
        assert (await api.ask(path_of(tape, what), key="key-that-gets"))[0] == 200


class Follower:
    """A client that reads a growing recording."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.body = b""

    @property
    def samples(self) -> Samples:
        return np.frombuffer(self.body[44 : len(self.body) // 2 * 2], "<i2").astype(np.int16)

    async def read(self, samples: int) -> Samples:
        """Read until so many samples are there."""
        async with asyncio.timeout(10):
            while self.samples.size < samples:
                chunk = await self.response.content.readany()
                assert chunk, "ended too soon"
                self.body += chunk
        return self.samples

    async def rest(self) -> Samples:
        async with asyncio.timeout(10):
            self.body += await self.response.content.read()
        return self.samples


@pytest.fixture
def follow(api: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(subject, "LOOK", 0.01)

    def begin(tape: Tape) -> Any:
        url = api.url(path_of(tape) + "?follow=true")
        return api.client.get(url, headers={"Authorization": "Bearer key-for-everything"})

    return begin


async def test_who_follows_hears_all_of_it_while_it_comes(
    api: Any, record: Any, follow: Any
) -> None:
    tape = await record()
    parts = [noise(12.0), noise(1.0), noise(0.3)]
    tape.hear(parts[0])
    async with follow(tape) as response:
        assert response.status == 200
        assert response.content_length is None
        follower = Follower(response)
        assert await follower.read(11 * RATE) is not None
        tape.hear(parts[1])
        await follower.read(12 * RATE)
        tape.hear(parts[2])
        tape.end()
        assert np.array_equal(await follower.rest(), np.concatenate(parts))
    assert struct.unpack_from("<I", follower.body, 4) == (0xFFFFFFFF,)
    assert struct.unpack_from("<I", follower.body, 40) == (0xFFFFFFFF,)
    assert follower.body[:4] + follower.body[8:16] == b"RIFFWAVEfmt "


async def test_who_follows_hears_what_the_file_has_pauses_included(
    api: Any, record: Any, follow: Any
) -> None:
    """Also where a pause begins and ends between two looks, and its fade reaches back."""
    tape = await record()
    async with follow(tape) as response:
        follower = Follower(response)
        tape.hear(noise(1.0))
        await follower.read(RATE // 2)
        for behavior in PauseBehavior:
            tape.pause(behavior)
            tape.hear(noise(0.8))
            await tape.until_looked_at(3)
            tape.resume()
            tape.hear(noise(0.9))
            await follower.read(follower.samples.size + 100)
        tape.end()
        followed = await follower.rest()
    _, _, body = await api.ask(path_of(tape))
    assert np.array_equal(followed, wav(body))
    assert followed.size == round((1.0 + 0.9 + 0.8 + 0.9) * RATE)


async def test_nothing_follows_a_recording_that_is_over(api: Any, record: Any, follow: Any) -> None:
    tape = await record()
    said = noise(0.4)
    tape.hear(said)
    tape.end()
    async with follow(tape) as response:
        assert np.array_equal(await Follower(response).rest(), said)


async def test_a_fault_on_the_way_breaks_the_connection(api: Any, record: Any, follow: Any) -> None:
    tape = await record()
    tape.hear(noise(1.0))
    async with follow(tape) as response:
        follower = Follower(response)
        await follower.read(RATE // 2)
        tape.fault = LocalError("cannot write the journal")
        with pytest.raises(Exception, match=r"payload|disconnected|reset"):
            await follower.rest()


async def test_who_has_gone_is_noticed_although_nothing_comes(
    api: Any, record: Any, follow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "MOST_FOLLOWERS", 1)
    tape = await record()
    response = await follow(tape)
    assert response.status == 200
    async with follow(tape) as second:
        assert second.status == 429
        assert "Retry-After" in second.headers
    response.close()
    async with asyncio.timeout(5):
        while True:
            async with follow(tape) as next_one:
                if next_one.status == 200:
                    break
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("query", ["", "?follow=true"])
async def test_who_does_not_read_is_cut_off(api: Any, record: Any, query: str) -> None:
    routes = [route for route in api.app.router.routes() if "download" in str(route.resource)]
    routes[0].handler.args[0].handler.__self__._growing._stall = 0.2
    tape = await record()
    tape.position += 4 * 3600 * RATE
    tape.hear(noise(0.1))  # 230 MB, of which the disk has a few
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    with client:
        await loop.sock_connect(client, api.server.address)
        request = (
            f"GET {path_of(tape)}{query} HTTP/1.1\r\nHost: x\r\n"
            "Authorization: Bearer key-for-everything\r\n\r\n"
        )
        await loop.sock_sendall(client, request.encode())
        await asyncio.sleep(0.8)
        received = 0
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                while chunk := await loop.sock_recv(client, 1 << 20):
                    received += len(chunk)
    assert received < 20_000_000


def dat(body: bytes) -> tuple[tuple[int, ...], NDArray[np.int8]]:
    """Return audiowaveform's header and its pairs, shape (n, channels, 2)."""
    head = struct.unpack_from("<iIiiIi", body)
    return head, np.frombuffer(body, np.int8, offset=24).reshape(-1, head[5], 2)


async def test_peaks_of_a_growing_recording_are_those_of_its_audio_so_far(
    api: Any, record: Any
) -> None:
    tape = await record(stereo=True, direction=Direction.BOTH)
    said, heard = noise(61.01), noise(61.01)
    tape.hear(said, heard)
    status, headers, body = await api.ask(path_of(tape, "peaks"))
    assert (status, headers["Content-Type"]) == (200, "application/octet-stream")
    assert headers["Content-Length"] == str(len(body))
    head, values = dat(body)
    assert head == (2, 1, RATE, 160, 3051, 2)
    assert values.shape == (3051, 2, 2)
    for channel, samples in enumerate((said, heard)):
        for pair in (0, 1, 2999, 3000, 3050):
            part = samples[160 * pair : 160 * pair + 160]
            expected = [int(part.min() / 256), int(part.max() / 256)]
            assert values[pair, channel].tolist() == expected


async def test_peaks_as_json_say_the_same(api: Any, record: Any) -> None:
    tape = await record()
    tape.hear(noise(121.0))
    _, _, body = await api.ask(path_of(tape, "peaks"))
    status, headers, found = await api.ask(path_of(tape, "peaks") + "?format=json")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    head, values = dat(body)
    assert found.pop("data") == values.reshape(-1).tolist()
    assert found == {
        "version": 2,
        "channels": 1,
        "sample_rate": RATE,
        "samples_per_pixel": 160,
        "bits": 8,
        "length": head[4],
    }


async def test_peaks_of_nothing_are_none(api: Any, record: Any) -> None:
    tape = await record()
    assert dat((await api.ask(path_of(tape, "peaks")))[2])[1].size == 0
    assert (await api.ask(path_of(tape, "peaks") + "?format=json"))[2]["data"] == []


async def test_peaks_of_a_growing_recording_have_a_bound(
    api: Any, record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waveform, "LONGEST", 2)
    tape = await record()
    tape.hear(noise(3.0))
    assert dat((await api.ask(path_of(tape, "peaks")))[2])[0][4] == 100


def test_every_octet_is_written_as_the_number_it_is() -> None:
    octets = np.arange(256, dtype=np.uint8)
    text = waveform._numbers(octets).decode()
    assert [int(part) for part in text.split(",")[:-1]] == octets.view(np.int8).tolist()


async def test_peaks_of_a_recording_that_ended_are_its_file(
    api: Any, finished: Callable[..., tuple[Recording, bytes]], tmp_path: Path
) -> None:
    recording, _ = finished(1)
    await api.recordings.add(recording)
    path = f"/api/v1/recordings/{recording.id}/peaks"
    status, _, body = await api.ask(path)
    assert status == 404
    assert "no peaks" in body["error"]["message"]
    values = _RNG.integers(-128, 128, 400_000).astype(np.int8)
    content = struct.pack("<iIiiIi", 2, 1, 8000, 160, 200_000, 1) + values.tobytes()
    file = tmp_path / "recordings" / recording.id[:2] / f"{recording.id}.peaks"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    assert (await api.ask(path))[2] == content
    assert (await api.ask(path + "?format=dat"))[2] == content
    assert (await api.ask(path + "?format=json"))[2]["data"] == values.tolist()
    assert (await api.ask(path + "?format=wav"))[0] == 400
    file.write_bytes(b"short")
    assert (await api.ask(path))[0] == 404


async def test_peaks_of_nobody_are_not_found(api: Any) -> None:
    for id in ("0f8e5b1a-6f2c-4f0e-8f6d-2d7a1c3b5e90", "..%2f..%2fx", "a.peaks"):
        assert (await api.ask(f"/api/v1/recordings/{id}/peaks"))[0] == 404
