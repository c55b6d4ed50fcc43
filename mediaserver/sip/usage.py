"""Requests inside a dialog, theirs and ours: BYE, re-INVITE, UPDATE, INFO (RFC 3261 12.2, 14, 15).

Our re-INVITE is in `reinvite`, our REFER with its NOTIFY in `refer`.

Two offers must not be under way at once (RFC 3264 4). Theirs while ours is pending: 491. A
second of theirs before the first is answered: 500 with a Retry-After of up to 10 s. Ours that
meets a 491 tries again, the side that made the Call-ID after the other (RFC 3261 14.1).
"""

from __future__ import annotations

from mediaserver.sip.core import (
    ACCEPT,
    ALLOW,
    SUPPORTED,
    AgentCore,
    reason_field,
)
from mediaserver.sip.dialog import Dialog, incoming_key
from mediaserver.sip.events import (
    Cancelled,
    InfoReceived,
    Reinvited,
)
from mediaserver.sip.hop import Hop
from mediaserver.sip.message import Response
from mediaserver.sip.outcome import ends_dialog, status_of
from mediaserver.sip.refer import Refer
from mediaserver.sip.reinvite import Reinvite
from mediaserver.sip.routing import is_natted
from mediaserver.sip.session import EndCause, Session, SessionState
from mediaserver.sip.transaction import Failure, ServerTransaction

_OFFERERS = frozenset(("INVITE", "UPDATE"))


class Usage:
    """What happens within the dialogs of sessions."""

    def __init__(self, core: AgentCore, reinvite: Reinvite, refer: Refer) -> None:
        self._core = core
        self._reinvite = reinvite
        self._refer = refer

    # Theirs

    def received(
        self, session: Session, transaction: ServerTransaction, hop: Hop, now: float
    ) -> None:
        """Deal with a request, other than ACK and CANCEL, that belongs to `session`."""
        request = transaction.request
        branch = session.branches.get(incoming_key(request))
        dialog = branch.dialog if branch is not None else session.dialog
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
        elif request.method == "NOTIFY":
            self._refer.notified(session, transaction, now)
        elif request.method in _OFFERERS:
            self._offer(session, dialog, transaction, hop, now)
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
        self,
        session: Session,
        dialog: Dialog,
        transaction: ServerTransaction,
        hop: Hop,
        now: float,
    ) -> None:
        core = self._core
        request = transaction.request
        offerless_update = request.method == "UPDATE" and not request.body
        if not offerless_update and self._conflict(session, transaction, now):
            return
        dialog.refresh(request)
        session.note_methods(request)
        session.natted = is_natted(request, hop)
        core.route(session, hop, now)
        if offerless_update:
            timer = self._reinvite.timers.answer_fields(session, request, now)
            fields = (core.own_contact(session), ALLOW, SUPPORTED, *timer)
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
            self._reinvite.acknowledge(session, b"")
        session.move(SessionState.ENDING)
        self._core.stop_timer(session, "2xx")
        self._core.stop_timer(session, "ack")
        self._core.dialog_request(
            session,
            "BYE",
            # 15.1.1: any answer, or none, ends it. So does a challenge we have no credentials for.
            lambda outcome, now: self._bye_done(session, outcome, now),
            now,
            headers=reason_field(reason),
        )

    def _bye_done(self, session: Session, outcome: Response | Failure, now: float) -> None:
        if status_of(outcome) >= 200:
            self._core.end(session, EndCause.LOCAL_BYE, now)

    # Ours: INFO

    def info(self, session: Session, content_type: str, body: bytes, now: float) -> None:
        """See `Agent.info`."""
        if session.dialog is None or session.over or session.state is SessionState.ENDING:
            return
        # A peer that has not got our 2xx yet knows no dialog, and its 481 is not the end of it.
        known = session.state is SessionState.ESTABLISHED
        self._core.dialog_request(
            session,
            "INFO",
            lambda outcome, now: self._info_heard(session, outcome, now) if known else None,
            now,
            headers=(("Content-Type", content_type),),
            body=body,
        )

    def _info_heard(self, session: Session, outcome: Response | Failure, now: float) -> None:
        if status_of(outcome) >= 300:
            ends_dialog(self._core, session, outcome, now)
