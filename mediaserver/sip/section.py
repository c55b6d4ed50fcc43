"""From bytes to start line, header rows and body, before anybody asks what they mean.

RFC 3261 7 and 7.3.1 for the lines and their folding, 18.3 and 20.14 for the length of the body.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mediaserver.errors import PeerError
from mediaserver.sip.grammar import bad, is_token, read_number
from mediaserver.sip.headers import Headers, header_key
from mediaserver.sip.limits import MAX_HEADERS, MAX_LINE, MAX_MESSAGE_BYTES

# Header fields of which a second one makes the message ambiguous (RFC 3261 7.3.1, table 2).
_ONLY_ONCE = frozenset(
    ("call-id", "content-length", "content-type", "cseq", "from", "max-forwards", "to")
)
_END = b"\r\n\r\n"
_CONTROLS = bytes(code for code in range(0x20) if code != 0x09) + b"\x7f"


@dataclass(slots=True)
class Section:
    """One message cut into its pieces; `error` is the first thing that was wrong with it.

    Reading goes on behind an error, because the answer needs the headers that follow.
    """

    start_line: str = ""
    headers: Headers = field(default_factory=Headers)
    rest: bytes = b""
    """Everything after the empty line."""
    error: PeerError | None = None

    def blame(self, error: PeerError) -> None:
        """Note an error unless an earlier one is known."""
        if self.error is None:
            self.error = error


def read_section(data: bytes) -> Section:
    """Cut up one message; PeerError 413 when it is too large to look at, else see `error`."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise PeerError(413, "Message Too Large")
    start = 0
    while data.startswith(b"\r\n", start):  # RFC 3261 7.5: empty lines before it are ignored
        start += 2
    end = data.find(_END, start)
    section = Section()
    if end < 0:
        section.blame(bad("Message: Empty Line Missing"))
        end = len(data)
    section.rest = data[end + len(_END) :]
    lines = data[start:end].decode("utf-8", "surrogateescape").split("\r\n")
    section.start_line = lines[0]
    if len(lines[0]) > MAX_LINE or has_stray_control(lines[0]):
        section.blame(bad("Start Line"))
    _read_rows(section, lines)
    return section


def _read_rows(section: Section, lines: list[str]) -> None:
    seen: set[str] = set()
    rows = 0
    at = 1
    while at < len(lines):
        line = lines[at]
        at += 1
        if at < len(lines) and lines[at][:1] in (" ", "\t"):
            pieces = [line.rstrip(" \t")]
            while at < len(lines) and lines[at][:1] in (" ", "\t"):
                pieces.append(lines[at].strip(" \t"))
                at += 1
            line = " ".join(pieces)
        rows += 1
        if rows > MAX_HEADERS:
            section.blame(PeerError(400, "Too Many Header Fields"))
            return
        try:
            _read_row(section.headers, line, seen)
        except PeerError as error:
            section.blame(error)


def _read_row(headers: Headers, line: str, seen: set[str]) -> None:
    if len(line) > MAX_LINE:
        raise PeerError(400, "Header Line Too Long")
    name, colon, value = line.partition(":")
    name = name.rstrip(" \t")
    if not colon or not is_token(name) or has_stray_control(value):
        raise bad("Header Line")
    headers.add_received(name, value.strip(" \t"))
    key = header_key(name)
    if key in _ONLY_ONCE:
        if key in seen:
            raise PeerError(400, f"Repeated {name} Header")
        seen.add(key)


def has_stray_control(text: str) -> bool:
    """True for a control character other than a tab, unless it is escaped in quotes.

    RFC 3261 25.1 lets a quoted pair hold any octet but CR and LF (RFC 4475 3.1.1.2 does).
    """
    if text.isprintable():
        return False
    octets = text.encode("utf-8", "surrogateescape")
    if len(octets.translate(None, _CONTROLS)) == len(octets):
        return False
    quoted = escaped = False
    for char in text:
        if char in "\r\n":
            return True
        if escaped:
            escaped = False
        elif (char < " " and char != "\t") or char == "\x7f":
            return True
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
    return False


def content_length(headers: Headers) -> int | None:
    """The declared length of the body, None when there is none; PeerError 400 for garbage."""
    values = headers.get_all("Content-Length")
    if len(values) > 1:
        raise PeerError(400, "Repeated Content-Length Header")
    return read_number(values[0], "Content-Length") if values else None


def only_content_length(headers: Headers) -> int:
    """The length of a body on a stream, where it must be declared; PeerError 400 otherwise."""
    length = content_length(headers)
    if length is None:
        raise PeerError(400, "Missing Content-Length Header")
    return length


def cut_body(section: Section, *, stream: bool) -> bytes:
    """The body that Content-Length leaves of `section.rest`; PeerError 400 when it cannot.

    A datagram without Content-Length ends where it ends, and what is beyond the length is
    dropped; over a stream the field is mandatory (RFC 3261 18.3).
    """
    headers = section.headers
    length = only_content_length(headers) if stream else content_length(headers)
    if length is None:
        return section.rest
    if length > len(section.rest):
        raise PeerError(400, "Content-Length Beyond The Message")
    return section.rest[:length]
