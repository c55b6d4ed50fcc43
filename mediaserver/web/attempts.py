"""Attempts to deliver a callback: what is sent, and how long to wait when that has failed."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import structlog

from mediaserver.clock import Clock
from mediaserver.recording.announcement import Announcement

from .manner import Manner, Manners
from .outbound import FetchFailed, Poster, Reply
from .schedule import read_retry_after
from .targets import BadUrl, Target

log = structlog.get_logger(__name__)


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


class Attempts:
    """Makes attempts, each in the manner of what is announced; one may take `timeout` seconds."""

    def __init__(self, poster: Poster, manners: Manners, clock: Clock, timeout: float) -> None:
        self._poster = poster
        self._manners = manners
        self._clock = clock
        self._timeout = timeout

    async def send(self, queued: Queued) -> Reply | FetchFailed:
        """Send it once. Whatever goes wrong is returned: it is this attempt that failed."""
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
            log.exception("callback not sent", host=target.host, stream=announcement.stream)
            return FetchFailed(502, type(error).__name__)

    def delay(self, queued: Queued, outcome: Reply | FetchFailed) -> float | None:
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
