"""Media legs on real sockets of loopback, through every lane."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from farend.tape import Desk
from mediaserver.clock import SystemClock
from mediaserver.net.lanes import Lane
from mediaserver.net.media import MediaEngine
from mediaserver.net.ports import PortPool


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture(params=list(Lane))
async def engine(request: pytest.FixtureRequest, desk: Desk) -> AsyncIterator[MediaEngine]:
    pool = PortPool("127.0.0.1", 19_000, 19_199, drain=0.2)
    engine = MediaEngine(
        pool,
        SystemClock(),
        advertise="127.0.0.1",
        journals=desk,
        capacity=64,
        lane=request.param,
    )
    engine.start()
    yield engine
    engine.stop()
