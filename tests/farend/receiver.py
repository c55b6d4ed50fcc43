"""An application's side: it receives callbacks, may refuse them, and serves scripts and audio."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

PATIENCE = 30.0
"""Seconds that something may take to come on a machine that has much else to do."""


@dataclass(frozen=True)
class Callback:
    """One request that came, whatever it was answered."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    at: float
    status: int
    """What it was answered with."""

    @property
    def event(self) -> dict[str, Any]:
        """The body, which must be JSON in UTF-8."""
        event = json.loads(self.body.decode("utf-8"))
        assert isinstance(event, dict)
        return event

    @property
    def params(self) -> dict[str, Any]:
        """The event's `params`."""
        params = self.event["params"]
        assert isinstance(params, dict)
        return params

    @property
    def state(self) -> str:
        """The recording's state; empty for events of another kind."""
        return str(self.params.get("state", ""))


@dataclass
class Receiver:
    """An HTTP server in a thread of its own, so that it outlives the event loops of tests."""

    host: str = "127.0.0.1"
    port: int = 0
    refusals: dict[str, list[int]] = field(default_factory=dict)
    """By path: statuses to answer first, one a request; after them 200."""
    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """By path: content type and body to answer with."""
    all: list[Callback] = field(default_factory=list)

    def start(self) -> Receiver:
        """Take a free port (or the one given) and serve."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        ready = threading.Event()
        self._ready = ready
        self._thread.start()
        assert ready.wait(10)
        return self

    def stop(self) -> None:
        """Close the port and end the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def url(self, path: str) -> str:
        """Return the URL of a path here."""
        return f"http://{self.host}:{self.port}{path}"

    def at(self, path: str) -> list[Callback]:
        """Return what came for a path, in order."""
        return [callback for callback in list(self.all) if callback.path == path]

    def accepted(self, path: str) -> list[Callback]:
        """Return what came for a path and was answered with 2xx."""
        return [callback for callback in self.at(path) if callback.status < 300]

    def final(self, path: str) -> Callback | None:
        """Return the callback that ended a recording, None while there is none."""
        ends = {"finished", "no_input", "error"}
        return next((c for c in self.accepted(path) if c.state in ends), None)

    async def until_final(self, path: str, timeout: float = PATIENCE) -> Callback:  # noqa: ASYNC109
        """Wait for the callback that ends the recording announced at `path`; return it."""
        await self.until(lambda: self.final(path) is not None, timeout, f"no end for {path}")
        callback = self.final(path)
        assert callback is not None
        return callback

    async def until(
        self,
        holds: Callable[[], bool],
        timeout: float = PATIENCE,  # noqa: ASYNC109
        otherwise: str = "what was waited for did not come",
    ) -> None:
        """Wait until something holds; AssertionError when it does not in time."""
        deadline = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < deadline, otherwise
            await asyncio.sleep(0.02)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = web.AppRunner(self._app(), access_log=None)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, self.host, self.port)
        self._loop.run_until_complete(site.start())
        self.port = int(runner.addresses[0][1])
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        path = request.rel_url.raw_path_qs
        left = self.refusals.get(path)
        status = left.pop(0) if left else 200
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.all.append(Callback(path, headers, body, time.monotonic(), status))
        if path in self.pages:
            content_type, page = self.pages[path]
            return web.Response(status=status, body=page, content_type=content_type)
        return web.Response(status=status)


def signatures(key: str, url: str, body: bytes) -> dict[str, str]:
    """Work out by hand both headers that a signed request to `url` must carry."""
    message = url.encode() + body
    return {
        "x-signalwire-signature": hmac.new(key.encode(), message, hashlib.sha1).hexdigest(),
        "x-signalwire-sha256-signature": hmac.new(
            key.encode(), message, hashlib.sha256
        ).hexdigest(),
    }
