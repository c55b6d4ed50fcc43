"""All calls of the server: who is let in, which call an event belongs to, and the end of all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from ..errors import LocalError, PeerError
from ..recording.resource import Span
from ..sdp.refusal import WarnCode
from ..sip.events import (
    Answered,
    Cancelled,
    Ended,
    Established,
    Event,
    InfoReceived,
    Invited,
    Progressed,
    ReferAnswered,
    ReferProgressed,
    Refused,
    ReinviteAcknowledged,
    Reinvited,
    TargetRefused,
)
from ..sip.uri import SipUri
from .admission import RETRY_AFTER, Admission
from .call import Call
from .document_source import DocumentSource
from .exchange import DialOrder
from .inbound import InboundCall
from .outbound import OutboundCall
from .recording_order import DEFAULT_POLICY, RecordingPolicy
from .resource import CallRecord
from .services import Services
from .source import Source

LAST_WORK: Final = 20.0
"""Seconds that the recordings of ended calls are given to be finished at shutdown."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Route:
    """Which document a call gets, and who hears of faults in it."""

    document: DocumentSource
    status_url: str | None = None
    recording: RecordingPolicy = DEFAULT_POLICY


class Registry:
    """Makes a call of every INVITE that is let in, places others, passes events on to them.

    See `Exchange` for what calls ask of it.
    """

    def __init__(
        self, services: Services, route: Callable[[str, str], Route | None], admission: Admission
    ) -> None:
        """`route` returns the route for the users of the request URI and of From, or None."""
        self._services = services
        self._route = route
        self._admission = admission
        self._calls: dict[str, Call] = {}
        """By their own ids."""
        self._sessions: dict[str, Call] = {}
        """By the ids of their sessions."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self.draining = False
        self.total = 0
        """Calls let in since the start."""

    @property
    def active(self) -> int:
        """Calls whose document is being carried out, or whose recordings are being finished."""
        return len(self._tasks)

    def find(self, call_id: str) -> Call | None:
        """Return the call of an id, while it is up."""
        return self._calls.get(call_id)

    def records(self) -> list[CallRecord]:
        """Return what is known of the calls there are."""
        return [call.resource for call in self._calls.values()]

    def journals_in_use(self) -> dict[str, list[Span]]:
        """Return the journals of the calls there are, each with what of it is not yet settled."""
        return {
            call.capture.folder: call.recordings.unsettled
            for call in self._calls.values()
            if call.capture is not None
        }

    def refusal(self, now: float) -> int | None:
        """Return the seconds after which a new caller may try again; None: it would be let in.

        For whoever can refuse it before there is a session.
        """
        if self.draining:
            return RETRY_AFTER
        before = self._admission.overloaded
        wait = self._admission.refusal(now, self.active)
        if (overloaded := self._admission.overloaded) is not before:
            say = log.warning if overloaded else log.info
            say("overloaded" if overloaded else "no longer overloaded", calls=self.active)
        return wait

    def handle(self, event: Event) -> None:
        """Take an event of the SIP agent."""
        if isinstance(event, Invited):
            self._invited(event)
            return
        if isinstance(event, TargetRefused):
            _tell_refused(event)
            return
        call = self._sessions.get(event.session.id)
        if call is None:
            if isinstance(event, Reinvited):
                self._services.signalling.reject(event.session, 481)
            return
        _pass_on(call, event)

    async def drain(self, grace: float) -> None:
        """Let no call in any more; wait `grace` seconds for the calls there are, then end them."""
        self.draining = True
        try:
            async with asyncio.timeout(grace):
                await self._empty.wait()
        except TimeoutError:
            log.warning("calls ended by shutdown", calls=len(self._calls))
            for call in list(self._calls.values()):
                call.hang_up("shutdown", status=503)
            await self._finish_all()

    async def _finish_all(self) -> None:
        """Wait for what ended calls still write and render; a restart completes what is cut off."""
        try:
            async with asyncio.timeout(LAST_WORK):
                await self._empty.wait()
        except TimeoutError:
            log.error("recordings left for the next start", calls=len(self._tasks))
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _invited(self, event: Invited) -> None:
        signalling = self._services.signalling
        now = self._services.clock.monotonic()
        if (wait := self.refusal(now)) is not None:
            signalling.reject(event.session, 503, retry_after=wait)
            return
        route = self._route(_user(event.request.uri), _user(str(event.request.from_.uri)))
        if route is None:
            log.warning("no route for call", callee=_user(event.request.uri))
            warning = (WarnCode.OTHER, "this server has no route for the number or name called")
            signalling.reject(event.session, 404, warning=warning)
            return
        try:
            source = Source(route.document, route.status_url)
            call = InboundCall(
                self._services, self, event.session, event.request, source, route.recording
            )
        except Exception:
            signalling.reject(event.session, 500)
            raise
        self._admission.admitted(now)
        self.began(call)
        self._run(call)

    def place(self, order: DialOrder, script: Source | None = None) -> OutboundCall:
        """See `Exchange.place`."""
        now = self._services.clock.monotonic()
        if self.refusal(now) is not None:
            raise LocalError("this server takes on no more calls now")
        call = OutboundCall(self._services, self, order, script)
        self._admission.admitted(now)
        self._run(call)
        return call

    def began(self, call: Call) -> None:
        """See `Exchange.began`."""
        assert call.session is not None
        self._sessions[call.session.id] = call

    def _run(self, call: Call) -> None:
        self.total += 1
        self._calls[call.id] = call
        task = asyncio.create_task(call.run())
        self._tasks.add(task)
        self._empty.clear()
        task.add_done_callback(lambda done: self._done(done, call))

    def _done(self, task: asyncio.Task[None], call: Call) -> None:
        self._tasks.discard(task)
        self._calls.pop(call.id, None)
        if call.session is not None:
            self._sessions.pop(call.session.id, None)
        if not self._tasks:
            self._empty.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("call task failed", exc_info=task.exception())


def _tell_refused(event: TargetRefused) -> None:
    log.warning(
        "the peer's Contact or Record-Route leads inside and is not followed; "
        "outbound.allow could allow it",
        sip_call_id=event.session.invite.call_id,
        address=event.target.remote[0],
        port=event.target.remote[1],
        sent_to=event.spoken.remote[0],
    )


def _pass_on(call: Call, event: Event) -> None:
    """Tell a call what happened to its session."""
    match event:
        case Established() | ReinviteAcknowledged():
            call.acknowledged(event)
        case Reinvited():
            call.renegotiate(event)
        case InfoReceived():
            call.info(event)
        case ReferAnswered() | ReferProgressed():
            call.referred(event)
        case Progressed() if isinstance(call, OutboundCall):
            call.progressed(event)
        case Answered() if isinstance(call, OutboundCall):
            call.was_answered(event)
        case Refused() if isinstance(call, OutboundCall):
            call.refused(event)
        case Cancelled():
            call.over("cancel")
        case Ended():
            call.over(event.cause.value)


def _user(uri: str) -> str:
    """Return the user part of a SIP URI, or of a tel URI its number; empty if there is none."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() == "tel":
        return rest.partition(";")[0]
    try:
        return SipUri.parse(uri).user_text or ""
    except PeerError:
        return ""
