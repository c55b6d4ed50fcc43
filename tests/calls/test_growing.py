"""What is known of a recording at a moment before its end, from the leg to the samples on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.tape import StillClock, TapeLeg
from mediaserver.calls.capture import Capture
from mediaserver.calls.growing import Growing, GrowingRecordings
from mediaserver.calls.ledger import Ledger
from mediaserver.calls.recording import ActiveRecording
from mediaserver.calls.recording_order import RecordingOrder
from mediaserver.calls.studio import Studio
from mediaserver.errors import LocalError
from mediaserver.recording.announcement import Announcement, Envelope
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.rendering import Rendered, RenderJob
from mediaserver.recording.resource import (
    Direction,
    Format,
    Pause,
    PauseBehavior,
    Recording,
    Source,
)
from mediaserver.recording.states import State
from mediaserver.recording.track import open_track
from mediaserver.store.journals import JournalWriter

ENVELOPE = Envelope(project_id="p", space_id="s", node_id="n", session_id="x")


class Book:
    """A store, which can be slow."""

    def __init__(self) -> None:
        self.last: Recording | None = None
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def add(self, recording: Recording, announcements: Sequence[Announcement] = ()) -> None:
        await self.save(recording, announcements)

    async def save(self, recording: Recording, announcements: Sequence[Announcement] = ()) -> None:
        await self.may_go_on.wait()
        self.last = recording


class Idle:
    """A renderer that is not done before a test says so."""

    def __init__(self) -> None:
        self.may_go_on = asyncio.Event()

    def start(self) -> None: ...

    async def render(self, job: RenderJob) -> Rendered:
        await self.may_go_on.wait()
        return Rendered((), job.end - job.start, silent=False)


class Place:
    """A leg with a recording on it, and a disk."""

    def __init__(self, folder: Path) -> None:
        self.book = Book()
        self.renderer = Idle()
        self.journals = JournalWriter(folder)
        self.leg = TapeLeg()
        self.leg.tape[:] = np.arange(80_000) % 9000 + 100
        self.capture = Capture(self.leg, self.journals, StillClock())
        self.studio = Studio(
            ledger=Ledger(self.book, StillClock(), lambda id: id, lambda _: b"{}"),
            renderer=self.renderer,
            clock=StillClock(),
            data_dir=str(folder),
            formats=(),
            sample_rate=None,
            render_timeout=10.0,
        )
        self.growing = GrowingRecordings(
            self.studio.running, self.journal_end, data_dir=str(folder), sample_rate=None
        )
        self.ends_at = 0

    def begin(self, **rules: float) -> tuple[ActiveRecording, asyncio.Task[Recording]]:
        order = RecordingOrder(
            rules=StopRules(**rules),  # type: ignore[arg-type]
            format=Format.WAV,
            direction=Direction.SPEAK,
            stereo=False,
            status_url=None,
            source=Source.RECORD_ACTION,
        )
        active = ActiveRecording(self.studio, self.capture, order, ENVELOPE, "call")
        return active, asyncio.create_task(active.see_through())

    def journal_end(self, folder: str) -> int:
        if not self.ends_at:
            raise LocalError(f"{folder} is gone")
        return self.ends_at


@pytest.fixture
async def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(autouse=True)
def _close(place: Place) -> Iterator[None]:
    yield
    place.journals.close()


async def audio_of(growing: Growing | None) -> tuple[NDArray[np.int16], bool]:
    """Return the samples there are, and whether that is all."""
    assert growing is not None
    so_far = await growing.so_far()
    with open_track(so_far.job) as track:
        return track.read(0, track.length)[:, 0], so_far.over


async def test_what_is_final_is_there_at_once_though_no_journal_was_due(place: Place) -> None:
    active, task = place.begin()
    growing = await place.growing.find(active.recording)
    for placed, final in ((0, 0), (8000, 7900), (16_000, 15_900)):
        place.leg.hear(placed, final=final)
        samples, over = await audio_of(growing)
        assert np.array_equal(samples, place.leg.tape[:final])
        assert not over
    place.capture.hang_up()
    place.renderer.may_go_on.set()
    await task


async def test_a_pause_holds_before_the_database_knows_of_it(place: Place) -> None:
    active, task = place.begin()
    other, other_task = place.begin()  # keeps the journal written in the pause
    place.leg.hear(8000)
    place.book.may_go_on.clear()
    assert active.pause(PauseBehavior.SKIP)
    place.leg.hear(16_000)
    samples, _ = await audio_of(await place.growing.find(active.recording))
    assert samples.size == 8000
    assert (await audio_of(await place.growing.find(other.recording)))[0].size == 16_000
    place.book.may_go_on.set()
    place.capture.hang_up()
    place.renderer.may_go_on.set()
    await asyncio.gather(task, other_task)


async def test_it_ends_where_it_was_stopped_though_the_leg_goes_on(place: Place) -> None:
    active, task = place.begin(max_length=1.0)
    growing = await place.growing.find(active.recording)
    _, other_task = place.begin()
    place.leg.hear(20_000)
    samples, over = await audio_of(growing)
    assert over
    assert np.array_equal(samples, place.leg.tape[:8000])
    place.capture.hang_up()
    place.renderer.may_go_on.set()
    assert (await task).span.end == 8000
    await other_task
    # Whoever holds on to it still gets all of it.
    samples, over = await audio_of(growing)
    assert (samples.size, over) == (8000, True)


async def test_it_is_found_until_its_final_state_is_written_and_then_no_more(place: Place) -> None:
    active, task = place.begin()
    place.leg.hear(8000)
    place.capture.hang_up()
    place.leg.close()  # a closed leg must not be asked
    samples, over = await audio_of(await place.growing.find(active.recording))
    assert (samples.size, over) == (8000, True)
    assert set(place.studio.running) == {active.recording.id}
    place.renderer.may_go_on.set()
    assert (await task).state is State.FINISHED
    assert not place.studio.running


async def test_one_that_is_given_up_is_found_no_more(place: Place) -> None:
    _, task = place.begin()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not place.studio.running


async def test_one_that_a_crash_cut_off_ends_where_its_journal_does(place: Place) -> None:
    active, task = place.begin()
    place.leg.hear(8000)
    await active.settled()
    cut = replace(active.recording, id="cut-off")
    assert await place.growing.find(cut) is None
    place.ends_at = 8000
    samples, over = await audio_of(await place.growing.find(cut))
    assert (samples.size, over) == (8000, True)
    pauses = (Pause(start=5000, behavior=PauseBehavior.SILENCE),)
    samples, over = await audio_of(await place.growing.find(replace(cut, pauses=pauses)))
    assert (samples.size, over) == (5000, True)
    place.capture.hang_up()
    place.renderer.may_go_on.set()
    await task
