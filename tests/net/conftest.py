"""Media legs on real sockets of loopback, through both lanes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from mediaserver.clock import SystemClock
from mediaserver.net.media import MediaEngine
from mediaserver.net.ports import PortPool


@pytest.fixture(params=["recvmmsg", "portable"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[MediaEngine]:
    pool = PortPool("127.0.0.1", 34_000, 34_199, drain=0.2)
    engine = MediaEngine(
        pool,
        SystemClock(),
        advertise="127.0.0.1",
        capacity=64,
        portable=request.param == "portable",
    )
    engine.start()
    yield engine
    engine.stop()
