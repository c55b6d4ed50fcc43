"""The response to a request: what must be copied of it, then what is added (RFC 3261 8.2.6)."""

from __future__ import annotations

from collections.abc import Iterable

from mediaserver.errors import PeerError
from mediaserver.sip.address import Address
from mediaserver.sip.headers import Headers, check_safe
from mediaserver.sip.message import Request, Response, SipParseError
from mediaserver.sip.reasons import reason_for


def respond(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str | None = None,
) -> Response:
    """Return the response to a request.

    `to_tag` is added when the request has no To tag of its own. Record-Route goes into what can
    make a dialog (12.1.1). LocalError when an added header cannot be written.
    """
    received, answer = request.headers, Headers()
    answer.copy_from(received, "Via")
    answer.copy_from(received, "From", first=True)
    if to_tag is None or _has_tag(received.get("To")):
        answer.copy_from(received, "To", first=True)
    else:
        answer.add_received("To", f"{received.get('To')};tag={check_safe(to_tag)}")
    answer.copy_from(received, "Call-ID", "CSeq", first=True)
    if status == 100:  # 8.2.6.1
        answer.copy_from(received, "Timestamp")
    elif status < 300:
        answer.copy_from(received, "Record-Route")
    for name, value in headers:
        answer.add(name, value)
    if content_type is not None:
        answer.set("Content-Type", content_type)
    return Response(status, reason_for(status) if reason is None else reason, answer, body)


def refusal(error: SipParseError, *, to_tag: str) -> Response | None:
    """Return the answer to a request that could not be read, None when it gets none."""
    if error.request_headers is None or error.method in (None, "ACK"):
        return None
    request = Request(error.method, "", error.request_headers)
    return respond(request, error.status, error.reason, to_tag=to_tag)


def _has_tag(to: str | None) -> bool:
    """True when a To value has a tag, or is missing or so broken that none can be added."""
    if to is None:
        return True
    try:
        return Address.parse(to).tag is not None
    except PeerError:
        return '"' in to or ";tag=" in to.lower()
