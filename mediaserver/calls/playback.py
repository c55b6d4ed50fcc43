"""Playing on a call: sources one after the other, which can be paused, made louder and stopped.

A play is for the call's own party (`listen`), for the one it is joined to (`speak`), or for both.
On each of those lines it takes its turn (`floor`): a play that begins there later ends it, and a
pause lets others be heard. It keeps its place to the packet that was sent last.

Contract A4 `calling.play`, A8 `play`.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import uuid
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import ConflictError
from ..recording.resource import Direction
from ..swml.actions import Ringing, Source
from .clips import Clip, amplify
from .floor import Rank, Turn
from .playlist import Playlist

if TYPE_CHECKING:
    from .call import Call

MAX_PLAYBACKS: Final = 16
"""Plays on one call at a time, of which all but one are paused or give way."""

STRETCH: Final = 600
"""Packets that are played in one piece where all of a clip cannot be, as it is shared by others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayOrder:
    """What is to be played, whichever surface asked for it."""

    sources: tuple[Source, ...]
    volume: float = 0.0
    """Gain in dB."""
    loop: int = 1
    """How often; 0: until it is stopped."""
    direction: Direction = Direction.LISTEN
    gives_way: bool = False
    """Whether it goes on after other plays, rather than end with them."""
    control_id: str | None = None
    """None: the server makes one."""
    status_url: str | None = None

    @property
    def rank(self) -> Rank:
        """Before whom it is heard: one that has no end would leave a stream silent for good."""
        if self.gives_way:
            return Rank.GIVES_WAY
        return (
            Rank.FOR_EVER if self.loop == 0 or any(map(_endless, self.sources)) else Rank.INTERRUPTS
        )


def _endless(source: Source) -> bool:
    return isinstance(source, Ringing) and source.seconds == math.inf


class Playback:
    """One play, from its construction to its end. Commands take effect at once."""

    def __init__(self, playbacks: Playbacks, call: Call, order: PlayOrder) -> None:
        self.control_id = order.control_id or str(uuid.uuid4())
        self.stopped = False
        """Whether nothing more is played."""
        self.going = asyncio.Event()
        """Set unless it is paused."""
        self.going.set()
        self.order = order
        hearers = playbacks.hearers(order.direction)
        again = order.loop != 1 or len(hearers) > 1
        self.playlist = Playlist(call, order.sources, again=again)
        self._playbacks = playbacks
        self._call = call
        self._volume = order.volume
        self._begun = False
        self._lines = [_Line(self, hearer) for hearer in hearers]
        self._stream = f"{call.id}-play-{uuid.uuid4()}"

    async def run(self) -> bool:
        """Play to the end; return whether there was anything to play. CallOver ends it, too."""
        lines = [asyncio.ensure_future(line.run()) for line in self._lines]
        try:
            first = asyncio.wait(lines, return_when=asyncio.FIRST_EXCEPTION)
            done, _ = await self._call.unless_over(first)
            for task in done:
                task.result()
        finally:
            for task in lines:
                task.cancel()
            self._end()
            await asyncio.gather(*lines, return_exceptions=True)
            self._lines.clear()  # each knows this: neither would be freed
        return self.playlist.playable

    def pause(self) -> bool:
        """Play nothing from now on, and let others be heard; False if it is paused."""
        if not self.going.is_set():
            return False
        self.going.clear()
        for line in self._lines:
            line.turn.leave()
        self._tell("paused")
        return True

    def resume(self) -> bool:
        """Go on from where it was paused; False if it is not."""
        if self.going.is_set():
            return False
        self.going.set()
        self._begun = True
        self._tell("playing")
        return True

    def change_volume(self, decibels: float) -> None:
        """Play what is left louder or softer than it is by so much."""
        self._volume = decibels
        for line in self._lines:
            line.turn.halt()

    def stop(self) -> None:
        """Play nothing more."""
        self.stopped = True
        self.going.set()
        for line in self._lines:
            line.turn.halt()

    def leave(self, hearer: Call) -> None:
        """Play nothing more to a call that this one is joined to no longer."""
        for line in self._lines:
            if line.turn.call is hearer:
                line.turn.lose()

    def begin(self) -> None:
        """Note that there is something to play."""
        if not self._begun:
            self._begun = True
            self._tell("playing")

    def stretch(self, clip: NDArray[np.int16], start: int, turn: Turn) -> NDArray[np.int16]:
        """Return what of a clip to play next, from a sample of it on, as loud as it is to be."""
        if not start and not self._volume:
            return clip
        media = turn.call.media
        assert media is not None
        ptime = media.session.ptime if media.session is not None else 20
        size = STRETCH * media.rate * ptime // 1000
        return amplify(clip[start : start + size], self._volume)

    def _end(self) -> None:
        self.stopped = True
        self.playlist.close()
        for line in self._lines:
            line.turn.leave()
        self._playbacks.forget(self)
        nothing = not self._begun and self.playlist.fault is not None
        self._tell("error" if nothing else "finished")

    def _tell(self, state: str) -> None:
        if self.order.status_url is None:
            return
        told = {"control_id": self.control_id, "state": state}
        if state == "error":
            told["error"] = self.playlist.fault or ""
        self._call.announcer.say("calling.call.play", told, self.order.status_url, self._stream)


