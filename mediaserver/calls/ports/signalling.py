"""How a call is answered, placed and ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from ...sip.digest import Credentials
from ...sip.hop import Hop
from ...sip.session import Session
from ...sip.uri import SipUri


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What the INVITE of a call of ours says."""

    from_: str
    """A header value without a tag, as `"Name" <sip:a@b>`."""
    to: str | None = None
    """Likewise; None: the target."""
    headers: tuple[tuple[str, str], ...] = ()
    """More header fields, each fit by `sip.extra_headers.check`."""
    credentials: Credentials | None = None
    """For challenges of the destination, and of nobody else."""
    session_interval: int | None = None
    """Seconds its Session-Expires proposes (RFC 4028); None: as always."""
    offer: Callable[[Hop], bytes]
    """Makes its SDP once it is known where it goes, and again for each other hop that has to be
    tried; b"" to be given an offer."""


class Signalling(Protocol):
    """What a call asks of SIP; every command is carried out at once."""

    def ring(self, session: Session, *, status: int = 180, body: bytes = b"") -> None:
        """Send a provisional answer."""

    def answer(self, session: Session, body: bytes) -> None:
        """Accept a call or a re-INVITE with an SDP body."""

    def reject(
        self,
        session: Session,
        status: int,
        *,
        retry_after: int | None = None,
        warning: tuple[int, str] | None = None,
    ) -> None:
        """Refuse a call or a re-INVITE.

        `retry_after` is in seconds, `warning` the code and the text of a Warning.
        """

    def hang_up(self, session: Session) -> None:
        """End a call in whichever way fits its state."""

    def invite(
        self, target: SipUri, invitation: Invitation, began: Callable[[Session], None]
    ) -> Awaitable[Session]:
        """Place a call where `target` is best reached.

        `began` is given its session before any event about it can be reported. LocalError when the
        target cannot be resolved, or the invitation not be written; `began` is not called then.
        """

    def acknowledge(self, session: Session, body: bytes) -> None:
        """Send our answer to the offer in their 2xx."""

    def reinvite(self, session: Session, body: bytes) -> None:
        """Offer a change of an established call; b"" to be given an offer."""

    def info(self, session: Session, content_type: str, body: bytes) -> None:
        """Send an INFO; whether the peer takes them is `session.allows("INFO")`."""

    def refer(
        self,
        session: Session,
        to: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        credentials: Credentials | None = None,
    ) -> None:
        """Ask the peer of an established call to call `to`, the value of a Refer-To.

        `ReferAnswered` and `ReferProgressed` follow. LocalError when it cannot be written.
        """
