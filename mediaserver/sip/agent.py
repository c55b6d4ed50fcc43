"""A SIP user agent without sockets or clock (RFC 3261): bytes in, bytes and events out.

The owner passes every datagram or framed message to `receive`, calls `handle_timer` when
`next_timer` says so, and after each call, commands included, takes what `outgoing` and `events`
hold. Nothing a peer sends makes any of them raise. A command for a session that has moved on,
because the peer was quicker, does nothing: the event that says why is on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mediaserver.errors import PeerError
from mediaserver.sip.core import AgentCore, AgentLimits, Fields
from mediaserver.sip.detour import NO_DETOURS
from mediaserver.sip.dialog import incoming_key
from mediaserver.sip.digest import Credentials
from mediaserver.sip.events import Event
from mediaserver.sip.hop import Hop
from mediaserver.sip.message import Request, Response, SipParseError, parse_message
from mediaserver.sip.refer import Refer
from mediaserver.sip.reinvite import Reinvite
from mediaserver.sip.replies import refusal
from mediaserver.sip.routing import note_source
from mediaserver.sip.screening import Refusal, screen, screen_hop
from mediaserver.sip.session import Session, SessionState
from mediaserver.sip.transaction import ServerTransaction
from mediaserver.sip.uac import Uac
from mediaserver.sip.uas import Uas
from mediaserver.sip.uri import SipUri
from mediaserver.sip.usage import Usage

__all__ = ["Agent", "AgentLimits"]

_KEEPALIVE = b"\r\n\0 \t"


class Agent:
    """All calls of one server or of one caller.

    `contact` gives the URI text for the Contact and, by its host and port, the sent-by of our
    Via on a hop. `token` gives random text fit for a tag, at least 64 bits of it each time.
    """

    def __init__(
        self,
        *,
        contact: Callable[[Hop], str],
        token: Callable[[], str],
        user_agent: str = "mediaserver",
        limits: AgentLimits = AgentLimits(),  # noqa: B008  frozen, so safe to share
    ) -> None:
        self._core = AgentCore(contact, token, user_agent, limits, self._ack)
        self._reinvite = Reinvite(self._core)
        self._refer = Refer(self._core)
        self._usage = Usage(self._core, self._reinvite, self._refer)
        self._uas = Uas(self._core, self._reinvite.timers)
        self._uac = Uac(self._core, self._reinvite)

    # What goes in

    def receive(self, data: bytes, hop: Hop, now: float) -> None:
        """Take one UDP datagram or one framed message; `hop.remote` is where it came from."""
        if len(data) > self._core.limits.max_message_bytes or not data.strip(_KEEPALIVE):
            return
        try:
            message = parse_message(data, stream=hop.transport.reliable)
        except SipParseError as error:
            self.refuse(error, hop)
            return
        if isinstance(message, Response):
            self._core.transactions.receive_response(message, now)
        else:
            self._request(message, hop, now)

    def refuse(self, error: SipParseError, hop: Hop) -> None:
        """Answer what could not be read, or not be framed, as far as its headers allow (8.2.7)."""
        headers = error.request_headers
        if headers is None or error.method is None:
            return
        request = Request(error.method, "", headers)
        try:
            note_source(request, hop)
            target = self._core.back(request, hop)
        except PeerError:
            target = hop  # its Via makes no sense, so back to where it came from
        response = refusal(error, to_tag=self._core.tag_for(request))
        if response is not None:
            self._core.send(target, response.to_bytes())

    def transport_failed(self, hop: Hop, now: float, why: str = "") -> None:
        """A connection was lost, or the network would not carry what we sent to this hop.

        `why` is a sentence about it, the reason of calls of ours that reach nobody then.
        """
        if hop.transport.reliable:
            for session in self._core.sessions.values():
                if session.hop == hop and session.fallback is not None:
                    session.hop = session.fallback
        self._core.trouble = why
        self._core.transactions.transport_failed(hop, now)
        self._core.trouble = ""

    def handle_timer(self, now: float) -> None:
        """Do everything that is due."""
        self._core.schedule.run(now)

    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called next; None while nothing is waited for."""
        return self._core.schedule.next()

    # What comes out

    def outgoing(self) -> list[tuple[Hop, bytes]]:
        """The messages to send, each once."""
        messages, self._core.outgoing = self._core.outgoing, []
        return messages

    def events(self) -> list[Event]:
        """What has happened, each event once."""
        events, self._core.events = self._core.events, []
        return events

    @property
    def draining(self) -> bool:
        """True while new calls and OPTIONS get a 503; calls there are go on."""
        return self._core.draining

    @draining.setter
    def draining(self, draining: bool) -> None:
        self._core.draining = draining

    def ask_before_calls(self, refusal: Callable[[float], int | None]) -> None:
        """Ask `refusal` about every new call, given the time, before there is a session for it.

        It returns None to let the call in, or after how many seconds the caller, who gets a 503,
        may try again.
        """
        self._core.refusal = refusal

    def ask_before_following(self, may_follow: Callable[[Hop, Hop], bool]) -> None:
        """Ask `may_follow` whether requests in a dialog may go to what the peer's URI leads to.

        It is given the hop over which the peer spoke and the one its Contact or Record-Route
        spells out. Without its leave the requests go back along the former.
        """
        self._core.may_follow = may_follow

    def ask_for_detours(self, over_tcp: Callable[[Hop], Hop | None]) -> None:
        """Ask `over_tcp` for the hop that a request in a dialog takes when it is too large for UDP.

        It returns None where there is none (RFC 3261 18.1.1).
        """
        self._core.over_tcp = over_tcp

    @property
    def session_count(self) -> int:
        """Calls that are not over."""
        return len(self._core.sessions)

    @property
    def parting(self) -> bool:
        """True while a call is being ended and its peer has yet to confirm it."""
        return any(session.parting for session in self._core.sessions.values())

    @property
    def transaction_count(self) -> int:
        """Transactions that are remembered, those that only wait for stray copies included."""
        return len(self._core.transactions)

    def uses(self, hop: Hop) -> bool:
        """True when a session would send its next request over this hop."""
        return any(session.hop == hop for session in self._core.sessions.values())

    # Commands of a server

    def ring(
        self,
        session: Session,
        now: float,
        *,
        status: int = 180,
        body: bytes = b"",
        headers: Fields = (),
    ) -> None:
        """Send 180, or 183 with SDP, and again each minute until the final answer."""
        self._uas.ring(session, now, status, body, headers)

    def answer(self, session: Session, body: bytes, now: float, headers: Fields = ()) -> None:
        """Answer the INVITE, re-INVITE or UPDATE that waits with 200 and this SDP."""
        self._uas.answer(session, body, now, headers)

    def reject(
        self,
        session: Session,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        headers: Fields = (),
        warning: tuple[int, str] | None = None,
    ) -> None:
        """Refuse what waits; a refused re-INVITE or UPDATE leaves the session as it was.

        `warning` is a code and a sentence that say more than the status (RFC 3261 20.43).
        """
        if warning is not None:
            headers = (*headers, self._core.warning_field(session.hop, *warning))
        self._uas.reject(session, status, now, reason, headers)

    # Commands of a client

    def invite(
        self,
        target: SipUri,
        hops: Sequence[Hop],
        offer: Callable[[Hop], bytes],
        now: float,
        *,
        from_: str,
        to: str | None = None,
        headers: Fields = (),
        credentials: Credentials | None = None,
        detours: Mapping[Hop, Hop] = NO_DETOURS,
        interval: int | None = None,
    ) -> Session:
        """Call `target` over the first of `hops` that it can be reached by.

        `offer` makes the body for a hop, b"" to be given an offer. `from_` and `to` are header
        values without a tag; PeerError when they are none. `credentials` answer challenges from
        `hops`, and those of nobody else. A redirection (3xx) is a refusal like others. An INVITE
        of more than 1300 bytes takes, in place of one of `hops`, the one that `detours` has for it,
        and that one itself where nobody is reached by the detour (RFC 3261 18.1.1). `interval` are
        the seconds after which the session is to be refreshed or over (RFC 4028); None: as always.
        """
        return self._uac.invite(
            target, hops, offer, now, from_, to, headers, credentials, detours, interval
        )

    def cancel(self, session: Session, now: float) -> None:
        """Give up before the final answer; `Refused` follows, with 487 if all goes well."""
        self._uac.cancel(session, now)

    def acknowledge(self, session: Session, body: bytes = b"") -> None:
        """Send the ACK with our answer, when the offer came in their 2xx."""
        self._reinvite.acknowledge(session, body)

    # Commands of both

    def bye(self, session: Session, now: float, *, reason: str | None = None) -> None:
        """End an answered call; waits for their ACK if that is still to come (RFC 3261 15).

        `reason` is the value of a Reason header, as 'Q.850;cause=16'.
        """
        self._usage.bye(session, now, reason)

    def hang_up(self, session: Session, now: float) -> None:
        """End a call in whatever state it is: reject with 480, CANCEL or BYE."""
        if session.state is SessionState.INVITED:
            self._uas.reject(session, 480, now, None, ())
        elif session.state is SessionState.CALLING:
            self._uac.cancel(session, now)
        else:
            self._usage.bye(session, now, None)

    def reinvite(self, session: Session, body: bytes, now: float) -> None:
        """Offer a change; waits, and tries again, when it meets another that is under way.

        LocalError when the session is not established yet.
        """
        self._reinvite.reinvite(session, body, now)

    def info(self, session: Session, content_type: str, body: bytes, now: float) -> None:
        """Send an INFO; its answer matters only when it says that the dialog is gone."""
        self._usage.info(session, content_type, body, now)

    def refer(
        self,
        session: Session,
        to: str,
        now: float,
        headers: Fields = (),
        credentials: Credentials | None = None,
    ) -> None:
        """Ask the peer to call `to`, the value of a Refer-To; `ReferAnswered` follows.

        `credentials` answer the peer's challenge of this REFER. LocalError when the session is not
        established yet, another REFER is under way, or `to` is no address.
        """
        self._refer.refer(session, to, now, headers, credentials)

    # Requests

    def _request(self, request: Request, hop: Hop, now: float) -> None:
        core = self._core
        note_source(request, hop)
        if core.transactions.absorb(request, now):
            return
        session = core.dialogs.get(incoming_key(request))
        if request.method == "CANCEL":
            self._cancel(request, hop, now)
        elif session is None and len(core.transactions) >= core.limits.max_transactions:
            core.send(core.back(request, hop), self._uas.overloaded(request))
        else:
            merged = core.transactions.is_merged(request)
            transaction = core.transactions.open(request, hop, core.back(request, hop))
            refused = Refusal(482) if merged else screen_hop(request, hop) or screen(request)
            if refused is not None:
                self._refuse(transaction, refused, session, now)
            elif session is not None:
                self._usage.received(session, transaction, hop, now)
            else:
                self._outside(transaction, hop, now)

    def _cancel(self, request: Request, hop: Hop, now: float) -> None:
        core = self._core
        known = core.transactions.invite_of(request) is not None
        if not known and len(core.transactions) >= core.limits.max_transactions:
            return
        transaction = core.transactions.open(request, hop, core.back(request, hop))
        self._uas.cancelled(transaction, now)

    def _refuse(
        self,
        transaction: ServerTransaction,
        refused: Refusal,
        session: Session | None,
        now: float,
    ) -> None:
        tag = session.local_tag if session is not None else None
        fields = refused.headers
        if refused.warning is not None:
            fields += (self._core.warning_field(transaction.hop, 399, refused.warning),)
        self._core.reply(
            transaction, refused.status, now, reason=refused.reason, to_tag=tag, headers=fields
        )

    def _outside(self, transaction: ServerTransaction, hop: Hop, now: float) -> None:
        """A request that belongs to no dialog we know."""
        core = self._core
        request = transaction.request
        if request.to.tag is not None:
            core.reply(transaction, 481, now)  # 12.2.2
        elif request.method == "OPTIONS":
            self._uas.options(transaction, now)
        elif core.draining or len(core.sessions) >= core.limits.max_sessions:
            core.reply(transaction, 503, now, headers=(core.retry_after(10, 30),))
        elif (wait := core.refusal(now)) is not None:
            core.reply(transaction, 503, now, headers=(("Retry-After", str(wait)),))
        else:
            self._uas.invited(transaction, hop, now)

    def _ack(self, ack: Request, now: float) -> None:
        session = self._core.dialogs.get(incoming_key(ack))
        if session is None:
            return
        self._uas.acknowledged(session, ack, now)
        if session.bye_wanted and session.state is SessionState.ESTABLISHED:
            session.bye_wanted = False
            self._usage.bye(session, now, session.bye_reason)
