"""A caller who now and then says something or presses a key, and sends nothing in between."""

from __future__ import annotations

import time

from .phone import Phone
from .speech import key_payloads
from .talker import Talker


class Caller:
    """A phone whose timestamps go on with time while it says nothing."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self._talker = Talker()
        self._spoke = time.monotonic()

    async def say(self, payload: bytes) -> None:
        """Say something."""
        self._catch_up()
        self._spoke = await self.phone.say(self._talker.say(payload)) + 0.02

    async def press(self, key: int) -> None:
        """Press a key, as an application that sends nothing beside it does."""
        self._catch_up()
        await self.phone.say(self._talker.press(key_payloads(key), lasting=0.16))
        self._spoke = time.monotonic() + 0.02

    def _catch_up(self) -> None:
        self._talker.pause(max(0.0, time.monotonic() - self._spoke))
