"""What one call and its far end have agreed on: the first offer and answer, and every later one.

A re-INVITE, or UPDATE, may put the call on hold, take it up again, or move its media elsewhere
(RFC 3261 14, RFC 3264 8). One that cannot be accepted leaves all as it was.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from ..errors import PeerError
from ..sdp.refusal import WarnCode
from ..sip.session import Session
from .negotiation import Negotiation, warning_of
from .ports import Signalling

log = structlog.get_logger(__name__)


class Agreement:
    """Holds the `Negotiation` of a call's leg, from the moment one side is to make an offer."""

    def __init__(self, signalling: Signalling, changed: Callable[[], None] = lambda: None) -> None:
        """`changed` is called when the far end has changed it, or taken our offer in its ACK."""
        self._signalling = signalling
        self._changed = changed
        self._negotiation: Negotiation | None = None

    @property
    def begun(self) -> bool:
        """Whether there is anything to agree on yet."""
        return self._negotiation is not None

    @property
    def negotiation(self) -> Negotiation:
        """The offers and answers of the call; it must have `begun`."""
        assert self._negotiation is not None
        return self._negotiation

    def begin(self, negotiation: Negotiation) -> Negotiation:
        """Begin to agree, or begin again with the next hop that is tried."""
        self._negotiation = negotiation
        return negotiation

    def acknowledged(self, answer: bytes) -> None:
        """Take the body of an ACK: the answer to our offer, if we made one.

        PeerError if it does not fit.
        """
        if answer and self.begun:
            self.negotiation.accept(answer)
            self._changed()

    def reinvited(self, session: Session, offer: bytes) -> None:
        """Answer the offer of a re-INVITE or UPDATE, or refuse it."""
        if not self.begun:
            unready = (WarnCode.OTHER, "there is no media yet that could be agreed on")
            self._signalling.reject(session, 488, warning=unready)
            return
        try:
            self._signalling.answer(session, self.negotiation.respond(offer))
            self._changed()
        except PeerError as error:
            log.warning(
                "offer refused",
                sip_call_id=session.invite.call_id,
                status=error.status,
                error=error.reason,
            )
            self._signalling.reject(session, error.status, warning=warning_of(error))
