"""The end of a call, whoever placed it and however far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..call import Call


class EndReason(StrEnum):
    """Why an application ends a call, as the REST API spells it (contracts A4, D14)."""

    HANGUP = "hangup"
    CANCEL = "cancel"
    BUSY = "busy"
    NO_ANSWER = "noAnswer"
    DECLINE = "decline"
    ERROR = "error"


REFUSALS: Final[Mapping[EndReason, int]] = MappingProxyType(
    {EndReason.BUSY: 486, EndReason.DECLINE: 603, EndReason.ERROR: 500}
)
"""What a caller who was not answered yet is told; 480 for the other reasons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCall:
    """End a call: BYE when it is up, CANCEL where we call, a refusal where we are called."""

    reason: EndReason = EndReason.HANGUP


async def end_call(call: Call, command: EndCall) -> None:
    """See `EndCall`."""
    call.hang_up(command.reason.value, status=REFUSALS.get(command.reason, 480))
