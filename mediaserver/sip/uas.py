"""The server side of calls: their INVITE and re-INVITE, our answers (RFC 3261 8.2, 13.3, 14.2)."""

from __future__ import annotations

from mediaserver.sip.core import ACCEPT, ALLOW, SDP, SUPPORTED, AgentCore, Fields
from mediaserver.sip.dialog import Dialog
from mediaserver.sip.events import (
    Cancelled,
    Established,
    Event,
    Invited,
    ReinviteAcknowledged,
)
from mediaserver.sip.hop import Hop
from mediaserver.sip.message import Request
from mediaserver.sip.replies import respond
from mediaserver.sip.routing import is_natted
from mediaserver.sip.session import EndCause, Session, SessionState, Unacknowledged
from mediaserver.sip.session_timer import SessionTimers
from mediaserver.sip.timers import T1, T2
from mediaserver.sip.transaction import ServerTransaction

PROVISIONAL_INTERVAL = 60.0
"""A 1xx is sent again each minute, or a proxy gives up on the call (RFC 3261 13.3.1.1)."""


class Uas:
    """Calls that come in."""

    def __init__(self, core: AgentCore, timers: SessionTimers) -> None:
        self._core = core
        self._timers = timers

    def invited(self, transaction: ServerTransaction, hop: Hop, now: float) -> None:
        """Begin a session for an INVITE outside any dialog."""
        core = self._core
        request = transaction.request
        tag = core.token()
        session = Session(
            id=core.token(),
            server=True,
            invite=request,
            hop=hop,
            invite_hop=hop,
            state=SessionState.INVITED,
            local_tag=tag,
            natted=is_natted(request, hop),
            pending=transaction,
        )
        session.note_methods(request)
        transaction.owner = session.id
        core.sessions[session.id] = session
        core.adopt(session, Dialog.of_server(request, tag), hop, now)
        core.reply(transaction, 100, now)
        core.emit(Invited(session, now, request))

    def cancelled(self, transaction: ServerTransaction, now: float) -> None:
        """Answer a CANCEL and, if it is not too late, the INVITE it is about (9.2)."""
        core = self._core
        invite = core.transactions.invite_of(transaction.request)
        if invite is None:
            core.reply(transaction, 481, now)
            return
        session = core.sessions.get(invite.owner or "")
        tag = session.local_tag if session is not None else invite.to_tag
        core.reply(transaction, 200, now, to_tag=tag)
        if invite.answered or session is None:
            return
        if session.state is SessionState.INVITED:
            core.forget(session, now)
            core.emit(Cancelled(session, now))
        else:
            session.pending = None
            core.reply(invite, 487, now, to_tag=session.local_tag)

    def ring(self, session: Session, now: float, status: int, body: bytes, headers: Fields) -> None:
        """See `Agent.ring`."""
        pending = session.pending
        if session.state is not SessionState.INVITED or pending is None:
            return
        self._core.reply(
            pending,
            status,
            now,
            to_tag=session.local_tag,
            headers=[self._core.own_contact(session), ALLOW, *headers],
            body=body,
        )
        self._ring_on(session, now)

    def _ring_on(self, session: Session, now: float) -> None:
        at = now + PROVISIONAL_INTERVAL
        self._core.set_timer(session, "ring", at, self._ring_again)

    def _ring_again(self, session: Session, now: float) -> None:
        if session.pending is not None and session.pending.data is not None:
            self._core.send(session.pending.hop, session.pending.data)
            self._ring_on(session, now)

    def answer(self, session: Session, body: bytes, now: float, headers: Fields) -> None:
        """See `Agent.answer`."""
        core = self._core
        pending, session.pending = session.pending, None
        if pending is None:
            return
        core.stop_timer(session, "ring")
        session.sdp = body or session.sdp
        timer = self._timers.answer_fields(session, pending.request, now)
        fields = [core.own_contact(session), ALLOW, ACCEPT, SUPPORTED, *timer, *headers]
        core.reply(pending, 200, now, to_tag=session.local_tag, headers=fields, body=body)
        if pending.request.method != "INVITE":
            return
        assert pending.data is not None
        session.unacknowledged = Unacknowledged(
            transaction=pending,
            data=pending.data,
            cseq=pending.request.cseq.number,
            interval=T1,
            offered=bool(body) and not pending.request.body,
        )
        core.set_timer(session, "2xx", now + T1, self._repeat)
        core.wait_for_peer(session, "ack", self._ack_missing, now)
        if session.state is SessionState.INVITED:
            session.accepted = True
            session.move(SessionState.ANSWERED)

    def _repeat(self, session: Session, now: float) -> None:
        # 13.3.1.4: also over TCP, since a hop behind it may lose the 2xx or the ACK.
        waiting = session.unacknowledged
        if waiting is not None:
            self._core.send(waiting.transaction.hop, waiting.data)
            waiting.interval = min(2 * waiting.interval, T2)
            self._core.set_timer(session, "2xx", now + waiting.interval, self._repeat)

    def _ack_missing(self, session: Session, now: float) -> None:
        # 13.3.1.4: the dialog is confirmed all the same and should be ended with a BYE.
        self._core.farewell(session, now, session.bye_reason)
        self._core.end(session, EndCause.ACK_TIMEOUT, now)

    def acknowledged(self, session: Session, ack: Request, now: float) -> None:
        """Take the ACK of our 2xx; any other is a copy."""
        waiting = session.unacknowledged
        if waiting is None or ack.cseq.number != waiting.cseq:
            return
        core = self._core
        session.unacknowledged = None
        core.stop_timer(session, "2xx")
        core.stop_timer(session, "ack")
        body = ack.body if waiting.offered and ack.content_type == SDP else b""
        event: Event = ReinviteAcknowledged(session, now, body)
        if session.state is SessionState.ANSWERED:
            session.move(SessionState.ESTABLISHED)
            event = Established(session, now, body)
        core.emit(event)

    def reject(
        self, session: Session, status: int, now: float, reason: str | None, headers: Fields
    ) -> None:
        """See `Agent.reject`."""
        pending, session.pending = session.pending, None
        if pending is None:
            return
        tag = session.local_tag
        self._core.reply(pending, status, now, reason=reason, to_tag=tag, headers=headers)
        if session.state is SessionState.INVITED:
            self._core.forget(session, now)

    def options(self, transaction: ServerTransaction, now: float) -> None:
        """Answer OPTIONS as an INVITE would be answered (RFC 3261 11.2)."""
        core = self._core
        if core.draining:
            headers = (core.retry_after(10, 30),)
            core.reply(transaction, 503, now, headers=headers)
        else:
            core.reply(transaction, 200, now, headers=(ALLOW, ACCEPT, SUPPORTED))

    def overloaded(self, request: Request) -> bytes:
        """A 503 that needs no transaction, since every copy gets the same (RFC 3261 8.2.7)."""
        core = self._core
        tag = core.tag_for(request)
        # Jitter from the tag, not from the token: a copy must be answered alike.
        headers = (("Retry-After", str(10 + int(tag[:8], 16) % 21)), ("Server", core.user_agent))
        return respond(request, 503, to_tag=tag, headers=headers).to_bytes()
