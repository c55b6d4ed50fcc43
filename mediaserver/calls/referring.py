"""Sending the far end of a call elsewhere by REFER, and hearing how that goes (RFC 3515)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConflictError
from ..sip.digest import Credentials
from ..sip.events import ReferAnswered, ReferProgressed
from .ending import CallOver

if TYPE_CHECKING:
    from .call import Call


MAX_WAIT: Final = 180.0
"""Seconds the far end is given to say what came of it: who is rung is rung for no longer."""


class ReferState(StrEnum):
    """How far a REFER is, or what it came to, as callbacks spell it."""

    IN_PROGRESS = "inProgress"
    """The far end has taken it on."""
    SUCCESS = "success"
    BUSY = "busy"
    NO_ANSWER = "noAnswer"
    CANCEL = "cancel"
    """Whoever was called, or the call itself, was given up before it was known."""
    ERROR = "error"


_OUTCOMES: Final[Mapping[int, ReferState]] = MappingProxyType(
    {
        408: ReferState.NO_ANSWER,
        480: ReferState.NO_ANSWER,
        486: ReferState.BUSY,
        487: ReferState.CANCEL,
        600: ReferState.BUSY,
    }
)
"""By the answer that the far end got; 2xx is success, and whatever is not listed an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferOrder:
    """Where the far end is to go."""

    to: str
    """A SIP URI."""
    credentials: Credentials | None = None
    """For a challenge of the far end."""
    status_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Referred:
    """What became of it."""

    state: ReferState
    response: int | None = None
    """The status the REFER was answered with."""
    notified: int | None = None
    """The last status that the far end said it got itself."""

    def params(self, to: str) -> dict[str, Any]:
        """Return what a callback says of it; statuses are texts, as in the contract's SDKs."""
        told: dict[str, Any] = {"state": self.state.value, "sip_refer_to": to}
        if self.response is not None:
            told["sip_refer_response_code"] = str(self.response)
        if self.notified is not None:
            told["sip_notify_response_code"] = str(self.notified)
        return told


class Referral:
    """The REFER that is under way on a call."""

    def __init__(self, call: Call, order: ReferOrder) -> None:
        """Send it. ConflictError while another is under way, LocalError if it cannot be sent."""
        if call.referral is not None:
            raise ConflictError("a REFER is under way on this call already")
        assert call.session is not None
        self._call = call
        self._order = order
        self._response: int | None = None
        self._notified: int | None = None
        self._outcome: asyncio.Future[ReferState] = asyncio.get_running_loop().create_future()
        call.referral = self
        try:
            call.services.signalling.refer(
                call.session, f"<{order.to}>", credentials=order.credentials
            )
        except BaseException:
            call.referral = None
            raise

    def heard(self, event: ReferAnswered | ReferProgressed) -> None:
        """Take what the far end says of it."""
        if self._outcome.done():
            return
        if isinstance(event, ReferAnswered):
            self._response = event.status
            if event.status >= 300:
                self._outcome.set_result(ReferState.ERROR)
            elif self._notified is None:
                self._tell(ReferState.IN_PROGRESS)
            return
        self._notified = event.status
        if event.final:
            success = 200 <= event.status < 300
            self._outcome.set_result(
                ReferState.SUCCESS if success else _OUTCOMES.get(event.status, ReferState.ERROR)
            )

    async def run(self) -> Referred:
        """Return what became of it, which is told by then; NO_ANSWER after `MAX_WAIT`."""
        try:
            async with asyncio.timeout(MAX_WAIT):
                state = await self._call.unless_over(asyncio.shield(self._outcome))
        except TimeoutError:
            state = ReferState.NO_ANSWER
        except CallOver:
            state = self._outcome.result() if self._outcome.done() else ReferState.CANCEL
        finally:
            self._call.referral = None
        return self._tell(state)

    def _tell(self, state: ReferState) -> Referred:
        referred = Referred(state=state, response=self._response, notified=self._notified)
        if self._order.status_url is not None:
            self._call.announcer.say(
                "calling.call.refer",
                referred.params(self._order.to),
                self._order.status_url,
                f"{self._call.id}-refer",
            )
        return referred
