"""Requests inside a dialog, theirs and ours: BYE, re-INVITE, UPDATE, INFO (RFC 3261 12.2, 14, 15).

Two offers must not be under way at once (RFC 3264 4). Theirs while ours is pending: 491. A
second of theirs before the first is answered: 500 with a Retry-After of up to 10 s. Ours that
meets a 491 tries again, the side that made the Call-ID after the other (RFC 3261 14.1).
"""

from __future__ import annotations

from mediaserver.errors import LocalError
from mediaserver.sip.core import (
    ACCEPT,
    ALLOW,
    SDP,
    SUPPORTED,
    AgentCore,
    Fields,
    fraction,
    reason_field,
)
from mediaserver.sip.events import (
    Cancelled,
    InfoReceived,
    ReinviteAnswered,
    Reinvited,
    ReinviteRefused,
)
from mediaserver.sip.hop import Hop
from mediaserver.sip.message import Response
from mediaserver.sip.routing import is_natted
from mediaserver.sip.session import EndCause, SentAck, Session, SessionState
from mediaserver.sip.transaction import Failure, ServerTransaction

MAX_GLARES = 5
"""So many 491 in a row and the re-INVITE has failed."""

BUSY_WAIT = 2.0
"""Seconds until a re-INVITE is tried again that we could not even send."""

_STATUS = {Failure.TIMEOUT: 408, Failure.TRANSPORT: 503}
_OFFERERS = frozenset(("INVITE", "UPDATE"))


def status_of(outcome: Response | Failure) -> int:
    """The status a failure stands for (RFC 3261 8.1.3.1), or that of the response."""
    return outcome.status if isinstance(outcome, Response) else _STATUS[outcome]


