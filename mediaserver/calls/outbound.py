"""A call that we place: for a call that is connected on, or because an application dialled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from ..errors import LocalError, PeerError
from ..sip.address import Address
from ..sip.events import Answered, Progressed, Refused
from ..sip.hop import Hop
from ..sip.session import Session
from ..sip.warning import WarningValue
from .call import Call
from .call_state import CallState
from .description import describe_placed
from .encryption import make_ready
from .ending import CallOver
from .exchange import DialOrder, Exchange
from .negotiation import Negotiation
from .ports import Invitation
from .services import Services
from .source import Source
from .steps.send_digits import dial

CAUSES: Final[Mapping[int, str]] = MappingProxyType(
    {486: "busy", 600: "busy", 408: "no_answer", 480: "no_answer", 487: "cancel", 603: "decline"}
)
"""What an INVITE was answered with, as the cause of a call's end; all others are errors."""


class OutboundCall(Call):
    """See `Call`."""

    def __init__(
        self,
        services: Services,
        exchange: Exchange,
        order: DialOrder,
        source: Source | None = None,
    ) -> None:
        """Without a `source` the call stays up until somebody ends it."""
        super().__init__(
            services,
            exchange,
            direction="outbound-api" if order.api else "outbound",
            from_=str(order.from_),
            to=order.to,
            parent_id=order.parent.id if order.parent is not None else None,
            policy=order.policy,
            allow=order.parent.allow if order.parent is not None else None,
        )
        self.order = order
        self.early = False
        """Whether the far end lets us hear something before it answers."""
        self.refusal: tuple[int, str] | None = None
        """Status and reason it was refused with."""
        self.on_answer: Callable[[], None] | None = None
        """Called when it is answered, before anything is heard that comes after that."""
        self.progress = asyncio.Event()
        """Set when it rings, when it lets us hear something, when it answers and at the end."""
        self._source = source
        self._answered_at: int | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self.redirected = asyncio.Event()
        """Set once it was given another document: it is nobody's peer from then on."""
        if order.watch is not None:
            self.watchers.add(order.watch)

    @property
    def description(self) -> dict[str, Any]:
        """See `Call.description`."""
        return describe_placed(self)

    # What the far end does.

    def progressed(self, event: Progressed) -> None:
        """Take a provisional response."""
        if self.ended or self.answered or not self._agreement.begun:
            return
        if event.response.body:
            try:
                self._agreement.negotiation.preview(event.response.body)
                self.early = True
            except PeerError as error:
                self.log.warning("early media refused", error=error.reason)
        self._enter(CallState.RINGING)
        self.progress.set()

    def was_answered(self, event: Answered) -> None:
        """Take the 200."""
        if self.ended or self.answered:
            return
        assert self.media is not None
        if self._deadline is not None:
            self._deadline.cancel()
        self._enter(CallState.ANSWERED)
        try:
            self._agreement.negotiation.accept(event.body)
        except PeerError as error:
            self.log.warning("answer refused", error=error.reason)
            self.hang_up("error")
            return
        self._answered_at = self.media.now()
        if self.on_answer is not None:
            self.on_answer()
        self.progress.set()

    def refused(self, event: Refused) -> None:
        """Take the final answer that is none."""
        if self.refusal is None:
            self.refusal = (event.status, event.reason)
        if event.response is not None:
            warning = WarningValue.first(event.response.headers.get_all("Warning"))
            if warning is not None:
                self.log.warning("refused there", status=event.status, why=warning.text)
        self.over(CAUSES.get(event.status, "error"))

    # What the call does.

    async def run(self) -> None:
        """Ring, carry out the document there may be, and stay until the end."""
        self._begin()
        try:
            await make_ready(self.order.encryption)
            await self._invite()
            while not self.answered:
                self.progress.clear()
                await self.unless_over(self.progress.wait())
            if self.order.digits:
                await dial(self, self.order.digits)
            if self._source is not None:
                await self._documents.carry_out(self._source, dict(self.order.envs))
            else:
                await self._stay()
        except CallOver:
            pass
        except PeerError as error:
            self._refuse(error)
        except LocalError as error:
            self.refusal = (503, str(error))
            self.log.error("call not placed", error=str(error))
            self.hang_up("error")
        except Exception:
            self.log.exception("call failed")
            self.hang_up("error")
        finally:
            self.hang_up("hangup")
            self.progress.set()
            await self._wind_up()

    def redirect(self, source: Source) -> None:
        """See `Call.redirect`."""
        super().redirect(source)
        self.redirected.set()

    async def answer(self, codecs: tuple[str, ...] = ()) -> int | None:
        """See `Call.answer`: it is the far end that answers, and speaks from then on."""
        if self.ended:
            raise CallOver
        position, self._answered_at = self._answered_at, None
        return position

    async def decided(self) -> bool:
        """Wait until the call is answered, or will never be; tell whether it is."""
        while not self.answered and not self.ended:
            self.progress.clear()
            try:
                await self.unless_over(self.progress.wait())
            except CallOver:
                break
        return self.answered and not self.ended

    async def _invite(self) -> None:
        """Send the INVITE; LocalError when it leads nowhere."""
        self._open_media()
        order = self.order
        shown = Address(order.from_, order.from_name)
        self._deadline = asyncio.get_running_loop().call_later(order.timeout, self._unanswered)
        invitation = Invitation(
            from_=str(shown),
            headers=order.headers,
            credentials=order.credentials,
            session_interval=order.session_interval,
            offer=self._offer,
        )
        try:
            await self.unless_over(
                self.services.signalling.invite(order.target, invitation, self._invited)
            )
        except CallOver:
            if self.session is not None:
                self.services.signalling.hang_up(self.session)
            raise

    def _unanswered(self) -> None:
        self.refusal = (408, f"not answered within {self.order.timeout:g} s")
        self.hang_up("no_answer")

    def _offer(self, hop: Hop) -> bytes:
        assert self.media is not None
        negotiation = self._agreement.begin(
            Negotiation(self.media, hop.remote[0], self.order.encryption, self.services.codecs)
        )
        if self.order.codecs:
            negotiation.limit(self.order.codecs)
        return negotiation.offer()

    def _invited(self, session: Session) -> None:
        self.session = session
        self._standing.placed(session.invite.call_id)
        self.exchange.began(self)

    async def _stay(self) -> None:
        """Stay until the end, carrying out what documents the call is given meanwhile."""
        await self.unless_over(self.redirected.wait())
        await self._documents.carry_out(None, dict(self.order.envs))

    def _let_go(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super()._let_go()
        self.progress.set()

    def _part(self, status: int, warning: tuple[int, str] | None) -> None:
        if self.session is not None:
            self.services.signalling.hang_up(self.session)
