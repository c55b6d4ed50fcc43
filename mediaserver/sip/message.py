"""Requests and responses as values, read from bytes and written to bytes (RFC 3261 7).

What RFC 4475 says must be refused is refused here with a `SipParseError` that knows how to be
answered; what it says must be accepted is accepted. Typed accessors read a header when first
asked and keep the result. On a parsed message those for Via, From, To, Call-ID, CSeq,
Max-Forwards, Contact, Route and Record-Route have succeeded already and cannot raise any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from mediaserver.errors import PeerError
from mediaserver.sip.address import Address
from mediaserver.sip.cseq import CSeq
from mediaserver.sip.grammar import bad, is_token, read_number
from mediaserver.sip.headers import Headers, check_safe, header_key
from mediaserver.sip.limits import MAX_FORWARDS_LIMIT, MAX_LIST_VALUES, MAX_METHOD, MAX_VIAS
from mediaserver.sip.reasons import reason_for
from mediaserver.sip.section import Section, cut_body, read_section
from mediaserver.sip.uri import SipUri
from mediaserver.sip.via import Via

T = TypeVar("T")

KNOWN_METHODS = frozenset(
    (
        "ACK",
        "BYE",
        "CANCEL",
        "INFO",
        "INVITE",
        "MESSAGE",
        "NOTIFY",
        "OPTIONS",
        "PRACK",
        "PUBLISH",
        "REFER",
        "REGISTER",
        "SUBSCRIBE",
        "UPDATE",
    )
)
"""Every registered method: one we do not serve is a 405, one outside this set a 501."""


class SipParseError(PeerError):
    """A message that cannot be accepted, with what is needed to answer it.

    `method` and `request_headers` are set when the message was a request whose headers could be
    made out. Both are None for responses and noise, which are dropped without an answer. An ACK
    is never answered either (RFC 3261 17.1.1.3); `replies.refusal` knows that.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        *,
        method: str | None = None,
        request_headers: Headers | None = None,
    ) -> None:
        super().__init__(status, reason)
        self.method = method
        self.request_headers = request_headers


class _Message:
    """What requests and responses share: the typed view of their headers."""

    __slots__ = ()
    headers: Headers
    body: bytes

    @property
    def vias(self) -> tuple[Via, ...]:
        """Every Via, topmost first; PeerError 400 when there is none."""
        return self.headers.typed("via", self._read_vias)

    def _read_vias(self) -> tuple[Via, ...]:
        vias = _read_list(self.headers, "Via", Via.parse_list, MAX_VIAS)
        if not vias:
            raise PeerError(400, "Missing Via Header")
        return vias

    @property
    def via(self) -> Via:
        """The topmost Via."""
        return self.vias[0]

    @property
    def from_(self) -> Address:
        """Who the request says it is from."""
        return self.headers.typed("from", lambda: Address.parse(self._must("From")))

    @property
    def to(self) -> Address:
        """Whom the request was first meant for."""
        return self.headers.typed("to", lambda: Address.parse(self._must("To")))

    @property
    def call_id(self) -> str:
        """The Call-ID, compared byte by byte (20.8)."""
        return self.headers.typed("call-id", self._read_call_id)

    def _read_call_id(self) -> str:
        value = self._must("Call-ID")
        if not value or " " in value or "\t" in value:
            raise bad("Call-ID")
        return value

    @property
    def cseq(self) -> CSeq:
        """The sequence number and the method it belongs to."""
        return self.headers.typed("cseq", lambda: CSeq.parse(self._must("CSeq")))

    @property
    def max_forwards(self) -> int | None:
        """Hops left, 0 to 255; None when absent or, as RFC 4475 3.1.2.4 allows, too large."""
        return self.headers.typed("max-forwards", self._read_max_forwards)

    def _read_max_forwards(self) -> int | None:
        text = self.headers.get("Max-Forwards")
        if text is None:
            return None
        number = read_number(text, "Max-Forwards")
        return number if number <= MAX_FORWARDS_LIMIT else None

    @property
    def contacts(self) -> tuple[Address, ...]:
        """Every Contact; empty for the "*" of a REGISTER."""
        return self.headers.typed("contact", self._read_contacts)

    def _read_contacts(self) -> tuple[Address, ...]:
        if self.headers.get_all("Contact") == ["*"]:
            return ()
        return _read_list(self.headers, "Contact", Address.parse_list, MAX_LIST_VALUES)

    @property
    def contact(self) -> Address | None:
        """The first Contact, None when there is none."""
        contacts = self.contacts
        return contacts[0] if contacts else None

    @property
    def routes(self) -> tuple[Address, ...]:
        """Every Route in order."""
        return self._addresses("Route")

    @property
    def record_routes(self) -> tuple[Address, ...]:
        """Every Record-Route in order."""
        return self._addresses("Record-Route")

    def _addresses(self, name: str) -> tuple[Address, ...]:
        return self.headers.typed(
            header_key(name),
            lambda: _read_list(self.headers, name, Address.parse_list, MAX_LIST_VALUES),
        )

    @property
    def content_type(self) -> str | None:
        """The media type in lower case without parameters, as "application/sdp"."""
        value = self.headers.get("Content-Type")
        if value is None:
            return None
        return "/".join(part.strip(" \t") for part in value.split(";", 1)[0].split("/")).lower()

    def _must(self, name: str) -> str:
        value = self.headers.get(name)
        if value is None:
            raise PeerError(400, f"Missing {name} Header")
        return value

    def _to_bytes(self, start_line: str) -> bytes:
        lines = [check_safe(start_line)]
        lines += [
            f"{name}: {value}" for name, value in self.headers.items() if name != "Content-Length"
        ]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body


