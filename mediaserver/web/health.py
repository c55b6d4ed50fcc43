"""`GET /health`: whether new calls may be sent here. Needs no key and says nothing of anybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

import mediaserver

from .errors import Handler


@dataclass(frozen=True, slots=True)
class Health:
    """What the server says of itself."""

    status: str
    """`ok`, `draining`, or another word for what is wrong."""

    @property
    def ready(self) -> bool:
        """Whether new calls are welcome."""
        return self.status == "ok"


HealthCheck = Callable[[], Health]


def health_handler(check: HealthCheck) -> Handler:
    """Return the handler: 200 while ready, else 503, which takes us out of a balancer's pool."""

    async def health(_request: web.Request) -> web.Response:
        now = check()
        body = {"status": now.status, "version": mediaserver.__version__}
        return web.json_response(
            body, status=200 if now.ready else 503, headers={"Cache-Control": "no-store"}
        )

    return health
