"""What a request must be before anybody looks at what it wants (RFC 3261 8.2.1 to 8.2.3)."""

from __future__ import annotations

from dataclasses import dataclass

from mediaserver.sip.core import ACCEPT, ALLOW, METHODS, SDP
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.message import KNOWN_METHODS, Request
from mediaserver.sip.session_timer import SHORTEST, too_short

_NEEDS_DIALOG = frozenset(("BYE", "INFO", "NOTIFY", "UPDATE"))
_EXTENSIONS = frozenset(("timer",))
_WITH_OFFER = frozenset(("INVITE", "UPDATE"))
_NO_ENCODING = ("", "identity")
_INSECURE = "a request to a sips URI must come over TLS"
_NO_REGISTRAR = "nobody registers here: calls come from a trunk or PBX, or without registration"


@dataclass(frozen=True, slots=True)
class Refusal:
    """How to answer a request that goes no further."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    reason: str | None = None
    warning: str | None = None
    """The text of a Warning."""


def screen(request: Request) -> Refusal | None:
    """Why a request other than ACK and CANCEL goes no further, None when it may."""
    return (
        _screen_method(request)
        or _screen_extensions(request)
        or _screen_body(request)
        or _screen_contact(request)
        or _screen_interval(request)
    )


def screen_hop(request: Request, hop: Hop) -> Refusal | None:
    """Why a request may not have come over `hop`: one to a sips URI takes TLS to its very end.

    RFC 3261 26.2.2, RFC 5630 3.1.
    """
    if hop.transport is Transport.TLS or request.uri[:5].lower() != "sips:":
        return None
    return Refusal(416, warning=_INSECURE)


def _screen_method(request: Request) -> Refusal | None:
    if request.method in METHODS:
        if request.method in _NEEDS_DIALOG and request.to.tag is None:
            return Refusal(481)
        return None
    if request.method == "REGISTER":  # what a softphone begins with
        return Refusal(405, (ALLOW,), warning=_NO_REGISTRAR)
    # 8.2.1: a method we have heard of; 21.5.2: one we have not.
    return Refusal(405 if request.method in KNOWN_METHODS else 501, (ALLOW,))


def _screen_extensions(request: Request) -> Refusal | None:
    # 8.2.2.3
    required = [tag for tag in request.headers.tokens("Require") if tag.lower() not in _EXTENSIONS]
    if not required:
        return None
    return Refusal(420, tuple(("Unsupported", tag) for tag in dict.fromkeys(required)))


def _screen_body(request: Request) -> Refusal | None:
    if request.method not in _WITH_OFFER:
        return None
    if request.body and request.content_type != SDP:
        return Refusal(415, (ACCEPT,))
    encoding = (request.headers.get("Content-Encoding") or "").strip().lower()
    if request.body and encoding not in _NO_ENCODING:
        return Refusal(415, (ACCEPT, ("Accept-Encoding", "identity")))
    if not _accepts_sdp(request):
        return Refusal(406, (ACCEPT,))
    return None


def _accepts_sdp(request: Request) -> bool:
    # 20.1: without the header SDP is assumed; an empty one accepts nothing.
    if "Accept" not in request.headers:
        return True
    ranges = {
        item.split(";", 1)[0].replace(" ", "").lower() for item in request.headers.tokens("Accept")
    }
    return not ranges.isdisjoint((SDP, "application/*", "*/*"))


def _screen_contact(request: Request) -> Refusal | None:
    # 8.1.1.8: exactly one, or we could never send a BYE. A client of RFC 2543 may leave it out:
    # then From is where our requests go (RFC 4475 3.4.1).
    begins = request.method == "INVITE" and request.to.tag is None
    fewest = 1 if request.via.has_cookie else 0
    if begins and not fewest <= len(request.contacts) <= 1:
        return Refusal(400, reason="INVITE Needs One Contact")
    return None


def _screen_interval(request: Request) -> Refusal | None:
    if request.method in _WITH_OFFER and too_short(request):
        return Refusal(422, (("Min-SE", str(SHORTEST)),))
    return None
