"""Somebody in a mix who has no leg: hears all that is said and played in it, and may speak."""

from __future__ import annotations

import asyncio
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..rtp.mixer import FRAME
from .live_frames import LiveFrames

_NOTHING: Final[NDArray[np.int16]] = np.zeros(0, np.int16)


class MixVoice(LiveFrames):
    """See `calls.ports.MixVoice`, whose methods these are."""

    session: Final = None

    def __init__(self, rate: int, ptime: int) -> None:
        super().__init__(rate, ptime)
        self._rest = _NOTHING
        """Heard, and less than a frame."""
        self._saying = _NOTHING
        self._place = 0
        self._said = _NOTHING
        """What it adds to the frame that is being mixed."""
        self._done: asyncio.Future[int] | None = None

    # What it hears.

    def hear(self, whole: NDArray[np.int16]) -> None:
        """Take a frame of the mix, in which it hears all but itself."""
        if self._over:
            return
        heard = whole.astype(np.int32)
        heard[: self._said.size] -= self._said
        self._rest = np.concatenate([self._rest, heard.clip(-32768, 32767).astype(np.int16)])
        while self._rest.size >= self.frame:
            self.put(self._rest[None, : self.frame])
            self._rest = self._rest[self.frame :]

    def end(self) -> None:
        """Say no more, and have no more to give than what waits: the mix is over."""
        super().end()
        self.stop_playing()

    # What it says.

    async def play(self, samples: NDArray[np.int16]) -> int:
        """Say samples to the mix; return how many were said.

        That is all of them, unless `stop_playing` or another `play` comes, or the mix is over.
        """
        self.stop_playing()
        if self._over or not samples.size:
            return 0
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._saying, self._place, self._done = samples, 0, done
        try:
            return await done
        finally:
            if self._done is done:
                self.stop_playing()

    def stop_playing(self) -> None:
        """Say no more of what is being said."""
        done, self._done = self._done, None
        self._saying = _NOTHING
        if done is not None and not done.done():
            done.set_result(self._place)

    def speak(self) -> NDArray[np.int16]:
        """Return what it adds to the next frame: `FRAME` samples, or less."""
        self._said = self._saying[self._place : self._place + FRAME]
        self._place += self._said.size
        if self._place >= self._saying.size:
            self.stop_playing()
        return self._said
