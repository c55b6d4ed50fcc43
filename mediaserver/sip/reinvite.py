"""Our INVITEs within a dialog, and the ACKs of all our INVITEs (RFC 3261 13.2.2.4, 14.1)."""

from __future__ import annotations

from mediaserver.errors import LocalError
from mediaserver.sip.core import (
    ACCEPT,
    ALLOW,
    SDP,
    SUPPORTED,
    AgentCore,
    Fields,
    credentials_of,
    fraction,
)
from mediaserver.sip.events import ReinviteAnswered, ReinviteRefused
from mediaserver.sip.message import Response
from mediaserver.sip.outcome import ends_dialog, status_of
from mediaserver.sip.session import SentAck, Session, SessionState
from mediaserver.sip.session_timer import SessionTimers
from mediaserver.sip.transaction import Failure

MAX_GLARES = 5
"""So many 491 in a row and the re-INVITE has failed."""

BUSY_WAIT = 2.0
"""Seconds until a re-INVITE is tried again that we could not even send."""


class Reinvite:
    """Offers of ours in calls that are up."""

    def __init__(self, core: AgentCore) -> None:
        self._core = core
        self.timers = SessionTimers(core, self.refresh)

    def refresh(self, session: Session, body: bytes, now: float) -> None:
        """Offer again what holds already, which is no news for the application (RFC 4028 7.4)."""
        self.reinvite(session, body, now, quiet=True)

    def reinvite(self, session: Session, body: bytes, now: float, *, quiet: bool = False) -> None:
        """See `Agent.reinvite`; no event tells how it went when it is `quiet`."""
        if session.state in (SessionState.ENDING, SessionState.TERMINATED):
            return
        if session.state is not SessionState.ESTABLISHED:
            raise LocalError("a re-INVITE needs an established session")
        if self._busy(session):
            self._later(session, body, now + BUSY_WAIT, quiet=quiet)
            return
        core = self._core
        session.calling = core.dialog_request(
            session,
            "INVITE",
            lambda outcome, now: self._heard(session, body, outcome, now, quiet=quiet),
            now,
            headers=(
                *self.offer_fields(core.own_contact(session), body),
                *self.timers.request_fields(session),
            ),
            body=body,
        )

    def _busy(self, session: Session) -> bool:
        return (
            session.pending is not None
            or session.calling is not None
            or session.to_acknowledge is not None
            or session.unacknowledged is not None
        )

    def _later(self, session: Session, body: bytes, at: float, *, quiet: bool) -> None:
        self._core.set_timer(
            session,
            # An offer of the application and a refresh do not displace each other.
            "refresh" if quiet else "reinvite",
            at,
            lambda session, now: self.reinvite(session, body, now, quiet=quiet),
        )

    def offer_fields(self, contact: tuple[str, str], body: bytes) -> Fields:
        """The headers of an INVITE of ours."""
        kind = (("Content-Type", SDP),) if body else ()
        return (contact, ALLOW, ACCEPT, SUPPORTED, *kind)

    def _heard(
        self,
        session: Session,
        body: bytes,
        outcome: Response | Failure,
        now: float,
        *,
        quiet: bool,
    ) -> None:
        status = status_of(outcome)
        if status < 200:
            return
        if isinstance(outcome, Response) and status < 300:
            self._answered(session, body, outcome, now, quiet=quiet)
            return
        session.calling = None
        if ends_dialog(self._core, session, outcome, now) or session.over:
            return
        if status == 491 and session.glares < MAX_GLARES:
            session.glares += 1
            self._later(session, body, now + self._glare_wait(session), quiet=quiet)
            return
        session.glares = 0
        if quiet:
            response = outcome if isinstance(outcome, Response) else None
            self.timers.refused(session, response, now)
        else:
            self._core.emit(ReinviteRefused(session, now, status))

    def _glare_wait(self, session: Session) -> float:
        # 14.1, in steps of 10 ms: the owner of the Call-ID waits 2.1 to 4 s, the other 0 to 2 s.
        chance = fraction(self._core.token())
        steps = int(chance * 201) if session.server else 210 + int(chance * 191)
        return steps / 100

    def _answered(
        self, session: Session, body: bytes, response: Response, now: float, *, quiet: bool
    ) -> None:
        number = response.cseq.number
        if session.calling is None or session.calling.request.cseq.number != number:
            self.acknowledge_again(session, number)
            return
        session.to_acknowledge, session.calling = session.calling.request, None
        session.glares = 0
        session.note_methods(response)
        session.sdp = body or session.sdp
        dialog = session.dialog
        assert dialog is not None
        dialog.refresh(response)
        if not session.over:
            self._core.route(session, session.hop, now)
            self.timers.agreed(session, response, now)
        if body or session.over or session.state is SessionState.ENDING:
            self.acknowledge(session, b"")
        if session.state is SessionState.ESTABLISHED and not quiet:
            self._core.emit(ReinviteAnswered(session, now, response))

    def acknowledge(self, session: Session, body: bytes) -> None:
        """Send the ACK of their latest 2xx, `body` being our answer when the 2xx had an offer."""
        invite, session.to_acknowledge = session.to_acknowledge, None
        if invite is None or session.dialog is None:
            return
        number = invite.cseq.number
        kind = (("Content-Type", SDP),) if body else ()
        session.sdp = body or session.sdp
        core = self._core
        # Their Contact may lead to somebody the credentials are not for.
        known = session.keyring is not None and session.keyring.serves(session.hop)
        fields = (*(credentials_of(invite) if known else ()), *kind)
        ack = session.dialog.request(
            "ACK", core.via(session.hop), cseq=number, headers=fields, body=body
        )
        session.sent_ack = SentAck(number, session.hop, ack.to_bytes())
        core.send(session.hop, session.sent_ack.data)

    def acknowledge_again(self, session: Session, number: int) -> None:
        """Repeat the ACK for a copy of a 2xx (RFC 3261 13.2.2.4)."""
        sent = session.sent_ack
        if sent is not None and sent.cseq == number:
            self._core.send(sent.hop, sent.data)
