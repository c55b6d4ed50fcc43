"""What the server of a stream says to the caller: buffered, and played piece after piece.

Audio comes faster than it is played, or late. It waits up to a bound: a stream that is answered by
recorded or synthesised speech may send a whole sentence at once; one that is live (`realtime`)
keeps no more than a second, and gives up the oldest. What the call itself plays is heard first
(`floor`): the stream's audio waits for the end of it, and goes on where it was interrupted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .floor import Turn

LONGEST: Final = 120.0
"""Seconds of audio that wait; of what comes beyond, the newest is not taken."""

LONGEST_LIVE: Final = 1.0
"""Seconds of live audio that wait; of more the oldest is given up."""

START_WAIT: Final = 0.06
"""Seconds that audio after a pause waits for more of it, so that it does not stutter."""

MAX_MARKS: Final = 256
"""Marks that wait; one more is answered at once."""


class Playout:
    """Plays to one leg. `played` is told the name of each mark when its turn has come."""

    def __init__(self, turn: Turn, played: Callable[[str], None], *, live: bool) -> None:
        """`turn` is one that waits, on the floor of a call that has a leg."""
        assert turn.call.media is not None
        self.dropped = 0
        """Samples that were given up."""
        self._turn = turn
        self._leg = turn.call.media
        self._tell = played
        self._live = live
        self._most = int((LONGEST_LIVE if live else LONGEST) * self._leg.rate)
        self._pieces: deque[NDArray[np.int16] | str] = deque()
        """Audio, and between it the names of marks."""
        self._waiting = 0
        self._more = asyncio.Event()
        self._playing = False
        self._cleared = False

    def add(self, samples: NDArray[np.int16]) -> None:
        """Play samples at 8 kHz after all that waits."""
        room = self._most - self._waiting
        if not self._live and samples.size > room:
            self.dropped += samples.size - room
            samples = samples[:room]
        if samples.size:
            self._pieces.append(samples)
            self._waiting += samples.size
            self._give_up_oldest()
            self._more.set()

    def mark(self, name: str) -> None:
        """Tell of `name` when all that waits has been played."""
        marks = sum(isinstance(piece, str) for piece in self._pieces)
        if marks >= MAX_MARKS or (not self._pieces and not self._playing):
            self._tell(name)
        else:
            self._pieces.append(name)
            self._more.set()

    def clear(self) -> None:
        """Play nothing of what waits, and no more of what plays; its marks are over."""
        marks = [piece for piece in self._pieces if isinstance(piece, str)]
        self._pieces.clear()
        self._waiting = 0
        self._cleared = True
        if self._playing:
            self._turn.halt()
        for name in marks:
            self._tell(name)

    async def run(self) -> None:
        """Play what comes, until cancelled."""
        try:
            while not self._turn.lost:
                await self._play()
                while self._pieces and isinstance(self._pieces[0], str):
                    self._tell(str(self._pieces.popleft()))
        finally:
            self._turn.leave()
        await asyncio.get_running_loop().create_future()  # the leg is gone; its call ends this

    async def _play(self) -> None:
        """Wait for audio and for the turn; play what is there then."""
        if not self._pieces:
            self._turn.leave()
            self._more.clear()
            await self._more.wait()
            await asyncio.sleep(START_WAIT)
        if self._pieces and not isinstance(self._pieces[0], str):
            await self._turn.come()
        samples = self._next()
        if not samples.size:
            return
        self._playing, self._cleared = True, False
        try:
            sent = await self._turn.play(samples)
        finally:
            self._playing = False
        if sent < samples.size and not self._cleared:
            self._pieces.appendleft(samples[sent:])
            self._waiting += samples.size - sent
            self._give_up_oldest()

    def _next(self) -> NDArray[np.int16]:
        """Take what can be played in one piece: up to a mark, in whole packets if more follows.

        A packet that is not full would leave a gap behind it.
        """
        taken: list[NDArray[np.int16]] = []
        while self._pieces and not isinstance(piece := self._pieces[0], str):
            taken.append(piece)
            self._pieces.popleft()
        samples = np.concatenate(taken) if taken else np.zeros(0, np.int16)
        session = self._leg.session
        packet = self._leg.rate * (session.ptime if session is not None else 20) // 1000
        rest = samples.size % packet
        if rest and samples.size > packet and not self._pieces:
            self._pieces.appendleft(samples[samples.size - rest :])
            samples = samples[: samples.size - rest]
        elif rest:
            silence = np.zeros(packet - rest, np.int16)
            self._waiting += silence.size
            samples = np.concatenate([samples, silence])
        self._waiting -= samples.size
        return samples

    def _give_up_oldest(self) -> None:
        while self._live and self._waiting > self._most:
            oldest = next(n for n, piece in enumerate(self._pieces) if not isinstance(piece, str))
            piece = self._pieces[oldest]
            assert not isinstance(piece, str)
            extra = min(self._waiting - self._most, piece.size)
            self.dropped += extra
            self._waiting -= extra
            if extra < piece.size:
                self._pieces[oldest] = piece[extra:]
            else:
                del self._pieces[oldest]
