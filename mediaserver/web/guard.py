"""Where requests of ours may go (robustness S14): decided on the address a socket connects to.

A script or a callback URL is written by others, and our machine stands in somebody's private
network. Checking a name first and connecting by name afterwards is beaten by a name that resolves
differently the second time. So there is one look-up per connection, all its answers are checked,
the connection is made to just these, and the address of every socket is checked once more when the
socket is made: whatever way it came there.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiohttp import AddrInfoType, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from ..addresses import AddressRule, Network, is_disguised, parse_address
from .targets import Target

LOOKUP_TIMEOUT: Final = 5.0
"""Seconds a name may take to resolve."""

LOOKUP_THREADS: Final = 32
"""Names that are looked up at once; a dead name server keeps each thread for half a minute."""

IDLE: Final = 4.0
"""Seconds a connection waits for another request: less than servers commonly wait for one."""

Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""Gives the addresses of a name, or raises `OSError`."""


class AddressRefused(OSError):
    """The address is not one requests may go to; no connection was made."""

    def __init__(self) -> None:
        super().__init__(
            "the address is not a public one, nor one that outbound.allow or its route allows"
        )


class OutboundGuard:
    """Keeps to the `AddressRule` of the networks in `allow`.

    Every session that is used for a URL from elsewhere is made on `connector()`.
    """

    def __init__(self, allow: Sequence[Network] = (), lookup: Lookup | None = None) -> None:
        self._rule = AddressRule(allow)
        self._threads: ThreadPoolExecutor | None = None
        self._lookup = lookup or self._system_lookup
        self._pending: dict[str, asyncio.Task[Sequence[str]]] = {}
        self._others: dict[tuple[Network, ...], OutboundGuard] = {}

    def allowing(self, allow: tuple[Network, ...]) -> OutboundGuard:
        """Return the guard of other networks, closed with this one; names are looked up here."""
        if allow not in self._others:
            self._others[allow] = OutboundGuard(allow, self._shared_lookup)
        return self._others[allow]

    def permits(self, address: str) -> bool:
        """Tell whether requests may go to an address. What is none is refused."""
        return self._rule.permits(address)

    def check(self, target: Target) -> None:
        """Refuse a URL that names a forbidden address itself; raises `AddressRefused`."""
        host = target.host
        if is_disguised(host) or (parse_address(host) is not None and not self.permits(host)):
            raise AddressRefused

    async def resolve(self, host: str) -> Sequence[str]:
        """Return the addresses of a name; raises `OSError`, `AddressRefused` if one is forbidden.

        One forbidden address among several is enough: no public service has one.
        """
        if is_disguised(host):
            raise AddressRefused
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT):
                addresses = await self._shared_lookup(host)
        except TimeoutError:
            raise OSError(f"looking up {host} took too long") from None
        except OSError:
            raise
        except Exception as error:
            # A resolver that fails in some other way has not given an address either.
            raise OSError(f"looking up {host} failed") from error
        if not addresses:
            raise OSError(f"{host} has no address")
        if not all(self.permits(address) for address in addresses):
            raise AddressRefused
        return addresses

    def connector(self, *, limit: int, limit_per_host: int = 0) -> TCPConnector:
        """Return a connector that cannot reach a forbidden address. Belongs to one session."""
        return TCPConnector(
            resolver=_Resolver(self),
            socket_factory=self._make_socket,
            # A cached answer was checked too, but it would outlive a change of the name.
            use_dns_cache=False,
            limit=limit,
            limit_per_host=limit_per_host,
            keepalive_timeout=IDLE,
        )

    async def close(self) -> None:
        """End look-ups that still run."""
        for other in self._others.values():
            await other.close()
        pending = list(self._pending.values())
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    def _make_socket(self, info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        if not self.permits(str(address[0])):
            raise AddressRefused
        return socket.socket(family=family, type=kind, proto=protocol)

    async def _shared_lookup(self, host: str) -> Sequence[str]:
        """Look a name up once for all who want it now: a dead name must not take every thread."""
        task = self._pending.get(host)
        if task is None:
            task = asyncio.create_task(self._look_up(host), name="look up a host")
            self._pending[host] = task
            task.add_done_callback(lambda done: self._forget(host, done))
        return await asyncio.shield(task)

    async def _look_up(self, host: str) -> Sequence[str]:
        return await self._lookup(host)

    def _forget(self, host: str, task: asyncio.Task[Sequence[str]]) -> None:
        if self._pending.get(host) is task:
            del self._pending[host]
        if not task.cancelled():
            # Taken, lest asyncio complain when all who waited have given up.
            task.exception()

    async def _system_lookup(self, host: str) -> Sequence[str]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(LOOKUP_THREADS, "look-up")
        return await asyncio.get_running_loop().run_in_executor(self._threads, _getaddrinfo, host)


def _getaddrinfo(host: str) -> Sequence[str]:
    infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return tuple(dict.fromkeys(str(info[4][0]) for info in infos))


class _Resolver(AbstractResolver):
    """aiohttp's view of `OutboundGuard.resolve`."""

    def __init__(self, guard: OutboundGuard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """See `AbstractResolver`."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._guard.resolve(host)
        ]

    async def close(self) -> None:
        """See `AbstractResolver`."""
