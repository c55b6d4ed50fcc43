"""A recording from its first sample to its announced end, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from farend.tape import StillClock, TapeLeg
from mediaserver.calls.capture import Capture
from mediaserver.calls.ledger import Ledger
from mediaserver.calls.recording import RecordingOrder, RecordingRun
from mediaserver.calls.recovery import recover
from mediaserver.calls.services import Identity
from mediaserver.errors import LocalError
from mediaserver.recording.announcement import Announcement, Envelope
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.render import render
from mediaserver.recording.rendering import Rendered, RenderJob
from mediaserver.recording.resource import Direction, Format, Recording, Source
from mediaserver.recording.states import State, StopReason
from mediaserver.store.journals import JournalWriter

ENVELOPE = Envelope(project_id="p", space_id="s", node_id="n", session_id="x")


class Book:
    """A store that keeps every state it was given, and can be out of order for a while."""

    def __init__(self) -> None:
        self.states: list[Recording] = []
        self.said: list[dict[str, object]] = []
        self.out_of_order = 0

    async def add(self, recording: Recording, announcements: Sequence[Announcement] = ()) -> None:
        await self.save(recording, announcements)

    async def save(self, recording: Recording, announcements: Sequence[Announcement] = ()) -> None:
        if self.out_of_order:
            self.out_of_order -= 1
            raise LocalError("the database is locked")
        self.states.append(recording)
        self.said += [json.loads(a.body) | {"seq": a.sequence} for a in announcements]


class InProcess:
    """Renders at once, or fails."""

    def __init__(self) -> None:
        self.fault: LocalError | None = None

    def start(self) -> None: ...

    async def render(self, job: RenderJob) -> Rendered:
        if self.fault is not None:
            raise self.fault
        return await asyncio.to_thread(render, job)


def order(**rules: float) -> RecordingOrder:
    return RecordingOrder(
        rules=StopRules(**rules),  # type: ignore[arg-type]
        format=Format.WAV,
        direction=Direction.SPEAK,
        stereo=False,
        status_url="http://app/cb",
        source=Source.RECORD_ACTION,
    )


class Studio:
    """Everything one recording needs, on a real disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = StillClock()
        self.book = Book()
        self.renderer = InProcess()
        self.journals = JournalWriter(folder)
        self.ledger = Ledger(self.book, self.clock, lambda id: f"http://me/{id}")
        self.leg = TapeLeg()
        self.leg.tape[:] = (np.sin(np.arange(80_000) / 3) * 9000).astype(np.int16)
        self.capture = Capture(self.leg, self.journals, self.clock)
        self.run = RecordingRun(self.ledger, self.renderer, self.clock, ENVELOPE, str(folder))

    def begin(self, **rules: float) -> asyncio.Task[Recording]:
        return asyncio.create_task(self.run.run(self.capture, order(**rules), "call"))

    @property
    def states(self) -> list[State]:
        return [recording.state for recording in self.book.states]

    @property
    def announced(self) -> list[str]:
        return [str(event["params"]["state"]) for event in self.book.said]  # type: ignore[index]


@pytest.fixture
async def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


@pytest.fixture(autouse=True)
def _close(studio: Studio) -> object:
    yield
    studio.journals.close()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_hang_up_leaves_a_file_and_two_announcements(studio: Studio) -> None:
    task = studio.begin(max_length=9)
    await settle()
    studio.leg.hear(12_345)
    studio.capture.hang_up()
    studio.leg.close()
    done = await task
    assert done.state is State.FINISHED
    assert done.stop_reason is StopReason.HANGUP
    assert done.duration_us == 12_345 * 125
    assert studio.states == [State.RECORDING, State.RENDERING, State.FINISHED]
    assert studio.announced == ["recording", "finished"]
    assert [event["seq"] for event in studio.book.said] == [1, 2]
    wav = (studio.folder / done.audio[0].path).read_bytes()
    assert wav[44:] == studio.leg.tape[:12_345].astype("<i2").tobytes()


async def test_silence_throughout_is_no_input(studio: Studio) -> None:
    studio.leg.tape[:] = 0
    task = studio.begin(max_length=9)
    await settle()
    studio.leg.hear(16_000)
    studio.capture.hang_up()
    done = await task
    assert done.state is State.NO_INPUT
    assert done.duration_us == 2_000_000
    assert studio.announced == ["recording", "no_input"]


async def test_an_encoder_that_fails_is_an_announced_error(studio: Studio) -> None:
    studio.renderer.fault = LocalError("the encoder failed 3 times")
    task = studio.begin(max_length=0.5)
    await settle()
    studio.leg.hear(8000)
    done = await task
    assert done.state is State.ERROR
    assert done.error_message == "the encoder failed 3 times"
    assert studio.announced == ["recording", "error"]


async def test_a_database_that_is_away_costs_nothing(studio: Studio) -> None:
    studio.book.out_of_order = 2
    task = studio.begin(max_length=0.5)
    await settle()
    studio.leg.hear(8000)
    done = await task
    assert done.state is State.FINISHED
    assert studio.announced == ["recording", "finished"]


async def test_a_step_of_the_wall_clock_does_not_bend_the_end(studio: Studio) -> None:
    task = studio.begin(max_length=1.0)
    await settle()
    studio.clock.wall -= 3600
    studio.leg.hear(16_000)
    done = await task
    assert done.ended_at is not None
    assert done.ended_at - done.started_at == 1_000_000


@pytest.mark.parametrize("state", [State.RECORDING, State.RENDERING])
async def test_a_recording_cut_off_by_a_crash_is_completed(studio: Studio, state: State) -> None:
    task = studio.begin(max_length=9)
    await settle()
    studio.leg.hear(8000)
    studio.capture.hang_up()
    await task
    (crashed,) = [r for r in studio.book.states if r.state is state]
    (studio.folder / studio.book.states[-1].audio[0].path).unlink()
    studio.book.states.clear()
    studio.book.said.clear()
    services = _Services(studio)
    await recover([crashed], services, lambda _folder: 8000)  # type: ignore[arg-type]
    assert studio.book.states[-1].state is State.FINISHED
    assert studio.book.states[-1].duration_us == 1_000_000
    assert studio.announced == ["finished"]


async def test_a_crashed_recording_without_a_journal_ends_as_an_error(studio: Studio) -> None:
    task = studio.begin(max_length=9)
    await settle()
    studio.capture.hang_up()
    await task
    crashed = studio.book.states[0]
    (studio.folder / studio.book.states[-1].audio[0].path).unlink()
    for path in (studio.folder / crashed.span.journal).iterdir():
        path.unlink()

    def gone(folder: str) -> int:
        raise LocalError(f"cannot open the journal {folder}")

    studio.book.said.clear()
    await recover([crashed], _Services(studio), gone)  # type: ignore[arg-type]
    assert studio.announced == ["error"]


class _Services:
    """What recovery uses of `Services`."""

    def __init__(self, studio: Studio) -> None:
        self.ledger = studio.ledger
        self.renderer = studio.renderer
        self.clock = studio.clock
        self.identity = Identity(project_id="p", space_id="s", node_id="n")
        self.data_dir = str(studio.folder)
