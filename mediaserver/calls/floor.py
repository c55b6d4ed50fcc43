"""The floor: whose turn it is to be heard on a call by the call's own party.

One is heard at a time: whoever came last. Those before are over then, unless they *give way*
(hold music, a ringing tone: they go on afterwards), or unless what came is *brief* (a beep), which
ends nobody's turn. What comes from outside (the server of a stream) *waits*: it is heard before all
that gives way, after everything else, and goes on where it was interrupted. What plays *for ever*
would never let it be heard: that makes room for it, and goes on afterwards. Under a bridge or in a
conference the party hears nothing else meanwhile.
"""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from .ports import Player

if TYPE_CHECKING:
    from .call import Call


class Hearer(Protocol):
    """Whose floor it is."""

    @property
    def floor(self) -> Floor:
        """Whose turn it is there."""

    @property
    def media(self) -> Player | None:
        """Where one is heard; None: nowhere yet."""


class Rank(IntEnum):
    """Who is heard before whom, whoever came last."""

    GIVES_WAY = 0
    FOR_EVER = 1
    WAITS = 2
    INTERRUPTS = 3


_ENDED_BY_NEXT: Final = {Rank.FOR_EVER, Rank.INTERRUPTS}
"""Those of whom one is there at a time: who comes ends the one before."""


class Floor:
    """The turns on one call."""

    def __init__(self) -> None:
        self._turns: list[Turn] = []

    @property
    def top(self) -> Turn | None:
        """Whose turn it is."""
        return self._turns[-1] if self._turns else None

    def enter(self, turn: Turn) -> None:
        """Let a turn begin, above all but those that it cannot interrupt."""
        if turn in self._turns:
            return
        place = len(self._turns)
        # Of two that wait, the first goes on.
        least = turn.rank + 1 if turn.rank is not Rank.WAITS else turn.rank
        while place and self._turns[place - 1].rank >= least:
            place -= 1
        if place == len(self._turns) and self.top is not None:
            self.top.halt()
        before = list(self._turns)
        self._turns.insert(place, turn)
        if turn.rank in _ENDED_BY_NEXT and not turn.brief:
            for other in before:
                if other.rank in _ENDED_BY_NEXT:
                    other.lose()

    def leave(self, turn: Turn) -> None:
        """End a turn; who was interrupted by it goes on."""
        if turn in self._turns:
            self._turns.remove(turn)
            if self.top is not None:
                self.top.wake()


class Turn:
    """A turn on a call's floor. It begins with the first `play`, and anew after `leave`."""

    def __init__(self, call: Hearer, rank: Rank = Rank.INTERRUPTS, *, brief: bool = False) -> None:
        """`rank`, `brief`: see the module."""
        self.call = call
        self.rank = rank
        self.brief = brief
        self.lost = False
        """Whether somebody else took it for good, or the call ended."""
        self._floor = call.floor
        self._halted = False
        self._playing = False
        self._woken = asyncio.Event()

    async def play(self, samples: NDArray[np.int16]) -> int:
        """Play when it is our turn; return how many samples were sent before it was halted.

        When that are not all, and the turn is not `lost`, the rest may be played.
        """
        media = self.call.media
        assert media is not None
        if self.lost or not await self.come():
            return 0
        self._playing = True
        try:
            sent = await media.play(samples)
        finally:
            self._playing = False
        goes_on = self.rank not in _ENDED_BY_NEXT and sent
        if sent < samples.size and not self._halted and not goes_on:
            self.lose()  # to what plays without a turn; or there is no leg any more
        return sent

    async def come(self) -> bool:
        """Wait for the turn; False if it was halted before it came."""
        self._halted = False
        self._floor.enter(self)
        while self._floor.top is not self and not self._halted:
            self._woken.clear()
            await self._woken.wait()
        return not self._halted

    def halt(self) -> None:
        """Play no more of what is playing, or waits to be."""
        # Once halted, what plays on the leg may be somebody else's.
        if self._playing and not self._halted and self.call.media is not None:
            self.call.media.stop_playing()
        self._halted = True
        self.wake()

    def leave(self) -> None:
        """Let others be heard."""
        self.halt()
        self._floor.leave(self)

    def lose(self) -> None:
        """End the turn for good."""
        self.lost = True
        self.leave()

    def wake(self) -> None:
        """Look again whose turn it is."""
        self._woken.set()


async def play_briefly(call: Call, samples: NDArray[np.int16]) -> None:
    """Play something short; whatever was heard goes on afterwards. CallOver when the call ends."""
    turn = Turn(call, brief=True)
    try:
        await call.unless_over(turn.play(samples))
    finally:
        turn.leave()


async def play_on(call: Call, samples: NDArray[np.int16]) -> None:
    """Play samples over and over where nothing else is to be heard; CallOver ends it."""
    turn = Turn(call, Rank.GIVES_WAY)
    try:
        while not turn.lost:
            await call.unless_over(turn.play(samples))
    finally:
        turn.leave()
    await call.unless_over(asyncio.get_running_loop().create_future())
