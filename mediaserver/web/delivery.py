"""Callbacks on their way: from the outbox to the applications, at least once, in order.

The outbox says what is due: of each stream the first announcement that is not delivered, so that
none overtakes another of its stream. An announcement that is being sent stays in the outbox until
its receiver has said 2xx. A crash in between, or a stop, means that it is sent once more with the
same id.

One origin (scheme, host, port) has some attempts at a time and no more; one whose last attempt
failed has one. The rest of the attempts are for the others, however long a dead receiver's queue.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Final, Protocol

import structlog

from mediaserver.clock import Clock
from mediaserver.errors import ConflictError, LocalError
from mediaserver.recording.announcement import Announcement

from .manner import Manner, Manners
from .outbound import FetchFailed, Poster, Reply
from .retry_times import RetryTimes
from .schedule import read_retry_after
from .targets import BadUrl, Target

log = structlog.get_logger(__name__)

AT_ONCE: Final = 256
"""Attempts at a time."""

PER_ORIGIN: Final = 8
"""Attempts at a time to one origin."""

PER_SUSPECT: Final = 1
"""Attempts at a time to an origin whose last attempt failed."""

MAX_SUSPECTS: Final = 10_000
"""Origins that are remembered to have failed; the oldest is forgotten."""

TIMEOUT: Final = 15.0
"""Seconds an attempt may take."""

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


class Queued(Protocol):
    """An announcement that is due."""

    @property
    def id(self) -> int:
        """Its number in the outbox."""

    @property
    def announcement(self) -> Announcement:
        """What is to be sent, and where."""

    @property
    def attempts(self) -> int:
        """Attempts that failed so far."""

    @property
    def origin(self) -> str:
        """Whose server it goes to."""


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
    """The worker that empties the outbox."""

    def __init__(
        self,
        outbox: OutboxQueue,
        poster: Poster,
        manners: Manners,
        clock: Clock,
        timeout: float = TIMEOUT,
    ) -> None:
        self._outbox = outbox
        self._poster = poster
        self._manners = manners
        self._clock = clock
        self._times = RetryTimes(outbox, clock)
        self._timeout = timeout
        self._attempts: dict[int, asyncio.Task[None]] = {}
        self._at_origin: Counter[str] = Counter()
        self._in_hand: dict[str, deque[Queued]] = {}
        self._suspects: dict[str, None] = {}
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
        attempts = list(self._attempts.values())
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
        while not self._stopping.is_set() and (free := AT_ONCE - len(self._attempts)) > 0:
            # A copy: an id that leaves while the outbox is read may be due in what was read.
            known = frozenset(self._attempts).union(
                queued.id for kept in self._in_hand.values() for queued in kept
            )
            full = [origin for origin in self._at_origin if self._is_full(origin)]
            due = await self._outbox.due(now, free, skip=known, avoid=full)
            if not due or self._stopping.is_set():
                return
            for queued in due:
                self._begin_or_keep(queued)
            if len(due) < free:
                return

    def _begin_or_keep(self, queued: Queued) -> None:
        if self._begin(queued) or queued.origin in self._suspects:
            return
        kept = self._in_hand.setdefault(queued.origin, deque())
        if len(kept) < IN_HAND:
            kept.append(queued)

    def _begin_kept(self, origin: str) -> None:
        """Go on with an origin that has room for another attempt, or look for what is due."""
        kept = self._in_hand.get(origin)
        while kept and origin not in self._suspects and not self._stopping.is_set():
            if not self._begin(kept[0]):
                return
            kept.popleft()
        # An origin that fails keeps nothing here: what it gets next may have to wait for long.
        self._in_hand.pop(origin, None)
        self._outbox.changed.set()

    def _is_full(self, origin: str) -> bool:
        cap = PER_SUSPECT if origin in self._suspects else PER_ORIGIN
        return self._at_origin[origin] >= cap

    def _begin(self, queued: Queued) -> bool:
        if self._is_full(queued.origin):
            return False
        self._at_origin[queued.origin] += 1
        self._attempts[queued.id] = asyncio.create_task(
            self._attempt(queued), name=f"callback {queued.id}"
        )
        return True

    async def _attempt(self, queued: Queued) -> None:
        try:
            await self._settle(queued, await self._send(queued))
        except Exception:
            log.exception("callback delivery stumbled", stream=queued.announcement.stream)
        finally:
            del self._attempts[queued.id]
            self._at_origin[queued.origin] -= 1
            if not self._at_origin[queued.origin]:
                del self._at_origin[queued.origin]
            self._begin_kept(queued.origin)

    async def _send(self, queued: Queued) -> Reply | FetchFailed:
        manner = self._manner(queued)
        announcement = queued.announcement
        try:
            target = Target.parse(announcement.url)
        except BadUrl as error:
            return FetchFailed(400, str(error))
        at = int(self._clock.time())
        try:
            announcement = replace(announcement, body=manner.body(announcement.body))
            return await self._poster.post(
                target,
                announcement.body,
                lambda hop: manner.headers(announcement, hop, at),
                self._timeout,
                manner.redirects,
                method=manner.method,
            )
        except FetchFailed as error:
            return error
        except Exception as error:
            # Whatever it was, it was this attempt that failed, and not delivery as such.
            log.exception("callback not sent", host=target.host, stream=announcement.stream)
            return FetchFailed(502, type(error).__name__)

    async def _settle(self, queued: Queued, outcome: Reply | FetchFailed) -> None:
        """Write down what became of an attempt."""
        if isinstance(outcome, Reply) and 200 <= outcome.status < 300:
            self._suspects.pop(queued.origin, None)
            self._say(log.info, queued, "callback delivered", outcome)
            at = round(self._clock.time() * 1e6)
            await self._note(lambda: self._outbox.delivered(queued.id, at))
            return
        self._suspect(queued.origin)
        why = f"answered {outcome.status}" if isinstance(outcome, Reply) else outcome.reason
        delay = self._delay(queued, outcome)
        if delay is None:
            self._say(log.warning, queued, "callback given up", outcome, why=why)
            await self._note(lambda: self._outbox.bury(queued.id, why))
            return
        again = round(delay, 1)
        self._say(log.warning, queued, "callback not taken", outcome, why=why, again_in=again)
        await self._note(lambda: self._times.failed(queued.id, delay, why))

    def _delay(self, queued: Queued, outcome: Reply | FetchFailed) -> float | None:
        """Return the seconds until the next attempt, None if there is to be none."""
        manner, failures = self._manner(queued), queued.attempts + 1
        if isinstance(outcome, FetchFailed):
            # 400: a URL that is none today is none tomorrow.
            return None if outcome.status == 400 else manner.schedule.delay(failures)
        if not manner.heeds:
            return manner.schedule.delay(failures)
        if outcome.status == 410:
            return None
        retry_after = read_retry_after(outcome.retry_after, self._clock.time())
        return manner.schedule.delay(failures, retry_after)

    def _manner(self, queued: Queued) -> Manner:
        return self._manners[queued.announcement.kind]

    def _suspect(self, origin: str) -> None:
        self._suspects.pop(origin, None)
        self._suspects[origin] = None
        if len(self._suspects) > MAX_SUSPECTS:
            del self._suspects[next(iter(self._suspects))]

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
