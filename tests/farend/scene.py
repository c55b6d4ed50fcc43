"""Many calls at once against one server, so that what takes long in life takes it only once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .phone import Phone
from .receiver import Callback, Receiver
from .server import Server
from .waveform import Samples

ENDS = frozenset({"finished", "no_input", "error"})


@dataclass
class Outcome:
    """What became of one call."""

    sent: Samples
    callbacks: list[Callback] = field(default_factory=list)
    recordings: list[Samples] = field(default_factory=list)
    heard: Samples = field(default_factory=lambda: np.zeros(0, np.int16))
    answered_at: float = 0.0
    ended_at: float = 0.0
    facts: dict[str, float] = field(default_factory=dict)
    """What else was measured."""

    @property
    def recorded(self) -> Samples:
        """The only recording."""
        assert len(self.recordings) == 1
        return self.recordings[0]

    @property
    def states(self) -> list[str]:
        """What was announced, in order."""
        return [callback.state for callback in self.callbacks]


@dataclass
class Stage:
    """What a call needs to be played through."""

    server: Server
    receiver: Receiver
    speech: tuple[Path, ...]

    async def outcome(self, name: str, phone: Phone, sent: Samples, count: int = 1) -> Outcome:
        """Gather what a call that is over left behind: `count` recordings, announced as `name`."""
        path = f"/record/{name}"

        def complete() -> bool:
            return sum(c.state in ENDS for c in self.receiver.accepted(path)) == count

        await self.receiver.until(complete, otherwise=f"{name} is not announced as ended")
        callbacks = self.receiver.accepted(path)
        ids = [c.params["recording_id"] for c in callbacks if c.state in ENDS]
        return Outcome(
            sent=sent,
            callbacks=callbacks,
            recordings=[self.server.samples(id) for id in ids],
            heard=phone.listened(),
            answered_at=phone.answered_at,
            ended_at=phone.ended_at,
        )


Call = Callable[[Stage], Awaitable[Outcome]]


class Outcomes:
    """What became of all calls; asking for one that failed raises its failure."""

    def __init__(self, found: Mapping[str, Outcome | BaseException]) -> None:
        self._found = found

    def __getitem__(self, name: str) -> Outcome:
        outcome = self._found[name]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


async def play_all(calls: Mapping[str, Call], stage: Stage) -> Outcomes:
    """Make all calls at once."""
    found = await asyncio.gather(*(call(stage) for call in calls.values()), return_exceptions=True)
    return Outcomes(dict(zip(calls, found, strict=True)))
