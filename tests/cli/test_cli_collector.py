"""The collector leaves calls alone, and still finds what goes round in circles."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from mediaserver.cli import collector


class Knot:
    """Refers to itself."""

    def __init__(self) -> None:
        self.self = self


@pytest.fixture(autouse=True)
def ordinary() -> Iterator[None]:
    """Put the collector of this process back as it was."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_modules_are_loaded_without_looking_at_all_objects_again_and_again() -> None:
    usual = gc.get_threshold()
    before = gc.get_stats()[0]["collections"]
    with collector.while_loading():
        kept = [[number] for number in range(collector.LOADING // 2)]
    assert gc.get_stats()[0]["collections"] <= before + 1
    assert gc.get_threshold() == usual
    del kept


def test_what_the_start_left_is_not_gone_through_again() -> None:
    collector.spare_calls()
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < 10_000


def test_however_much_is_made_all_objects_are_never_gone_through() -> None:
    collector.spare_calls()
    before = gc.get_stats()[2]["collections"]
    kept = [[number] for number in range(100_000)]
    assert gc.get_stats()[2]["collections"] == before
    assert gc.get_stats()[1]["collections"] > 0
    del kept


async def test_circles_are_found_once_nobody_minds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "QUIET_CHECK", 0.01)
    quiet = False
    looked = asyncio.Event()

    def ask() -> bool:
        looked.set()
        return quiet

    knot = Knot()
    gone = weakref.ref(knot)
    gc.collect()  # it is old now
    gc.set_threshold(collector.YOUNG, collector.MIDDLE, collector.NEVER)
    del knot
    task = asyncio.create_task(collector.collect_when_quiet(ask))
    await looked.wait()
    assert gone() is not None
    quiet = True
    async with asyncio.timeout(5):
        while gone() is not None:  # noqa: ASYNC110  the collector tells nobody
            await asyncio.sleep(0.01)
    task.cancel()


async def test_circles_are_found_after_hours_even_if_there_is_always_a_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collector, "QUIET_CHECK", 0.01)
    monkeypatch.setattr(collector, "MOST_LOUD", 3)
    asked: list[bool] = []

    def ask() -> bool:
        asked.append(gone() is None)
        return False

    knot = Knot()
    gone = weakref.ref(knot)
    gc.collect()  # it is old now
    gc.set_threshold(collector.YOUNG, collector.MIDDLE, collector.NEVER)
    del knot
    task = asyncio.create_task(collector.collect_when_quiet(ask))
    async with asyncio.timeout(5):
        while len(asked) < 4:  # noqa: ASYNC110  the collector tells nobody
            await asyncio.sleep(0.01)
    task.cancel()
    assert asked[:4] == [False, False, False, True]
