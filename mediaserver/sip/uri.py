"""A SIP or SIPS URI (RFC 3261 19.1)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote_from_bytes, unquote_to_bytes

from mediaserver.errors import PeerError
from mediaserver.sip.grammar import (
    ALPHANUMERIC,
    Params,
    bad,
    has_any,
    has_bad_escape,
    has_control,
    read_number,
    readable,
    write_params,
)
from mediaserver.sip.limits import MAX_PARAMS, MAX_REMEMBERED, MAX_URI, REMEMBERED

_SCHEME = ALPHANUMERIC | frozenset("+-.")
# An underscore is not of the grammar, yet names inside companies have it.
_HOST = ALPHANUMERIC | frozenset("-._")
_UNRESERVED = ALPHANUMERIC | frozenset("-_.!~*'()%")
# "#" should be escaped; telephones send it bare in dialled numbers.
_USER = _UNRESERVED | frozenset("&=+$,;?/#")
_PASSWORD = _UNRESERVED | frozenset("&=+$,")
_PARAM = _UNRESERVED | frozenset("[]/:&+$")
_HEADER = _UNRESERVED | frozenset("[]/?:+$")
_NOT_IN_URI = ' <>"\\'
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class AbsoluteUri:
    """A URI of a scheme that is not SIP, such as tel:, kept as text (RFC 3261 25.1 absoluteURI)."""

    scheme: str
    rest: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}"


@dataclass(frozen=True, slots=True)
class SipUri:
    """The parts of a sip: or sips: URI; user, password, parameters and headers stay escaped."""

    host: str
    """A name or address in lower case; an IPv6 address is without its brackets."""
    user: str | None = None
    port: int | None = None
    scheme: str = "sip"
    """"sip" or "sips"."""
    password: str | None = None
    params: Params = ()
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> SipUri:
        """Read a URI; PeerError 416 for a scheme other than SIP, 414 when too long, else 400."""
        return _remembered(text) if len(text) <= MAX_REMEMBERED else cls._parse(text)

    @classmethod
    def _parse(cls, text: str) -> SipUri:
        scheme, rest = split_scheme(text)
        if scheme not in ("sip", "sips"):
            raise PeerError(416, "Unsupported URI Scheme")
        return cls._of_parts(scheme, rest)

    @classmethod
    def _of_parts(cls, scheme: str, rest: str) -> SipUri:
        user: str | None = None
        password: str | None = None
        # "@" is of no other part's alphabet, so the first one ends the user (19.1.1).
        before, at, after = rest.partition("@")
        if at:
            user, password = _read_userinfo(before)
            rest = after
        rest, question, header_text = rest.partition("?")
        hostport, semicolon, param_text = rest.partition(";")
        host, port = read_hostport(hostport)
        return cls(
            scheme=scheme,
            user=user,
            password=password,
            host=host,
            port=port,
            params=_read_uri_params(param_text) if semicolon else (),
            headers=_read_headers(header_text) if question else (),
        )

    def __str__(self) -> str:
        return f"{self.scheme}:{self._userinfo}{self.hostport}{write_params(self.params)}" + (
            "?" + "&".join(f"{name}={value}" for name, value in self.headers)
            if self.headers
            else ""
        )

    @property
    def _userinfo(self) -> str:
        if self.user is None:
            return ""
        return f"{self.user}@" if self.password is None else f"{self.user}:{self.password}@"

    @property
    def hostport(self) -> str:
        """Host and port as written in a URI or a Via."""
        return write_hostport(self.host, self.port)

    @property
    def user_text(self) -> str:
        """The user with its escapes undone, "" when there is none.

        A control character or a byte that is not UTF-8 comes out as U+FFFD, so the text is fit
        for a log line, JSON or a header.
        """
        if self.user is None:
            return ""
        return readable(unquote_to_bytes(self.user).decode("utf-8", "replace"))

    def param(self, name: str) -> str | None:
        """The value of a parameter, "" when it has none, None when it is absent."""
        wanted = name.lower()
        for key, value in self.params:
            if key.lower() == wanted:
                return value or ""
        return None


@lru_cache(REMEMBERED)
def _remembered(text: str) -> SipUri:
    return SipUri._parse(text)


def escape_user(text: str) -> str:
    """Any text as the user part of a URI, escaped where RFC 3261 25.1 asks for it."""
    return quote_from_bytes(text.encode("utf-8", "replace"), safe="!*'()&=+$,;?/")


def split_scheme(text: str) -> tuple[str, str]:
    """The lower-case scheme and the rest of any absolute URI; 400 when it is none."""
    if len(text) > MAX_URI:
        raise PeerError(414, "URI Too Long")
    scheme, colon, rest = text.partition(":")
    if not colon or not rest or not _SCHEME.issuperset(scheme) or not scheme[:1].isalpha():
        raise bad("URI")
    if has_any(rest, _NOT_IN_URI) or has_control(rest):
        raise bad("URI")
    return scheme.lower(), rest


def parse_uri(text: str) -> SipUri | AbsoluteUri:
    """Any absolute URI: a `SipUri` for sip and sips, else an `AbsoluteUri`; PeerError 400."""
    if len(text) > MAX_URI:
        raise bad("URI")
    scheme, rest = split_scheme(text)
    if scheme in ("sip", "sips"):
        return SipUri._of_parts(scheme, rest)
    return AbsoluteUri(scheme, rest)


def read_hostport(text: str) -> tuple[str, int | None]:
    """Host and port of "host", "host:port" or "[IPv6]:port"; no white space is allowed."""
    if text.startswith("["):
        inner, bracket, port_text = text[1:].partition("]")
        if not bracket:
            raise bad("Host")
        host = _read_ipv6(inner)
        if not port_text:
            return host, None
        if port_text[0] != ":":
            raise bad("Host")
        return host, read_port(port_text[1:])
    host, colon, port_text = text.partition(":")
    if not host or not _HOST.issuperset(host):
        raise bad("Host")
    return host.lower(), read_port(port_text) if colon else None


def write_hostport(host: str, port: int | None) -> str:
    """The opposite of `read_hostport`."""
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"


def read_port(text: str) -> int:
    """A port number from 1 to 65535; PeerError 400 otherwise."""
    port = read_number(text, "Port")
    if not 0 < port <= _MAX_PORT:
        raise bad("Port")
    return port


def _read_ipv6(text: str) -> str:
    # The grammar of RFC 3261 wrongly allows three colons before an IPv4 tail; RFC 5118 4.10 asks
    # for tolerance.
    host = text.lower().replace(":::", "::", 1)
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        raise bad("IPv6 Address") from None
    if "%" in host:
        raise bad("IPv6 Address")
    return host


def _read_userinfo(text: str) -> tuple[str, str | None]:
    user, colon, password = text.partition(":")
    if not user:
        raise bad("User")
    _check(user, _USER, "User")
    if not colon:
        return user, None
    _check(password, _PASSWORD, "Password")
    return user, password


def _check(text: str, alphabet: frozenset[str], what: str) -> None:
    # UTF-8 is outside the grammar but common in names; bytes that are not text never pass.
    if not alphabet.issuperset(text) and not all(
        char in alphabet or char > "\x9f" for char in text
    ):
        raise bad(what)
    if has_bad_escape(text):
        raise bad(what)


def _read_uri_params(text: str) -> Params:
    parts = text.split(";", MAX_PARAMS)
    if len(parts) > MAX_PARAMS:
        raise bad("URI Parameters")
    params: list[tuple[str, str | None]] = []
    for part in parts:
        name, equals, value = part.partition("=")
        if not name:
            raise bad("URI Parameter")
        _check(name, _PARAM, "URI Parameter")
        _check(value, _PARAM, "URI Parameter")
        params.append((name, value if equals else None))
    return tuple(params)


def _read_headers(text: str) -> tuple[tuple[str, str], ...]:
    parts = text.split("&", MAX_PARAMS)
    if len(parts) > MAX_PARAMS:
        raise bad("URI Headers")
    headers: list[tuple[str, str]] = []
    for part in parts:
        name, equals, value = part.partition("=")
        if not name or not equals:
            raise bad("URI Header")
        _check(name, _HEADER, "URI Header")
        _check(value, _HEADER, "URI Header")
        headers.append((name, value))
    return tuple(headers)
