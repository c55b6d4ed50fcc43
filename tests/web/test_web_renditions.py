"""Rendering again, over HTTP, with real journals, files and database."""

from __future__ import annotations

import asyncio
import os
import wave
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mediaserver.calls import rendition as subject
from mediaserver.errors import LocalError
from mediaserver.recording.journal import JournalHeader, create, offset
from mediaserver.recording.resource import (
    Audio,
    Direction,
    Format,
    Pause,
    PauseBehavior,
    PostProcessing,
    Recording,
    Span,
    audio_path,
)
from mediaserver.recording.states import State
from mediaserver.web.auth import GET, PERMISSIONS, RENDER

Make = Callable[..., Recording]

PROJECT = "00000000-0000-4000-8000-000000000001"
RATE = 8000
LEG = "journals/leg"


def tone(frequency: float, seconds: float = 1.0) -> NDArray[np.int16]:
    at = np.arange(round(seconds * RATE)) / RATE
    samples: NDArray[np.int16] = np.rint(8000 * np.sin(2 * np.pi * frequency * at)).astype(np.int16)
    return samples


SAID = np.concatenate([np.zeros(RATE, np.int16), tone(440), np.zeros(RATE, np.int16)])
HEARD = tone(1000, 3.0)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    for side, samples in ((Direction.SPEAK, SAID), (Direction.LISTEN, HEARD)):
        path = tmp_path / LEG / f"{side.value}.journal"
        header = JournalHeader(leg_id="leg", direction=side, rate=RATE, first=0, wall_us=0)
        fd = create(path, header)
        os.pwrite(fd, samples.astype("<i2").tobytes(), offset(header, 0))
        os.close(fd)
    return tmp_path / LEG


@pytest.fixture
async def ended(api: Any, journal: Path, make_recording: Make) -> Callable[..., Any]:
    """Keeps a recording that has ended, with a wav in the database and a journal on the disk."""

    async def keep(number: int = 1, **changes: Any) -> Recording:
        recording = make_recording(number)
        wav = Audio(
            format=Format.WAV,
            path=audio_path(recording.id, Format.WAV),
            size_bytes=44,
            sample_rate=RATE,
            channels=1,
            sha256="0" * 64,
        )
        fields: dict[str, Any] = {
            "state": State.FINISHED,
            "span": Span(journal=LEG, rate=RATE, start=0, end=SAID.size),
            "ended_at": recording.started_at + 3_000_000,
            "duration_us": 3_000_000,
            "audio": (wav,),
        }
        recording = make_recording(number, **fields | changes)
        await api.recordings.add(recording)
        return recording

    return keep


def path_of(recording: Recording) -> str:
    return f"/v1beta1/projects/{PROJECT}/calls/{recording.call_id}/recordings/{recording.id}:render"


async def post(api: Any, recording: Recording, body: object = None, **options: Any) -> Any:
    """Return the status and the JSON of the answer."""
    if body is not None:
        options["json"] = body
    status, _, answer = await api.ask(path_of(recording), method="POST", **options)
    return status, answer


