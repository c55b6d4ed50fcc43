"""Sending the far end of a call elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import ConflictError, LocalError
from ..referring import ReferOrder, Referral
from .refusals import CommandRefused
from .state import must_be_answered

if TYPE_CHECKING:
    from ..call import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferCall:
    """Ask the far end to call somebody else; its callbacks tell how that goes."""

    order: ReferOrder


async def refer_call(call: Call, command: ReferCall) -> None:
    """See `ReferCall`."""
    must_be_answered(call)
    try:
        referral = Referral(call, command.order)
    except (ConflictError, LocalError) as error:
        raise CommandRefused(f"the call of this id takes no REFER now: {error}", "id") from None
    call.spawn(referral.run())
