"""`calling.user_event`."""

from __future__ import annotations

from typing import Any

from mediaserver.calls.commands.telling import TellEvent

from .part import Params


class UserEvent(Params):
    """Tells those who are told of the call's states of something else."""

    event: dict[str, Any]

    def order(self) -> TellEvent:
        """See `Params.order`."""
        return TellEvent(event=self.event)
