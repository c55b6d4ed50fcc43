"""All conferences of the server: a call comes to one by its name, and stays until it leaves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from ..errors import LocalError
from ..recording.resource import Span
from .conference import Conference, Member, NotJoined
from .conference_recording import ConferenceRecording
from .ending import CallOver
from .waiting import wait_for_start

if TYPE_CHECKING:
    from ..swml.actions import JoinConference
    from .call import Call

MAX_NAME: Final = 256
"""Letters in the name of a conference."""


class Conferences:
    """The conferences there are, by project and name."""

    def __init__(self) -> None:
        self._conferences: dict[tuple[str, str], Conference] = {}
        self._recorded: set[Conference] = set()
        """Those that are over, but for their recordings."""
        self._stays: dict[str, tuple[Conference, Member]] = {}

    def __len__(self) -> int:
        return len(self._conferences)

    async def join(self, call: Call, order: JoinConference) -> dict[str, Any]:
        """Let an answered call be a member until it leaves; return the variables.

        CallOver when the call ends meanwhile, or before.
        """
        try:
            conference, member = self._enter(call, order)
        except (NotJoined, LocalError) as error:
            call.log.warning("conference not joined", error=str(error))
            return _result("failed")
        try:
            await self._stay(member)
        finally:
            self._leave(conference, member)
        return _result("completed")

    def leave(self, call: Call) -> bool:
        """End a call's stay; False if it is in no conference. Its `join` returns then."""
        stay = self._stays.get(call.id)
        if stay is not None:
            self._leave(*stay)
        return stay is not None

    def recording(self, call: Call, id: str) -> ConferenceRecording | None:
        """Return what is recorded of the conference that a call is in, by either of its ids."""
        stay = self._stays.get(call.id)
        recording = None if stay is None else stay[0].recording
        return recording if recording is not None and recording.is_called(id) else None

    def stop_stream(self, call: Call, control_id: str) -> bool:
        """End the stream of the conference that a call is in; False if there is none so called."""
        stay = self._stays.get(call.id)
        stream = None if stay is None else stay[0].stream
        return stream is not None and stream.stop(control_id)

    def journals_in_use(self) -> dict[str, list[Span]]:
        """Return the journals of recorded conferences, as `Registry.journals_in_use` does."""
        found: dict[str, list[Span]] = {}
        for conference in (*self._conferences.values(), *self._recorded):
            if conference.recording is not None:
                found[conference.recording.folder] = conference.recording.unsettled
        return found

    def _enter(self, call: Call, order: JoinConference) -> tuple[Conference, Member]:
        if call.ended:
            raise CallOver
        if not 0 < len(order.name) <= MAX_NAME:
            raise NotJoined(f"name: a conference has one of 1 to {MAX_NAME} letters")
        if call.id in self._stays:
            raise NotJoined("the call is in a conference")
        key = call.envelope.project_id, order.name
        conference = self._conferences.get(key)
        if conference is None:
            if order.coach is not None:
                raise NotJoined(f"coach: there is no conference {order.name!r}")
            conference = self._conferences[key] = Conference(call, order)
        member = conference.enter(call, order)
        self._stays[call.id] = conference, member
        return conference, member

    async def _stay(self, member: Member) -> None:
        call = member.call
        if not member.begun.is_set():
            playing = asyncio.ensure_future(wait_for_start(call, member.order.wait_url))
            begins = (
                asyncio.ensure_future(member.begun.wait()),
                asyncio.ensure_future(member.left.wait()),
            )
            try:
                await call.unless_over(_first(playing, *begins))
            finally:
                for task in (playing, *begins):
                    task.cancel()
                fault, *_ = await asyncio.gather(playing, *begins, return_exceptions=True)
            if isinstance(fault, Exception):
                call.log.error("hold music failed", exc_info=fault)
        await call.unless_over(member.left.wait())

    def _leave(self, conference: Conference, member: Member) -> None:
        conference.leave(member)
        if self._stays.get(member.call.id) == (conference, member):
            del self._stays[member.call.id]
        if not conference.ended:
            return
        key = conference.project_id, conference.name
        if self._conferences.get(key) is conference:
            del self._conferences[key]
            if conference.recording is not None:
                self._recorded.add(conference)
                conference.recording.when_finished(lambda: self._recorded.discard(conference))


async def _first(*tasks: asyncio.Future[Any]) -> None:
    """Wait until one of `tasks` is over."""
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


def _result(result: str) -> dict[str, Any]:
    return {"join_conference_result": result, "return_value": result}
