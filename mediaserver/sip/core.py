"""What the parts of an agent share: sessions, deadlines, transactions, what goes out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from mediaserver.sip.detour import Detours
from mediaserver.sip.dialog import Dialog, DialogKey
from mediaserver.sip.dialog_request import DialogRequest
from mediaserver.sip.events import Ended, Event, TargetRefused
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.keyring import CREDENTIAL_FIELDS, Keyring
from mediaserver.sip.limits import MAX_MESSAGE_BYTES
from mediaserver.sip.message import Request
from mediaserver.sip.replies import respond
from mediaserver.sip.routing import literal_hop, response_hop, stays_on
from mediaserver.sip.schedule import Schedule
from mediaserver.sip.session import EndCause, Session, SessionState
from mediaserver.sip.timers import PATIENCE
from mediaserver.sip.transaction import (
    ClientTransaction,
    ClientUser,
    ServerTransaction,
    TransactionLayer,
)
from mediaserver.sip.uri import SipUri, write_hostport
from mediaserver.sip.via import MAGIC_COOKIE, Via
from mediaserver.sip.warning import WarningValue

Fields = Iterable[tuple[str, str]]

METHODS: Final = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "NOTIFY")
ALLOW: Final = ("Allow", ", ".join(METHODS))
ACCEPT: Final = ("Accept", "application/sdp")
SUPPORTED: Final = ("Supported", "timer")
"""Session timers (RFC 4028)."""

SDP: Final = "application/sdp"


@dataclass(frozen=True, slots=True)
class AgentLimits:
    """How much of an agent's memory its peers may fill."""

    max_transactions: int = 20_000
    """Beyond it new requests outside dialogs get a 503 that leaves no trace."""
    max_sessions: int = 5_000
    """Beyond it new calls get 503 with Retry-After."""
    max_message_bytes: int = MAX_MESSAGE_BYTES


