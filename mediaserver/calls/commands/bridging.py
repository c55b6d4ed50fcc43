"""Two calls that are joined, parted without an end of either."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .refusals import CommandRefused

if TYPE_CHECKING:
    from ..call import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectCall:
    """Part a call from the one it is joined to."""


async def disconnect_call(call: Call, _command: DisconnectCall) -> None:
    """See `DisconnectCall`.

    The document that joined them goes on with what follows `connect`; the call that it placed
    stays up until somebody ends it.
    """
    bridge = call.bridge
    if bridge is None or not (call.answered and bridge.other(call).answered):
        raise CommandRefused("the call of this id is not joined to another one", "id")
    bridge.release()
