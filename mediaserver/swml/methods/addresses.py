"""Parameters that are addresses: of SIP, of WebSockets, of RTP."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from ...errors import PeerError
from ...sip.extra_headers import MAX_FIELDS, check
from ...sip.uri import SipUri
from ..actions import DestinationKind
from ..limits import MAX_LINE, MAX_URL
from ..source import web_url
from .kinds import DEFERRED, ListOf, Place
from .table import Parameter, Table
from .texts import Line

SOCKET_SCHEMES: Final = ("ws", "wss")

_NUMBER: Final = re.compile(r"\+?[0-9*#]{1,32}")
_NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9._~-]*"
_RESOURCE: Final = re.compile(rf"/{_NAME}/{_NAME}(?:\?[A-Za-z0-9._~=&-]*)?")


@dataclass(frozen=True, slots=True)
class Callee:
    """Whoever `connect` calls."""

    def read(self, value: Any, place: Place) -> Any:
        """Return (DestinationKind, address)."""
        must = (
            "must be a telephone number, sip:USER@HOST, stream:wss://HOST/PATH, queue:NAME"
            " or /CONTEXT/NAME"
        )
        return place.meant(value, must, lambda text: _callee(text.strip(), place))


def _callee(text: str, place: Place) -> tuple[DestinationKind, str] | None:
    scheme, _, rest = text.partition(":")
    match scheme.lower():
        case "sip" | "sips":
            return "sip", _sip_uri(text, place)
        case "stream":
            url = web_url(rest.strip(), SOCKET_SCHEMES)
            return ("stream", url) if url is not None else None
        case "queue":
            return ("queue", rest.strip()) if _is_line(rest.strip()) else None
    if _NUMBER.fullmatch(text):
        return "phone", text
    if _RESOURCE.fullmatch(text) and len(text) <= MAX_LINE:
        return "resource", text
    return None


def _is_line(text: str) -> bool:
    return 0 < len(text) <= MAX_LINE and text.isprintable()


def _sip_uri(text: str, place: Place) -> str:
    if len(text) > MAX_URL:
        raise place.refuse(f"must be a SIP URI of at most {MAX_URL} characters")
    try:
        uri = SipUri.parse(text)
    except PeerError as error:
        raise place.refuse(f"must be a SIP URI such as sip:USER@HOST: {error.reason}") from None
    if uri.headers:
        raise place.refuse("must be a SIP URI without header fields (?)")
    return text


@dataclass(frozen=True, slots=True)
class SipAddress:
    """A `sip:` or `sips:` URI."""

    def read(self, value: Any, place: Place) -> Any:
        """Return it as a text."""
        given = place.text(value, "must be a SIP URI such as sip:USER@HOST")
        return given if given is DEFERRED else _sip_uri(given.strip(), place)


@dataclass(frozen=True, slots=True)
class CallerId:
    """Who is said to be calling: a number, a name, or a SIP URI."""

    def read(self, value: Any, place: Place) -> Any:
        """Return it as a text."""
        given = Line().read(value, place)
        if given is DEFERRED or not given.lower().startswith(("sip:", "sips:")):
            return given
        return _sip_uri(given, place)


@dataclass(frozen=True, slots=True)
class SocketUrl:
    """A `wss://` URL; `ws://` where the network is one's own."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the URL."""
        must = "must be a wss:// or ws:// URL"
        return place.meant(value, must, lambda text: web_url(text, SOCKET_SCHEMES))


@dataclass(frozen=True, slots=True)
class TapUri:
    """Where a tap goes: a WebSocket, or address and port of an RTP receiver."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the URI."""
        return place.meant(value, "must be rtp://ADDRESS:PORT, wss://HOST or ws://HOST", _tap_uri)


def _tap_uri(text: str) -> str | None:
    uri = web_url(text, (*SOCKET_SCHEMES, "rtp"))
    return None if uri is not None and uri.startswith("rtp:") and not _is_rtp(uri) else uri


def _is_rtp(uri: str) -> bool:
    parts = urlsplit(uri)
    try:
        ip_address(parts.hostname or "")
    except ValueError:
        return False
    bare = not parts.path.strip("/") and not (parts.query or parts.fragment or parts.username)
    return bool(parts.port) and bare


@dataclass(frozen=True, slots=True)
class _HeaderText:
    """Name or value of a header field; what may be in it is for both to say."""

    def read(self, value: Any, place: Place) -> Any:
        return place.text(value, "must be a text")


_HEADER: Final = Table(
    "a header",
    (
        Parameter("name", _HeaderText(), required=True),
        Parameter("value", _HeaderText(), required=True),
    ),
)


@dataclass(frozen=True, slots=True)
class SipHeaders:
    """Header fields of a request, of those that are not the server's own."""

    def read(self, value: Any, place: Place) -> Any:
        """Return pairs of name and value."""
        fields = ListOf(_HEADER, MAX_FIELDS, 0).read(value, place)
        pairs = tuple((field["name"], field["value"]) for field in fields)
        for index, pair in enumerate(pairs):
            if DEFERRED in pair:
                continue
            try:
                check(*pair)
            except ValueError as error:
                raise place.inside(index).refuse(str(error)) from None
        return pairs
