"""Requests to URLs that others wrote: scripts and media to fetch, callbacks to send.

All go through `OutboundGuard`. A `Fetcher` wants the body and follows a redirect or two, each
checked anew; a `Poster` wants the status and follows as many as it is told to. What is wrong with
the other side is `FetchFailed`, whose sentence names the host and never the path, the query or a
password.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import hdrs

from mediaserver.errors import PeerError

from .guard import AddressRefused, OutboundGuard
from .targets import BadUrl, Target

__all__ = ["FetchFailed", "OutboundGuard", "Poster", "Reply"]

MAX_REDIRECTS: Final = 3

MAX_CONNECTIONS: Final = 256
"""Of one session at a time."""

MAX_PER_HOST: Final = 64
"""Of one session to one host and port: the rest of the session is left to others."""

MAX_IGNORED: Final = 64 * 1024
"""Octets of an answer to a callback that are read, so that the connection can be used again."""

IGNORED_SECONDS: Final = 1.0
"""How long that may take: the status has come already."""

CHUNK: Final = 64 * 1024

USER_AGENT: Final = "mediaserver"

SAME_METHOD: Final = frozenset({307, 308})
"""Redirects that take the method and the body along (RFC 9110 15.4)."""

REDIRECTS: Final = frozenset({301, 302, 303}) | SAME_METHOD


class FetchFailed(PeerError):
    """The other side was not reached, or its answer cannot be used.

    `status` is that of a gateway: 400 a URL that is none, 403 an address that is not allowed,
    413 too much, 415 compressed, 502 what else it did wrong, 504 too slow.
    """


@dataclass(frozen=True, slots=True)
class Reply:
    """What a receiver answered."""

    status: int
    retry_after: str | None
    """The header as it came."""


class Session:
    """One aiohttp session for one purpose, made when it is first used."""

    def __init__(self, guard: OutboundGuard) -> None:
        self._guard = guard
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close every connection. May be called twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @asynccontextmanager
    async def request(
        self, method: str, target: Target, headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send one request and follow nothing; whatever goes wrong inside is `FetchFailed`."""
        try:
            self._guard.check(target)
            if target.authorization is not None:
                headers = {**headers, hdrs.AUTHORIZATION: target.authorization}
            async with self._opened().request(
                method, target.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                yield response
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise explain(error, target.host) from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._guard.connector(limit=MAX_CONNECTIONS, limit_per_host=MAX_PER_HOST),
                # Times are kept by those who call: one limit over everything a request does.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                headers={
                    hdrs.USER_AGENT: USER_AGENT,
                    hdrs.ACCEPT: "*/*",
                    hdrs.ACCEPT_ENCODING: "identity",
                },
            )
        return self._session


class Poster:
    """Sends callbacks."""

    def __init__(self, guard: OutboundGuard) -> None:
        self._session = Session(guard)

    async def post(
        self,
        target: Target,
        body: bytes,
        headers: Callable[[Target], Mapping[str, str]],
        seconds: float,
        redirects: int = 0,
        *,
        method: str = "POST",
    ) -> Reply:
        """Return the status that came within so many seconds; raises `FetchFailed`.

        `headers` makes those of each hop. A redirect beyond the last is what was answered. 301 and
        302 say no more than that it is elsewhere, so the body goes there (RFC 9110 15.4.2, 15.4.3);
        303 says that it was taken and where its outcome can be read (15.4.4).
        """
        sent = body if method == "POST" else None
        ours = True
        try:
            async with asyncio.timeout(seconds):
                while True:
                    made = headers(target) if ours else {}
                    async with self._session.request(method, target, made, sent) as response:
                        await _ignore_body(response)
                        if response.status not in REDIRECTS or redirects == 0:
                            return Reply(response.status, response.headers.get(hdrs.RETRY_AFTER))
                        target = redirected(target, response)
                    redirects -= 1
                    if response.status == 303:
                        method, sent, ours = "GET", None, False
        except TimeoutError:
            raise FetchFailed(504, f"no answer within {seconds:g} s") from None

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()


def parse_target(url: str) -> Target:
    """Return the target of a URL; raises `FetchFailed` 400."""
    try:
        return Target.parse(url)
    except BadUrl as error:
        raise FetchFailed(400, str(error)) from error


def explain(error: Exception, host: str) -> FetchFailed:
    """Return in a sentence what went wrong; nothing of what was sent is in it."""
    cause: Exception = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, AddressRefused):
        return FetchFailed(403, f"{host}: {cause}")
    if isinstance(error, TimeoutError):
        return FetchFailed(504, f"{host} is too slow")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return FetchFailed(502, f"{host} cannot be resolved")
    if isinstance(error, aiohttp.ClientSSLError) or isinstance(cause, ssl.SSLError):
        return FetchFailed(502, f"{host} cannot be trusted: {type(error).__name__}")
    if isinstance(error, aiohttp.ClientConnectorError):
        why = error.os_error.strerror or "nobody answers"
        return FetchFailed(502, f"{host} cannot be reached: {why}")
    return FetchFailed(502, f"{host} broke off: {type(error).__name__}")


def redirected(target: Target, response: aiohttp.ClientResponse) -> Target:
    """Return where a redirect leads; raises `FetchFailed` 502."""
    try:
        return target.follow(response.headers.get(hdrs.LOCATION, ""))
    except BadUrl as error:
        raise FetchFailed(502, f"{target.host}: {error}") from error


async def _ignore_body(response: aiohttp.ClientResponse) -> None:
    """Read a short body to its end. A long, slow or broken one costs the connection, no more."""
    if response.content.at_eof():  # there is none, as in most answers
        return
    seen = 0
    try:
        async with asyncio.timeout(IGNORED_SECONDS):
            async for chunk in response.content.iter_chunked(CHUNK):
                seen += len(chunk)
                if seen > MAX_IGNORED:
                    break
    except (TimeoutError, aiohttp.ClientError):
        response.close()
