"""What the INVITE of a call of ours is made of, kept while it may have to be sent again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from mediaserver.sip.address import Address
from mediaserver.sip.dialog import Dialog
from mediaserver.sip.hop import Hop
from mediaserver.sip.message import Request
from mediaserver.sip.transaction import ClientTransaction
from mediaserver.sip.uri import SipUri

HOP_PATIENCE: Final = 5.0
"""Seconds a hop may keep silent while there are others: over UDP the fourth copy is sent after 3.5
seconds, and its answer has the rest. The last hop has all the time of RFC 3261 (timer B)."""

MAX_BRANCHES: Final = 16
"""Branches of a fork that are followed; what further ones say is not heard."""

MAX_RELIABLE: Final = 64
"""Provisional responses of one branch that are acknowledged one by one (RFC 3262)."""


@dataclass(slots=True)
class Placement:
    """A call of ours until its final response."""

    target: SipUri
    caller: Address
    """With our tag."""
    called: Address
    call_id: str
    headers: tuple[tuple[str, str], ...]
    offer: Callable[[Hop], bytes]
    """Makes the body for a hop."""
    hops: list[Hop]
    """Those to try yet, best first (RFC 3263 4.3)."""
    detours: Mapping[Hop, Hop] = field(default_factory=dict)
    """Hops over TCP for requests that are too large for these (RFC 3261 18.1.1)."""
    answered: list[str] = field(default_factory=list)
    """See `Keyring.learn`."""
    interval: int | None = None
    """Seconds of a session that are proposed (RFC 4028); None: as always."""
    shortest: int = 90
    """Seconds a session lasts at least, as a 422 told (RFC 4028 7.3)."""
    alerted: bool = False
    """True once somebody beyond the hop has said something."""
    trouble: str = ""
    """Why the first hop failed of which there is a sentence about it."""


@dataclass(slots=True)
class Attempt:
    """One INVITE on its way."""

    request: Request
    hop: Hop
    around: Hop | None = None
    """The hop it would have taken, were it not too large for that; it is the next to be tried."""
    transaction: ClientTransaction | None = None
    cancelled: bool = False
    """True once an INVITE that was given up got its CANCEL."""


@dataclass(slots=True)
class Branch:
    """One early dialog; a fork makes several (RFC 3261 12.1, 13.2.2.4)."""

    dialog: Dialog
    sdp: bytes = b""
    """The latest SDP it brought."""
    rseq: int | None = None
    """RSeq of the latest reliable response, None before the first (RFC 3262 4)."""
    reliable: int = 0
    """How many of them were acknowledged."""
