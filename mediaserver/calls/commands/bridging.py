"""Calls that are joined, parted without an end of any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .refusals import CommandRefused

if TYPE_CHECKING:
    from ..call import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectCall:
    """Part a call from the one it is joined to, or from the conference it is in."""


async def disconnect_call(call: Call, _command: DisconnectCall) -> None:
    """See `DisconnectCall`.

    The document that joined them goes on with what follows `connect` or `join_conference`; a call
    that was placed stays up until somebody ends it.
    """
    bridge = call.bridge
    if bridge is None and call.services.conferences.leave(call):
        return
    if bridge is None or not (call.answered and bridge.other(call).answered):
        raise CommandRefused(
            "the call of this id is neither joined to another one nor in a conference", "id"
        )
    bridge.release()
