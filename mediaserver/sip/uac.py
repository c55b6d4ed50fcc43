"""The client side of calls: our INVITE and what becomes of it (RFC 3261 8.1, 9.1, 13.2).

One session may take several INVITEs: the same one to the next hop when a hop is silent or fails
(RFC 3263 4.3), and one with a new CSeq and credentials after a challenge (RFC 3261 22.2), or with a
longer session interval (RFC 4028 7.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mediaserver.errors import MediaServerError
from mediaserver.sip.address import Address
from mediaserver.sip.attempts import Attempts
from mediaserver.sip.core import AgentCore, Fields
from mediaserver.sip.derived import cancel_of
from mediaserver.sip.dialog import Dialog
from mediaserver.sip.digest import Credentials
from mediaserver.sip.events import Answered, Progressed, Refused
from mediaserver.sip.hop import Hop
from mediaserver.sip.keyring import Keyring
from mediaserver.sip.message import Response
from mediaserver.sip.outcome import status_of
from mediaserver.sip.placement import HOP_PATIENCE, Attempt, Placement
from mediaserver.sip.progress import Progress
from mediaserver.sip.reasons import reason_for
from mediaserver.sip.reinvite import Reinvite
from mediaserver.sip.session import Session, SessionState
from mediaserver.sip.session_timer import min_se
from mediaserver.sip.stray import Strays
from mediaserver.sip.transaction import Failure
from mediaserver.sip.transaction_table import State
from mediaserver.sip.uri import SipUri

_HOP = "hop"


class Uac:
    """Calls that go out."""

    def __init__(self, core: AgentCore, reinvite: Reinvite) -> None:
        self._core = core
        self._reinvite = reinvite
        self._progress = Progress(core)
        self._strays = Strays(core)
        self._attempts = Attempts(core, reinvite)

    def invite(
        self,
        target: SipUri,
        hops: Sequence[Hop],
        offer: Callable[[Hop], bytes],
        now: float,
        from_: str,
        to: str | None,
        headers: Fields,
        credentials: Credentials | None,
        detours: Mapping[Hop, Hop],
        interval: int | None,
    ) -> Session:
        """See `Agent.invite`."""
        core = self._core
        tag = core.token()
        first, *others = hops
        placement = Placement(
            target=target,
            caller=Address.parse(from_).with_tag(tag),
            called=Address(target) if to is None else Address.parse(to),
            call_id=core.token(),
            headers=tuple(headers),
            offer=offer,
            hops=others,
            detours=detours,
            interval=interval,
        )
        attempt = self._attempts.write(placement, first, offer(first), 1, None, now)
        session = Session(
            id=core.token(),
            server=False,
            invite=attempt.request,
            hop=attempt.hop,
            invite_hop=attempt.hop,
            state=SessionState.CALLING,
            local_tag=tag,
            placement=placement,
        )
        if credentials is not None:
            session.keyring = Keyring(credentials, hops, core.token)
        core.sessions[session.id] = session
        self._send(session, placement, attempt, now)
        return session

    def _send(self, session: Session, placement: Placement, attempt: Attempt, now: float) -> None:
        core = self._core
        request, hop = attempt.request, attempt.hop
        session.invite, session.invite_hop, session.hop = request, hop, hop
        session.around = attempt.around
        session.calling = attempt.transaction = core.transactions.request(
            request, hop, lambda outcome, now: self._heard(session, attempt, outcome, now), now
        )
        if placement.hops:
            core.set_timer(
                session,
                _HOP,
                now + HOP_PATIENCE,
                lambda session, now: self._hop_silent(session, attempt, now),
            )

    # Giving up

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

    # What is heard of an INVITE

    def _heard(
        self, session: Session, attempt: Attempt, outcome: Response | Failure, now: float
    ) -> None:
        if attempt.request is not session.invite:
            self._strays.heard(session, attempt, outcome, now)
            return
        self._core.stop_timer(session, _HOP)
        status = status_of(outcome)
        if isinstance(outcome, Failure) or status >= 300:
            if session.state is SessionState.CALLING:
                self._failed(session, attempt, outcome, now)
        elif status >= 200:
            self._answered(session, outcome, now)
        elif session.state is SessionState.CALLING:
            if session.placement is not None and status > 100:
                session.placement.alerted = True
            told = self._progress.heard(session, outcome, now)
            if session.cancelling:
                self._send_cancel(session, now)
            elif told:
                self._core.emit(Progressed(session, now, outcome))

    def _failed(
        self, session: Session, attempt: Attempt, outcome: Response | Failure, now: float
    ) -> None:
        response = outcome if isinstance(outcome, Response) else None
        placement = session.placement
        if placement is not None and not session.cancelling:
            placement.trouble = placement.trouble or self._core.trouble
            if response is not None and self._mended(session, placement, attempt, response, now):
                return
            self._attempts.failed(placement, attempt, response, now)
            unreachable = response is None or response.status == 503
            if unreachable and not placement.alerted and self._next_hop(session, placement, now):
                return
        self._refused(session, status_of(outcome), response, now)

    def _refused(
        self, session: Session, status: int, response: Response | None, now: float
    ) -> None:
        reason = response.reason if response is not None else ""
        if response is None and status == 503 and session.placement is not None:
            reason = session.placement.trouble
        reason = reason or reason_for(status)
        session.calling = None
        self._core.forget(session, now)
        self._core.emit(Refused(session, now, status, reason, response))

    # Trying again

    def _mended(
        self,
        session: Session,
        placement: Placement,
        attempt: Attempt,
        response: Response,
        now: float,
    ) -> bool:
        """Send the INVITE again with what `response` says it lacks; False when that is nothing."""
        keys = session.keyring
        shortest = min_se(response) if response.status == 422 else None
        if shortest is not None and shortest > placement.shortest:
            placement.shortest = shortest  # RFC 4028 7.3
        elif keys is None or not keys.learn(response, attempt.hop, placement.answered):
            return False
        number = attempt.request.cseq.number + 1
        self._attempts.failed(placement, attempt, response, now)
        body = attempt.request.body
        again = self._attempts.write(placement, attempt.hop, body, number, keys, now)
        self._core.drop_dialogs(session)
        session.dialog = None
        self._send(session, placement, again, now)
        return True

    def _hop_silent(self, session: Session, attempt: Attempt, now: float) -> None:
        placement = session.placement
        if placement is None or session.cancelling:
            return
        self._attempts.silent(placement, attempt, now)
        self._next_hop(session, placement, now)

    def _next_hop(self, session: Session, placement: Placement, now: float) -> bool:
        """Send the INVITE to the next hop; False when there is none that it can be written for."""
        placement.answered.clear()
        while placement.hops:
            hop = placement.hops.pop(0)
            number = session.invite.cseq.number
            try:
                body = placement.offer(hop)
                attempt = self._attempts.write(placement, hop, body, number, session.keyring, now)
            except MediaServerError:
                continue  # no offer for this hop, so it leads nowhere
            self._send(session, placement, attempt, now)
            return True
        return False

    # The answer

    def _answered(self, session: Session, response: Response, now: float) -> None:
        core = self._core
        if session.state is not SessionState.CALLING:
            self._answered_again(session, response, now)
            return
        session.calling = None
        session.placement = None
        core.stop_timer(session, "cancel")
        dialog = Dialog.of_client(session.invite, response)
        branch = session.branches.get(dialog.key)
        if branch is not None:
            # The early dialog goes on; only its route is computed anew (13.2.2.4).
            branch.dialog.route_set = dialog.route_set
            branch.dialog.remote_target = dialog.remote_target
            dialog = branch.dialog
        core.adopt(session, dialog, session.invite_hop, now)
        session.note_methods(response)
        session.sdp = session.invite.body
        session.to_acknowledge = session.invite
        if session.cancelling:
            # 9.1: the CANCEL came too late. The call is there, so it is ended properly.
            self._reinvite.acknowledge(session, b"")
            core.farewell(session, now)
            self._refused(session, 487, None, now)
            return
        session.accepted = True
        session.move(SessionState.ESTABLISHED)
        self._reinvite.timers.agreed(session, response, now)
        if session.invite.body:
            self._reinvite.acknowledge(session, b"")
        sdp = branch.sdp if branch is not None else b""
        core.emit(Answered(session, now, response, response.body or sdp))

    def _answered_again(self, session: Session, response: Response, now: float) -> None:
        """A copy of the 2xx is acknowledged again; that of another branch of a fork is ended."""
        dialog = session.dialog
        if dialog is None or response.to.tag == dialog.remote.tag:
            self._reinvite.acknowledge_again(session, session.invite.cseq.number)
            return
        self._strays.end(session, session.invite, session.invite_hop, response, now)


def _ignore(_outcome: object, _now: float) -> None:
    pass