@dataclass(frozen=True, slots=True)
class Request(_Message):
    """A request. `uri` is the Request-URI as written; `target` is what it means."""

    method: str
    uri: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    def target(self) -> SipUri:
        """The Request-URI; PeerError when it was not parsed and is none: 416, 414 or 400."""
        return SipUri.parse(self.uri)

    def to_bytes(self) -> bytes:
        """The request for the wire, its Content-Length that of `body`."""
        return self._to_bytes(f"{self.method} {self.uri} SIP/2.0")


@dataclass(frozen=True, slots=True)
class Response(_Message):
    """A response."""

    status: int
    reason: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    def to_bytes(self) -> bytes:
        """The response for the wire, its Content-Length that of `body`."""
        return self._to_bytes(f"SIP/2.0 {self.status} {self.reason}")


def _read_list(
    headers: Headers, name: str, parse_list: Callable[[str], tuple[T, ...]], limit: int
) -> tuple[T, ...]:
    found: list[T] = []
    for value in headers.get_all(name):
        found.extend(parse_list(value))
        if len(found) > limit:
            raise PeerError(400, f"Too Many {name} Values")
    return tuple(found)


def parse_message(data: bytes, *, stream: bool = False) -> Request | Response:
    """Read one datagram, or with `stream` one framed message; raises SipParseError alone."""
    try:
        section = read_section(data)
    except PeerError as error:
        raise SipParseError(error.status, error.reason) from None
    try:
        if _is_response(section):
            return _read_response(section, stream=stream)
        return _read_request(section, stream=stream)
    except PeerError as error:
        raise answerable_error(section, error) from None


def answerable_error(section: Section, error: PeerError) -> SipParseError:
    """`error` with what is needed to answer it, as far as `section` gives that away."""
    method = section.start_line.partition(" ")[0]
    # Without a Via there is nobody to answer, and without a method it was no request.
    answerable = _is_method(method) and not _is_response(section) and "Via" in section.headers
    return SipParseError(
        error.status,
        error.reason,
        method=method if answerable else None,
        request_headers=section.headers if answerable else None,
    )


def _is_response(section: Section) -> bool:
    return section.start_line[:4].upper() == "SIP/"


def _is_method(text: str) -> bool:
    return is_token(text) and len(text) <= MAX_METHOD


def _read_request(section: Section, *, stream: bool) -> Request:
    words = section.start_line.split(" ", 3)
    if len(words) != 3:
        raise bad("Request Line")
    method, uri, version = words
    if not _is_method(method):
        raise bad("Method")
    _check_version(version)
    if section.error is not None:
        raise section.error
    request = Request(method, uri, section.headers, cut_body(section, stream=stream))
    _check_headers(request)
    if request.cseq.method != method:
        # RFC 4475 3.1.2.18: an unknown method is the better reason to refuse.
        status = 400 if method in KNOWN_METHODS else 501
        raise PeerError(status, "CSeq Method Does Not Match")
    if request.target.headers:  # RFC 3261 19.1.1 table 1: not allowed in a Request-URI
        raise bad("Request-URI")
    return request


def _read_response(section: Section, *, stream: bool) -> Response:
    version, _, rest = section.start_line.partition(" ")
    code, _, reason = rest.partition(" ")
    _check_version(version)
    if section.error is not None:
        raise section.error
    if len(code) != 3 or not "100" <= code <= "699":
        raise bad("Status Line")
    status = read_number(code, "Status Line")
    response = Response(status, reason, section.headers, cut_body(section, stream=stream))
    _check_headers(response)
    return response


def _check_version(text: str) -> None:
    if text.upper() == "SIP/2.0":
        return
    name, slash, number = text.partition("/")
    major, dot, minor = number.partition(".")
    if name.upper() == "SIP" and slash and dot and major.isdecimal() and minor.isdecimal():
        raise PeerError(505, reason_for(505))
    raise bad("Start Line")


def _check_headers(message: Request | Response) -> None:
    # Reading them is checking them; the results stay with the headers.
    _ = (message.vias, message.from_, message.to, message.call_id, message.cseq)
    _ = (message.max_forwards, message.contacts, message.routes, message.record_routes)