def fraction(token: str) -> float:
    """A number in [0, 1) that is as random as `token`, whatever alphabet that is written in."""
    digest = hashlib.sha256(token.encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


class AgentCore:
    """See `Agent` for the arguments."""

    def __init__(
        self,
        contact: Callable[[Hop], str],
        token: Callable[[], str],
        user_agent: str,
        limits: AgentLimits,
        on_ack: Callable[[Request, float], None],
    ) -> None:
        self.contact = contact
        self.token = token
        self.user_agent = user_agent
        self.limits = limits
        self.draining = False
        self.refusal: Callable[[float], int | None] = _let_in
        self.may_follow: Callable[[Hop, Hop], bool] = _anywhere
        self.over_tcp: Callable[[Hop], Hop | None] = _nowhere
        self.detours = Detours()
        self.schedule = Schedule()
        self.transactions = TransactionLayer(self.send, self.schedule, on_ack)
        self.sessions: dict[str, Session] = {}
        self.dialogs: dict[DialogKey, Session] = {}
        self.events: list[Event] = []
        self.outgoing: list[tuple[Hop, bytes]] = []
        self.trouble = ""
        """Why the hop failed of which transactions are just being told; "" without a sentence."""
        self._secret = token()

    def send(self, hop: Hop, data: bytes) -> None:
        """Queue a message for the wire."""
        self.outgoing.append((hop, data))

    def emit(self, event: Event) -> None:
        """Queue an event for the application."""
        self.events.append(event)

    # Headers

    def contact_field(self, hop: Hop, *, secure: bool = False) -> tuple[str, str]:
        """The Contact header to use on `hop`; a `secure` dialog has a sips URI in it (12.1.1).

        But not where that would not be true: a peer may name a sips URI in clear.
        """
        uri = self.contact(hop)
        if secure and hop.transport is Transport.TLS:
            uri = str(replace(SipUri.parse(uri), scheme="sips", params=()))
        return ("Contact", f"<{uri}>")

    def own_contact(self, session: Session) -> tuple[str, str]:
        """The Contact header for a session's own dialog."""
        secure = session.dialog is not None and session.dialog.secure
        return self.contact_field(session.hop, secure=secure)

    def via(self, hop: Hop) -> Via:
        """A Via with a new branch, asking for rport (RFC 3261 8.1.1.7, RFC 3581 3)."""
        own = SipUri.parse(self.contact(hop))
        params = (("branch", MAGIC_COOKIE + self.token()), ("rport", None))
        return Via(str(hop.transport), own.host, own.port, params)

    def warning_field(self, hop: Hop, code: int, text: str) -> tuple[str, str]:
        """The Warning header to use on `hop`, in the name of our address (RFC 3261 20.43)."""
        agent = write_hostport(SipUri.parse(self.contact(hop)).host, None)
        return ("Warning", str(WarningValue(code, agent, text)))

    def tag_for(self, request: Request) -> str:
        """A To tag for a request without a session: the same for every copy (8.2.7)."""
        values = [request.headers.get(name) or "" for name in ("Call-ID", "From", "CSeq", "Via")]
        text = "\0".join((self._secret, *values))
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:20]

    def retry_after(self, shortest: int, longest: int) -> tuple[str, str]:
        """A Retry-After with jitter, so that those turned away do not come back together."""
        seconds = shortest + int(fraction(self.token()) * (longest - shortest + 1))
        return ("Retry-After", str(seconds))

    # Messages

    def reply(
        self,
        transaction: ServerTransaction,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        to_tag: str | None = None,
        headers: Fields = (),
        body: bytes = b"",
    ) -> None:
        """Answer a request; a To tag is made when it has none (RFC 3261 8.2.6.2)."""
        request = transaction.request
        tag = None if status == 100 else to_tag or self.tag_for(request)
        response = respond(
            request,
            status,
            reason,
            to_tag=tag,
            headers=[*headers, ("Server", self.user_agent)],
            body=body,
            content_type=SDP if body else None,
        )
        self.transactions.respond(transaction, response, now)

    def dialog_request(
        self,
        session: Session,
        method: str,
        user: ClientUser,
        now: float,
        *,
        headers: Fields = (),
        body: bytes = b"",
        branch: Dialog | None = None,
        keyring: Keyring | None = None,
    ) -> ClientTransaction:
        """Send a request within the dialog of `session`, and again when it is challenged.

        `branch` is one of its early dialogs, `keyring` is used in place of the session's own.
        """
        dialog = branch or session.dialog
        assert dialog is not None
        fields = (*headers, ("User-Agent", self.user_agent))
        keys = keyring or session.keyring
        asked = DialogRequest(
            self, session, dialog, method, fields, body, keys, user, early=branch is not None
        )
        return asked.send(now)

    def back(self, request: Request, hop: Hop) -> Hop:
        """Where responses to a request that came over `hop` go."""
        back = response_hop(request, hop)
        # The maddr of a Via can lead elsewhere, as a Contact can.
        return back if self.may_follow(hop, back) else hop

    # Sessions

    def adopt(self, session: Session, dialog: Dialog, hop: Hop, now: float) -> None:
        """Give `session` this dialog, in place of the early ones it may have had."""
        self.drop_dialogs(session)
        session.dialog = dialog
        self.dialogs[dialog.key] = session
        self.route(session, hop, now)

    def drop_dialogs(self, session: Session) -> None:
        """Know `session` no longer by its dialog and its branches; the dialog stays with it."""
        if session.dialog is not None:
            self.dialogs.pop(session.dialog.key, None)
        for key in session.branches:
            self.dialogs.pop(key, None)
        session.branches.clear()

    def route(self, session: Session, hop: Hop, now: float) -> None:
        """Decide where requests to the peer go: to what its URI says, or back along `hop`."""
        assert session.dialog is not None
        literal = self._literal(session, session.dialog, hop)
        followed = literal is not None and self.may_follow(hop, literal)
        session.fallback = literal if followed else None
        session.hop = self.way(session, session.dialog, hop, now)

    def way(self, session: Session, dialog: Dialog, hop: Hop, now: float) -> Hop:
        """The hop for requests of one of the dialogs of `session`; see `route`."""
        literal = self._literal(session, dialog, hop)
        if literal is None or session.natted or stays_on(hop, literal):
            return hop
        if self.may_follow(hop, literal):
            return literal
        if not session.misled:
            session.misled = True
            self.emit(TargetRefused(session, now, hop, literal))
        return hop

    def _literal(self, session: Session, dialog: Dialog, hop: Hop) -> Hop | None:
        """What the peer's URI spells out; see `literal_hop`."""
        uri = dialog.next_uri
        literal = literal_hop(uri, hop)
        if session.around is None or literal is None or literal.remote[0] == hop.remote[0]:
            return literal
        # Nothing but its size has brought the INVITE to TCP (RFC 3261 18.1.1). That another machine
        # takes it, too, is not said, and without a word on it UDP is what a URI means.
        named = isinstance(uri, SipUri) and uri.param("transport") is not None
        return literal if named else literal_hop(uri, session.around)

    def set_timer(
        self, session: Session, name: str, at: float, action: Callable[[Session, float], None]
    ) -> None:
        """Call `action` at `at` unless the session is over by then."""
        session.timers.add(name)
        self.schedule.set((session, name), at, lambda now: action(session, now))

    def stop_timer(self, session: Session, name: str) -> None:
        """Forget a deadline of a session."""
        session.timers.discard(name)
        self.schedule.cancel((session, name))

    def forget(self, session: Session, now: float) -> None:
        """End a session without an event; what it still owes an answer gets a 487 (15.1.2)."""
        session.move(SessionState.TERMINATED)
        self.sessions.pop(session.id, None)
        self.drop_dialogs(session)
        session.placement = None
        session.referral = None
        for name in list(session.timers):
            self.stop_timer(session, name)
        session.unacknowledged = None
        pending, session.pending = session.pending, None
        if pending is not None:
            self.reply(pending, 487, now, to_tag=session.local_tag)
        if session.calling is not None:
            self.give_up(session.calling, now)

    def give_up(self, transaction: ClientTransaction, now: float) -> None:
        """Wait for the end of a transaction whose outcome matters no more, but not for ever."""
        # No timer runs while an INVITE is PROCEEDING, so one that matters no more needs an end.
        self.schedule.set(
            (transaction, "given up"),
            now + PATIENCE,
            lambda _: self.transactions.abandon(transaction),
        )

    def end(self, session: Session, cause: EndCause, now: float) -> None:
        """End a session that was answered."""
        if not session.over:
            self.forget(session, now)
            self.emit(Ended(session, now, cause))

    def farewell(self, session: Session, now: float, reason: str | None = None) -> None:
        """Send a BYE whose answer interests nobody."""
        self.dialog_request(session, "BYE", _ignore, now, headers=reason_field(reason))

    def wait_for_peer(
        self, session: Session, name: str, action: Callable[[Session, float], None], now: float
    ) -> None:
        """Set a deadline at the end of our patience."""
        self.set_timer(session, name, now + PATIENCE, action)


def credentials_of(request: Request) -> Fields:
    """The credentials in an INVITE, for its ACK to repeat (RFC 3261 22.1)."""
    return [(name, v) for name in CREDENTIAL_FIELDS for v in request.headers.get_all(name)]


def reason_field(reason: str | None) -> Fields:
    """The Reason header of a BYE (RFC 3326), none when there is nothing to say."""
    return () if reason is None else (("Reason", reason),)


def _let_in(_now: float) -> int | None:
    return None


def _nowhere(_hop: Hop) -> Hop | None:
    return None


def _anywhere(_spoken: Hop, _target: Hop) -> bool:
    return True


def _ignore(_outcome: object, _now: float) -> None:
    pass
