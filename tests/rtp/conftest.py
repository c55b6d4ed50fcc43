"""Fixtures for everything that happens on a line."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from farend.talker import Heard, Talker


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def talker() -> Talker:
    return Talker()


@pytest.fixture
def noise() -> Callable[[float], bytes]:
    """Return so many seconds of u-law in which no sample is silence."""

    def make(seconds: float) -> bytes:
        random = np.random.default_rng(7)
        payload = random.integers(0, 0x7E, round(seconds * 8000)).astype(np.uint8)
        return payload.tobytes()

    return make
