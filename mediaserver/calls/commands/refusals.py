"""Why a command was not carried out."""

from __future__ import annotations

from ...errors import ConflictError, PeerError


class NotThere(PeerError):
    """There is no such call, or nothing of that control id runs on it."""

    def __init__(self, what: str) -> None:
        super().__init__(404, f"{what} not found")


class CommandRefused(PeerError):
    """The call is there, but what was asked of it cannot be done as things stand."""

    def __init__(self, reason: str, attribute: str | None = None) -> None:
        """`attribute` names the parameter that would have to be another."""
        super().__init__(422, reason)
        self.attribute = attribute


def conflicting(error: ConflictError) -> CommandRefused:
    """Return the refusal for a control id that is in use, or for too much that runs already."""
    told = str(error)
    return CommandRefused(told, "control_id" if told.startswith("control_id:") else None)
