"""A dialog: two tags, two sequence numbers, a route (RFC 3261 section 12)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mediaserver.sip.address import Address
from mediaserver.sip.derived import MAX_FORWARDS
from mediaserver.sip.headers import Headers
from mediaserver.sip.message import Request, Response
from mediaserver.sip.uri import AbsoluteUri, SipUri
from mediaserver.sip.via import Via

DialogKey = tuple[str, str, str]
"""Call-ID, our tag, their tag; a peer of RFC 2543 that sends no tag has "" (12.1.1)."""


def incoming_key(request: Request) -> DialogKey:
    """The dialog a received request says it belongs to."""
    return (request.call_id, request.to.tag or "", request.from_.tag or "")


def asks_for_tls(invite: Request) -> bool:
    """True when our Contact in the answer to `invite` has to be a sips URI (12.1.1)."""
    if invite.uri[:5].lower() == "sips:":
        return True
    named = invite.record_routes[:1] or invite.contacts[:1]
    return any(isinstance(one.uri, SipUri) and one.uri.scheme == "sips" for one in named)


def _bare(address: Address) -> Address:
    # Parameters other than the tag are not ours to repeat (12.2.1.1).
    tag = tuple(pair for pair in address.params if pair[0].lower() == "tag")
    return replace(address, params=tag)


@dataclass(slots=True)
class Dialog:
    """The state both sides of a call share, seen from ours."""

    call_id: str
    local: Address
    """We, with our tag."""
    remote: Address
    """They, with their tag."""
    remote_target: SipUri | AbsoluteUri
    """Where they want requests: their latest Contact."""
    route_set: tuple[Address, ...] = ()
    local_cseq: int = 0
    """The number of our latest request; 0 before the first."""
    remote_cseq: int | None = None
    """The number of their latest request; None before the first."""
    secure: bool = False
    """True when the request that made the dialog went to a sips URI (12.1.1): our Contact is one,
    too."""

    @classmethod
    def of_server(cls, invite: Request, local_tag: str) -> Dialog:
        """The dialog our answer to `invite` makes (RFC 3261 12.1.1)."""
        contact = invite.contact
        return cls(
            call_id=invite.call_id,
            local=_bare(invite.to).with_tag(local_tag),
            remote=_bare(invite.from_),
            remote_target=contact.uri if contact is not None else invite.from_.uri,
            route_set=invite.record_routes,
            remote_cseq=invite.cseq.number,
            secure=asks_for_tls(invite),
        )

    @classmethod
    def of_client(cls, invite: Request, response: Response) -> Dialog:
        """The dialog their response to our `invite` makes (RFC 3261 12.1.2)."""
        contact = response.contact
        return cls(
            call_id=invite.call_id,
            local=_bare(invite.from_),
            remote=_bare(response.to),
            remote_target=contact.uri if contact is not None else invite.target,
            route_set=tuple(reversed(response.record_routes)),
            local_cseq=invite.cseq.number,
            secure=invite.uri[:5].lower() == "sips:",
        )

    @property
    def local_tag(self) -> str:
        """Our tag."""
        return self.local.tag or ""

    @property
    def remote_tag(self) -> str:
        """Their tag, "" when they have none."""
        return self.remote.tag or ""

    @property
    def key(self) -> DialogKey:
        """What requests of this dialog are found by."""
        return (self.call_id, self.local_tag, self.remote_tag)

    @property
    def next_uri(self) -> SipUri | AbsoluteUri:
        """The URI whose address the next request is sent to (RFC 3261 8.1.2)."""
        return self.route_set[0].uri if self.route_set else self.remote_target

    def refresh(self, message: Request | Response) -> None:
        """Take the remote target of a target refresh request or its 2xx (RFC 3261 12.2)."""
        contact = message.contact
        if contact is not None:
            self.remote_target = contact.uri

    def request(
        self,
        method: str,
        via: Via,
        *,
        cseq: int | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Request:
        """A request within the dialog (12.2.1.1); `cseq` is given for an ACK, else counted on."""
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        target, routes = self._path()
        fields = Headers()
        fields.add("Via", str(via))
        fields.add("Max-Forwards", MAX_FORWARDS)
        for route in routes:
            fields.add_received("Route", str(route))
        fields.add_received("From", str(self.local))
        fields.add_received("To", str(self.remote))
        fields.add_received("Call-ID", self.call_id)
        fields.add("CSeq", f"{cseq} {method}")
        for name, value in headers:
            fields.add(name, value)
        return Request(method, str(target), fields, body)

    def _path(self) -> tuple[SipUri | AbsoluteUri, tuple[Address, ...]]:
        """Request-URI and Route headers, loose or strict (RFC 3261 12.2.1.1)."""
        if not self.route_set:
            return self.remote_target, ()
        first = self.route_set[0].uri
        if not isinstance(first, SipUri) or first.param("lr") is not None:
            return self.remote_target, self.route_set
        # A strict router wants to see itself in the Request-URI and the target come last.
        return (
            replace(first, headers=()),
            (*self.route_set[1:], Address(self.remote_target)),
        )
