"""Who is told what becomes of a conference (contract A8 `join_conference`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from .announcer import Announcer, Spawn

if TYPE_CHECKING:
    from ..swml.actions import JoinConference
    from .call import Call

EVENTS: Final = {
    "conference-start": "start",
    "conference-end": "end",
    "participant-join": "join",
    "participant-leave": "leave",
    "participant-mute": "mute",
    "participant-hold": "hold",
    "participant-unhold": "hold",
}
"""What is told of a conference, and what `status_callback_event` calls it."""


class ConferenceWatchers:
    """Those who watch one conference: the one its first member with a `status_callback` named,
    and the one that the opener's order names for the recording.
    """

    def __init__(
        self,
        conference_id: str,
        opener: Call,
        order: JoinConference,
        size: Callable[[], int],
        spawn: Spawn,
    ) -> None:
        """`size` returns how many members there are; `spawn` is as in `Announcer`."""
        self._id = conference_id
        self._opener = opener
        self._order = order
        self._size = size
        self._spawn = spawn
        self._listener: tuple[Announcer, JoinConference] | None = None
        self._recorder = self._announcer(opener)

    def add(self, call: Call, order: JoinConference) -> None:
        """Tell whom this member's order names of all from now on, unless somebody is told."""
        if self._listener is None and order.status_callback:
            self._listener = self._announcer(call), order

    def tell(self, status: str, call: Call, facts: dict[str, Any]) -> None:
        """Tell of one of EVENTS, if it is wanted: what it is, and which call it is about."""
        if self._listener is None:
            return
        announcer, order = self._listener
        wanted = order.status_callback_event
        if order.status_callback and (not wanted or EVENTS[status] in wanted):
            announcer.say(
                "calling.conference",
                self._params(status, call) | facts,
                order.status_callback,
                self._id,
                order.status_callback_method,
            )

    def tell_recording(self, event: str, status: str, facts: dict[str, Any]) -> None:
        """Tell of the recording; `event` is what `recording_status_callback_event` calls it."""
        order = self._order
        wanted = order.recording_status_callback_event
        if order.recording_status_callback and (not wanted or event in wanted):
            self._recorder.say(
                "calling.conference",
                self._params(status, self._opener) | facts,
                order.recording_status_callback,
                f"{self._id}-record",
                order.recording_status_callback_method,
            )

    def _params(self, status: str, call: Call) -> dict[str, Any]:
        params: dict[str, Any] = {
            "call_id": call.id,
            "name": self._order.name,
            "conference_id": self._id,
            "status": status,
            "size": self._size(),
        }
        if self._order.region is not None:
            params["region"] = self._order.region
        return params

    def _announcer(self, call: Call) -> Announcer:
        services = call.services
        return Announcer(services.outbox, call.envelope, call.id, services.clock, self._spawn)