class _Line:
    """A play as one of those who hear it has it."""

    def __init__(self, playback: Playback, hearer: Call) -> None:
        self.turn = Turn(hearer, playback.order.rank)
        self._playback = playback

    async def run(self) -> None:
        """Play every round of it, unless one has nothing to be heard in it."""
        order, playlist = self._playback.order, self._playback.playlist
        rounds: Iterable[int] = range(order.loop) if order.loop else itertools.count()
        for _ in rounds:
            heard = False
            for number in range(len(playlist)):
                clip = await playlist.clip(number)
                if self._over:
                    return
                if clip is not None and clip.samples.size and clip.length:
                    heard = True
                    await self._play(clip)
            if not heard:
                return

    @property
    def _over(self) -> bool:
        return self._playback.stopped or self.turn.lost

    async def _play(self, clip: Clip) -> None:
        """Play a clip as often as it takes."""
        left = clip.length
        while left > 0 and not self._over:
            samples = clip.samples if left >= clip.samples.size else clip.samples[: int(left)]
            await self._play_once(samples)
            left -= samples.size

    async def _play_once(self, samples: NDArray[np.int16]) -> None:
        place = 0
        while place < samples.size:
            await self._playback.going.wait()
            if self._over:
                return
            self._playback.begin()
            stretch = self._playback.stretch(samples, place, self.turn)
            place += await self.turn.play(stretch)


class Playbacks:
    """The plays of one call."""

    def __init__(self, call: Call) -> None:
        """`call` owns this, and is not kept by it: else both stayed when the call is over."""
        self._owner = weakref.ref(call)
        self._running: dict[str, Playback] = {}

    @property
    def _call(self) -> Call:
        call = self._owner()
        assert call is not None, "used by nobody but its call"
        return call

    def begin(self, order: PlayOrder) -> Playback:
        """Return a new play, to be `run`.

        ConflictError when one of its control id runs already, or so many do that no more may be
        named.
        """
        if order.control_id is not None:
            if order.control_id in self._running:
                raise ConflictError(f"control_id: a play {order.control_id!r} runs on this call")
            if len(self._running) >= MAX_PLAYBACKS:
                raise ConflictError(f"{MAX_PLAYBACKS} plays run on this call; stop one first")
        playback = Playback(self, self._call, order)
        self._running[playback.control_id] = playback
        return playback

    async def play(self, order: PlayOrder) -> bool:
        """Play to the end; return whether there was anything to play. CallOver ends it, too."""
        return await self.begin(order).run()

    def get(self, control_id: str) -> Playback | None:
        """Return the one that runs under a control id."""
        playback = self._running.get(control_id)
        return None if playback is None or playback.stopped else playback

    def forget(self, playback: Playback) -> None:
        """Let go of one that is over."""
        self._running.pop(playback.control_id, None)

    def part(self, other: Call) -> None:
        """Play nothing more to a call that this one is joined to no longer."""
        for playback in self._running.values():
            playback.leave(other)

    def hearers(self, direction: Direction) -> list[Call]:
        """Return the calls whose parties hear what is played in a direction."""
        bridge = self._call.bridge
        other = [] if bridge is None else [bridge.other(self._call)]
        match direction:
            case Direction.LISTEN:
                return [self._call]
            case Direction.SPEAK:
                return other
            case _:
                return [self._call, *other]
