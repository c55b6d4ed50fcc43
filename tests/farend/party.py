"""A call without telephony, as far as those look at it who play to it and hear its keys."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Coroutine, Sequence
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import numpy as np
import structlog
from numpy.typing import NDArray

from mediaserver.calls.announcer import Announcer
from mediaserver.calls.call import Call
from mediaserver.calls.capture import Capture
from mediaserver.calls.clips import Clip
from mediaserver.calls.ending import Ending
from mediaserver.calls.floor import Floor
from mediaserver.calls.playback import Playbacks
from mediaserver.errors import PeerError
from mediaserver.recording.announcement import Announcement, Envelope
from mediaserver.swml.actions import Source

from .tape import Desk, StillClock, TapeLeg

T = TypeVar("T")


class PacedLeg(TapeLeg):
    """Sends what it plays when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: NDArray[np.int16] = np.zeros(0, np.int16)
        """All that was sent."""
        self.playing: NDArray[np.int16] | None = None
        self._sent = 0
        self._done: asyncio.Future[int] | None = None

    async def play(self, samples: NDArray[np.int16]) -> int:
        self.stop_playing()
        if self.closed or not samples.size:
            return 0
        self.playing, self._sent = samples, 0
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._done = done
        try:
            return await done
        finally:
            if self._done is done:
                self.stop_playing()

    def stop_playing(self) -> None:
        self.playing = None
        done, self._done = self._done, None
        if done is not None and not done.done():
            done.set_result(self._sent)

    async def send(self, count: int) -> None:
        """Let time pass for so many samples; less if nothing more is played."""
        await settle()
        while count > 0 and self.playing is not None:
            part = self.playing[self._sent : self._sent + count]
            self.heard = np.concatenate([self.heard, part])
            self._sent += part.size
            count -= part.size
            if self._sent == self.playing.size:
                self.stop_playing()
            await settle()

    def close(self) -> None:
        super().close()
        self.stop_playing()


class Shelf:
    """Clips by their sources; counts how often each was asked for."""

    def __init__(self) -> None:
        self.clips: dict[Source, Clip] = {}
        self.asked: list[Source] = []

    def put(self, source: Source, samples: NDArray[np.int16], length: float | None = None) -> None:
        self.clips[source] = Clip(samples, samples.size if length is None else length)

    async def load(self, source: Source, _rate: int) -> Clip:
        self.asked.append(source)
        if source not in self.clips:
            raise PeerError(404, "there is nothing")
        return self.clips[source]


class Party:
    """See the module; `call` is what code under test is given."""

    def __init__(self, name: str = "call-1") -> None:
        self.id = name
        self.clock = StillClock()
        self.shelf = Shelf()
        self.media: PacedLeg | None = PacedLeg()
        self.capture: Capture | None = Capture(self.media, Desk(), self.clock)
        self.floor = Floor()
        self.bridge: Any = None
        self.collecting: Any = None
        self.answered = True
        self.envelope = Envelope(project_id="p", space_id="s", node_id="n", session_id="x")
        self.services = SimpleNamespace(clips=self.shelf, clock=self.clock)
        self.log = structlog.get_logger()
        self.said: list[dict[str, Any]] = []
        """The events that were told, in order."""
        self.announcer = Announcer(self, self.envelope, name, self.clock, self.spawn)
        self.playbacks = Playbacks(self.call)
        self.tasks: list[asyncio.Task[Any]] = []
        self._over = Ending()

    @property
    def call(self) -> Call:
        return cast(Call, self)

    @property
    def leg(self) -> PacedLeg:
        assert self.media is not None
        return self.media

    @property
    def ended(self) -> bool:
        return self._over.done()

    async def add(self, announcements: Sequence[Announcement]) -> None:
        """Be the outbox."""
        self.said += [json.loads(announcement.body) for announcement in announcements]

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(work)
        self.tasks.append(task)
        return task

    async def unless_over(self, step: Awaitable[T]) -> T:
        return await self._over.unless_over(step)

    def press(self, *digits: str) -> None:
        """Press keys, all at once."""
        assert self.capture is not None
        for digit in digits:
            self.capture.on_key(digit, 0)

    async def hang_up(self) -> None:
        self._over.come("hangup")
        self.leg.close()
        await settle()


async def settle() -> None:
    """Let everything happen that can without time passing."""
    for _ in range(40):
        await asyncio.sleep(0)
