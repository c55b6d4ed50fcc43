"""The Via header field (RFC 3261 20.42, RFC 3581 for rport)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mediaserver.sip.grammar import (
    Params,
    bad,
    find_param,
    is_token,
    read_params,
    split_outside,
    write_params,
)
from mediaserver.sip.limits import MAX_VIAS
from mediaserver.sip.uri import read_hostport, read_port, write_hostport

MAGIC_COOKIE = "z9hG4bK"
"""What the branch of an RFC 3261 element begins with (8.1.1.7)."""


@dataclass(frozen=True, slots=True)
class Via:
    """One step of the path a request took."""

    transport: str
    """In upper case; any token, since a request may have come over what we do not speak."""
    host: str
    """Lower case, IPv6 without brackets."""
    port: int | None = None
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> Via:
        """Read one Via value; PeerError 400 when it is not one."""
        head, semicolon, rest = text.partition(";")
        params = read_params(rest, "Via") if semicolon else ()
        protocol = head.split("/", 2)
        if len(protocol) != 3:
            raise bad("Via")
        name, version, tail = [part.strip(" \t") for part in protocol]
        words = tail.split(None, 1)
        if name.upper() != "SIP" or version != "2.0" or len(words) != 2 or not is_token(words[0]):
            raise bad("Via")
        host, port = _read_sent_by(words[1].rstrip(" \t"))
        via = cls(words[0].upper(), host, port, params)
        _ = via.rport  # reading it is checking it
        return via

    @classmethod
    def parse_list(cls, text: str) -> tuple[Via, ...]:
        """Read a header that may hold several values separated by commas."""
        return tuple(cls.parse(part) for part in split_outside(text, ",", MAX_VIAS))

    def __str__(self) -> str:
        return f"SIP/2.0/{self.transport} {self.sent_by}{write_params(self.params)}"

    @property
    def sent_by(self) -> str:
        """Host and port as the sender wrote them; the key of 17.2.3 and 18.2.1."""
        return write_hostport(self.host, self.port)

    @property
    def branch(self) -> str | None:
        """The transaction identifier; None when an RFC 2543 element sent none."""
        return find_param(self.params, "branch") or None

    @property
    def has_cookie(self) -> bool:
        """True when the branch is a unique identifier as of RFC 3261 8.1.1.7."""
        branch = self.branch or ""
        return branch[:7].lower() == MAGIC_COOKIE.lower() and len(branch) > len(MAGIC_COOKIE)

    @property
    def wants_rport(self) -> bool:
        """True when an rport parameter is there, filled in or not (RFC 3581 3)."""
        return find_param(self.params, "rport") is not None

    @property
    def rport(self) -> int | None:
        """The port filled in for rport; None when absent or still without a value."""
        text = find_param(self.params, "rport")
        return read_port(text) if text else None

    @property
    def received(self) -> str | None:
        """The source address a server has noted, without the brackets RFC 5118 4.5 allows."""
        text = find_param(self.params, "received")
        return text.strip("[]").lower() if text else None

    def with_source(self, host: str, port: int) -> Via:
        """This value as a server passes it on: received and rport filled in (RFC 3581 4).

        `received` is added when the source differs from sent-by (RFC 3261 18.2.1) and always
        beside rport.
        """
        asked = self.wants_rport
        params = tuple(
            (name, value)
            for name, value in self.params
            if name.lower() not in ("received", "rport")
        )
        if asked or host.lower() != self.host:
            params += (("received", host),)
        if asked:
            params += (("rport", str(port)),)
        return replace(self, params=params)


def _read_sent_by(text: str) -> tuple[str, int | None]:
    # COLON may have white space on both sides (25.1).
    if " " in text or "\t" in text:
        bracket = text.find("]") + 1
        host, colon, port = text[bracket:].partition(":")
        text = text[:bracket] + host.rstrip(" \t") + colon + port.lstrip(" \t")
    return read_hostport(text)
