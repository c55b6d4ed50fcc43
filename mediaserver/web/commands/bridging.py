"""`calling.disconnect`."""

from __future__ import annotations

from mediaserver.calls.commands.bridging import DisconnectCall

from .part import Params


class Disconnect(Params):
    """Parts a call from the one it is joined to; both stay up."""

    def order(self) -> DisconnectCall:
        """See `Params.order`."""
        return DisconnectCall()
