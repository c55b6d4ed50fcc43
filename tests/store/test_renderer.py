"""Encoder processes: replaced when they die or hang, gone when the server is."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farend.encoder_work import PERFORM, Work, die_once, hang, meet, pid, plod, sleep
from farend.journals import job_for, tone, write_journal
from mediaserver.errors import LocalError
from mediaserver.recording.rendering import RendererFull
from mediaserver.recording.resource import Format, Pause, PauseBehavior
from mediaserver.store import encoder_process
from mediaserver.store import renderer as renderers
from mediaserver.store.renderer import Renderer, encoders_for


def work(do: Any, number: int = 0, **more: Any) -> Any:
    return Work(do, str(number), **more)


@pytest.fixture
async def renderer(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Renderer]:
    monkeypatch.setattr(renderers, "RENDER", PERFORM)
    one = Renderer(1)
    yield one
    await one.close()


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def niceness(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16])


def files(data: Path) -> list[Path]:
    return list(data.glob("recordings/*/*"))


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  processes tell nobody
            await asyncio.sleep(0.01)


async def test_all_files_of_a_recording_are_made(tmp_path: Path) -> None:
    write_journal(tmp_path, tone(440, 30))
    renderer = Renderer()
    try:
        rendered = await renderer.render(job_for(tmp_path, 30 * 8000, *Format, peaks=True))
    finally:
        await renderer.close()
    assert [audio.format for audio in rendered.audio] == list(Format)
    assert all((tmp_path / audio.path).stat().st_size for audio in rendered.audio)


async def test_an_encoder_that_is_killed_in_the_middle_of_a_render_costs_nothing(
    tmp_path: Path,
) -> None:
    write_journal(tmp_path, np.tile(tone(440, 60), 8))
    job = job_for(tmp_path, 480 * 8000, *Format)
    renderer = Renderer(1)
    try:
        making = asyncio.create_task(renderer.render(job))
        await until(lambda: files(tmp_path))
        (encoder,) = renderer.pids
        os.kill(encoder, signal.SIGKILL)
        rendered = await making
        assert encoder not in renderer.pids
    finally:
        await renderer.close()
    assert len(rendered.audio) == 3
    assert len(files(tmp_path)) == 3


async def test_an_encoder_killed_while_it_rests_is_no_zombie_and_nobody_notices(
    renderer: Renderer,
) -> None:
    first: Any = await renderer.render(work(pid))
    os.kill(first, signal.SIGKILL)
    await until(lambda: not renderer.pids)
    await until(partial(gone, first))
    second: Any = await renderer.render(work(pid))
    assert second != first


async def test_what_cannot_be_rendered_is_said_in_a_sentence(tmp_path: Path) -> None:
    write_journal(tmp_path, tone(440, 1)).unlink()
    renderer = Renderer()
    try:
        with pytest.raises(LocalError, match="journal"):
            await renderer.render(job_for(tmp_path, 8000))
    finally:
        await renderer.close()


async def a_stopped_encoder_is_killed_and_the_job_done_by_another(renderer: Renderer) -> None:
    first: Any = await renderer.render(work(pid))
    os.kill(first, signal.SIGSTOP)
    second: Any = await renderer.render(work(pid))
    assert second != first
    assert gone(first)


async def a_job_too_large_for_the_pipe_to_a_stopped_encoder_holds_up_nothing(
    renderer: Renderer,
) -> None:
    first: Any = await renderer.render(work(pid))
    os.kill(first, signal.SIGSTOP)
    job = work(pid, ballast=[Pause(start=n, behavior=PauseBehavior.SKIP) for n in range(50_000)])
    making = asyncio.create_task(renderer.render(job))
    async with asyncio.timeout(1.0):  # the loop goes on
        await asyncio.sleep(0.5)
    assert await making != first


async def a_job_no_encoder_gets_on_with_fails_and_the_next_does_not(renderer: Renderer) -> None:
    with pytest.raises(LocalError, match="failed 3 times"):
        await renderer.render(work(hang))
    assert await renderer.render(work(pid)) in renderer.pids  # type: ignore[comparison-overlap]


async def an_encoder_that_gets_on_is_given_its_time(renderer: Renderer) -> None:
    assert await renderer.render(work(partial(plod, 7.0))) == "done"  # type: ignore[comparison-overlap]


WAITS: tuple[Callable[[Renderer], Awaitable[None]], ...] = (
    a_job_no_encoder_gets_on_with_fails_and_the_next_does_not,
    an_encoder_that_gets_on_is_given_its_time,
    a_job_too_large_for_the_pipe_to_a_stopped_encoder_holds_up_nothing,
    a_stopped_encoder_is_killed_and_the_job_done_by_another,
)
"""What takes as long as a process is waited for: all of it goes on at once."""


@pytest.fixture(scope="module")
def waits() -> dict[str, BaseException | None]:
    """How each of `WAITS` ended, with a renderer of its own."""

    async def live(number: int, story: Callable[[Renderer], Awaitable[None]]) -> None:
        await asyncio.sleep(number)  # so many encoders that start at once would be late
        renderer = Renderer(1)
        try:
            await story(renderer)
        finally:
            await renderer.close()

    async def live_all() -> list[BaseException | None]:
        stories = (live(number, story) for number, story in enumerate(WAITS))
        return await asyncio.gather(*stories, return_exceptions=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(renderers, "RENDER", PERFORM)
        patch.setattr(encoder_process, "PATIENCE", 5.0)
        ends = asyncio.run(live_all())
    return dict(zip((story.__name__ for story in WAITS), ends, strict=True))


@pytest.mark.parametrize("story", [story.__name__ for story in WAITS])
def test_an_encoder_is_waited_for_as_long_as_it_gets_on(
    waits: dict[str, BaseException | None], story: str
) -> None:
    error = waits[story]
    if error is not None:
        raise error


async def test_an_encoder_that_only_says_that_it_gets_on_is_ended_at_last(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renderers, "TIMEOUT", 1.0)
    with pytest.raises(LocalError, match="failed 3 times"):
        await renderer.render(work(partial(plod, 60.0)))


async def test_a_job_that_killed_its_encoder_is_tried_again(
    renderer: Renderer, tmp_path: Path
) -> None:
    assert await renderer.render(work(partial(die_once, tmp_path / "mark"))) in renderer.pids  # type: ignore[comparison-overlap]


def test_three_encoders_that_hang_one_after_the_other_fail_a_recording_within_a_minute() -> None:
    """Robustness R22; a second is what it takes to start another."""
    assert renderers.ATTEMPTS * (encoder_process.PATIENCE + 1.0) < 60


@pytest.mark.parametrize(("cores", "encoders"), [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4), (64, 4)])
def test_calls_are_left_their_cores(cores: int, encoders: int) -> None:
    assert encoders_for(cores) == encoders


@pytest.mark.usefixtures("renderer")
async def test_encoders_are_started_as_they_are_needed_and_ended_when_they_are_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(renderers, "IDLE", 0.5)
    several = Renderer(3)
    try:
        assert several.pids == []
        assert await several.render(work(pid)) in several.pids  # type: ignore[comparison-overlap]
        assert len(several.pids) == 1
        used: list[Any] = await asyncio.gather(
            *(several.render(work(partial(meet, tmp_path, 3))) for _ in range(3))
        )
        assert len(set(used)) == 3 == len(several.pids)
        again: list[Any] = await asyncio.gather(*(several.render(work(pid)) for _ in range(7)))
        assert set(again) <= set(used)
        await until(lambda: len(several.pids) == 1)
        kept = several.pids
        for pid_ in set(used) - set(kept):
            await until(partial(gone, pid_))
        await asyncio.sleep(0.6)
        assert several.pids == kept
    finally:
        await several.close()


async def test_only_so_many_renders_wait_and_the_next_is_told(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renderers, "MOST_WAITING", 2)
    tasks = [asyncio.create_task(renderer.render(work(partial(sleep, 0.3), n))) for n in range(3)]
    await until(lambda: renderer.is_rendering("2"))
    with pytest.raises(RendererFull, match="2 renders wait"):
        await renderer.render(work(pid, 3))
    assert not renderer.is_rendering("3")
    await asyncio.gather(*tasks)
    assert not any(renderer.is_rendering(str(n)) for n in range(3))
    assert await renderer.render(work(pid, 3)) in renderer.pids  # type: ignore[comparison-overlap]


async def test_a_render_nobody_waits_for_any_more_is_not_begun(
    renderer: Renderer, tmp_path: Path
) -> None:
    first = asyncio.create_task(renderer.render(work(partial(sleep, 0.5), 1)))
    second = asyncio.create_task(renderer.render(work(partial(die_once, tmp_path / "mark"), 2)))
    await until(lambda: renderer.is_rendering("2") and renderer.pids)
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert not renderer.is_rendering("2")
    assert await renderer.render(work(pid)) in renderer.pids  # type: ignore[comparison-overlap]
    assert not (tmp_path / "mark").exists()


async def test_whoever_waits_when_the_server_stops_is_cancelled_and_not_told_of_a_failure(
    renderer: Renderer,
) -> None:
    tasks = [asyncio.create_task(renderer.render(work(partial(sleep, 0.5), n))) for n in range(3)]
    await until(lambda: renderer.is_rendering("2") and renderer.pids)
    await renderer.close()
    await asyncio.wait(tasks)
    assert [task.cancelled() for task in tasks] == [False, True, True]
    assert tasks[0].exception() is None
    assert renderer.pids == []


async def test_encoders_give_way_to_the_calls(renderer: Renderer) -> None:
    encoder: Any = await renderer.render(work(pid))
    assert niceness(encoder) == min(os.nice(0) + 10, 19)


def test_no_encoder_outlives_a_killed_server() -> None:
    code = (
        "import asyncio, time\n"
        "from mediaserver.store.renderer import Renderer\n"
        "async def main():\n"
        "    r = Renderer(); r.start()\n"
        "    while not r.pids:\n"
        "        await asyncio.sleep(0.01)\n"
        "    print(*r.pids, flush=True)\n"
        "    time.sleep(30)\n"
        "asyncio.run(main())\n"
    )
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    encoder = int(server.stdout.readline())
    server.kill()
    server.wait()
    server.stdout.close()
    deadline = time.monotonic() + 5
    while not gone(encoder) and not is_zombie(encoder):
        assert time.monotonic() < deadline, "the encoder lives on"
        time.sleep(0.05)
