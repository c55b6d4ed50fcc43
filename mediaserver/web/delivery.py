"""Callbacks on their way: from the outbox to the applications, at least once, in order.

The outbox says what is due: of each stream the first announcement that is not delivered, so that
none overtakes another of its stream. An announcement that is being sent stays in the outbox until
its receiver has said 2xx. A crash in between, or a stop, means that it is sent once more with the
same id.

An origin has its share of the attempts (`web.origins`); the rest of them are for the others,
however long a dead receiver's queue.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import Final, Protocol

import structlog

from mediaserver.clock import Clock
from mediaserver.errors import ConflictError, LocalError

from .attempts import Attempts, Queued
from .manner import Manners
from .origins import Origins
from .outbound import FetchFailed, Poster, Reply
from .retry_times import RetryTimes

log = structlog.get_logger(__name__)

AT_ONCE: Final = 256
"""Attempts at a time."""

GRACE: Final = 5.0
"""Seconds that attempts under way are given to end when the server stops."""

NAP: Final = 5.0
"""Seconds after which the outbox is looked at again although nothing happened: the wall clock may
have been set."""

PACE: Final = 0.05
"""Seconds from one look into the outbox to the next, at least. After a quiet while the first look
is at once; at hundreds of callbacks a second each look finds dozens instead of one."""

IN_HAND: Final = 64
"""Announcements of one origin that are kept for when attempts at it end, so that the pace of the
looks is not that of the attempts."""

STORE_WAITS: Final = (0.2, 1.0, 5.0, 5.0, 5.0)
"""Seconds between tries to note what became of an attempt while the database is away."""


class OutboxQueue(Protocol):
    """What delivery needs of the store. Instants are microseconds since 1970."""

    @property
    def changed(self) -> asyncio.Event:
        """Set when something may have become due; cleared here."""

    async def due(
        self,
        now_us: int,
        limit: int,
        *,
        skip: Collection[int] = (),
        avoid: Collection[str] = (),
    ) -> Sequence[Queued]:
        """Return heads of streams that are due, without the ids and origins named."""

    async def next_due(self, after: int = -1) -> int | None:
        """Return the earliest instant later than `after` at which something is due."""

    async def delivered(self, id: int, at: int) -> None:
        """A receiver has taken it."""

    async def failed(self, id: int, next_attempt_at: int, why: str) -> None:
        """It is to be tried again."""

    async def shift(self, by: int) -> None:
        """All that was tried is due so many microseconds later."""

    async def bury(self, id: int, why: str) -> None:
        """It is given up."""


class Delivery:
    """The worker that empties the outbox; an attempt may take `timeout` seconds."""

    def __init__(
        self,
        outbox: OutboxQueue,
        poster: Poster,
        manners: Manners,
        clock: Clock,
        timeout: float,
    ) -> None:
        self._outbox = outbox
        self._attempts = Attempts(poster, manners, clock, timeout)
        self._clock = clock
        self._times = RetryTimes(outbox, clock)
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._origins = Origins()
        self._in_hand: dict[str, deque[Queued]] = {}
        self._stopping = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin with what the outbox holds, from before a restart too."""
        assert self._worker is None
        self._worker = asyncio.create_task(self._run(), name="callback delivery")

    async def stop(self, grace: float = GRACE) -> None:
        """Begin no attempt any more, and end those under way within `grace` seconds.

        What is cut off stays in the outbox and is sent again after the next start.
        """
        self._stopping.set()
        self._outbox.changed.set()
        if self._worker is not None:
            await self._worker
        attempts = list(self._under_way.values())
        if attempts:
            _, late = await asyncio.wait(attempts, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*attempts, return_exceptions=True)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            self._outbox.changed.clear()
            now: int | None = None
            with _logged():
                await self._times.follow()
                now = self._times.now()
                await self._begin_due(now)
            await _wait(self._stopping, PACE)
            nap = NAP
            # Under load something has changed by now: no need to ask when to look again.
            if now is not None and not self._outbox.changed.is_set():
                with _logged():
                    next_due = await self._outbox.next_due(after=now)
                    if next_due is not None:
                        nap = min(max((next_due - self._times.now()) / 1e6, 0.0), NAP)
            await _wait(self._outbox.changed, nap)

    async def _begin_due(self, now: int) -> None:
        """Start an attempt at whatever is due and may be tried now."""
        while not self._stopping.is_set() and (free := AT_ONCE - len(self._under_way)) > 0:
            # A copy: an id that leaves while the outbox is read may be due in what was read.
            known = frozenset(self._under_way).union(
                queued.id for kept in self._in_hand.values() for queued in kept
            )
            due = await self._outbox.due(now, free, skip=known, avoid=self._origins.full)
            if not due or self._stopping.is_set():
                return
            for queued in due:
                self._begin_or_keep(queued)
            if len(due) < free:
                return

    def _begin_or_keep(self, queued: Queued) -> None:
        if self._begin(queued) or self._origins.suspects(queued.origin):
            return
        kept = self._in_hand.setdefault(queued.origin, deque())
        if len(kept) < IN_HAND:
            kept.append(queued)

    def _begin_kept(self, origin: str) -> None:
        """Go on with an origin that has room for another attempt, or look for what is due."""
        kept = self._in_hand.get(origin)
        while kept and not self._origins.suspects(origin) and not self._stopping.is_set():
            if not self._begin(kept[0]):
                return
            kept.popleft()
        # An origin that fails keeps nothing here: what it gets next may have to wait for long.
        self._in_hand.pop(origin, None)
        self._outbox.changed.set()

    def _begin(self, queued: Queued) -> bool:
        if not self._origins.begin(queued.origin):
            return False
        self._under_way[queued.id] = asyncio.create_task(
            self._attempt(queued), name=f"callback {queued.id}"
        )
        return True

    async def _attempt(self, queued: Queued) -> None:
        try:
            await self._settle(queued, await self._attempts.send(queued))
        except Exception:
            log.exception("callback delivery stumbled", stream=queued.announcement.stream)
        finally:
            del self._under_way[queued.id]
            self._origins.end(queued.origin)
            self._begin_kept(queued.origin)

    async def _settle(self, queued: Queued, outcome: Reply | FetchFailed) -> None:
        """Write down what became of an attempt."""
        if isinstance(outcome, Reply) and 200 <= outcome.status < 300:
            self._origins.succeeded(queued.origin)
            self._say(log.info, queued, "callback delivered", outcome)
            at = round(self._clock.time() * 1e6)
            await self._note(lambda: self._outbox.delivered(queued.id, at))
            return
        self._origins.failed(queued.origin)
        why = f"answered {outcome.status}" if isinstance(outcome, Reply) else outcome.reason
        delay = self._attempts.delay(queued, outcome)
        if delay is None:
            self._say(log.warning, queued, "callback given up", outcome, why=why)
            await self._note(lambda: self._outbox.bury(queued.id, why))
            return
        again = round(delay, 1)
        self._say(log.warning, queued, "callback not taken", outcome, why=why, again_in=again)
        await self._note(lambda: self._times.failed(queued.id, delay, why))

    async def _note(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write to the outbox, patiently: until it is written the receiver may be asked twice."""
        for wait in STORE_WAITS:
            try:
                return await write()
            except ConflictError:
                return None  # what it announced was deleted meanwhile, and with it the callback
            except Exception as error:
                # LocalError as a rule. Any other must not end in asking the receiver at once again.
                log.warning("callback not noted", why=str(error))
            if self._stopping.is_set():
                return None
            await asyncio.sleep(wait)
        return None

    @staticmethod
    def _say(
        say: Callable[..., None],
        queued: Queued,
        event: str,
        outcome: Reply | FetchFailed,
        **more: object,
    ) -> None:
        announcement = queued.announcement
        say(
            event,
            # An origin has neither path nor password.
            origin=queued.origin,
            # A failure's own status is nothing that the receiver has said.
            status=outcome.status if isinstance(outcome, Reply) else None,
            stream=announcement.stream,
            sequence=announcement.sequence,
            attempt=queued.attempts + 1,
            **more,
        )


@contextlib.contextmanager
def _logged() -> Iterator[None]:
    """Go on after whatever fails; the next look may fare better."""
    try:
        yield
    except LocalError as error:
        log.warning("callbacks wait for the database", why=str(error))
    except Exception:
        log.exception("callback delivery stumbled")


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
