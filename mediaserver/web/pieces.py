"""Sending an answer piece by piece, to clients that may be slow, with one piece in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog
from aiohttp import web

from mediaserver.errors import LocalError

log = structlog.get_logger(__name__)


async def send_pieces(
    request: web.Request,
    response: web.StreamResponse,
    head: bytes,
    pieces: AsyncGenerator[bytes],
    stall: float,
) -> web.StreamResponse:
    """Send `head` and all pieces; cut a client off that takes longer than `stall` s for one.

    ConnectionResetError when that, a lost connection or a fault of ours ended it.
    """
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    sent = 0
    try:
        async with aclosing(pieces):
            async with asyncio.timeout(stall):
                await response.write(head)
            async for piece in pieces:
                async with asyncio.timeout(stall):
                    await response.write(piece)
                sent += len(piece)
            async with asyncio.timeout(stall):
                await response.write_eof()
    except (OSError, TimeoutError, LocalError) as error:
        # The head is out: only a broken connection still says that this is not all.
        log.info("download broken off", sent=sent, why=str(error) or type(error).__name__)
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("download broken off") from error
    return response
