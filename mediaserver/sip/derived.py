"""Requests cut out of an INVITE: its CANCEL and the ACK of its refusal (RFC 3261 9.1, 17.1.1.3)."""

from __future__ import annotations

from mediaserver.sip.headers import Headers
from mediaserver.sip.message import Request, Response

MAX_FORWARDS = "70"


def _derive(invite: Request, method: str, to: str) -> Request:
    headers = Headers()
    # Its own top Via, with the same branch: that is what ties it to the INVITE hop by hop.
    headers.add_received("Via", str(invite.via))
    headers.add("Max-Forwards", MAX_FORWARDS)
    headers.copy_from(invite.headers, "From")
    headers.add_received("To", to)
    headers.copy_from(invite.headers, "Call-ID")
    headers.add("CSeq", f"{invite.cseq.number} {method}")
    headers.copy_from(invite.headers, "Route")
    return Request(method, invite.uri, headers)


def refusal_ack(invite: Request, response: Response) -> Request:
    """The ACK for a 300-699: the To of the response, all else from the INVITE (17.1.1.3)."""
    ack = _derive(invite, "ACK", response.headers.get("To") or "")
    ack.headers.copy_from(invite.headers, "Authorization", "Proxy-Authorization")  # 22.1
    return ack


def cancel_of(invite: Request) -> Request:
    """The CANCEL: everything from the INVITE, no Require (9.1)."""
    return _derive(invite, "CANCEL", invite.headers.get("To") or "")