def error_of(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["error"]["status"]


def frequency(samples: NDArray[Any], rate: int) -> float:
    """Return the loudest one, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64) * np.hanning(samples.size)))
    return float(np.argmax(spectrum)) * rate / samples.size


def remove(journal: Path) -> None:
    """Remove a leg's journal."""
    for file in journal.iterdir():
        file.unlink()


async def fetched(api: Any, view: dict[str, Any]) -> BytesIO:
    """Download the newest file by its link."""
    uri = view["audio"][-1]["uri"]
    status, _, body = await api.ask(uri[uri.index("/api/") :], key=None)
    assert status == 200
    return BytesIO(body)


async def test_what_was_heard_can_be_had_as_mp3_afterwards(
    api: Any, ended: Any, tmp_path: Path
) -> None:
    recording = await ended()
    status, view = await post(api, recording, {"format": "mp3", "direction": "listen"})
    assert status == 200
    assert view["state"] == "SUCCEEDED"
    assert [audio["mimeType"] for audio in view["audio"]] == ["audio/x-wav", "audio/mpeg"]
    file = await fetched(api, view)
    with av.open(file, "r") as container:
        parts = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    assert abs(frequency(np.concatenate(parts), RATE) - 1000) < 5
    described = view["x-mediaserver"]["audio"][-1]
    assert (described["rendition"], described["direction"]) == (1, "listen")
    assert described["duration"] == "3.000s"


async def test_the_recording_itself_is_as_it_was(api: Any, ended: Any) -> None:
    """No state, no announcement, no other file changes: what was said of it stays true."""
    recording = await ended(status_url="http://app/cb", sequence=2)
    await post(api, recording, {"format": "mp3"})
    kept = await api.recordings.get(PROJECT, None, recording.id)
    assert kept.audio[:1] == recording.audio
    assert (kept.state, kept.sequence, kept.duration_us) == (State.FINISHED, 2, 3_000_000)
    _, _, shown = await api.ask(path_of(recording).removesuffix(":render"))
    assert [audio["mimeType"] for audio in shown["audio"]] == ["audio/x-wav", "audio/mpeg"]


async def test_every_field_can_be_chosen(api: Any, ended: Any, tmp_path: Path) -> None:
    recording = await ended()
    order = {
        "format": "wav",
        "direction": "both",
        "stereo": True,
        "postProcessing": [],
        "sampleRate": 16000,
    }
    status, view = await post(api, recording, order)
    assert (status, view["audio"][-1]["sampleRate"]) == (200, 16000)
    with wave.open(await fetched(api, view)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (16000, 2, 48000)
        samples = np.frombuffer(file.readframes(48000), "<i2").reshape(-1, 2)
    middle = samples[17_000:31_000]
    assert abs(frequency(middle[:, 0], 16000) - 440) < 5
    assert abs(frequency(middle[:, 1], 16000) - 1000) < 5


async def test_trimmed_it_is_shorter_and_says_so(api: Any, ended: Any, tmp_path: Path) -> None:
    recording = await ended()
    status, view = await post(api, recording, {"postProcessing": ["TRIM_SILENCE"]})
    assert status == 200
    with wave.open(await fetched(api, view)) as file:
        length = file.getnframes() / RATE
    assert 1.25 < length < 1.35
    described = view["x-mediaserver"]["audio"][-1]
    assert described["trimmed"] is True
    assert described["duration"] == f"{length:.3f}s"
    assert view["duration"] == "3.000s"


async def test_what_is_not_said_is_as_the_recording_has_it(
    api: Any, ended: Any, renderer: Any
) -> None:
    pause = Pause(start=8000, end=9000, behavior=PauseBehavior.SKIP)
    recording = await ended(
        direction=Direction.BOTH,
        stereo=True,
        pauses=(pause,),
        post_processing=(PostProcessing.TRIM_SILENCE,),
    )
    for body in (None, {}, {"format": None, "stereo": None}):
        status, _ = await post(api, recording, body)
        assert status == 200
    for number, job in enumerate(renderer.jobs, 1):
        (target,) = job.targets
        assert (target.format, target.rendition) == (Format.WAV, number)
        assert (job.direction, job.stereo, job.trim) == (Direction.BOTH, True, True)
        assert (job.start, job.end, job.pauses) == (0, SAID.size, (pause,))
        assert not job.peaks


async def test_a_failed_recording_can_be_rescued(api: Any, ended: Any) -> None:
    """Its state stays what was announced; its audio is had by its number."""
    recording = await ended(state=State.ERROR, audio=(), duration_us=None)
    status, view = await post(api, recording, {"format": "wav"})
    assert (status, view["state"], view["audio"]) == (200, "FAILED", [])
    path = f"/api/v1/recordings/{recording.id}/download?rendition=1"
    status, _, body = await api.ask(path)
    assert (status, len(body)) == (200, 44 + 2 * SAID.size)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"format": "ogg"}, "format"),
        ({"format": 3}, "format"),
        ({"format": ["wav"]}, "format"),
        ({"direction": "left"}, "direction"),
        ({"stereo": "true"}, "stereo"),
        ({"postProcessing": "TRIM_SILENCE"}, "postProcessing"),
        ({"postProcessing": ["trim"]}, "postProcessing"),
        ({"postProcessing": [{}]}, "postProcessing"),
        ({"sampleRate": 44100}, "sampleRate"),
        ({"sampleRate": 8000.0}, "sampleRate"),
        ({"sampleRate": True}, "sampleRate"),
        ({"speed": 2}, "speed"),
        ([], "object"),
    ],
)
async def test_what_is_wrong_is_named(
    api: Any, ended: Any, renderer: Any, body: object, word: str
) -> None:
    recording = await ended()
    answer = await post(api, recording, body)
    assert error_of(answer) == (400, "INVALID_ARGUMENT")
    assert word in answer[1]["error"]["message"]
    assert not renderer.jobs


async def test_a_recording_that_runs_is_not_rendered_again(api: Any, ended: Any) -> None:
    for number, state in enumerate((State.RECORDING, State.PAUSED, State.RENDERING), 1):
        recording = await ended(number, state=state, audio=())
        assert error_of(await post(api, recording)) == (400, "FAILED_PRECONDITION")


async def test_a_recording_without_audio_is_not_rendered_again(api: Any, ended: Any) -> None:
    recording = await ended(state=State.ERROR, audio=(), span=Span(journal=LEG, rate=RATE, start=0))
    assert error_of(await post(api, recording)) == (400, "FAILED_PRECONDITION")


