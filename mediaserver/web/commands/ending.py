"""`calling.end`."""

from __future__ import annotations

from typing import Literal

from mediaserver.calls.commands.ending import EndCall, EndReason

from .part import Params


class End(Params):
    """Ends a call, however far it is."""

    reason: Literal["hangup", "cancel", "busy", "noAnswer", "decline", "error"] = "hangup"

    def order(self) -> EndCall:
        """See `Params.order`."""
        return EndCall(reason=EndReason(self.reason))
