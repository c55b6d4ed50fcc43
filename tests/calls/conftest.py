"""A leg without sockets and journals without a disk."""

from __future__ import annotations

import numpy as np
import pytest

from farend.tape import Desk, StillClock, TapeLeg


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def leg() -> TapeLeg:
    leg = TapeLeg()
    leg.tape[:] = np.arange(leg.tape.size) % 1000 + 1
    return leg


@pytest.fixture
def desk() -> Desk:
    return Desk()
