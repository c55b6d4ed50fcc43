"""What every call is: a session, a media leg, the recordings of it, and an end.

Whatever ends a call from outside (BYE, CANCEL, a lost connection, shutdown) ends the step of the
document in hand: recordings are closed with the last packet that arrived, at once, before anything
is awaited. `inbound` and `outbound` add what differs.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from ..addresses import Network
from ..clock import now_us
from ..errors import PeerError
from ..recording.announcement import Envelope
from ..sip.events import (
    Established,
    InfoReceived,
    ReferAnswered,
    ReferProgressed,
    ReinviteAcknowledged,
    Reinvited,
)
from ..sip.session import Session
from .agreement import Agreement
from .announcer import Announcer
from .background import Background
from .call_state import CallState
from .capture import Capture
from .document_run import DocumentRun
from .ending import CallOver, Ending
from .floor import Floor
from .keys import digit_of
from .ledger import persist
from .leg import CallLeg
from .live_outputs import LiveOutputs
from .negotiation import warning_of
from .playback import Playbacks
from .ports import MediaLeg
from .recording_order import DEFAULT_POLICY, RecordingPolicy
from .recordings import CallRecordings
from .resource import CallRecord
from .script import run_script
from .services import Services
from .source import Source
from .standing import Standing
from .watchers import Watchers

if TYPE_CHECKING:
    from .bridge import Bridge
    from .collecting import Collecting
    from .exchange import Exchange
    from .referring import Referral

T = TypeVar("T")


class Call(ABC):
    """A call, whichever side placed it."""

    def __init__(
        self,
        services: Services,
        exchange: Exchange,
        *,
        direction: str,
        from_: str,
        to: str,
        sip_call_id: str = "",
        parent_id: str | None = None,
        policy: RecordingPolicy = DEFAULT_POLICY,
        allow: tuple[Network, ...] | None = None,
    ) -> None:
        """`policy` is what its route says of its recordings; the rest is as in `CallRecord`.

        `allow` is where its route lets documents be fetched from, as in `DocumentSource`. It holds
        for every document of the call, whoever names it.
        """
        self.id = str(uuid.uuid4())
        self.services = services
        self.exchange = exchange
        self.policy = policy
        self.allow = allow
        self.session: Session | None = None
        self.envelope = Envelope(
            project_id=services.identity.project_id,
            space_id=services.identity.space_id,
            node_id=services.identity.node_id,
            session_id=str(uuid.uuid4()),
        )
        self.answered = False
        self.bridge: Bridge | None = None
        """What joins it to another call."""
        self.referral: Referral | None = None
        """The REFER that is under way."""
        self.floor = Floor()
        self.playbacks = Playbacks(self)
        self.collecting: Collecting | None = None
        """What an application collects of its keys."""
        self.outputs = LiveOutputs()
        """Its taps and streams."""
        self.log = log = structlog.get_logger(__name__).bind(call_id=self.id)
        self.leg = leg = CallLeg(services.journals, services.clock, log)
        # No part of a call keeps the call: without a cycle it is freed when it is over, and not
        # when all objects are gone through next, which is rare (`cli.collector`).
        self.background = Background(
            lambda error: log.error("work of a call failed", exc_info=error)
        )
        self.spawn = self.background.spawn
        self.announcer = Announcer(
            services.outbox, self.envelope, self.id, services.clock, self.spawn
        )
        self.watchers = Watchers(self.announcer, self.id)
        self._agreement = Agreement(services.signalling, self.leg.renew_patience)
        self._over = Ending()
        self.recordings = CallRecordings(
            services.studio, self.envelope, self.id, self._over, lambda: leg.capture, self.spawn
        )
        self._began = services.clock.monotonic()
        self._documents = DocumentRun(self)
        record = CallRecord(
            id=self.id,
            project_id=services.identity.project_id,
            direction=direction,
            from_=from_,
            to=to,
            sip_call_id=sip_call_id,
            created_at=now_us(services.clock),
            parent_id=parent_id,
        )
        self._standing = Standing(
            record, CallState.CREATED, self.watchers, self._over, services.clock
        )

    @property
    def media(self) -> MediaLeg | None:
        """Its leg, once that is open."""
        return self.leg.media

    @property
    def capture(self) -> Capture | None:
        """What listens to its leg."""
        return self.leg.capture

    @property
    def ended(self) -> bool:
        """Whether it is over; its recordings may still be in the making."""
        return self._over.done()

    @property
    def cause(self) -> str | None:
        """Why it is over; None while it is up."""
        return self._over.cause if self._over.done() else None

    @property
    def state(self) -> CallState:
        """How far it is."""
        return self._standing.state

    @property
    def resource(self) -> CallRecord:
        """What the database knows of it, or is about to."""
        return self._standing.record

    @property
    @abstractmethod
    def description(self) -> dict[str, Any]:
        """The `call` object of documents (contracts A9, A10)."""

    # What the world does to the call.

    def over(self, cause: str) -> None:
        """End the call because the other side, or the operator, ended it."""
        if not self._over.come(cause):
            return
        self._let_go()

    def acknowledged(self, event: Established | ReinviteAcknowledged) -> None:
        """Take the ACK, with the answer to our offer if we made one."""
        if self._over.done():
            return
        try:
            self._agreement.acknowledged(event.body)
        except PeerError as error:
            self.log.warning("answer in ACK refused", error=error.reason)
            self.hang_up("error")

    def renegotiate(self, event: Reinvited) -> None:
        """Answer a re-INVITE or UPDATE."""
        if self._over.done():  # our BYE waits for their ACK, and the leg is somebody else's
            self.services.signalling.reject(event.session, 481)
        else:
            self._agreement.reinvited(event.session, event.request.body)

    def info(self, event: InfoReceived) -> None:
        """Take a DTMF digit that came as SIP INFO."""
        digit = digit_of(event.content_type, event.body)
        if not digit or self._over.done() or not self.leg.press(digit):
            return
        if self.bridge is not None:
            self.bridge.on_info(self, digit)

    def referred(self, event: ReferAnswered | ReferProgressed) -> None:
        """Take what the far end says of our REFER."""
        if self.referral is not None:
            self.referral.heard(event)

    # What the call does.

    @abstractmethod
    async def run(self) -> None:
        """See the call through, to its last line in the database."""

    @abstractmethod
    async def answer(self, codecs: tuple[str, ...] = ()) -> int | None:
        """Answer the call, unless that is done.

        Return the position on the leg's line from which on the far end may speak if it can only
        just have been told; else None. `codecs` are the names of those to be spoken, best first;
        none: whatever fits.
        """

    async def established(self) -> None:
        """Wait until the far end has taken the answer in: until then it takes no request.

        CallOver if the call ends before.
        """
        if self.ended:
            raise CallOver

    def ring(self) -> bool:
        """Tell a caller who was not answered that somebody is being rung; False: nobody to tell."""
        return False

    def ring_early(self) -> bool:
        """Let the caller hear us before the call is answered; False where that cannot be."""
        return self.answered

    async def perform(self, source: Source) -> None:
        """Carry a document out beside whatever else the call does; it stays up afterwards."""
        await run_script(self, source, {})

    def redirect(self, source: Source) -> None:
        """Give up the document that is carried out, and carry out another."""
        self._documents.take_over(source)

    async def unless_over(self, step: Awaitable[T]) -> T:
        """See `Ending.unless_over`."""
        return await self._over.unless_over(step)

    async def wait_over(self) -> None:
        """Wait until the call is over."""
        await self._over.wait()

    def hang_up(
        self, cause: str, *, status: int = 480, warning: tuple[int, str] | None = None
    ) -> None:
        """End the call from our side: BYE when it is up, `status` when it was never answered.

        `warning` goes with the latter, as in `Signalling.reject`.
        """
        if not self._over.come(cause):
            return
        self._let_go()
        self._part(status, warning)

    # How it is done.

    @abstractmethod
    def _part(self, status: int, warning: tuple[int, str] | None) -> None:
        """Tell the far end that the call is over."""

    def _begin(self) -> None:
        """Write the call down, and tell that it is there."""
        self.spawn(persist(partial(self.services.calls.add, self.resource)))
        self._standing.tell()

    def _open_media(self) -> MediaLeg:
        if self._over.done():  # cancelled before it began
            raise CallOver
        return self.leg.open(self.services.media.open_leg())

    def _enter(self, state: CallState) -> None:
        """Come to a state, once."""
        if not self._standing.enter(state):
            return
        if state is CallState.ANSWERED:
            self.answered = True
            self.leg.watch(self.services.patience, partial(self.hang_up, "media_timeout"))
        self._standing.tell()

    def _refuse(self, error: PeerError) -> None:
        if self._over.done():
            return
        self.log.warning("call refused", status=error.status, error=error.reason)
        status = error.status if 400 <= error.status < 700 and error.status != 401 else 500
        self.hang_up("error", status=status, warning=warning_of(error))

    def _let_go(self) -> None:
        """Close the leg and tell the watchers; the far end is told even where that fails."""
        self.leg.let_go()
        try:
            self._enter(CallState.ENDED)
        except Exception:
            self.log.exception("state not told")

    async def _wind_up(self) -> None:
        """Wait for what still runs in the background, then write the call's last line."""
        await self.background.finish()
        await self.leg.close_journal()
        cause = self._over.cause
        await persist(partial(self.services.calls.save, self.resource))
        statistics = self.leg.statistics
        self.log.info(
            "call ended",
            caller=self.resource.from_,
            callee=self.resource.to,
            answered=self.answered,
            seconds=round(self.services.clock.monotonic() - self._began, 3),
            cause=cause,
            recordings=self.recordings.begun,
            packets_received=statistics.packets_received if statistics else 0,
            packets_lost=statistics.packets_lost if statistics else 0,
            packets_late=statistics.packets_late if statistics else 0,
            packets_refused=statistics.packets_refused if statistics else 0,
            skew_ppm=statistics.skew_ppm if statistics else None,
            encryption=statistics.encryption if statistics else None,
        )
