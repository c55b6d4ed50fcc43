"""Encoders that hang and journals that fail: only the recording concerned is touched."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaserver.errors import LocalError
from mediaserver.recording.resource import Direction
from mediaserver.store import renderer as renderers
from mediaserver.store.journals import JournalFile, JournalWriter
from mediaserver.store.renderer import Renderer


def work(do: Any, argument: object) -> Any:
    """Return what stands for a job when rendering means calling it."""
    job = partial(_call, do, argument)
    for name, value in {"start": 0, "end": 0, "rate": 8000, "recording_id": "x"}.items():
        setattr(job, name, value)
    return job


@pytest.fixture
def calling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderers, "RENDER", "operator:call")


async def encoder_of(renderer: Renderer) -> int:
    pid: Any = await renderer.render(work(eval, "__import__('os').getpid()"))
    return int(pid)


@pytest.mark.usefixtures("calling")
async def test_a_job_that_kills_its_encoder_fails_alone() -> None:
    renderer = Renderer()
    jobs = [work(os._exit, 9), *(work(abs, -number) for number in range(5))]
    try:
        done: list[Any] = await asyncio.gather(*map(renderer.render, jobs), return_exceptions=True)
    finally:
        await renderer.close()
    assert isinstance(done[0], LocalError)
    assert done[1:] == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("calling")
async def test_an_encoder_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = Renderer()
    try:
        encoder = await encoder_of(renderer)
        monkeypatch.setattr(renderers, "TIMEOUT", 3.0)
        os.kill(encoder, signal.SIGSTOP)
        async with asyncio.timeout(10):
            assert await renderer.render(work(abs, -7)) == 7  # type: ignore[comparison-overlap]
    finally:
        await renderer.close()


@pytest.mark.usefixtures("calling")
async def test_an_encoder_that_hangs_does_not_keep_the_server_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(renderers, "CLOSING", 0.2)
    renderer = Renderer()
    os.kill(await encoder_of(renderer), signal.SIGSTOP)
    hanging = asyncio.create_task(renderer.render(work(abs, -7)))
    await asyncio.sleep(0.05)
    hanging.cancel()
    async with asyncio.timeout(5):
        await renderer.close()
    await asyncio.gather(hanging, return_exceptions=True)


@pytest.mark.usefixtures("calling")
async def test_a_render_whose_caller_is_gone_is_given_its_time_at_the_end(tmp_path: Path) -> None:
    made = tmp_path / "made"
    code = f"(__import__('time').sleep(0.5), open({str(made)!r}, 'w').close())"
    renderer = Renderer()
    asked = asyncio.create_task(renderer.render(work(eval, code)))
    while not renderer.pids:  # noqa: ASYNC110  a process tells nobody that it was started
        await asyncio.sleep(0.01)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await renderer.close()
    assert made.exists()


@pytest.mark.usefixtures("calling")
async def test_an_encoder_lets_the_server_decide_when_all_are_told_to_stop() -> None:
    renderer = Renderer()
    try:
        encoder = await encoder_of(renderer)
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(encoder, number)
        assert await encoder_of(renderer) == encoder
    finally:
        await renderer.close()


@pytest.mark.usefixtures("calling")
async def test_an_error_nobody_thought_of_comes_back_with_where_it_was() -> None:
    renderer = Renderer()
    try:
        with pytest.raises(ZeroDivisionError) as raised:
            await renderer.render(work(eval, "1 / 0"))
        assert "Traceback" in "".join(raised.value.__notes__)
        with pytest.raises(LocalError, match="one sentence"):
            await renderer.render(work(_refuse, "one sentence"))
        # What a library prints is no answer.
        assert await renderer.render(work(print, "?")) is None
    finally:
        await renderer.close()


def _call(do: Any, argument: object, beat: object) -> Any:
    return do(argument)


def _refuse(sentence: str) -> None:
    raise LocalError(sentence)


def journal(writer: JournalWriter, folder: str) -> JournalFile:
    return writer.create(folder, Direction.SPEAK, rate=8000, first=100, wall_us=0)


async def test_a_fault_nobody_thought_of_does_not_end_the_thread_of_all(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    try:
        bad, good = journal(writer, "journals/bad"), journal(writer, "journals/good")
        bad.write(0, np.ones(10, np.int16))  # before the first sample there can be
        good.write(100, np.ones(10, np.int16))
        async with asyncio.timeout(2):
            await good.flushed()
            with pytest.raises(LocalError, match="journals/bad"):
                await bad.flushed()
            await good.close()
            with pytest.raises(LocalError):
                await bad.close()
    finally:
        writer.close()
    assert (tmp_path / "journals/good/speak.journal").stat().st_size == 4096 + 20


def test_a_loop_that_is_closed_does_not_end_the_thread(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    loop = asyncio.new_event_loop()

    async def leave() -> None:
        writer.submit(partial(_wait_until_closed, loop))
        writer.barrier()

    loop.run_until_complete(leave())
    loop.close()
    reached: list[int] = []
    writer.submit(partial(reached.append, 1))
    writer.close()
    assert reached == [1]


def _wait_until_closed(loop: asyncio.AbstractEventLoop) -> None:
    while not loop.is_closed():
        pass