async def test_without_its_journal_a_recording_stays_as_it_is(
    api: Any, ended: Any, journal: Path, renderer: Any
) -> None:
    recording = await ended()
    renderer.may_go_on.clear()
    asking = asyncio.create_task(post(api, recording))
    await renderer.until_asked(1)
    remove(journal)
    renderer.may_go_on.set()
    answer = await asking
    assert error_of(answer) == (400, "FAILED_PRECONDITION")
    assert "journal" in answer[1]["error"]["message"]
    assert error_of(await post(api, recording)) == (400, "FAILED_PRECONDITION")
    assert await api.recordings.get(PROJECT, None, recording.id) == recording


async def test_one_at_a_time_of_a_recording_and_few_of_all(
    api: Any, ended: Any, renderer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "MOST_AT_ONCE", 2)
    recordings = [await ended(number) for number in range(3)]
    renderer.may_go_on.clear()
    asking = [asyncio.create_task(post(api, one)) for one in recordings[:2]]
    await renderer.until_asked(2)
    assert error_of(await post(api, recordings[0])) == (409, "ABORTED")
    assert error_of(await post(api, recordings[2])) == (429, "RESOURCE_EXHAUSTED")
    renderer.may_go_on.set()
    assert [status for status, _ in await asyncio.gather(*asking)] == [200, 200]
    assert (await post(api, recordings[0]))[0] == 200
    assert (await post(api, recordings[2]))[0] == 200


async def test_a_recording_has_so_many_renditions_and_no_more(
    api: Any, ended: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "MOST_RENDITIONS", 2)
    recording = await ended()
    for expected in (200, 200, 400):
        answer = await post(api, recording)
        assert answer[0] == expected
    assert error_of(answer) == (400, "FAILED_PRECONDITION")


async def test_a_file_that_a_crash_left_is_not_touched(
    api: Any, ended: Any, tmp_path: Path
) -> None:
    recording = await ended()
    left = tmp_path / audio_path(recording.id, Format.MP4, 1)
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(b"left by a crash")
    _, view = await post(api, recording)
    assert view["x-mediaserver"]["audio"][-1]["rendition"] == 2
    assert left.read_bytes() == b"left by a crash"


async def test_the_file_of_a_recording_that_was_deleted_meanwhile_goes_too(
    api: Any, ended: Any, renderer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = await ended()

    async def deleted(*_: object) -> None:
        return None

    renderer.may_go_on.clear()
    asking = asyncio.create_task(post(api, recording))
    await renderer.until_asked(1)
    monkeypatch.setattr(api.recordings, "get", deleted)
    renderer.may_go_on.set()
    assert (await asking)[0] == 404
    assert not list((tmp_path / "recordings").rglob("*-1.*"))


async def test_a_file_that_cannot_be_noted_down_goes_too(
    api: Any, ended: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = await ended()

    async def locked(*_: object) -> None:
        raise LocalError("the database is locked")

    monkeypatch.setattr(api.recordings, "save", locked)
    assert (await post(api, recording))[0] == 503
    assert not list((tmp_path / "recordings").rglob("*-1.*"))


async def test_two_permissions_are_needed(api: Any, ended: Any) -> None:
    """The answer holds links: whoever has them needs no key."""
    recording = await ended()
    assert {GET, RENDER} <= PERMISSIONS
    for key, status in ((None, 401), ("key-that-lists", 403), ("key-that-gets", 403)):
        assert (await post(api, recording, {}, key=key))[0] == status


async def test_nothing_of_another_project_or_call_is_rendered(api: Any, ended: Any) -> None:
    recording = await ended()
    for path in (
        path_of(recording).replace(PROJECT, "other"),
        path_of(recording).replace("call-1", "call-2"),
        path_of(recording).replace(recording.id, "nobody"),
    ):
        assert (await api.ask(path, method="POST"))[0] == 404
    anywhere = path_of(recording).replace("call-1", "-")
    assert (await api.ask(anywhere, method="POST"))[0] == 200
    assert (await api.ask(anywhere))[0] == 404
    assert (await api.ask(anywhere + "?x=1", method="POST"))[0] == 400


async def test_who_goes_away_gets_the_file_all_the_same(
    api: Any, ended: Any, renderer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = await ended()
    renderer.may_go_on.clear()
    asking = asyncio.create_task(post(api, recording))
    await renderer.until_asked(1)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    saved = asyncio.Event()
    save = api.recordings.save

    async def note(*change: Any) -> None:
        await save(*change)
        saved.set()

    monkeypatch.setattr(api.recordings, "save", note)
    renderer.may_go_on.set()
    async with asyncio.timeout(10):
        await saved.wait()
    kept = await api.recordings.get(PROJECT, None, recording.id)
    assert len(kept.audio) == 2
