"""`calling.disconnect`."""

from __future__ import annotations

from mediaserver.calls.commands.bridging import DisconnectCall

from .part import Params


class Disconnect(Params):
    """Parts a call from the one, or the conference, it is joined to; all stay up."""

    def order(self) -> DisconnectCall:
        """See `Params.order`."""
        return DisconnectCall()
