"""One recording of a leg in progress: a stretch of the leg's journal, and what ends it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from ..recording.recorder import Recorder, Stop, StopRules
from ..recording.resource import Pause, PauseBehavior
from ..recording.states import StopReason
from .ports import Line

NEVER: Final = (1 << 63) - 1
"""In place of a position at which there is something to do."""


class Take:
    """Where it began, its pauses, and the promise of its end. Positions are the line's."""

    def __init__(self, rules: StopRules, start: int, rate: int) -> None:
        self.start = start
        self.stopped: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()
        self.pauses: tuple[Pause, ...] = ()
        self._terminators = frozenset(rules.terminators.upper())
        self._recorder = Recorder(rules, start, rate)

    @property
    def paused(self) -> Pause | None:
        """The pause it is in."""
        last = self.pauses[-1] if self.pauses else None
        return last if last is not None and last.end is None else None

    @property
    def wake(self) -> int:
        """Position at which there is something to decide."""
        if self.stopped.done():
            return NEVER
        pause = self.paused
        if pause is None:
            return self._recorder.wake
        return self._recorder.limit if pause.behavior is PauseBehavior.SILENCE else NEVER

    def hear(self, leg: Line, upto: int, decided: int) -> None:
        """Let the recorder look at what is final up to `upto`, and time pass up to `decided`."""
        if self.paused is None:
            self._note(self._recorder.advance(upto, decided, leg.read))
        elif decided >= self.wake:
            self._cut(StopReason.MAX_LENGTH, self._recorder.limit)

    def press(self, digit: str, position: int) -> None:
        """Give the recorder a DTMF key; a terminator ends the recording in a pause, too."""
        if self.paused is None:
            self._note(self._recorder.digit(digit, position))
        elif digit.upper() in self._terminators:
            self._cut(StopReason.TERMINATOR, position, digit.upper())

    def end(self, reason: StopReason, position: int) -> None:
        """End the take here, unless a rule ended it before."""
        if self.paused is None:
            self._note(self._recorder.end(reason, max(position, self.start)))
        else:
            self._cut(reason, position)

    def pause(self, behavior: PauseBehavior, position: int) -> bool:
        """Record nothing from `position` on; False if it is over, or paused already.

        What is final has been heard; a rule that has ended the recording by then wins.
        """
        if self.stopped.done() or self.paused is not None:
            return False
        start = max(position, self.start, self.pauses[-1].end or 0 if self.pauses else 0)
        if self._recorder.limit <= start:
            self.end(StopReason.MAX_LENGTH, start)
            return False
        self.pauses += (Pause(start=start, behavior=behavior),)
        return True

    def resume(self, position: int) -> bool:
        """Record again from `position` on; False if it is over, or not paused."""
        pause = self.paused
        if self.stopped.done() or pause is None:
            return False
        counts = pause.behavior is PauseBehavior.SILENCE
        end = max(position, pause.start)
        if counts and self._recorder.limit <= end:
            self._cut(StopReason.MAX_LENGTH, end)
            return False
        self.pauses = (*self.pauses[:-1], replace(pause, end=end))
        self._recorder = self._recorder.resume(pause.start, end, counts=counts)
        return True

    def _cut(self, reason: StopReason, position: int, digit: str | None = None) -> None:
        """End the take in its pause: what would be left out is no part of it."""
        pause = self.paused
        assert pause is not None
        if pause.behavior is PauseBehavior.SKIP:
            stop = Stop(reason, pause.start, digit)
            self.pauses = self.pauses[:-1]
        else:
            stop = replace(self._recorder.cut(reason, max(position, pause.start)), digit=digit)
            self.pauses = (*self.pauses[:-1], replace(pause, end=stop.position))
        self._note(stop)

    def _note(self, stop: Stop | None) -> None:
        if stop is not None and not self.stopped.done():
            self.stopped.set_result(stop)
