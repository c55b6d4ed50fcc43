"""Whose audio is sent away while it is spoken: a call's, or a conference's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

from ..recording.announcement import Envelope
from ..recording.resource import Direction
from .announcer import Announcer
from .capture import Capture
from .floor import Turn
from .ports import LiveAudio
from .services import Services

T = TypeVar("T")

OpenAudio = Callable[[Direction, int], tuple[LiveAudio, Turn]]
"""Returns the audio of a host from now on, in frames of so many milliseconds, and the turn of
whoever speaks to it. CallOver when there is none any more."""


class LiveHost(Protocol):
    """See the module."""

    services: Services
    envelope: Envelope
    announcer: Announcer
    log: Any

    @property
    def capture(self) -> Capture | None:
        """Whose keys are told; None: nobody's."""

    @property
    def id(self) -> str:
        """The call that is named to whoever listens."""

    @property
    def ended(self) -> bool:
        """Whether it is over."""

    async def unless_over(self, step: Awaitable[T]) -> T:
        """See `Ending.unless_over`."""

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run work to its end, whatever becomes of it."""
