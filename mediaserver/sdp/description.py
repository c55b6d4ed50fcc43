"""A session description: its text (RFC 8866) as frozen values and back.

Read is what offer/answer needs: origin, name, connections, attributes, media. The other known
lines (`i u e p b t r z k`) are recognised and dropped; `str` writes `t=0 0`. Attributes nobody
knows are kept and ignored (section 5.13), a type letter nobody knows refuses the whole
description (section 5). Lines may end in CRLF or LF.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from .refusal import DescriptionRefused

MAX_BYTES: Final = 65_536  # more does not fit a UDP datagram
MAX_LINES: Final = 1_000  # browsers with all their ICE candidates send about 300
MAX_MEDIA: Final = 32  # m-lines
MAX_FORMATS: Final = 128  # formats of one m-line; payload types have 7 bits
MAX_LITERAL: Final = 64  # characters of an address; the longest IPv6 one has 45
MAX_HOST: Final = 255  # characters of a DNS name (RFC 1035 2.3.4)
MAX_ORIGIN_DIGITS: Final = 32  # of the origin's version; an NTP time stamp has 20

_SESSION_TYPES: Final = frozenset("vosiuepcbtrzka")
_MEDIA_TYPES: Final = frozenset("icbka")
_HOST_CHARACTERS: Final = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"
)


@dataclass(frozen=True, slots=True)
class Origin:
    """`o=`: who made the description; a change to it raises `version` by one (RFC 3264 8)."""

    session_id: str
    version: int
    host: str
    username: str = "-"
    network: str = "IN"
    address_type: str = "IP4"

    @classmethod
    def parse(cls, value: str, line: int) -> Origin:
        """Read what follows `o=`. A user name with spaces in it is tolerated."""
        fields = value.split()
        if len(fields) < 6:
            raise _bad(line, "o= needs six fields")
        session_id, version, network, address_type, host = fields[-5:]
        if not _is_number(version, MAX_ORIGIN_DIGITS):
            raise _bad(line, "the version in o= is not a number")
        return cls(session_id, int(version), host, " ".join(fields[:-5]), network, address_type)

    def __str__(self) -> str:
        return (
            f"{self.username} {self.session_id} {self.version}"
            f" {self.network} {self.address_type} {self.host}"
        )


@dataclass(frozen=True, slots=True)
class Connection:
    """`c=`: where media is to be sent. `host` is an address or a DNS name, never resolved here."""

    host: str
    address_type: str = "IP4"
    network: str = "IN"

    @classmethod
    def of(cls, address: str) -> Connection:
        """Return the connection for an IPv4 or IPv6 address."""
        return cls(address, "IP6" if ":" in address else "IP4")

    @classmethod
    def parse(cls, value: str, line: int) -> Connection:
        """Read what follows `c=`; the TTL and count of multicast are cut off."""
        fields = value.split()
        if len(fields) != 3:
            raise _bad(line, "an address needs three fields")
        network, address_type, address = fields
        host = address.partition("/")[0]
        if network.upper() == "IN" and not _is_host(host):
            raise _bad(line, "this is no address")
        return cls(host, address_type.upper(), network.upper())

    @property
    def address(self) -> IPv4Address | IPv6Address | None:
        """The address, or None when the host is a DNS name."""
        return _literal(self.host)

    @property
    def is_nowhere(self) -> bool:
        """Whether it says "send me nothing": `0.0.0.0`, `::` or a name in `.invalid`.

        RFC 3264 8.4 (the hold of RFC 2543) and RFC 6157 section 3.1.
        """
        address = self.address
        if address is None:
            name = self.host.lower().rstrip(".")
            return name == "invalid" or name.endswith(".invalid")
        return address.is_unspecified

    def __str__(self) -> str:
        return f"{self.network} {self.address_type} {self.host}"


@dataclass(frozen=True, slots=True)
class Attribute:
    """`a=name` or `a=name:value`; `value` is None for the first kind."""

    name: str
    value: str | None = None

    @classmethod
    def parse(cls, text: str) -> Attribute:
        """Read what follows `a=`."""
        name, colon, value = text.partition(":")
        return cls(name, value if colon else None)

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"


def _values(attributes: tuple[Attribute, ...], name: str) -> Iterator[str]:
    """Yield the values of all attributes called `name` (lower case), "" for those without."""
    return (a.value or "" for a in attributes if a.name.lower() == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """`m=` and the lines under it."""

    kind: str
    """`audio`, `video`, `image`, ... in lower case."""
    port: int
    """0 when the stream is refused or taken down (RFC 3264 6, 8.2)."""
    protocol: str
    """The transport and profile in upper case, for instance `RTP/AVP`."""
    formats: tuple[str, ...]
    """As written: payload types for RTP."""
    count: int = 1
    """Number of port pairs, from `port/count`; only the first is ever used."""
    connection: Connection | None = None
    """The first `c=` under this m-line."""
    attributes: tuple[Attribute, ...] = ()

    @classmethod
    def parse(cls, value: str, line: int) -> Media:
        """Read what follows `m=`, without the lines under it."""
        if not (value.isascii() and value.isprintable()):
            raise _bad(line, "m= has characters other than printable ASCII")
        fields = value.split()
        if len(fields) < 4:
            raise _bad(line, "m= needs a kind, a port, a protocol and a format")
        if len(fields) - 3 > MAX_FORMATS:
            raise _bad(line, f"m= has more than {MAX_FORMATS} formats")
        port, slash, count = fields[1].partition("/")
        if not _is_number(port, 5) or int(port) > 65_535:
            raise _bad(line, "the port in m= is not a number from 0 to 65535")
        if slash and not (_is_number(count, 5) and 1 <= int(count) <= 65_535):
            raise _bad(line, "the number of ports in m= is not a number")
        return cls(
            kind=fields[0].lower(),
            port=int(port),
            count=int(count) if slash else 1,
            protocol=fields[2].upper(),
            formats=tuple(fields[3:]),
        )

    def values(self, name: str) -> Iterator[str]:
        """Yield the values of this m-line's own attributes called `name` (lower case)."""
        return _values(self.attributes, name)

    def refused(self) -> Media:
        """Return it as an answer refuses it: port 0, same kind and formats (RFC 3264 6)."""
        return Media(kind=self.kind, port=0, protocol=self.protocol, formats=self.formats)

    def lines(self) -> Iterator[str]:
        """Yield its lines without line ends."""
        port = str(self.port) if self.count == 1 else f"{self.port}/{self.count}"
        yield f"m={self.kind} {port} {self.protocol} {' '.join(self.formats)}"
        if self.connection is not None:
            yield f"c={self.connection}"
        yield from (f"a={attribute}" for attribute in self.attributes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDescription:
    """A whole description: the session part and its m-lines in order."""

    origin: Origin
    name: str = "-"
    connection: Connection | None = None
    attributes: tuple[Attribute, ...] = ()
    media: tuple[Media, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> SessionDescription:
        """Read a description; DescriptionRefused 400 says which line is wrong and why."""
        lines = _lines(data)
        starts = [i for i, (letter, _, _) in enumerate(lines) if letter == "m"]
        if len(starts) > MAX_MEDIA:
            raise _bad(lines[starts[MAX_MEDIA]][2], f"there are more than {MAX_MEDIA} m-lines")
        ends = [*starts[1:], len(lines)]
        head = lines[: starts[0]] if starts else lines
        media = tuple(_media(lines[a:b]) for a, b in zip(starts, ends, strict=False))
        return _session(head, media)

    def values(self, name: str, media: Media) -> Iterator[str]:
        """Yield the values of `name` for `media`: its own, then those it inherits."""
        yield from media.values(name)
        yield from _values(self.attributes, name)

    def connection_of(self, media: Media) -> Connection | None:
        """Return where `media` is to be sent: its own `c=`, or the session's (section 5.7)."""
        return media.connection or self.connection

    def __str__(self) -> str:
        lines = ["v=0", f"o={self.origin}", f"s={self.name}"]
        if self.connection is not None:
            lines.append(f"c={self.connection}")
        lines.append("t=0 0")
        lines.extend(f"a={attribute}" for attribute in self.attributes)
        for media in self.media:
            lines.extend(media.lines())
        return "\r\n".join(lines) + "\r\n"


_Line = tuple[str, str, int]
"""A type letter, its value, and the number of its line for error messages."""


def _lines(data: bytes) -> list[_Line]:
    """Cut the text into lines and check their form; empty lines at the end are tolerated."""
    if len(data) > MAX_BYTES:
        raise DescriptionRefused(400, f"SDP is larger than {MAX_BYTES} bytes")
    text = data.decode("utf-8", "replace").rstrip("\r\n")
    if not text:
        raise DescriptionRefused(400, "SDP is empty")
    rows = text.split("\n", MAX_LINES)
    if len(rows) > MAX_LINES:
        raise DescriptionRefused(400, f"SDP has more than {MAX_LINES} lines")
    lines: list[_Line] = []
    for number, row in enumerate(rows, 1):
        row = row.removesuffix("\r")
        # RFC 8866 section 9: a byte-string has no NUL, CR or LF in it.
        if "\r" in row or "\0" in row:
            raise _bad(number, "there is a control character in it")
        if row[1:2] != "=":
            raise _bad(number, "a line is a letter, '=' and a value")
        lines.append((row[0], row[2:], number))
    return lines


def _session(lines: list[_Line], media: tuple[Media, ...]) -> SessionDescription:
    """Read the lines before the first m-line. v, o and s lead, in this order (RFC 8866 5)."""
    letters = [letter for letter, _, _ in lines]
    if letters[:3] != ["v", "o", "s"]:
        raise DescriptionRefused(400, "SDP must begin with v=, o= and s=")
    if lines[0][1].strip() != "0":
        raise _bad(lines[0][2], "the version must be 0")
    for letter, _, number in lines[3:]:
        if letter not in _SESSION_TYPES or letter in "vos":
            raise _bad(number, "this type is unknown here")
    if "t" not in letters:
        raise DescriptionRefused(400, "SDP has no t= line before its media")
    return SessionDescription(
        origin=Origin.parse(lines[1][1], lines[1][2]),
        name=lines[2][1] or "-",
        connection=_connection(lines),
        attributes=_attributes(lines),
        media=media,
    )


def _media(lines: list[_Line]) -> Media:
    """Read an m-line and the lines under it."""
    for letter, _, number in lines[1:]:
        if letter not in _MEDIA_TYPES:
            raise _bad(number, "this type is unknown under m=")
    return replace(
        Media.parse(lines[0][1], lines[0][2]),
        connection=_connection(lines),
        attributes=_attributes(lines),
    )


def _connection(lines: list[_Line]) -> Connection | None:
    """Return the first `c=`; further ones are layers or alternatives nobody here can use."""
    read = [Connection.parse(value, number) for letter, value, number in lines if letter == "c"]
    return read[0] if read else None


def _attributes(lines: list[_Line]) -> tuple[Attribute, ...]:
    """Return all attributes; one without a name says nothing and is left out."""
    read = (Attribute.parse(value) for letter, value, _ in lines if letter == "a")
    return tuple(attribute for attribute in read if attribute.name)


def _is_number(text: str, digits: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= digits


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    return _remembered(host) if len(host) <= MAX_LITERAL else None


@lru_cache(1024)
def _remembered(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_host(host: str) -> bool:
    """Whether it is an address or may be a DNS name; `1.2.3` and `::1%eth0` are neither."""
    if ":" in host or host.replace(".", "").isdigit():
        return "%" not in host and _literal(host) is not None
    return 0 < len(host) <= MAX_HOST and _HOST_CHARACTERS.issuperset(host)


def _bad(line: int, why: str) -> DescriptionRefused:
    """Return the error for one line. It repeats nothing of the peer's text: it may be logged."""
    return DescriptionRefused(400, f"SDP line {line}: {why}")
