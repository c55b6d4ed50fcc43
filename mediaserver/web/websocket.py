"""WebSockets of ours to servers that others name: where live audio goes (contract A8).

They go where every request of ours may go (`web.guard`), they follow no redirect, and they are not
opened again when they are lost. A message is sent when those before it have left us; a server that
takes nothing for `STUCK` seconds is given up, and one that says nothing answers pings or is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Final

import aiohttp
from aiohttp import (
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientWSTimeout,
    WSMsgType,
    hdrs,
)

from mediaserver.addresses import Network, parse_address

from .guard import OutboundGuard
from .outbound import USER_AGENT, FetchFailed, explain
from .targets import BadUrl, Target

MAX_SOCKETS: Final = 1024
"""WebSockets at a time, over all calls."""

MAX_MESSAGE: Final = 256 * 1024
"""Octets of a message that is taken: eight seconds of audio at 8 kHz are 86 KB in base64."""

STUCK: Final = 10.0
"""Seconds a message may wait for the one before to leave us."""

PING_EVERY: Final = 20.0
"""Seconds between pings; half of it without an answer and the connection is lost."""

CLOSE_WAIT: Final = 2.0
"""Seconds the other side is given to answer our goodbye."""

_SCHEMES: Final = {"ws": "http", "wss": "https"}


class WebSocket:
    """See `calls.ports.WebSocket`."""

    def __init__(self, response: aiohttp.ClientWebSocketResponse, host: str) -> None:
        self._socket = response
        self._raw = response.get_extra_info("socket")
        self._host = host

    async def send(self, message: str | bytes) -> None:
        """Send a message; raises `FetchFailed` when the connection is lost, or stuck."""
        if self._socket.closed:
            raise FetchFailed(502, f"{self._host} closed the connection")
        try:
            async with asyncio.timeout(STUCK):
                if isinstance(message, str):
                    await self._socket.send_str(message)
                else:
                    await self._socket.send_bytes(message)
        except TimeoutError:
            raise FetchFailed(504, f"{self._host} takes nothing any more") from None
        except (aiohttp.ClientError, OSError) as error:
            raise FetchFailed(502, f"{self._host} broke off: {type(error).__name__}") from error

    async def receive(self) -> str | bytes | None:
        """Return the next message; None when the other side has said goodbye.

        Raises `FetchFailed` when the connection is lost.
        """
        message = await self._socket.receive()
        match message.type:
            case WSMsgType.TEXT | WSMsgType.BINARY:
                data: str | bytes = message.data
                return data
            case WSMsgType.CLOSE:
                return None
            case _:
                raise FetchFailed(502, f"{self._host} broke off")

    async def close(self) -> None:
        """Say goodbye, and wait a moment for the answer."""
        try:
            async with asyncio.timeout(CLOSE_WAIT):
                await self._socket.close()
        except (TimeoutError, aiohttp.ClientError, OSError):
            self._break_off()

    def _break_off(self) -> None:
        """End the connection with what still waits: who takes nothing hears no goodbye either."""
        if self._raw is None:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(fileno=os.dup(self._raw.fileno())) as twin,
        ):
            twin.shutdown(socket.SHUT_RDWR)


class WebSockets:
    """See `calls.ports.WebSockets`."""

    def __init__(self, guard: OutboundGuard, allow: Sequence[Network] = ()) -> None:
        """`allow` are the networks to which audio may go unencrypted where that is asked for."""
        self._guard = guard
        self._allow = tuple(allow)
        self._session: aiohttp.ClientSession | None = None

    async def connect(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        timeout: float,  # noqa: ASYNC109 - the sentence that reports it names it
        secure: bool,
    ) -> WebSocket:
        """Return a connection; raises `FetchFailed`."""
        target, encrypted = _parse(url)
        host = target.host
        if target.authorization is not None:
            headers = {hdrs.AUTHORIZATION: target.authorization, **headers}
        try:
            async with asyncio.timeout(timeout):
                self._guard.check(target)
                if secure and not encrypted and not await self._is_ours(host):
                    raise FetchFailed(403, f"{host}: only wss is used beyond outbound.allow")
                response = await self._opened().ws_connect(
                    target.url,
                    headers=headers,
                    max_msg_size=MAX_MESSAGE,
                    heartbeat=PING_EVERY,
                    timeout=ClientWSTimeout(ws_close=CLOSE_WAIT),
                )
        except TimeoutError:
            raise FetchFailed(504, f"{host} took longer than {timeout:g} s") from None
        except aiohttp.WSServerHandshakeError as error:
            raise FetchFailed(502, f"{host} answered {error.status}: no WebSocket") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise explain(error, host) from error
        return WebSocket(response, host)

    async def close(self) -> None:
        """Close every connection. May be called twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _is_ours(self, host: str) -> bool:
        """Tell whether a host is in the networks the operator allows by name."""
        literal = parse_address(host)
        found = [literal] if literal else map(parse_address, await self._guard.resolve(host))
        return all(
            address is not None and any(address in network for network in self._allow)
            for address in found
        )

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._guard.connector(limit=MAX_SOCKETS),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                middlewares=(_refuse_redirects,),
                headers={hdrs.USER_AGENT: USER_AGENT},
            )
        return self._session


async def _refuse_redirects(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
    """Take a redirect for the refusal it is: what is sent was meant for the host that was named."""
    response = await send(request)
    if 300 <= response.status < 400:
        response.close()
        raise aiohttp.WSServerHandshakeError(
            response.request_info, response.history, status=response.status
        )
    return response


def _parse(url: str) -> tuple[Target, bool]:
    """Return where a WebSocket URL leads, and whether it is encrypted on the way."""
    scheme, colon, rest = url.partition(":")
    http = _SCHEMES.get(scheme.lower())
    if http is None:
        raise FetchFailed(400, "only ws and wss URLs are used")
    try:
        return Target.parse(http + colon + rest), http == "https"
    except BadUrl as error:
        raise FetchFailed(400, str(error)) from error
