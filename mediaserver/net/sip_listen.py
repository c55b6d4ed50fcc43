"""An address to listen on, as the settings write it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mediaserver.errors import LocalError
from mediaserver.sip.hop import Transport

MAX_OUTGOING = 262_144
"""Bytes that may wait in one socket's write buffer; a peer that does not read gets no more."""


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
        return LocalError(f"sip.listen: cannot listen on {self}: {why}")
