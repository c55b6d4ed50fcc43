"""A recording from its first sample to its announced end, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from farend.tape import StillClock, TapeLeg
from mediaserver.calls.capture import Capture
from mediaserver.calls.ledger import Ledger
from mediaserver.calls.recording import ActiveRecording
from mediaserver.calls.recording_order import RecordingOrder, RecordingPolicy
from mediaserver.calls.recovery import recover
from mediaserver.calls.services import Identity
from mediaserver.calls.studio import Studio
from mediaserver.errors import LocalError
from mediaserver.recording.announcement import Announcement, Envelope, Kind
from mediaserver.recording.failure import Failure, RecordingFailed
from mediaserver.recording.journal import open_journal
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.render import render
from mediaserver.recording.rendering import Rendered, RenderJob
from mediaserver.recording.resource import (
    Direction,
    Format,
    Pause,
    PauseBehavior,
    Recording,
    Source,
)
from mediaserver.recording.states import State, StopReason
from mediaserver.store.journals import JournalWriter

ENVELOPE = Envelope(project_id="p", space_id="s", node_id="n", session_id="x")


class Book:
    """A store that keeps every state it was given, and can be out of order for a while."""

    def __init__(self) -> None:
        self.states: list[Recording] = []
        self.said: list[dict[str, object]] = []
        self.ready: list[Announcement] = []
        self.out_of_order = 0

    async def add(self, recording: Recording, announcements: Sequence[Announcement] = ()) -> None:
        await self.save(recording, announcements)

    async def save(self, recording: Recording, announcements: Sequence[Announcement] = ()) -> None:
        if self.out_of_order:
            self.out_of_order -= 1
            raise LocalError("the database is locked")
        self.states.append(recording)
        self.ready += [a for a in announcements if a.kind is Kind.READY]
        self.said += [
            json.loads(a.body) | {"seq": a.sequence} for a in announcements if a.kind is Kind.STATUS
        ]


class InProcess:
    """Renders at once, or fails."""

    def __init__(self) -> None:
        self.fault: LocalError | None = None
        self.hangs = False

    def start(self) -> None: ...

    async def render(self, job: RenderJob) -> Rendered:
        if self.fault is not None:
            raise self.fault
        if self.hangs:
            await asyncio.Event().wait()
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


class Place:
    """Everything one recording needs, on a real disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = StillClock()
        self.book = Book()
        self.renderer = InProcess()
        self.journals = JournalWriter(folder)
        self.ledger = Ledger(
            self.book, self.clock, lambda id: f"http://me/{id}", lambda r: r.state.encode()
        )
        self.leg = TapeLeg()
        self.leg.tape[:] = (np.sin(np.arange(80_000) / 3) * 9000).astype(np.int16)
        self.capture = Capture(self.leg, self.journals, self.clock)
        self.studio = Studio(
            ledger=self.ledger,
            renderer=self.renderer,
            clock=self.clock,
            data_dir=str(folder),
            formats=(),
            sample_rate=None,
            render_timeout=10.0,
        )

    def begin(self, **rules: float) -> asyncio.Task[Recording]:
        return self.carry_out(order(**rules))

    def carry_out(self, order: RecordingOrder) -> asyncio.Task[Recording]:
        self.active = ActiveRecording(self.studio, self.capture, order, ENVELOPE, "call")
        return asyncio.create_task(self.active.see_through())

    @property
    def states(self) -> list[State]:
        return [recording.state for recording in self.book.states]

    @property
    def announced(self) -> list[str]:
        return [str(event["params"]["state"]) for event in self.book.said]  # type: ignore[index]


@pytest.fixture
async def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(autouse=True)
def _close(place: Place) -> object:
    yield
    place.journals.close()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_hang_up_leaves_a_file_and_two_announcements(place: Place) -> None:
    task = place.begin(max_length=9)
    await settle()
    place.leg.hear(12_345)
    place.capture.hang_up()
    place.leg.close()
    done = await task
    assert done.state is State.FINISHED
    assert done.stop_reason is StopReason.HANGUP
    assert done.duration_us == 12_345 * 125
    assert place.states == [State.RECORDING, State.RENDERING, State.FINISHED]
    assert place.announced == ["recording", "finished"]
    assert [event["seq"] for event in place.book.said] == [1, 2]
    wav = (place.folder / done.audio[0].path).read_bytes()
    assert wav[44:] == place.leg.tape[:12_345].astype("<i2").tobytes()


