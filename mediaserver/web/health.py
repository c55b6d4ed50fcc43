"""`GET /health`: whether new calls may be sent here. Needs no key and says nothing of anybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web

import mediaserver

from .errors import Handler


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaHealth:
    """How the media ticks kept their time lately; all zeros while there is no call."""

    late_p50_ms: float
    """Milliseconds by which half of the ticks began late, or less."""
    late_p99_ms: float
    """The same of 99 in 100."""
    busy: float
    """Share of the time, 0 to 1, that the ticks took."""
    loop_busy: float
    """Share of a core, 0 to 1, that the event loop used, ticks included."""

    def rounded(self) -> dict[str, float]:
        """Return the values as they are told."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskHealth:
    """How the disk of recordings stands."""

    free_bytes: int
    reserve_bytes: int
    """With less than this free, new calls are refused; 0: never."""


@dataclass(frozen=True, slots=True)
class Health:
    """What the server says of itself."""

    status: str
    """`ok`, `draining`, or another word for what is wrong."""
    media: MediaHealth | None = None
    """None before there is any."""
    disk: DiskHealth | None = None
    """None before it was looked at."""

    @property
    def ready(self) -> bool:
        """Whether new calls are welcome."""
        return self.status == "ok"


HealthCheck = Callable[[], Health]


def health_handler(check: HealthCheck) -> Handler:
    """Return the handler: 200 while ready, else 503, which takes us out of a balancer's pool."""

    async def health(_request: web.Request) -> web.Response:
        now = check()
        body: dict[str, Any] = {"status": now.status, "version": mediaserver.__version__}
        if now.media is not None:
            body["media"] = now.media.rounded()
        if now.disk is not None:
            body["disk"] = asdict(now.disk)
        return web.json_response(
            body, status=200 if now.ready else 503, headers={"Cache-Control": "no-store"}
        )

    return health
