"""More recordings end than encoders can keep up with: each waits on disk, and none is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from farend.journals import FIRST, tone, write_journal
from farend.tape import StillClock
from mediaserver.calls.backlog import Backlog
from mediaserver.calls.ledger import Ledger
from mediaserver.calls.studio import Studio
from mediaserver.errors import LocalError
from mediaserver.recording.announcement import Envelope
from mediaserver.recording.rendering import Rendered, RendererFull, RenderJob
from mediaserver.recording.resource import Format, Recording, Span
from mediaserver.recording.states import State, swml_result
from mediaserver.store import renderer as renderers
from mediaserver.store.database import Database
from mediaserver.store.recordings import Recordings
from mediaserver.store.renderer import Renderer

ENVELOPE = Envelope(project_id="project", space_id="s", node_id="n", session_id="x")
SPAN = Span(journal="journals/leg", rate=8000, start=FIRST, end=FIRST + 4000)


@pytest.fixture
async def renderer() -> AsyncIterator[Renderer]:
    one = Renderer(1)
    yield one
    await one.close()


def studio_of(database: Database, renderer: Renderer | Fickle, folder: Path) -> Studio:
    clock = StillClock()
    return Studio(
        ledger=Ledger(
            Recordings(database), clock, lambda id: f"http://me/{id}", lambda _: b"a recording"
        ),
        renderer=renderer,
        clock=clock,
        data_dir=str(folder),
        formats=(Format.MP3,),
        sample_rate=None,
        render_timeout=120.0,
    )


class Fickle:
    """A renderer that has no room for the first few."""

    def __init__(self, refusals: int, behind: Renderer) -> None:
        self.refusals = refusals
        self._behind = behind

    def start(self) -> None: ...

    async def render(self, job: RenderJob) -> Rendered:
        if self.refusals:
            self.refusals -= 1
            raise RendererFull("no room")
        return await self._behind.render(job)


async def test_every_recording_is_rendered_however_many_end_at_once(
    database: Database,
    renderer: Renderer,
    make_recording: Callable[..., Recording],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(renderers, "MOST_WAITING", 2)
    monkeypatch.setattr("mediaserver.calls.backlog.RETRY", 0.05)
    write_journal(tmp_path, tone(440, 0.5))
    studio = studio_of(database, renderer, tmp_path)
    store = Recordings(database)
    made = [make_recording(n, state=State.RENDERING, span=SPAN) for n in range(30)]
    for recording in made:
        await store.add(recording)
    first = await asyncio.gather(*(studio.render(recording, ENVELOPE) for recording in made))
    # One in hand and two that waited; the calls of the others go their way.
    states = [recording.state for recording in first]
    assert states.count(State.FINISHED) == 3
    assert studio.backlog.length == states.count(State.RENDERING) == 27
    backlog = asyncio.create_task(studio.backlog.work_off(store, studio.render))
    async with asyncio.timeout(120):
        while await store.unfinished():  # noqa: ASYNC110  the database tells nobody
            await asyncio.sleep(0.05)
    backlog.cancel()
    await asyncio.gather(backlog, return_exceptions=True)
    for recording in made:
        done = await store.get("project", None, recording.id)
        assert done is not None
        assert done.state is State.FINISHED
        assert [audio.format for audio in done.audio] == [Format.WAV, Format.MP3]


async def test_a_recording_deleted_while_it_waited_is_passed_over(
    database: Database,
    renderer: Renderer,
    make_recording: Callable[..., Recording],
    tmp_path: Path,
) -> None:
    write_journal(tmp_path, tone(440, 0.5))
    fickle = Fickle(2, renderer)
    studio = studio_of(database, fickle, tmp_path)
    store = Recordings(database)
    gone, kept = (make_recording(n, state=State.RENDERING, span=SPAN) for n in range(2))
    await store.add(kept)
    for recording in (gone, kept):
        assert (await studio.render(recording, ENVELOPE)).state is State.RENDERING
    backlog = asyncio.create_task(studio.backlog.work_off(store, studio.render))
    async with asyncio.timeout(60):
        while await store.unfinished():  # noqa: ASYNC110  the database tells nobody
            await asyncio.sleep(0.02)
    backlog.cancel()
    await asyncio.gather(backlog, return_exceptions=True)


async def test_a_database_that_is_away_for_a_while_loses_no_recording(
    make_recording: Callable[..., Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediaserver.calls.backlog.RETRY", 0.01)
    recording = make_recording(1, state=State.RENDERING, span=SPAN)
    rendered: asyncio.Future[Recording] = asyncio.get_running_loop().create_future()

    class Away:
        asked = 0

        async def get(
            self, project_id: str, call_id: str | None, recording_id: str
        ) -> Recording | None:
            self.asked += 1
            if self.asked < 4:
                raise LocalError("the database is locked")
            return recording

    async def render(recording: Recording, envelope: Envelope) -> Recording:
        assert envelope is ENVELOPE  # whoever is told is told by the same session
        rendered.set_result(recording)
        return recording

    left = Backlog()
    left.leave(recording, ENVELOPE)
    work = asyncio.create_task(left.work_off(Away(), render))
    assert await rendered == recording
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


def test_a_script_is_told_of_success_when_the_files_are_made_later() -> None:
    assert swml_result(State.RENDERING, None) == "success"
