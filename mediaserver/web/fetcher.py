"""Fetching what URLs of others hold: media, and the documents of web applications."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from aiohttp import hdrs

from ..addresses import Network
from .guard import OutboundGuard
from .outbound import (
    CHUNK,
    MAX_REDIRECTS,
    REDIRECTS,
    SAME_METHOD,
    FetchFailed,
    Session,
    parse_target,
    redirected,
)
from .targets import Target


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came from a URL, after redirects."""

    body: bytes
    content_type: str | None
    """The media type alone, lower case."""
    charset: str | None
    """As it was said beside the media type, lower case."""
    url: str
    """Where it came from in the end, without user and password."""


class RequestSigner(Protocol):
    """Makes the headers that vouch for a request."""

    def request_headers(self, url: str, body: bytes) -> Mapping[str, str]:
        """Return headers for a request to `url` with `body`."""


class Fetcher:
    """Fetches media, and asks web applications, who can tell that it is us (contract A11)."""

    def __init__(self, guard: OutboundGuard, signer: RequestSigner) -> None:
        self._guard = guard
        self._signer = signer
        self._session = Session(guard)
        self._others: dict[tuple[Network, ...], Session] = {}
        """By the networks they may reach: a connection one has open must be no way for another."""

    async def get(
        self,
        url: str,
        *,
        max_bytes: int,
        timeout: float,  # noqa: ASYNC109 - the sentence that reports it names it
    ) -> Fetched:
        """Return what is at `url`: all of it, within `timeout` seconds, redirects included.

        Raises `FetchFailed`, also for more than `max_bytes`.
        """
        target = parse_target(url)
        try:
            async with asyncio.timeout(timeout):
                for _ in range(MAX_REDIRECTS + 1):
                    async with self._session.request("GET", target, {}, None) as response:
                        if response.status not in REDIRECTS:
                            return await _read(response, target, max_bytes)
                        target = redirected(target, response)
        except TimeoutError:
            raise _too_slow(target, timeout) from None
        raise _too_often(target)

    async def ask(
        self,
        url: str,
        *,
        body: bytes | None,
        max_bytes: int,
        timeout: float,  # noqa: ASYNC109 - as above
        allow: tuple[Network, ...] | None = None,
    ) -> Fetched:
        """Return a web application's answer to a JSON `body`, or to a GET if that is None.

        It is signed, and signed anew for each URL that it is redirected to. That must be one of
        the same host: what is told of a call is for nobody else. `allow` takes the place of the
        guard's networks. Raises `FetchFailed` as `get` does.
        """
        target = parse_target(url)
        session = self._session_for(allow)
        try:
            async with asyncio.timeout(timeout):
                for _ in range(MAX_REDIRECTS + 1):
                    method = "GET" if body is None else "POST"
                    headers = self._headers(target, body)
                    async with session.request(method, target, headers, body) as response:
                        if response.status not in REDIRECTS:
                            return await _read(response, target, max_bytes)
                        before, target = target, redirected(target, response)
                        if target.host != before.host:
                            raise FetchFailed(502, f"{before.host} redirects to another host")
                        if response.status not in SAME_METHOD:
                            body = None
        except TimeoutError:
            raise _too_slow(target, timeout) from None
        raise _too_often(target)

    async def close(self) -> None:
        """Close every session."""
        for session in (self._session, *self._others.values()):
            await session.close()

    def _session_for(self, allow: tuple[Network, ...] | None) -> Session:
        if allow is None:
            return self._session
        if allow not in self._others:
            self._others[allow] = Session(self._guard.allowing(allow))
        return self._others[allow]

    def _headers(self, target: Target, body: bytes | None) -> dict[str, str]:
        headers = dict(self._signer.request_headers(str(target), body or b""))
        if body is not None:
            headers[hdrs.CONTENT_TYPE] = "application/json"
        return headers


def _too_slow(target: Target, seconds: float) -> FetchFailed:
    return FetchFailed(504, f"{target.host} took longer than {seconds:g} s")


def _too_often(target: Target) -> FetchFailed:
    return FetchFailed(502, f"{target.host} redirects more than {MAX_REDIRECTS} times")


async def _read(response: aiohttp.ClientResponse, target: Target, max_bytes: int) -> Fetched:
    host = target.host
    if not 200 <= response.status < 300:
        raise FetchFailed(502, f"{host} answered {response.status}")
    encoding = response.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower()
    if encoding not in {"", "identity"}:
        # It was not asked for, and a kilobyte of it can be a gigabyte.
        raise FetchFailed(415, f"{host} sent a compressed answer")
    too_large = FetchFailed(413, f"{host} sent more than {max_bytes} bytes")
    if (response.content_length or 0) > max_bytes:
        raise too_large
    body = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK):
        body += chunk
        if len(body) > max_bytes:
            raise too_large
    if hdrs.CONTENT_TYPE not in response.headers:
        return Fetched(bytes(body), None, None, str(target))
    charset = response.charset
    return Fetched(
        bytes(body), response.content_type.lower(), charset and charset.lower(), str(target)
    )
