"""HTTP requests that a script makes (`request`, contract A8)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs

from .outbound import CHUNK, FetchFailed, OutboundGuard, Session, parse_target

MAX_HEADERS: Final = 64
"""Header fields of an answer that are told."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a request brought, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """By name in lower case; of several of one name, the last."""
    body: bytes


class Requester:
    """Makes requests to where the operator allows them to go, and follows nothing."""

    def __init__(self, guard: OutboundGuard) -> None:
        self._session = Session(guard)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        max_bytes: int,
        timeout: float,  # noqa: ASYNC109 - the sentence that reports it names it
    ) -> Answered:
        """Return the answer, of its body `max_bytes` at most; raises `FetchFailed`."""
        target = parse_target(url)
        try:
            async with (
                asyncio.timeout(timeout),
                self._session.request(method, target, headers, body) as response,
            ):
                if response.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
                    raise FetchFailed(415, f"{target.host} sent a compressed answer")
                read = bytearray()
                async for chunk in response.content.iter_chunked(CHUNK):
                    read += chunk
                    if len(read) > max_bytes:
                        raise FetchFailed(413, f"{target.host} sent more than {max_bytes} bytes")
                told = list(response.headers.items())[:MAX_HEADERS]
                return Answered(
                    response.status, {name.lower(): value for name, value in told}, bytes(read)
                )
        except TimeoutError:
            raise FetchFailed(504, f"{target.host} took longer than {timeout:g} s") from None

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()
