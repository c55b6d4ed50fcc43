"""The client side of calls: our INVITE and what becomes of it (RFC 3261 8.1, 9.1, 13.2)."""

from __future__ import annotations

from mediaserver.sip.address import Address
from mediaserver.sip.core import AgentCore, Fields
from mediaserver.sip.derived import MAX_FORWARDS, cancel_of
from mediaserver.sip.dialog import Dialog
from mediaserver.sip.events import Answered, Progressed, Refused
from mediaserver.sip.headers import Headers
from mediaserver.sip.hop import Hop
from mediaserver.sip.message import Request, Response
from mediaserver.sip.reasons import reason_for
from mediaserver.sip.session import Session, SessionState
from mediaserver.sip.transaction import Failure
from mediaserver.sip.transaction_table import State
from mediaserver.sip.uri import SipUri
from mediaserver.sip.usage import Usage, status_of

MAX_STRAYS = 16
"""Branches of a fork that are ended one by one; a peer that invents more is ignored."""


class Uac:
    """Calls that go out."""

    def __init__(self, core: AgentCore, usage: Usage) -> None:
        self._core = core
        self._usage = usage

    def invite(
        self,
        target: SipUri,
        hop: Hop,
        body: bytes,
        now: float,
        from_: str,
        to: str | None,
        headers: Fields,
    ) -> Session:
        """See `Agent.invite`."""
        core = self._core
        tag = core.token()
        caller = Address.parse(from_).with_tag(tag)
        fields = Headers()
        fields.add("Via", str(core.via(hop)))
        fields.add("Max-Forwards", MAX_FORWARDS)
        fields.add("From", str(caller))
        fields.add("To", str(Address(target) if to is None else Address.parse(to)))
        fields.add("Call-ID", core.token())
        fields.add("CSeq", "1 INVITE")
        for name, value in (*self._usage.offer_fields(hop, body), *headers):
            fields.add(name, value)
        fields.add("User-Agent", core.user_agent)
        request = Request("INVITE", str(target), fields, body)
        session = Session(
            id=core.token(),
            server=False,
            invite=request,
            hop=hop,
            invite_hop=hop,
            state=SessionState.CALLING,
            local_tag=tag,
        )
        core.sessions[session.id] = session
        session.calling = core.transactions.request(
            request, hop, lambda outcome, now: self._heard(session, outcome, now), now
        )
        return session

    def cancel(self, session: Session, now: float) -> None:
        """See `Agent.cancel`."""
        if session.state is not SessionState.CALLING or session.cancelling:
            return
        session.cancelling = True
        if session.calling is not None and session.calling.state is State.PROCEEDING:
            self._send_cancel(session, now)

    def _send_cancel(self, session: Session, now: float) -> None:
        # 9.1: only after a provisional response, or the CANCEL may overtake the INVITE.
        if session.cancel_sent:
            return
        session.cancel_sent = True
        core = self._core
        core.transactions.request(cancel_of(session.invite), session.invite_hop, _ignore, now)
        core.wait_for_peer(session, "cancel", self._never_cancelled, now)

    def _never_cancelled(self, session: Session, now: float) -> None:
        # 9.1: after 64*T1 the INVITE counts as cancelled, and its transaction goes.
        if session.calling is not None:
            self._core.transactions.abandon(session.calling)
        self._refused(session, 487, None, now)

    def _heard(self, session: Session, outcome: Response | Failure, now: float) -> None:
        status = status_of(outcome)
        if isinstance(outcome, Failure) or status >= 300:
            if session.state is SessionState.CALLING:
                response = outcome if isinstance(outcome, Response) else None
                self._refused(session, status, response, now)
        elif status >= 200:
            self._answered(session, outcome, now)
        elif session.state is SessionState.CALLING:
            self._progressed(session, outcome, now)

    def _refused(
        self, session: Session, status: int, response: Response | None, now: float
    ) -> None:
        reason = (response.reason if response is not None else "") or reason_for(status)
        session.calling = None
        self._core.forget(session, now)
        self._core.emit(Refused(session, now, status, reason, response))

    def _progressed(self, session: Session, response: Response, now: float) -> None:
        if response.status > 100 and response.to.tag is not None:
            early = Dialog.of_client(session.invite, response)
            if session.dialog is None or session.dialog.key != early.key:
                self._core.adopt(session, early, session.invite_hop)
        if session.cancelling:
            self._send_cancel(session, now)
        elif response.status > 100:
            self._core.emit(Progressed(session, now, response))

    def _answered(self, session: Session, response: Response, now: float) -> None:
        core = self._core
        if session.state is not SessionState.CALLING:
            self._answered_again(session, response, now)
            return
        session.calling = None
        core.stop_timer(session, "cancel")
        old = session.dialog
        dialog = Dialog.of_client(session.invite, response)
        if old is not None:
            # What was sent in the early dialog counts on; the route is computed anew (13.2.2.4).
            dialog.local_cseq = old.local_cseq
            dialog.remote_cseq = old.remote_cseq if old.key == dialog.key else None
        core.adopt(session, dialog, session.invite_hop)
        session.to_acknowledge = session.invite.cseq.number
        if session.cancelling:
            # 9.1: the CANCEL came too late. The call is there, so it is ended properly.
            self._usage.acknowledge(session, b"", now)
            core.farewell(session, now)
            self._refused(session, 487, None, now)
            return
        session.accepted = True
        session.move(SessionState.ESTABLISHED)
        if session.invite.body:
            self._usage.acknowledge(session, b"", now)
        core.emit(Answered(session, now, response))

    def _answered_again(self, session: Session, response: Response, now: float) -> None:
        """A copy of the 2xx is acknowledged again; that of another branch of a fork is ended."""
        dialog = session.dialog
        if dialog is None or response.to.tag == dialog.remote.tag:
            self._usage.acknowledge_again(session, session.invite.cseq.number)
            return
        core = self._core
        stray = Dialog.of_client(session.invite, response)
        hop = session.invite_hop
        number = session.invite.cseq.number
        core.send(hop, stray.request("ACK", core.via(hop), cseq=number).to_bytes())
        key = stray.key
        if key not in session.strays and len(session.strays) < MAX_STRAYS:
            session.strays.add(key)
            core.transactions.request(stray.request("BYE", core.via(hop)), hop, _ignore, now)


def _ignore(_outcome: object, _now: float) -> None:
    pass
