"""Where a message came from or goes to: a transport and the two socket addresses."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Transport(StrEnum):
    """A transport as it is written in a Via (RFC 3261 20.42)."""

    UDP = "UDP"
    TCP = "TCP"

    @property
    def reliable(self) -> bool:
        """True where the transport itself resends, so that we do not (RFC 3261 17)."""
        return self is not Transport.UDP


@dataclass(frozen=True, slots=True)
class Hop:
    """One pair of socket addresses over one transport; hosts are addresses, never names."""

    transport: Transport
    local: tuple[str, int]
    remote: tuple[str, int]
