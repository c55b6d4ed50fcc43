"""Timeouts on the wall clock when nothing is received (robustness R14)."""

from __future__ import annotations

import asyncio
import time

from farend.tape import Desk
from mediaserver.calls.capture import Capture
from mediaserver.clock import SystemClock
from mediaserver.net.media import MediaEngine
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.states import StopReason


async def test_timeouts_fire_within_200_ms_whatever_turn_a_leg_has(
    engine: MediaEngine, desk: Desk
) -> None:
    async def fire() -> float:
        began = time.monotonic()
        take = Capture(engine.open_leg(), desk, SystemClock()).start(StopRules(initial_timeout=0.5))
        stop = await take.stopped
        assert stop.reason is StopReason.INITIAL_TIMEOUT
        assert stop.position - take.start == 4000
        return time.monotonic() - began

    spent = await asyncio.gather(*(fire() for _ in range(20)))
    assert min(spent) > 0.48
    assert max(spent) < 0.7