async def test_silence_throughout_is_no_input(place: Place) -> None:
    place.leg.tape[:] = 0
    task = place.begin(max_length=9)
    await settle()
    place.leg.hear(16_000)
    place.capture.hang_up()
    done = await task
    assert done.state is State.NO_INPUT
    assert done.duration_us == 2_000_000
    assert place.announced == ["recording", "no_input"]


async def test_an_encoder_that_fails_is_an_announced_error(place: Place) -> None:
    place.renderer.fault = RecordingFailed("the encoder failed 3 times", Failure.ENCODER_FAILED)
    task = place.begin(max_length=0.5)
    await settle()
    place.leg.hear(8000)
    done = await task
    assert done.state is State.ERROR
    assert done.error_message == "the encoder failed 3 times"
    assert done.failure is Failure.ENCODER_FAILED
    assert place.book.said[-1]["params"]["x-mediaserver"]["failure"] == {  # type: ignore[index]
        "reason": "encoder_failed",
        "message": "The encoder could not make the files.",
    }
    assert place.announced == ["recording", "error"]


async def test_a_database_that_is_away_costs_nothing(place: Place) -> None:
    place.book.out_of_order = 2
    task = place.begin(max_length=0.5)
    await settle()
    place.leg.hear(8000)
    done = await task
    assert done.state is State.FINISHED
    assert place.announced == ["recording", "finished"]


async def test_a_step_of_the_wall_clock_does_not_bend_the_end(place: Place) -> None:
    task = place.begin(max_length=1.0)
    await settle()
    place.clock.wall -= 3600
    place.leg.hear(16_000)
    done = await task
    assert done.ended_at is not None
    assert done.ended_at - done.started_at == 1_000_000


@pytest.mark.parametrize("state", [State.RECORDING, State.RENDERING])
async def test_a_recording_cut_off_by_a_crash_is_completed(place: Place, state: State) -> None:
    task = place.begin(max_length=9)
    await settle()
    place.leg.hear(8000)
    place.capture.hang_up()
    await task
    (crashed,) = [r for r in place.book.states if r.state is state]
    (place.folder / place.book.states[-1].audio[0].path).unlink()
    place.book.states.clear()
    place.book.said.clear()
    services = _Services(place)
    await recover([crashed], services, lambda _folder: 8000)  # type: ignore[arg-type]
    assert place.book.states[-1].state is State.FINISHED
    assert place.book.states[-1].duration_us == 1_000_000
    assert place.announced == ["finished"]


async def test_a_crashed_recording_without_a_journal_ends_as_an_error(place: Place) -> None:
    task = place.begin(max_length=9)
    await settle()
    place.capture.hang_up()
    await task
    crashed = place.book.states[0]
    (place.folder / place.book.states[-1].audio[0].path).unlink()
    for path in (place.folder / crashed.span.journal).iterdir():
        path.unlink()

    def gone(folder: str) -> int:
        raise LocalError(f"cannot open the journal {folder}")

    place.book.said.clear()
    await recover([crashed], _Services(place), gone)  # type: ignore[arg-type]
    assert place.announced == ["error"]


class _Services:
    """What recovery uses of `Services`."""

    def __init__(self, place: Place) -> None:
        self.studio = place.studio
        self.identity = Identity(project_id="p", space_id="s", node_id="n")


# Pause and resume.


