"""The documents that a call carries out, one at a time."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from .script import run_script
from .source import Source

if TYPE_CHECKING:
    from .call import Call

NO_ENVS: Final[Mapping[str, Any]] = MappingProxyType({})


class DocumentRun:
    """Carries out the document of a call, and every other that takes its place."""

    def __init__(self, call: Call) -> None:
        """`call` owns this, and is not kept by it: else both stayed when the call is over."""
        self._owner = weakref.ref(call)
        self._running: asyncio.Task[None] | None = None
        self._next: Source | None = None

    def take_over(self, source: Source) -> None:
        """Give up the document that is carried out, if any, and carry out another."""
        self._next = source
        if self._running is not None:
            self._running.cancel()

    async def carry_out(self, source: Source | None, envs: Mapping[str, Any] = NO_ENVS) -> None:
        """Carry a document out, and what takes its place, before it began or meanwhile.

        `source` is None where the first is what took over. `envs` are variables of them all.
        """
        call = self._owner()
        assert call is not None, "used by nobody but its call"
        following = self._next or source
        while following is not None:
            self._next = None
            self._running = asyncio.ensure_future(run_script(call, following, envs))
            try:
                await self._running
            except asyncio.CancelledError:
                if self._next is None:
                    raise
            finally:
                if not self._running.done():
                    self._running.cancel()
                    await asyncio.gather(self._running, return_exceptions=True)
                self._running = None
            following = self._next
