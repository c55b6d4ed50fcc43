"""Threads for what blocks: every answer comes back, in order, and nothing is left behind."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial

import pytest

from mediaserver.store.threads import Threads


async def test_results_and_errors_come_back_and_the_order_is_kept() -> None:
    threads = Threads("test")
    done: list[int] = []
    try:
        works = [threads.run(partial(done.append, number)) for number in range(100)]
        await asyncio.gather(*works)
        assert done == list(range(100))
        assert await threads.run(threading.get_ident) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await threads.run(lambda: 1 / 0)
        assert await threads.run(lambda: "still there") == "still there"
    finally:
        threads.close()


async def test_whoever_no_longer_waits_disturbs_nobody() -> None:
    threads, gate = Threads("test"), threading.Event()
    done: list[int] = []
    try:
        first = threads.run(gate.wait)
        second = threads.run(partial(done.append, 2))
        first.cancel()
        gate.set()
        await second
        assert done == [2]
    finally:
        threads.close()


async def test_closing_carries_out_what_was_given_and_may_be_done_twice() -> None:
    threads = Threads("test", 2)
    done: list[int] = []
    for number in range(10):
        threads.run(partial(done.append, number))
    threads.close()
    threads.close()
    assert sorted(done) == list(range(10))
    assert not [t for t in threading.enumerate() if t.name.startswith("test ")]


def test_a_loop_that_is_closed_does_not_end_a_thread() -> None:
    threads = Threads("test")
    done: list[int] = []
    loop = asyncio.new_event_loop()

    async def leave() -> None:
        threads.run(partial(time.sleep, 0.05))
        threads.run(partial(done.append, 1))

    loop.run_until_complete(leave())
    loop.close()
    threads.close()
    assert done == [1]
