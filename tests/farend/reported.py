"""What an agent has reported, for a test that waits for more of it."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from mediaserver.sip.events import Event

E = TypeVar("E", bound=Event)

PATIENCE = 8.0
"""Seconds that an event is waited for."""


class Reported:
    """Whoever is told of events, and keeps them."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = asyncio.Event()

    def report(self, event: Event) -> None:
        """Take one more."""
        self.events.append(event)
        self._news.set()

    async def heard(self, kind: type[E]) -> E:
        """Wait for an event of this kind, and return the first."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for event in self.events:
                    if isinstance(event, kind):
                        return event
                self._news.clear()
                await self._news.wait()