async def test_a_pause_is_announced_with_its_behaviour_and_left_out_of_the_file(
    place: Place,
) -> None:
    task = place.begin(max_length=9)
    await settle()
    place.leg.hear(8000)
    assert place.active.pause(PauseBehavior.SKIP)
    place.leg.hear(20_000)
    assert place.active.resume()
    place.leg.hear(28_000)
    assert place.active.stop()
    done = await task
    assert place.states == [
        State.RECORDING,
        State.PAUSED,
        State.RECORDING,
        State.RENDERING,
        State.FINISHED,
    ]
    assert place.announced == ["recording", "paused", "recording", "finished"]
    assert [event["params"].get("pause_behavior") for event in place.book.said] == [  # type: ignore[attr-defined]
        None,
        "skip",
        None,
        None,
    ]
    assert done.stop_reason is StopReason.COMMAND
    assert done.pauses == (Pause(start=8000, behavior=PauseBehavior.SKIP, end=20_000),)
    (ended,) = [r for r in place.book.states if r.state is State.RENDERING]
    assert ended.duration_us == 2_000_000


async def test_what_is_said_in_a_pause_is_on_no_disk(place: Place) -> None:
    task = place.begin(max_length=9)
    await settle()
    place.leg.hear(8000)
    place.active.pause(PauseBehavior.SILENCE)
    place.leg.hear(20_000)
    place.active.resume()
    place.leg.hear(28_000)
    place.capture.hang_up()
    done = await task
    with open_journal(place.folder / done.span.journal / "speak.journal") as journal:
        heard = journal.read(0, 28_000)
    tape = place.leg.tape
    assert np.array_equal(heard[:8000], tape[:8000])
    assert not heard[8000:20_000].any()
    assert np.array_equal(heard[20_000:], tape[20_000:28_000])
    assert done.duration_us == 3_500_000


async def test_one_recording_goes_on_while_another_is_paused(place: Place) -> None:
    one = place.begin(max_length=9)
    paused = place.active
    other = place.begin(max_length=9)
    await settle()
    place.leg.hear(8000)
    paused.pause(PauseBehavior.SKIP)
    place.leg.hear(16_000)
    place.capture.hang_up()
    first, second = await asyncio.gather(one, other)
    assert first.duration_us == 1_000_000
    assert second.duration_us == 2_000_000
    wav = (place.folder / second.audio[0].path).read_bytes()
    assert wav[44:] == place.leg.tape[:16_000].astype("<i2").tobytes()


async def test_commands_that_come_too_late_or_twice_change_nothing(place: Place) -> None:
    task = place.begin(max_length=9)
    await settle()
    assert not place.active.resume()
    assert place.active.pause(PauseBehavior.SKIP)
    assert not place.active.pause(PauseBehavior.SILENCE)
    assert place.active.stop()
    assert not place.active.stop()
    assert not place.active.resume()
    assert not place.active.pause(PauseBehavior.SKIP)
    await task
    assert place.announced[:2] == ["recording", "paused"]


async def test_a_recording_cut_off_in_a_pause_ends_where_the_pause_began(place: Place) -> None:
    task = place.begin(max_length=9)
    await settle()
    place.leg.hear(8000)
    place.active.pause(PauseBehavior.SILENCE)
    await settle()
    crashed = place.book.states[-1]
    assert crashed.state is State.PAUSED
    place.capture.hang_up()
    await task
    (place.folder / place.book.states[-1].audio[0].path).unlink()
    await recover([crashed], _Services(place), lambda _folder: 8000)  # type: ignore[arg-type]
    done = place.book.states[-1]
    assert (done.state, done.recovered, done.duration_us) == (State.FINISHED, True, 1_000_000)
    assert done.pauses == ()


async def test_retention_counts_from_the_end_of_a_recording(place: Place) -> None:
    policy = RecordingPolicy(retention=60.0)
    active = ActiveRecording(
        place.studio,
        place.capture,
        replace(order(max_length=1.0), policy=policy),
        ENVELOPE,
        "call",
    )
    task = asyncio.create_task(active.see_through())
    await settle()
    place.leg.hear(16_000)
    done = await task
    assert done.ended_at is not None
    assert done.expires_at == done.ended_at + 60_000_000


# RECORDING_READY (contract B6), and renders that never end.


