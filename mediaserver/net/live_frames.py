"""Frames of live audio that wait for whoever takes them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..calls.ports import LiveFrame

HELD: Final = 1.0
"""Seconds of frames that wait; of more the oldest are dropped."""


class LiveFrames:
    """See `calls.ports.LiveAudio`, whose methods these are; `put` and `end` are the other side."""

    def __init__(self, rate: int, ptime: int) -> None:
        """Frames are of `ptime` milliseconds of samples at `rate`."""
        self.rate = rate
        self.frame = rate * ptime // 1000
        self.dropped = 0
        self._most = max(2, int(HELD * 1000) // ptime)
        self._frames: deque[LiveFrame] = deque()
        self._made = 0
        self._came = asyncio.Event()
        self._over = False

    async def take(self) -> LiveFrame | None:
        """Return the next frame; None when it is over and nothing is left."""
        while not self._frames:
            if self._over:
                return None
            self._came.clear()
            await self._came.wait()
        return self._frames.popleft()

    def put(self, samples: NDArray[np.int16]) -> None:
        """Give out the next frame, shape (tracks, `frame`)."""
        if len(self._frames) >= self._most:
            self._frames.popleft()
            self.dropped += 1
        self._frames.append(LiveFrame(self._made, samples))
        self._made += 1
        self._came.set()

    def close(self) -> None:
        """Want no more; what was not taken is thrown away."""
        self._frames.clear()
        self.end()

    def end(self) -> None:
        """Have no more to give than what waits."""
        self._over = True
        self._came.set()
