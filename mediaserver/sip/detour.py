"""Requests that are too large for a datagram take TCP (RFC 3261 18.1.1).

A datagram that is larger than the path takes arrives in fragments, and firewalls drop those. That a
peer has TCP is not known beforehand: where it has not, the request goes over UDP after all, and so
does what comes next.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mediaserver.sip.hop import Hop

LARGEST: Final = 1300
"""Bytes of a request over UDP on a path of which nothing is known (18.1.1)."""

MEMORY: Final = 600.0
"""Seconds for which a detour that led nowhere is not tried again."""

MAX_CLOSED: Final = 1024
"""Detours that led nowhere and are remembered, the latest of them."""


NO_DETOURS: Final[Mapping[Hop, Hop]] = MappingProxyType({})


class Detours:
    """The choice between a hop and the one that goes around it."""

    def __init__(self) -> None:
        self._closed: dict[Hop, float] = {}

    def around(self, hop: Hop, size: int, detours: Mapping[Hop, Hop], now: float) -> Hop | None:
        """Return the hop over TCP for a request of `size` bytes in place of `hop`.

        None: it takes `hop`. `detours` has those there are, by the hop they go around.
        """
        detour = detours.get(hop) if size > LARGEST else None
        if detour is None or self._closed.get(detour, now) > now:
            return None
        return detour

    def close(self, detour: Hop, now: float) -> None:
        """Take note that nobody was reached by a detour."""
        self._closed.pop(detour, None)
        self._closed[detour] = now + MEMORY
        while len(self._closed) > MAX_CLOSED:
            del self._closed[next(iter(self._closed))]
