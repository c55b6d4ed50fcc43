"""A session: one call as its INVITE made it, from first message to last (RFC 3261 12 to 15)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from mediaserver.sip.dialog import Dialog, DialogKey
from mediaserver.sip.hop import Hop
from mediaserver.sip.keyring import Keyring
from mediaserver.sip.message import KNOWN_METHODS, Request, Response
from mediaserver.sip.placement import Branch, Placement
from mediaserver.sip.referral import Referral
from mediaserver.sip.transaction import ClientTransaction, ServerTransaction


class SessionState(Enum):
    """How far a call is."""

    INVITED = "invited"
    """Server: they called, we have not decided."""
    ANSWERED = "answered"
    """Server: our 2xx is sent and not yet acknowledged."""
    CALLING = "calling"
    """Client: we called, they have not decided."""
    ESTABLISHED = "established"
    ENDING = "ending"
    """Our BYE is on its way."""
    TERMINATED = "terminated"


_S = SessionState

MOVES: Mapping[SessionState, frozenset[SessionState]] = {
    # answer (13.3.1.4) | reject, CANCEL, early BYE (13.3.1.3, 9.2, 15.1.2)
    _S.INVITED: frozenset({_S.ANSWERED, _S.TERMINATED}),
    # ACK (13.3.1.4) | BYE from them, or no ACK in 64*T1
    _S.ANSWERED: frozenset({_S.ESTABLISHED, _S.TERMINATED}),
    # 2xx (13.2.2.4) | 300-699, timeout, cancelled (13.2.2.2, 13.2.2.3, 9.1)
    _S.CALLING: frozenset({_S.ESTABLISHED, _S.TERMINATED}),
    # our BYE (15.1.1) | their BYE (15.1.2), 481 or 408 to a request of ours (12.2.1.2)
    _S.ESTABLISHED: frozenset({_S.ENDING, _S.TERMINATED}),
    # the answer to our BYE, or none
    _S.ENDING: frozenset({_S.TERMINATED}),
    _S.TERMINATED: frozenset(),
}


class EndCause(Enum):
    """Why a session that was answered is over."""

    REMOTE_BYE = "remote_bye"
    LOCAL_BYE = "local_bye"
    ACK_TIMEOUT = "ack_timeout"
    """Our 2xx was never acknowledged (RFC 3261 13.3.1.4)."""
    TRANSPORT = "transport"
    """A request of ours could not be sent."""
    DIALOG_GONE = "dialog_gone"
    """They answered 481, or did not answer at all (RFC 3261 12.2.1.2)."""


@dataclass(slots=True)
class Unacknowledged:
    """A 2xx of ours that is repeated until its ACK comes."""

    transaction: ServerTransaction
    data: bytes
    cseq: int
    interval: float
    """Seconds between the latest two copies."""
    offered: bool
    """True when the 2xx holds an offer, so that the ACK holds the answer."""


@dataclass(slots=True)
class Expiry:
    """How long a session lasts unless somebody refreshes it (RFC 4028)."""

    interval: int
    """Seconds."""
    ours: bool
    """True when it is for us to refresh it."""
    shortest: int = 90
    """Seconds the peer, or somebody on the way, wants the interval to have at least."""


@dataclass(frozen=True, slots=True)
class SentAck:
    """The ACK of the latest 2xx, kept for its copies (RFC 3261 13.2.2.4)."""

    cseq: int
    hop: Hop
    data: bytes


@dataclass(eq=False, slots=True)
class Session:
    """One call. The application reads the first block; the rest is the agent's."""

    id: str
    """Made here, opaque, unique in the process."""
    server: bool
    """True when they called us."""
    invite: Request
    """The INVITE that began it; of a call of ours the latest one, if more than one was needed."""
    hop: Hop
    """Where our next request goes."""
    invite_hop: Hop
    """The hop of the INVITE, for its CANCEL and whatever else must take the same way."""
    state: SessionState
    around: Hop | None = None
    """The hop of UDP for which our INVITE was too large; None: for none."""
    dialog: Dialog | None = None
    """Always there at a server; at a client from the first response with a To tag on."""
    accepted: bool = False
    """True once a 2xx was sent or received: such a session ends with `Ended`."""

    local_tag: str = ""
    natted: bool = False
    """True when only the way they came leads back to them."""
    misled: bool = False
    """True once it was told that the peer's URI leads where we must not go."""
    fallback: Hop | None = None
    """Where to go when the connection `hop` names is lost."""
    pending: ServerTransaction | None = None
    """Their INVITE, re-INVITE or UPDATE that the application has to decide on."""
    unacknowledged: Unacknowledged | None = None
    calling: ClientTransaction | None = None
    """Our INVITE or re-INVITE without a final response."""
    to_acknowledge: Request | None = None
    """Our INVITE whose 2xx has an offer, which the application has yet to answer."""
    sent_ack: SentAck | None = None
    cancelling: bool = False
    """True once the application wants our INVITE cancelled."""
    cancel_sent: bool = False
    bye_wanted: bool = False
    """True when the BYE waits for their ACK (RFC 3261 15)."""
    bye_reason: str | None = None
    glares: int = 0
    """How often our re-INVITE met theirs in a row."""
    placement: Placement | None = None
    """Until the final response to our INVITE."""
    branches: dict[DialogKey, Branch] = field(default_factory=dict)
    """The early dialogs of our INVITE."""
    keyring: Keyring | None = None
    """The credentials for the destination of our INVITE."""
    referral: Referral | None = None
    """Our REFER, as long as there may be news of it."""
    methods: frozenset[str] = frozenset()
    """What the peer's latest Allow lists."""
    expiry: Expiry | None = None
    """None: it lasts until somebody ends it."""
    sdp: bytes = b""
    """The latest SDP of ours that was agreed on."""
    strays: set[DialogKey] = field(default_factory=set)
    """Other branches of a fork that answered too, and were ended."""
    timers: set[str] = field(default_factory=set)
    """Names of the deadlines set for this session."""

    def move(self, state: SessionState) -> None:
        """Go on to `state`; a move outside `MOVES` is a fault of ours."""
        assert state in MOVES[self.state], f"{self.state} -> {state}"
        self.state = state

    @property
    def parting(self) -> bool:
        """True from our BYE or CANCEL, or the wish for a BYE, to the end."""
        return self.state is SessionState.ENDING or self.cancel_sent or self.bye_wanted

    def allows(self, method: str) -> bool:
        """True when the peer said it takes requests of this method; False before it said so."""
        return method in self.methods

    def note_methods(self, message: Request | Response) -> None:
        """Remember the Allow of a message of theirs, if it has one (RFC 3261 20.5)."""
        if "Allow" in message.headers:
            self.methods = KNOWN_METHODS.intersection(message.headers.tokens("Allow"))

    @property
    def over(self) -> bool:
        """True when nothing more will come of it."""
        return self.state is SessionState.TERMINATED
