"""Placing a call: the other end of a server, for trying it out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import LocalError, PeerError
from ..sip.events import Answered, Ended, Event, Progressed, Refused, Reinvited
from ..sip.message import Response
from ..sip.session import Session
from ..sip.uri import SipUri
from ..sip.warning import WarningValue
from .agreement import Agreement
from .negotiation import Negotiation
from .ports import Invitation, MediaEngine, MediaLeg, Signalling

ANSWER_TIMEOUT: Final = 60.0
"""Seconds the other side may ring."""

MAX_HEARD: Final = 3600
"""Seconds of what is heard that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlan:
    """What to do once the call is answered."""

    play: NDArray[np.int16] | None = None
    """Samples at 8 kHz."""
    digits: str | None = None
    """DTMF, after what is played; `w` waits half a second."""
    hangup_after: float | None = None
    """Seconds after the answer; None: when everything was played and dialled, or, with nothing to
    play or dial, when the other side hangs up."""
    listen: bool = False
    """Whether to keep what is heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOutcome:
    """How a call of ours went."""

    seconds: float
    """From the answer to the end."""
    ended_by: str
    """`us` or `them`."""
    packets_sent: int
    packets_received: int
    heard: NDArray[np.int16]
    """What the other side said, at 8 kHz; empty unless it was wanted."""


class Caller:
    """Places one call; its owner passes the SIP events on to `handle`."""

    def __init__(
        self,
        signalling: Signalling,
        media: MediaEngine,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """`say` is told in a few words how the call is going."""
        self._signalling = signalling
        self._media = media
        self._say = say
        self._session: Session | None = None
        self._agreement = Agreement(signalling)
        loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[bytes] = loop.create_future()
        self._ended: asyncio.Future[None] = loop.create_future()
        self._heard: list[NDArray[np.int16]] = []
        self._read = 0
        self._leg: MediaLeg | None = None

    def handle(self, event: Event) -> None:
        """Take an event of the SIP agent."""
        match event:
            case Progressed(response=response):
                self._say(f"{response.status} {response.reason}")
            case Answered(body=body):
                if not self._answer.done():
                    self._answer.set_result(body)
            case Refused(status=status, reason=reason, response=response):
                if not self._answer.done():
                    self._answer.set_exception(_refusal(status, reason, response))
            case Reinvited(request=request):
                self._agreement.reinvited(event.session, request.body)
            case Ended():
                if not self._ended.done():
                    self._ended.set_result(None)

    async def call(self, target: SipUri, from_: str, plan: CallPlan) -> CallOutcome:
        """Call `target` and carry out `plan`; LocalError in one sentence if it does not work."""
        leg = self._leg = self._media.open_leg()
        try:
            await self._connect(leg, target, from_)
            began = asyncio.get_running_loop().time()
            if plan.listen:
                leg.listener = self
                self._read = leg.now()
            ended_by = await self._carry_out(leg, plan)
            seconds = asyncio.get_running_loop().time() - began
            self._listen(leg.end())
            statistics = leg.statistics()
        finally:
            leg.close()
            await self._part()
        return CallOutcome(
            seconds=seconds,
            ended_by=ended_by,
            packets_sent=statistics.packets_sent,
            packets_received=statistics.packets_received,
            heard=np.concatenate(self._heard) if self._heard else np.zeros(0, np.int16),
        )

    def on_key(self, digit: str, position: int) -> None:
        """Keys the other side presses are of no interest."""

    def on_advance(self) -> None:
        """Keep what has become final."""
        if self._leg is not None:
            self._listen(self._leg.marks()[1])

    async def _connect(self, leg: MediaLeg, target: SipUri, from_: str) -> None:
        invitation = Invitation(
            from_=f"<{from_}>", offer=lambda hop: self._offer(leg, hop.remote[0])
        )
        session = await self._signalling.invite(target, invitation, self._began)
        self._say(f"calling {target} over {session.hop.transport}")
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                answer = await self._answer
            self._agreement.negotiation.accept(answer)
        except TimeoutError:
            raise LocalError(f"{target} did not answer in {ANSWER_TIMEOUT:g} seconds") from None
        except PeerError as error:
            raise LocalError(f"{target} refused the call: {error}") from None
        except LocalError as error:
            raise LocalError(f"{target}: {error}") from None
        self._say("answered")

    def _began(self, session: Session) -> None:
        self._session = session

    def _offer(self, leg: MediaLeg, signalling_host: str) -> bytes:
        return self._agreement.begin(Negotiation(leg, signalling_host)).offer()

    async def _carry_out(self, leg: MediaLeg, plan: CallPlan) -> str:
        """Play, dial and wait; tell who ended the call."""
        work = asyncio.create_task(self._perform(leg, plan))
        limit = plan.hangup_after
        try:
            async with asyncio.timeout(limit):
                waiting: set[asyncio.Future[None]] = {self._ended}
                if limit is None and (plan.play is not None or plan.digits):
                    waiting.add(work)
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            pass
        finally:
            if not work.done():
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await work
        return "them" if self._ended.done() else "us"

    async def _perform(self, leg: MediaLeg, plan: CallPlan) -> None:
        if plan.play is not None:
            self._say(f"playing {plan.play.size / leg.rate:.1f} s")
            await leg.play(plan.play)
        if plan.digits:
            self._say(f"dialling {len(plan.digits)} digits")
            await leg.send_digits(plan.digits)

    async def _part(self) -> None:
        """Hang up, and wait a moment until the other side knows."""
        if self._session is None:
            return
        self._signalling.hang_up(self._session)
        if self._answer.done() and not self._answer.cancelled() and not self._answer.exception():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2.0):
                    await self._ended

    def _listen(self, upto: int) -> None:
        if self._leg is None or self._leg.listener is None:
            return
        upto = min(upto, self._read + MAX_HEARD * self._leg.rate)
        if upto > self._read:
            self._heard.append(self._leg.read(self._read, upto))
            self._read = upto


def _refusal(status: int, reason: str, response: Response | None) -> PeerError | LocalError:
    """Return what became of an INVITE: a final answer of theirs, or one our own stack made up."""
    if response is not None:
        warning = WarningValue.first(response.headers.get_all("Warning"))
        return PeerError(status, reason if warning is None else f"{reason}: {warning.text}")
    if status == 408:
        return LocalError("nobody answers there")
    return LocalError("nobody can be reached there")
