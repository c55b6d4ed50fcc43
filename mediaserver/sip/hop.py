"""Where a message came from or goes to: a transport and the two socket addresses."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Transport(StrEnum):
    """A transport as it is written in a Via (RFC 3261 20.42)."""

    UDP = "UDP"
    TCP = "TCP"
    TLS = "TLS"
    """Over TCP."""

    @property
    def reliable(self) -> bool:
        """True where the transport itself resends, so that we do not (RFC 3261 17)."""
        return self is not Transport.UDP

    @property
    def port(self) -> int:
        """The port where none is given (RFC 3261 19.1.2)."""
        return 5061 if self is Transport.TLS else 5060


@dataclass(frozen=True, slots=True)
class Hop:
    """One pair of socket addresses over one transport; hosts are addresses, never names."""

    transport: Transport
    local: tuple[str, int]
    remote: tuple[str, int]
    name: str = ""
    """Whom the other end of a connection over TLS has to prove to be, in lower case: the domain
    that was asked for (RFC 5922 7); "" where nothing but the address is known."""
