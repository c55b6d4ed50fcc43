"""Calls whose far end is gone without a BYE, told by nothing that comes from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace

from farend.quick_time import QuickClock, QuickLoop
from farend.tape import TapeLeg
from farend.terms import pcmu
from mediaserver.calls.media_timeout import MediaTimeout, Patience
from mediaserver.sdp.direction import Direction
from mediaserver.sdp.session import AudioSession

TALKING = pcmu(("192.0.2.9", 4000), ("192.0.2.9", 4001))
HELD = replace(TALKING, direction=Direction.RECVONLY, held=True)
LISTENING = replace(TALKING, direction=Direction.SENDONLY)


class Leg(TapeLeg):
    """A leg that hears what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.agreed = TALKING
        self.last: float | None = None

    @property
    def heard_at(self) -> float | None:
        return self.last

    @property
    def session(self) -> AudioSession | None:
        return self.agreed


class Watched:
    """A call that has just been answered, far end and watch."""

    def __init__(self, patience: Patience = Patience(talking=300.0, held=1800.0)) -> None:  # noqa: B008
        self.loop = asyncio.get_running_loop()
        self.began = self.loop.time()
        self.leg = Leg()
        self.ended_at: float | None = None
        self.watch = MediaTimeout(self.leg, patience, QuickClock(), self._gone)
        self.watch.renew()

    def _gone(self) -> None:
        assert self.ended_at is None, "ended twice"
        self.ended_at = self.loop.time() - self.began

    def hear(self) -> None:
        self.leg.last = self.loop.time()

    def agree(self, session: AudioSession) -> None:
        self.leg.agreed = session
        self.watch.renew()

    def at(self, seconds: float, do: Callable[[], None]) -> None:
        self.loop.call_at(self.began + seconds, do)

    async def until(self, seconds: float) -> float | None:
        await asyncio.sleep(self.began + seconds - self.loop.time())
        return None if self.ended_at is None else round(self.ended_at, 6)


def quickly(story: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=QuickLoop) as runner:
        runner.run(story)


def test_a_call_ends_when_nothing_came_since_the_answer() -> None:
    async def story() -> None:
        assert await Watched().until(10_000) == 300

    quickly(story())


def test_what_comes_keeps_the_call_however_rarely() -> None:
    async def story() -> None:
        call = Watched()
        for seconds in (100, 390, 680, 970):
            call.at(seconds, call.hear)
        assert await call.until(10_000) == 1270

    quickly(story())


def test_a_far_end_that_holds_the_call_or_only_listens_has_more_time() -> None:
    async def story() -> None:
        for session in (HELD, LISTENING):
            call = Watched()
            call.at(200, lambda call=call, session=session: call.agree(session))  # type: ignore[misc]
            assert await call.until(10_000) == 2000

    quickly(story())


def test_the_time_on_hold_does_not_count_afterwards() -> None:
    async def story() -> None:
        call = Watched()
        call.agree(HELD)
        call.at(1700, lambda: call.agree(TALKING))
        assert await call.until(1999) is None
        assert await call.until(10_000) == 2000

    quickly(story())


def test_zero_is_never() -> None:
    async def story() -> None:
        call = Watched(Patience(talking=0.0, held=50.0))
        assert await call.until(100_000) is None
        call.agree(HELD)
        assert await call.until(200_000) == 100_050

    quickly(story())


def test_a_call_that_is_over_is_watched_no_more() -> None:
    async def story() -> None:
        call = Watched()
        call.at(299, call.watch.close)
        assert await call.until(10_000) is None

    quickly(story())
