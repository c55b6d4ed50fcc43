"""What a leg plays to its far end, in the law that is spoken there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ..audio.g711 import ALAW_DECODE, ULAW_DECODE
from ..rtp.timeline import Kind

if TYPE_CHECKING:
    from .leg import RtpLeg
    from .media import MediaEngine

LONG: Final = 1 << 20
"""Samples from which a prompt is encoded beside the event loop: two minutes take 10 ms."""

_NOTHING: Final[NDArray[np.uint8]] = np.zeros(0, np.uint8)


class Player:
    """Plays one thing at a time on the leg in `slot`.

    The leg is handed in where the engine asks for it: held here, it would hold itself.
    """

    def __init__(self, engine: MediaEngine, slot: int) -> None:
        self.law = Kind.ULAW
        self._engine = engine
        self._slot = slot
        self._samples: NDArray[np.int16] = np.zeros(0, np.int16)
        self._payload = _NOTHING
        self._done: asyncio.Future[int] | None = None
        self._wanted = 0
        self._closed = False
        engine.tapes.speak(slot, self.law)

    def speak(self, law: Kind) -> None:
        """Go on in another law."""
        if law is not self.law:
            self._engine.tapes.speak(self._slot, law)
            self.law = law
            self._load(self._engine.encodings.make(self._samples, law))

    def played(self, start: int, end: int) -> NDArray[np.int16]:
        """Return what the far end hears of what is playing, from one sample of it to another."""
        table = ALAW_DECODE if self.law is Kind.ALAW else ULAW_DECODE
        return table.take(self._payload[start:end])

    async def play(self, leg: RtpLeg, samples: NDArray[np.int16]) -> int:
        """See `RtpLeg.play`."""
        self._wanted += 1
        wanted = self._wanted
        encodings, law = self._engine.encodings, self.law
        if samples.size > LONG and encodings.known(samples, law) is None:
            await asyncio.to_thread(encodings.make, samples, law)
            if self._wanted != wanted:
                return 0
        if self._closed or not samples.size:
            self.stop(leg)
            return 0
        self.finish()
        self._samples = samples
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._done = done
        payload = encodings.make(samples, self.law)
        self._load(payload)
        self._engine.senders.play(self._slot, payload.size, self._engine.clock.monotonic())
        self._engine.begin_playing(leg)
        try:
            return await done
        finally:
            if self._done is done:
                self.stop(leg)

    async def wait(self) -> None:
        """Wait until nothing is playing."""
        while self._done is not None and not self._done.done():
            await asyncio.wait([self._done])

    def stop(self, leg: RtpLeg) -> None:
        """Send no more of what is playing."""
        self._wanted += 1
        self.finish()
        if not self._closed:
            self._engine.senders.stop(self._slot)
            self._engine.end_playing(leg)

    def finish(self) -> None:
        """Tell whoever plays how much of it was sent."""
        if not self._closed:
            self._engine.tapes.end_run(self._slot)
        self._samples = np.zeros(0, np.int16)
        if self._done is not None and not self._done.done():
            self._done.set_result(self._engine.senders.sent(self._slot))
        self._done = None

    def close(self) -> None:
        """Play nothing any more: the slot is about to be somebody else's."""
        self._closed = True
        self.finish()

    def _load(self, payload: NDArray[np.uint8]) -> None:
        """Make `payload` what is played; it stays in memory as long as it is."""
        self._payload = payload
        self._engine.bodies[self._slot] = payload.ctypes.data