def with_ready_uri(order: RecordingOrder) -> RecordingOrder:
    return replace(order, policy=RecordingPolicy(ready_uri="http://app/ready"))


@pytest.mark.parametrize("state", [State.FINISHED, State.NO_INPUT, State.ERROR])
async def test_every_final_state_is_told_to_the_ready_uri_once_in_a_stream_of_its_own(
    place: Place, state: State
) -> None:
    if state is State.NO_INPUT:
        place.leg.tape[:] = 0
    if state is State.ERROR:
        place.renderer.fault = LocalError("the encoder failed 3 times")
    task = place.carry_out(with_ready_uri(order(max_length=1.0)))
    await settle()
    place.leg.hear(4000)
    place.active.pause(PauseBehavior.SKIP)
    place.active.resume()
    place.leg.hear(16_000)
    done = await task
    (ready,) = place.book.ready
    assert (ready.kind, ready.url, ready.sequence) == (Kind.READY, "http://app/ready", 1)
    assert ready.stream == f"{done.id}-ready"
    assert len(ready.stream) <= 64
    # What is told is the recording as it is written down with it.
    assert ready.body == state.encode()
    assert place.announced == ["recording", "paused", "recording", state.value]
    assert [event["seq"] for event in place.book.said] == [1, 2, 3, 4]
    assert done.sequence == 4


async def test_a_ready_uri_needs_no_status_url(place: Place) -> None:
    asked = replace(with_ready_uri(order(max_length=1.0)), status_url=None)
    task = place.carry_out(asked)
    await settle()
    place.leg.hear(16_000)
    done = await task
    assert place.announced == []
    assert (len(place.book.ready), done.sequence) == (1, 0)


async def test_a_recording_without_a_ready_uri_tells_none(place: Place) -> None:
    task = place.begin(max_length=1.0)
    await settle()
    place.leg.hear(16_000)
    await task
    assert place.book.ready == []


async def test_a_recording_completed_after_a_crash_tells_its_ready_uri(place: Place) -> None:
    task = place.carry_out(with_ready_uri(order(max_length=9)))
    await settle()
    place.leg.hear(8000)
    place.capture.hang_up()
    await task
    (crashed,) = [r for r in place.book.states if r.state is State.RENDERING]
    (place.folder / place.book.states[-1].audio[0].path).unlink()
    place.book.ready.clear()
    await recover([crashed], _Services(place), lambda _folder: 8000)  # type: ignore[arg-type]
    assert [ready.stream for ready in place.book.ready] == [f"{crashed.id}-ready"]


async def test_a_render_that_never_ends_is_an_announced_timeout(place: Place) -> None:
    place.renderer.hangs = True
    place.studio = replace(place.studio, render_timeout=0.05)
    task = place.carry_out(with_ready_uri(order(max_length=0.5)))
    await settle()
    place.leg.hear(8000)
    async with asyncio.timeout(5):
        done = await task
    assert (done.state, done.failure) == (State.ERROR, Failure.RENDER_TIMEOUT)
    assert done.error_message == "not rendered within 0.05 s"
    assert done.duration_us == 500_000
    assert place.announced == ["recording", "error"]
    assert len(place.book.ready) == 1


async def test_a_renderer_that_gives_up_in_time_is_no_timeout(place: Place) -> None:
    class Impatient(InProcess):
        async def render(self, job: RenderJob) -> Rendered:
            raise TimeoutError("of its own")

    place.studio = replace(place.studio, renderer=Impatient())
    task = place.begin(max_length=0.5)
    await settle()
    place.leg.hear(8000)
    assert (await task).failure is Failure.INTERNAL


async def test_the_server_may_stop_while_a_render_is_awaited(place: Place) -> None:
    place.renderer.hangs = True
    task = place.begin(max_length=0.5)
    await settle()
    place.leg.hear(8000)
    while State.RENDERING not in place.states:  # noqa: ASYNC110 - the book tells nobody
        await asyncio.sleep(0)
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # The next start renders it: nothing was said of an end.
    assert place.states[-1] is State.RENDERING
