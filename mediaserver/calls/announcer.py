"""What a call tells web applications, in the order it happened."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from ..clock import Clock, now_us
from ..recording.announcement import Announcement, Envelope, Kind
from .ledger import persist
from .ports import Outbox

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Announcer:
    """Puts the events of one call into the outbox; nobody waits for the database."""

    def __init__(
        self, outbox: Outbox, envelope: Envelope, call_id: str, clock: Clock, spawn: Spawn
    ) -> None:
        """`spawn` runs work to its end whatever becomes of the call."""
        self._outbox = outbox
        self._envelope = envelope
        self._call_id = call_id
        self._clock = clock
        self._spawn = spawn
        self._said: Counter[str] = Counter()
        self._last: asyncio.Task[None] | None = None

    def say(
        self, event: str, params: Mapping[str, Any], url: str, stream: str, method: str = "POST"
    ) -> None:
        """Tell `url` of an event; `call_id` and `node_id` go before its `params`.

        What is said in one `stream` arrives in the order it was said. With the `method` GET it is
        said in the query.
        """
        now = now_us(self._clock)
        told = {"call_id": self._call_id, "node_id": self._envelope.node_id, **params}
        self._said[stream] += 1
        asks = method == "GET"
        announcement = Announcement(
            stream=stream,
            sequence=self._said[stream],
            url=self._envelope.ask(event, told, now, url) if asks else url,
            body=b"" if asks else self._envelope.wrap(event, told, now),
            created_at=now,
            kind=Kind.QUERY if asks else Kind.STATUS,
        )
        self._last = self._spawn(self._keep(announcement, self._last))

    async def _keep(self, announcement: Announcement, before: asyncio.Task[None] | None) -> None:
        if before is not None:  # no later one may be delivered while an earlier one waits
            await asyncio.wait({before})
        await persist(partial(self._outbox.add, [announcement]))
