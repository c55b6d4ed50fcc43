"""An address to listen on, as the settings write it."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import Final

from mediaserver.errors import LocalError
from mediaserver.sip.hop import Transport

MAX_OUTGOING = 262_144
"""Bytes that may wait in one socket's write buffer; a peer that does not read gets no more."""

_HINTS: Final = {
    errno.EADDRINUSE: "; stop the other program, or choose another port",
    errno.EADDRNOTAVAIL: "; that is no address of this machine: 0.0.0.0 is all it has, and "
    "sip.advertise the one that others reach",
    errno.EACCES: "; ports below 1024 need root or CAP_NET_BIND_SERVICE",
}


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A transport, a host and a port; port 0 lets the system choose."""

    transport: Transport
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport.lower()}:{host}:{self.port}"

    def error(self, error: OSError) -> LocalError:
        """One sentence for an address that cannot be had."""
        why = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)
        hint = _HINTS.get(error.errno or 0, "")
        return LocalError(f"sip.listen: cannot listen on {self}: {why}{hint}")
