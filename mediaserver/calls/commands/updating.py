"""Another document for a call, somebody else who is told of its states, or its end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from ..source import Source
from .refusals import CommandRefused
from .state import must_be_answered

if TYPE_CHECKING:
    from ..call import Call


class FinalStatus(StrEnum):
    """What an application may set a call's status to."""

    CANCELED = "canceled"
    """While it was not answered."""
    COMPLETED = "completed"
    """Once it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateCall:
    """Change what becomes of a call. A `status` ends it, so that nothing else matters then."""

    source: Source | None = None
    """Is carried out from now on, in place of what is being carried out."""
    status: FinalStatus | None = None
    status_url: str | None = None
    """Is told of the states that come, in place of whoever was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferCall:
    """Give up what is carried out on a call, and carry out something else."""

    source: Source


async def update_call(call: Call, command: UpdateCall) -> None:
    """See `UpdateCall`."""
    if command.status is FinalStatus.CANCELED:
        if call.answered:
            raise CommandRefused("the call of this id has been answered: it can be completed", "id")
    elif command.status is not None or command.source is not None:
        must_be_answered(call)
    if command.status_url is not None:
        call.watchers.replace_first(command.status_url)
    if command.status is not None:
        call.hang_up("cancel" if command.status is FinalStatus.CANCELED else "hangup")
    elif command.source is not None:
        _hand_over(call, command.source)


async def transfer_call(call: Call, command: TransferCall) -> None:
    """See `TransferCall`."""
    must_be_answered(call)
    _hand_over(call, command.source)


def _hand_over(call: Call, source: Source) -> None:
    """Let a document take a call.

    One that was placed for another leaves that one, whose document goes on as if it had gone. One
    that has another placed for it ends that one, with the document that had it placed.
    """
    if call.bridge is not None and call.bridge.placed is call:
        call.bridge.release()
    call.redirect(replace(source, status_url=source.status_url or call.watchers.first))
