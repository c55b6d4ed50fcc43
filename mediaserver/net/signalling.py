"""Commands of calls, carried out by the SIP endpoint (see `calls.ports.Signalling`)."""

from __future__ import annotations

from collections.abc import Callable

from ..sip.hop import Hop, Transport
from ..sip.session import Session
from ..sip.uri import SipUri
from .locate import Locator
from .sip import SipEndpoint


class Signalling:
    """Lets calls command the agent without knowing of sockets or time."""

    def __init__(self, endpoint: SipEndpoint, locator: Locator) -> None:
        self._endpoint = endpoint
        self._locator = locator

    def ring(self, session: Session, *, status: int = 180, body: bytes = b"") -> None:
        """Send a provisional answer."""
        self._endpoint.command(
            lambda agent, now: agent.ring(session, now, status=status, body=body)
        )

    def answer(self, session: Session, body: bytes) -> None:
        """Accept a call or a re-INVITE with an SDP body."""
        self._endpoint.command(lambda agent, now: agent.answer(session, body, now))

    def reject(
        self,
        session: Session,
        status: int,
        *,
        reason: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Refuse a call or a re-INVITE; `retry_after` in seconds."""
        headers = [] if retry_after is None else [("Retry-After", str(retry_after))]
        self._endpoint.command(
            lambda agent, now: agent.reject(session, status, now, reason=reason, headers=headers)
        )

    def hang_up(self, session: Session) -> None:
        """End a call in whichever way fits its state."""
        self._endpoint.command(lambda agent, now: agent.hang_up(session, now))

    async def invite(self, target: SipUri, from_: str, offer: Callable[[Hop], bytes]) -> Session:
        """Place a call where `target` is best reached; LocalError if it cannot be."""
        hop = (await self._locator.resolve(target))[0]
        return self._endpoint.command(
            lambda agent, now: agent.invite(target, hop, offer(hop), now, from_=f"<{from_}>")
        )


def contact_for(advertise: str | None) -> Callable[[Hop], str]:
    """Return what makes the Contact of a hop; `advertise` is the host peers are told, if set."""

    def contact(hop: Hop) -> str:
        host = advertise or hop.local[0]
        transport = ";transport=tcp" if hop.transport is Transport.TCP else ""
        return f"sip:mediaserver@{bracketed(host)}:{hop.local[1]}{transport}"

    return contact


def bracketed(host: str) -> str:
    """Return a host as URIs write it: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
