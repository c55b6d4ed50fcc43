"""One client's connection, with the limits that aiohttp leaves open.

A client has `head` seconds to send the head of a request, from the moment it connected or the last
answer was made; a byte now and then does not prolong it. What cannot be parsed is answered in the
shape of all our errors, and not logged word by word: it may hold a key.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, cast

import structlog
from aiohttp import web

from .errors import ApiError, Handler, error_body, error_response, shape_of

log = structlog.get_logger(__name__)

MAX_BODY: Final = 64 * 1024
"""Octets of a request's body."""

MAX_LINE: Final = 16 * 1024
"""Octets of a request line: room for ids longer than any of ours, which are 404 and not 400."""

MAX_FIELD: Final = 8 * 1024
"""Octets of a header field."""

MAX_FIELDS: Final = 64
"""Header fields of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What a client may take of us. Times are in seconds."""

    head: float = 15.0
    """To send the head of a request, and to stay idle between two."""
    linger: float = 2.0
    """To go on sending a body that nobody reads, before the connection is closed."""
    connections: int = 2000
    """At a time; one more is answered 503 and closed."""


class Connection(web.RequestHandler):
    """aiohttp's side of a connection, with a deadline."""

    __slots__ = ("_deadline", "_head", "_started")

    def __init__(
        self, manager: web.Server, loop: asyncio.AbstractEventLoop, limits: ServerLimits
    ) -> None:
        super().__init__(
            manager,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # aiohttp tests it for truth: None is off
            # aiohttp closes without a word; our own deadline comes first and answers.
            keepalive_timeout=2 * limits.head,
            lingering_time=limits.linger,
            max_line_size=MAX_LINE,
            max_field_size=MAX_FIELD,
            max_headers=MAX_FIELDS,
            auto_decompress=False,
        )
        self._head = limits.head
        self._deadline: asyncio.TimerHandle | None = None
        self._started = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self.expect_head()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._started = True
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """See `asyncio.Protocol`."""
        self.head_came()
        super().connection_lost(exc)

    def expect_head(self) -> None:
        """Begin the time in which the next request must come."""
        self.head_came()
        self._started = False
        if self.transport is not None:
            self._deadline = asyncio.get_running_loop().call_later(self._head, self._give_up)

    def head_came(self) -> None:
        """A request is being answered: what that takes is our affair."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what never became a request, or failed outside every handler."""
        log.debug("request refused", status=status, why=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        sentence = "the request cannot be read" if status < 500 else "internal error"
        response = error_response(ApiError(status, sentence))
        response.force_close()
        return response

    def _give_up(self) -> None:
        transport = self.transport
        if transport is None:
            return
        if self._started:
            transport.write(raw_error(408, "the request took too long"))
        transport.close()


class Refusal(asyncio.Protocol):
    """Stands in for a connection more than there may be."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer 503 before anything is asked, and close."""
        # Not asserted: uvloop's transports are of no class of asyncio's.
        writing = cast(asyncio.WriteTransport, transport)
        writing.write(raw_error(503, "too many connections"))
        writing.close()


def raw_error(status: int, message: str) -> bytes:
    """Return an error as it goes over the wire, for when there is no request to answer."""
    body = error_body(status, message)
    reason = {408: "Request Timeout", 503: "Service Unavailable"}[status]
    head = (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


@web.middleware
async def keep_deadline(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Stop the connection's deadline while a request is handled; refuse a large body."""
    connection = request.protocol
    if not isinstance(connection, Connection):
        return await handler(request)
    connection.head_came()
    try:
        if (request.content_length or 0) > MAX_BODY:
            too_large = ApiError(413, "the body is too large")
            response: web.StreamResponse = error_response(too_large, shape_of(request))
            response.force_close()
            return response
        return await handler(request)
    finally:
        connection.expect_head()
