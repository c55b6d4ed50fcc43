"""A call that somebody placed to us."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from ..errors import LocalError, PeerError
from ..sip.events import Established, ReinviteAcknowledged
from ..sip.message import Request
from ..sip.session import Session
from .call import Call
from .call_state import CallState
from .description import describe_call
from .encryption import make_ready
from .ending import CallOver
from .exchange import Exchange
from .negotiation import Negotiation
from .ports import MediaLeg
from .recording_order import DEFAULT_POLICY, RecordingPolicy
from .services import Services
from .source import Source

ANSWER_WAIT: Final = 32.0
"""Seconds that the answer to an offer of ours may take to come with the ACK (64 * T1)."""

ACK_WAIT: Final = 0.05
"""Seconds an ACK may have waited to be read, while the voice behind it was already coming."""


class InboundCall(Call):
    """See `Call`. It is refused, or answered, by the document of its route."""

    session: Session

    def __init__(
        self,
        services: Services,
        exchange: Exchange,
        session: Session,
        request: Request,
        source: Source,
        policy: RecordingPolicy = DEFAULT_POLICY,
    ) -> None:
        """`source` is the document of its route, `policy` what that says of recordings."""
        super().__init__(
            services,
            exchange,
            direction="inbound",
            from_=str(request.from_.uri),
            to=str(request.to.uri),
            # A Call-ID may hold any octets; a database takes text.
            sip_call_id=request.call_id.encode("utf-8", "replace").decode(),
            policy=policy,
            allow=source.allow,
        )
        self.session = session
        self.request = request
        self.acknowledged_at: int | None = None
        """Position on the leg's line at which the first ACK was read."""
        self._source = source
        self._answer_body = b""
        self._acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def description(self) -> dict[str, Any]:
        """See `Call.description`."""
        return describe_call(self.id, self.request, self.services.identity)

    def acknowledged(self, event: Established | ReinviteAcknowledged) -> None:
        """See `Call.acknowledged`; the first one means that the caller hears us."""
        if self.ended:
            return
        super().acknowledged(event)
        if not self._acknowledged.done():
            # The answer in it may have been no use: then the leg is closed.
            if self.media is not None and not self.ended:
                self.acknowledged_at = self.media.now()
            self._acknowledged.set_result(None)

    async def run(self) -> None:
        """Carry out the document of its route; the call ends after the last step."""
        self._begin()
        try:
            await make_ready(self.services.encryption, self.request.body)
            media = self._open_media()
            await self._until_spoken(media)
            await self._documents.carry_out(self._source)
        except CallOver:
            pass
        except PeerError as error:
            self._refuse(error)
        except LocalError as error:
            self.log.error("call refused", error=str(error))
            self.hang_up("error", status=503)
        except Exception:
            self.log.exception("call failed")
            self.hang_up("error", status=500)
        finally:
            self.hang_up("hangup")
            await self._wind_up()

    def ring(self) -> bool:
        """See `Call.ring`."""
        if self.answered or self.ended:
            return False
        self.services.signalling.ring(self.session)
        self._enter(CallState.RINGING)
        return True

    def ring_early(self) -> bool:
        """See `Call.ring_early`: that takes an offer in the INVITE."""
        if not self.answered and self.request.body:
            self.services.signalling.ring(self.session, status=183, body=self._answer_body)
            self._enter(CallState.RINGING)
            return True
        return self.answered

    async def answer(self, codecs: tuple[str, ...] = ()) -> int | None:
        """See `Call.answer`; with an offer of ours, wait for the far end's answer."""
        if self.answered or self.media is None:
            return None
        if self.ended:
            raise CallOver
        answered_at = self.media.now()
        if codecs:
            self._agreement.negotiation.limit(codecs)
            self._answer_body = self._agreement.negotiation.respond(self.request.body)
            await self._until_spoken(self.media)
        self._enter(CallState.ANSWERED)
        self.services.signalling.answer(self.session, self._answer_body)
        if self.request.body:
            return answered_at
        try:
            async with asyncio.timeout(ANSWER_WAIT):
                await self.unless_over(asyncio.shield(self._acknowledged))
        except TimeoutError:
            self.hang_up("ack_timeout")
            raise CallOver from None
        # The offer was ours: it speaks from its ACK on, which may have taken seconds.
        assert self.acknowledged_at is not None
        return max(answered_at, self.acknowledged_at - round(ACK_WAIT * self.media.rate))

    async def established(self) -> None:
        """See `Call.established`; a call whose ACK does not come is ended."""
        await self.unless_over(asyncio.shield(self._acknowledged))

    async def _until_spoken(self, media: MediaLeg) -> None:
        """Wait for the codec that was agreed on, if it is the first call of this server with it."""
        loading = media.loading()
        if loading is not None:
            await self.unless_over(loading)

    def _open_media(self) -> Any:
        """Open the leg and answer the offer in mind: an offer that cannot be met is refused now."""
        media = super()._open_media()
        signalling_host = self.session.invite_hop.remote[0]
        services = self.services
        negotiation = Negotiation(media, signalling_host, services.encryption, services.codecs)
        self._answer_body = self._agreement.begin(negotiation).respond(self.request.body)
        return media

    def _part(self, status: int, warning: tuple[int, str] | None) -> None:
        if self.answered:
            self.services.signalling.hang_up(self.session)
        else:
            self.services.signalling.reject(self.session, status, warning=warning)
