"""Commands of calls, carried out by the SIP endpoint (see `calls.ports.Signalling`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..calls.ports import Invitation
from ..errors import LocalError, PeerError
from ..sip.agent import Agent
from ..sip.digest import Credentials
from ..sip.hop import Hop
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
        retry_after: int | None = None,
        warning: tuple[int, str] | None = None,
    ) -> None:
        """See `calls.ports.Signalling.reject`."""
        headers = [] if retry_after is None else [("Retry-After", str(retry_after))]
        self._endpoint.command(
            lambda agent, now: agent.reject(session, status, now, headers=headers, warning=warning)
        )

    def hang_up(self, session: Session) -> None:
        """End a call in whichever way fits its state."""
        self._endpoint.command(lambda agent, now: agent.hang_up(session, now))

    async def invite(
        self, target: SipUri, invitation: Invitation, began: Callable[[Session], None]
    ) -> Session:
        """Place a call where `target` is best reached; LocalError if it cannot be."""
        hops = await self._locator.resolve(target)
        detours = self._locator.detours(target, hops)
        return self._endpoint.command(
            lambda agent, now: self._invite(agent, target, hops, detours, invitation, began, now)
        )

    def _invite(
        self,
        agent: Agent,
        target: SipUri,
        hops: list[Hop],
        detours: Mapping[Hop, Hop],
        invitation: Invitation,
        began: Callable[[Session], None],
        now: float,
    ) -> Session:
        try:
            session = agent.invite(
                target,
                hops,
                invitation.offer,
                now,
                from_=invitation.from_,
                to=invitation.to,
                headers=invitation.headers,
                credentials=invitation.credentials,
                interval=invitation.session_interval,
                detours=detours,
            )
        except PeerError as error:
            raise LocalError(f"the call to {target} cannot be placed: {error.reason}") from None
        # Whatever comes of it is reported when this command is over, and not before.
        began(session)
        return session

    def acknowledge(self, session: Session, body: bytes) -> None:
        """Send our answer to the offer in their 2xx."""
        self._endpoint.command(lambda agent, _: agent.acknowledge(session, body))

    def reinvite(self, session: Session, body: bytes) -> None:
        """Offer a change of an established call; b"" to be given an offer."""
        self._endpoint.command(lambda agent, now: agent.reinvite(session, body, now))

    def info(self, session: Session, content_type: str, body: bytes) -> None:
        """Send an INFO."""
        self._endpoint.command(lambda agent, now: agent.info(session, content_type, body, now))

    def refer(
        self,
        session: Session,
        to: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        credentials: Credentials | None = None,
    ) -> None:
        """Ask the peer of an established call to call `to`, the value of a Refer-To."""
        self._endpoint.command(
            lambda agent, now: agent.refer(session, to, now, headers, credentials)
        )


def contact_for(advertise: str | None) -> Callable[[Hop], str]:
    """Return what makes the Contact of a hop; `advertise` is the host peers are told, if set."""

    def contact(hop: Hop) -> str:
        host = advertise or hop.local[0]
        transport = f";transport={hop.transport.lower()}" if hop.transport.reliable else ""
        return f"sip:mediaserver@{bracketed(host)}:{hop.local[1]}{transport}"

    return contact


def bracketed(host: str) -> str:
    """Return a host as URIs write it: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
