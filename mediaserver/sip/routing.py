"""Which socket addresses a message goes to, as far as that needs no name look-up."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from functools import lru_cache

from mediaserver.sip.hop import Hop
from mediaserver.sip.limits import REMEMBERED
from mediaserver.sip.message import Request
from mediaserver.sip.uri import AbsoluteUri, SipUri

DEFAULT_PORT = 5060
"""Without TLS; see `Transport.port`."""


def note_source(request: Request, hop: Hop) -> None:
    """Put received and rport into the topmost Via (RFC 3261 18.2.1, RFC 3581 4)."""
    first, *others = request.vias
    seen = first.with_source(*hop.remote)
    if seen == first:
        return
    request.headers.remove("Via")
    vias = (seen, *others)
    for via in vias:
        request.headers.add_received("Via", str(via))
    request.headers.typed("via", lambda: vias)


def response_hop(request: Request, hop: Hop) -> Hop:
    """Where responses to a request that came over `hop` go (RFC 3261 18.2.2, RFC 3581 4).

    Over TCP the same connection; over UDP the source, at the source port when rport was asked
    for and at the port of sent-by otherwise, or the maddr when the Via names an address there.
    """
    via = request.via
    if hop.transport.reliable or via.wants_rport:
        return hop
    host = hop.remote[0]
    for name, value in via.params:
        if name.lower() == "maddr" and value and is_address(value.strip("[]")):
            host = value.strip("[]")
    return replace(hop, remote=(host, via.port or DEFAULT_PORT))


def fallback_hop(request: Request, hop: Hop) -> Hop:
    """Where responses go when the connection they should use is gone (RFC 3261 18.2.2)."""
    return replace(hop, remote=(hop.remote[0], request.via.port or hop.transport.port))


@lru_cache(REMEMBERED)
def is_address(host: str) -> bool:
    """True for an IPv4 or IPv6 address, False for a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def literal_hop(uri: SipUri | AbsoluteUri, like: Hop) -> Hop | None:
    """The hop a URI spells out, from the local address of `like`; None when it needs a look-up.

    A URI without a transport parameter stays on the transport of `like`, so that a dialog
    does not wander from TCP to UDP, nor out of TLS. A transport we lack is None too. Who is at the
    other end of TLS has to prove the same name as before.
    """
    if not isinstance(uri, SipUri):
        return None
    host = uri.param("maddr") or uri.host
    transport = named_transport(uri) or like.transport
    if not is_address(host) or transport != like.transport:
        return None
    return replace(like, remote=(host, uri.port or like.transport.port))


def named_transport(uri: SipUri) -> str | None:
    """The transport a URI asks for, in capitals, whether we have it or not; None: whichever.

    A sips URI asks for TLS, its parameter says over what (RFC 3261 26.2.2).
    """
    name = (uri.param("transport") or "").upper()
    if uri.scheme == "sips":
        return "TLS" if name in ("", "TCP", "TLS") else f"TLS-{name}"
    return name or None


def stays_on(hop: Hop, literal: Hop) -> bool:
    """True when `hop`, over which the peer spoke, serves better than the address in its URI.

    That is so for a connection to the same host, which is still open and may be the only way
    back, and for a private address seen from outside: it means something behind their NAT.
    """
    if hop.transport.reliable and hop.remote[0] == literal.remote[0]:
        return True
    return _is_private(literal.remote[0]) and not _is_private(hop.remote[0])


def is_natted(request: Request, hop: Hop) -> bool:
    """True when a NAT changed the address of a request on its way (RFC 3581)."""
    via = request.via
    if not is_address(via.host):
        return False
    # A port that differs says so only of a peer that sends and listens on one and the same.
    symmetric = via.wants_rport and not hop.transport.reliable
    return via.host != hop.remote[0] or (symmetric and (via.port or DEFAULT_PORT) != hop.remote[1])


@lru_cache(REMEMBERED)
def _is_private(host: str) -> bool:
    return ipaddress.ip_address(host).is_private