class Usage:
    """What happens within the dialogs of sessions."""

    def __init__(self, core: AgentCore) -> None:
        self._core = core

    # Theirs

    def received(
        self, session: Session, transaction: ServerTransaction, hop: Hop, now: float
    ) -> None:
        """Deal with a request, other than ACK and CANCEL, that belongs to `session`."""
        request = transaction.request
        dialog = session.dialog
        assert dialog is not None
        if dialog.remote_cseq is not None and request.cseq.number < dialog.remote_cseq:
            self._core.reply(transaction, 500, now, reason="CSeq Out Of Order")  # 12.2.2
            return
        dialog.remote_cseq = request.cseq.number
        if request.method == "BYE":
            self._bye(session, transaction, now)
        elif session.state is SessionState.ENDING:
            self._core.reply(transaction, 481, now)
        elif request.method == "INFO":
            self._core.reply(transaction, 200, now)
            kind = request.content_type or ""
            self._core.emit(InfoReceived(session, now, kind, request.body))
        elif request.method in _OFFERERS:
            self._offer(session, transaction, hop, now)
        else:
            self._core.reply(transaction, 200, now, headers=(ALLOW, ACCEPT, SUPPORTED))

    def _bye(self, session: Session, transaction: ServerTransaction, now: float) -> None:
        core = self._core
        core.reply(transaction, 200, now)
        if session.accepted:
            ours = session.state is SessionState.ENDING
            core.end(session, EndCause.LOCAL_BYE if ours else EndCause.REMOTE_BYE, now)
        elif session.state is SessionState.INVITED:
            core.forget(session, now)  # 15.1.2: an early BYE; the INVITE gets its 487
            core.emit(Cancelled(session, now))

    def _offer(
        self, session: Session, transaction: ServerTransaction, hop: Hop, now: float
    ) -> None:
        core = self._core
        request = transaction.request
        offerless_update = request.method == "UPDATE" and not request.body
        if not offerless_update and self._conflict(session, transaction, now):
            return
        assert session.dialog is not None
        session.dialog.refresh(request)
        session.natted = is_natted(request, hop)
        core.route(session, hop)
        if offerless_update:
            fields = (core.contact_field(session.hop), ALLOW, SUPPORTED)
            core.reply(transaction, 200, now, headers=fields)
            return
        session.pending = transaction
        transaction.owner = session.id
        if request.method == "INVITE":
            core.reply(transaction, 100, now)
        core.emit(Reinvited(session, now, request))

    def _conflict(self, session: Session, transaction: ServerTransaction, now: float) -> bool:
        core = self._core
        if session.pending is not None:  # 14.2, RFC 3311 5.2
            core.reply(transaction, 500, now, headers=(core.retry_after(0, 10),))
            return True
        waiting = session.unacknowledged
        if waiting is not None and (waiting.offered or transaction.request.method == "INVITE"):
            core.reply(transaction, 491, now)  # RFC 5407 3.1.4: their ACK is on its way
            return True
        if session.calling is not None or session.to_acknowledge is not None:
            core.reply(transaction, 491, now)
            return True
        return False

    # Ours: BYE

    def bye(self, session: Session, now: float, reason: str | None) -> None:
        """See `Agent.bye`."""
        if session.state is SessionState.ANSWERED:
            session.bye_wanted = True  # 15: not before their ACK
            session.bye_reason = reason
            return
        if session.state is not SessionState.ESTABLISHED:
            return
        if session.to_acknowledge is not None:
            self.acknowledge(session, b"", now)
        session.move(SessionState.ENDING)
        self._core.stop_timer(session, "2xx")
        self._core.stop_timer(session, "ack")
        self._core.dialog_request(
            session,
            "BYE",
            # 15.1.1: any answer, or none, ends it. A challenge is such an answer too.
            lambda outcome, now: self._bye_done(session, outcome, now),
            now,
            headers=reason_field(reason),
        )

    def _bye_done(self, session: Session, outcome: Response | Failure, now: float) -> None:
        if status_of(outcome) >= 200:
            self._core.end(session, EndCause.LOCAL_BYE, now)

    # Ours: re-INVITE

    def reinvite(self, session: Session, body: bytes, now: float) -> None:
        """See `Agent.reinvite`."""
        if session.state in (SessionState.ENDING, SessionState.TERMINATED):
            return
        if session.state is not SessionState.ESTABLISHED:
            raise LocalError("a re-INVITE needs an established session")
        if self._busy(session):
            self._later(session, body, now + BUSY_WAIT)
            return
        core = self._core
        session.calling = core.dialog_request(
            session,
            "INVITE",
            lambda outcome, now: self._reinvite_heard(session, body, outcome, now),
            now,
            headers=self.offer_fields(session.hop, body),
            body=body,
        )

    def _busy(self, session: Session) -> bool:
        return (
            session.pending is not None
            or session.calling is not None
            or session.to_acknowledge is not None
            or session.unacknowledged is not None
        )

    def _later(self, session: Session, body: bytes, at: float) -> None:
        self._core.set_timer(
            session, "reinvite", at, lambda session, now: self.reinvite(session, body, now)
        )

    def offer_fields(self, hop: Hop, body: bytes) -> Fields:
        """The headers of an INVITE of ours."""
        kind = (("Content-Type", SDP),) if body else ()
        return (self._core.contact_field(hop), ALLOW, ACCEPT, SUPPORTED, *kind)

    def _reinvite_heard(
        self, session: Session, body: bytes, outcome: Response | Failure, now: float
    ) -> None:
        status = status_of(outcome)
        if status < 200:
            return
        if isinstance(outcome, Response) and status < 300:
            self._reinvite_answered(session, body, outcome, now)
            return
        session.calling = None
        if self._ends_dialog(session, outcome, now) or session.over:
            return
        if status == 491 and session.glares < MAX_GLARES:
            session.glares += 1
            self._later(session, body, now + self._glare_wait(session))
            return
        session.glares = 0
        self._core.emit(ReinviteRefused(session, now, status))

    def _glare_wait(self, session: Session) -> float:
        # 14.1, in steps of 10 ms: the owner of the Call-ID waits 2.1 to 4 s, the other 0 to 2 s.
        chance = fraction(self._core.token())
        steps = int(chance * 201) if session.server else 210 + int(chance * 191)
        return steps / 100

    def _reinvite_answered(
        self, session: Session, body: bytes, response: Response, now: float
    ) -> None:
        number = response.cseq.number
        if session.calling is None or session.calling.request.cseq.number != number:
            self.acknowledge_again(session, number)
            return
        session.calling = None
        session.glares = 0
        session.to_acknowledge = number
        dialog = session.dialog
        assert dialog is not None
        dialog.refresh(response)
        if not session.over:
            self._core.route(session, session.hop)
        if body or session.over or session.state is SessionState.ENDING:
            self.acknowledge(session, b"", now)
        if session.state is SessionState.ESTABLISHED:
            self._core.emit(ReinviteAnswered(session, now, response))

    # Ours: ACK and INFO

    def acknowledge(self, session: Session, body: bytes, now: float) -> None:
        """Send the ACK of their latest 2xx, `body` being our answer when the 2xx had an offer."""
        number, session.to_acknowledge = session.to_acknowledge, None
        if number is None or session.dialog is None:
            return
        kind = (("Content-Type", SDP),) if body else ()
        core = self._core
        ack = session.dialog.request(
            "ACK", core.via(session.hop), cseq=number, headers=kind, body=body
        )
        session.sent_ack = SentAck(number, session.hop, ack.to_bytes())
        core.send(session.hop, session.sent_ack.data)

    def acknowledge_again(self, session: Session, number: int) -> None:
        """Repeat the ACK for a copy of a 2xx (RFC 3261 13.2.2.4)."""
        sent = session.sent_ack
        if sent is not None and sent.cseq == number:
            self._core.send(sent.hop, sent.data)

    def info(self, session: Session, content_type: str, body: bytes, now: float) -> None:
        """See `Agent.info`."""
        if session.dialog is None or session.over or session.state is SessionState.ENDING:
            return
        self._core.dialog_request(
            session,
            "INFO",
            lambda outcome, now: self._info_heard(session, outcome, now),
            now,
            headers=(("Content-Type", content_type),),
            body=body,
        )

    def _info_heard(self, session: Session, outcome: Response | Failure, now: float) -> None:
        if status_of(outcome) >= 300:
            self._ends_dialog(session, outcome, now)

    def _ends_dialog(self, session: Session, outcome: Response | Failure, now: float) -> bool:
        """True when what came of a request of ours has ended the session (12.2.1.2)."""
        if session.over or not session.accepted or session.state is SessionState.ENDING:
            return False
        status = status_of(outcome)
        if outcome is Failure.TRANSPORT:
            self._core.end(session, EndCause.TRANSPORT, now)
        elif status in (408, 481):
            if status == 408:
                self._core.farewell(session, now)
            self._core.end(session, EndCause.DIALOG_GONE, now)
        else:
            return False
        return True
