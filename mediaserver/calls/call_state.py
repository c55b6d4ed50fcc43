"""How far a call is, and who is told of it (contract A12, `calling.call.state`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final


class CallState(StrEnum):
    """How far a call is, as callbacks spell it."""

    CREATED = "created"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class StateWatch:
    """Who wants to be told of which states."""

    url: str
    events: frozenset[str] = frozenset({CallState.ENDED})


END_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "hangup": "hangup",
        "remote_bye": "hangup",
        "local_bye": "hangup",
        "shutdown": "hangup",
        "max_duration": "hangup",
        "cancel": "cancel",
        "busy": "busy",
        "no_answer": "no_answer",
        "noAnswer": "no_answer",
        "decline": "declined",
    }
)
"""Why a call ended, by the cause noted here; whatever is not listed is an error (contract D14)."""


def end_reason(cause: str) -> str:
    """Return the `end_reason` of a state callback."""
    return END_REASONS.get(cause, "error")


def device_of(from_: str, to: str) -> dict[str, Any]:
    """Return the `device` of a call between two SIP addresses."""
    return {"type": "sip", "params": {"from": from_, "to": to}}
