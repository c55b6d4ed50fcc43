"""The small values settings are written in: addresses, port ranges, networks, URLs.

Each has a `parse` that takes the text of the file or the environment and raises `ValueError`
with a sentence that says what would be right. The caller adds the name of the key.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, Literal
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network

LOWEST_RTP_PORT: Final = 1024
"""Ports below need root, and none of them is anybody's media port."""
HIGHEST_PORT: Final = 65535
MOST_CALLS: Final = 100_000
MOST_BYTES: Final = 10**18
MAX_URL: Final = 8 * 1024
"""Characters of a URL: more is not sent anywhere."""
WILDCARDS: Final = frozenset({"0.0.0.0", "::"})

_SIZE = re.compile(r"(?P<number>[0-9]{1,18}) ?(?P<unit>|B|[kKMGT]i?B)", re.IGNORECASE)
_UNITS: Final[dict[str, int]] = {"": 1, "b": 1} | {
    unit: base**power
    for power, letter in enumerate("kmgt", 1)
    for unit, base in ((f"{letter}b", 1000), (f"{letter}ib", 1024))
}


@dataclass(frozen=True, slots=True)
class HostPort:
    """An address of this machine to listen on; port 0 lets the system choose a free one."""

    host: str
    """An IP address without brackets."""
    port: int

    @classmethod
    def parse(cls, text: object) -> HostPort:
        """Read `HOST:PORT`, an IPv6 host in brackets."""
        if isinstance(text, HostPort):
            return text
        return cls(*_host_port(text, "127.0.0.1:8080 or [::1]:8080"))

    @property
    def wildcard(self) -> bool:
        """Whether this stands for every address of the machine, and so names none."""
        return self.host in WILDCARDS

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


_TRANSPORTS: Final[dict[str, Literal["udp", "tcp", "tls"]]] = {
    "udp": "udp",
    "tcp": "tcp",
    "tls": "tls",
}


@dataclass(frozen=True, slots=True)
class SipListen:
    """A socket SIP is spoken on."""

    transport: Literal["udp", "tcp", "tls"]
    host: str
    """An IP address without brackets."""
    port: int

    @classmethod
    def parse(cls, text: object) -> SipListen:
        """Read `udp:HOST:PORT`, `tcp:...` or `tls:...`, an IPv6 host in brackets."""
        if isinstance(text, SipListen):
            return text
        example = "udp:127.0.0.1:5060, tcp:[::1]:5060 or tls:0.0.0.0:5061"
        scheme, colon, rest = str(text).strip().partition(":")
        transport = _TRANSPORTS.get(scheme.lower())
        if not colon or transport is None:
            raise ValueError(f"must begin with udp:, tcp: or tls:, as in {example}; not {text!r}")
        return cls(transport, *_host_port(rest, example))

    @property
    def wildcard(self) -> bool:
        """Whether this stands for every address of the machine, and so names none."""
        return self.host in WILDCARDS

    def __str__(self) -> str:
        return f"{self.transport}:{bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class PortRange:
    """UDP ports for media in pairs: RTP on the even one, RTCP on the next (RFC 3550 11)."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: object) -> PortRange:
        """Read `FIRST-LAST`: first even, last odd, both included."""
        if isinstance(text, PortRange):
            return text
        low, _, high = str(text).partition("-")
        if not (_is_number(low) and _is_number(high)):
            raise ValueError(f"must be FIRST-LAST, for example 10000-19999, not {text!r}")
        first, last = int(low), int(high)
        if not LOWEST_RTP_PORT <= first < last <= HIGHEST_PORT:
            raise ValueError(
                f"must rise and stay within {LOWEST_RTP_PORT}-{HIGHEST_PORT}, "
                f"for example 10000-19999, not {text!r}"
            )
        if first % 2 or not last % 2:
            raise ValueError(
                "must begin with an even and end with an odd port, for RTP takes the even one and "
                f"RTCP the next: {first + first % 2}-{last - 1 + last % 2}"
                f" instead of {first}-{last}"
            )
        return cls(first, last)

    @property
    def pairs(self) -> int:
        """How many streams can have a pair of their own at a time."""
        return (self.last - self.first + 1) // 2

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


CODECS: Final = ("PCMU", "PCMA", "G722", "opus")
"""What can be spoken, best first, as SDP names it."""


def parse_codec(text: object) -> str:
    """Read the name of a codec, in either case."""
    known = {name.upper(): name for name in CODECS}
    name = known.get(str(text).strip().upper())
    if name is None:
        raise ValueError(f"must be one of {', '.join(CODECS)}, not {text!r}")
    return name


def parse_max_calls(text: object) -> int | None:
    """Read a number of calls; None is `auto`, which leaves it to the server."""
    word = str(text).strip()
    if text is None or word == "auto":
        return None
    digits = word.removeprefix("-").lstrip("0") or "0"
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError("must be a whole number, or auto")
    if word.startswith("-") or digits == "0":
        raise ValueError("must be 1 or more")
    if len(digits) > len(str(MOST_CALLS)) or int(digits) > MOST_CALLS:
        raise ValueError(f"must be {MOST_CALLS} or less")
    return int(digits)


def parse_size(text: object) -> int | None:
    """Read a number of bytes, such as `1073741824`, `1GiB` or `500 MB`; None is none given."""
    if text is None:
        return None
    found = _SIZE.fullmatch(str(text).strip())
    if found is None:
        raise ValueError("must be a number of bytes such as 500000000, 500MB or 1GiB")
    size = int(found["number"]) * _UNITS[found["unit"].lower()]
    if size > MOST_BYTES:
        raise ValueError("must be less than a million terabytes")
    return size


def parse_network(text: object) -> Network:
    """Read a network such as `10.0.0.0/8`; one address alone is a network of itself."""
    if isinstance(text, (IPv4Network, IPv6Network)):
        return text
    try:
        return ip_network(str(text).strip())
    except ValueError:
        pass
    try:
        meant = ip_network(str(text).strip(), strict=False)
    except ValueError:
        raise ValueError(
            f"must be a network such as 10.0.0.0/8, 192.0.2.7 or fd00::/8, not {text!r}"
        ) from None
    raise ValueError(f"has bits set beyond its prefix: {meant} instead of {text}")


def parse_host(text: object) -> str:
    """Read a host to tell others: an IP address, or a name they can look up. No port."""
    host = str(text).strip().removeprefix("[").removesuffix("]")
    if is_ip(host):
        if host in WILDCARDS:
            raise ValueError(f"must be an address others can reach, which {host} is not")
        return host
    if not _is_name(host):
        raise ValueError(f"must be an IP address or a host name, without a port, not {text!r}")
    return host.lower()


def parse_ip(text: object) -> str:
    """Read an IP address to tell others; SDP carries no port here and no name (RFC 8866 5.7)."""
    host = parse_host(text)
    if not is_ip(host):
        raise ValueError(f"must be an IP address such as 192.0.2.10, not the name {text!r}")
    return host


def parse_http_url(text: object, example: str = "https://example.com/hook") -> str:
    """Read an absolute http or https URL. The text is not repeated in errors: it may hold a key."""
    url = str(text).strip()
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or any(c.isspace() for c in url):
        raise ValueError(f"must be an absolute URL such as {example}")
    if len(url) > MAX_URL:
        raise ValueError(f"must be {MAX_URL} characters or less")
    return url


def parse_octets(text: object, count: int) -> bytes:
    """Read the base64 of so many octets. The text is not repeated in errors: it is a key."""
    try:
        octets = base64.b64decode("".join(str(text).split()), validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if len(octets) != count:
        raise ValueError(
            f"must be the base64 of {count} bytes, as `openssl rand -base64 {count}` prints"
        )
    return octets


def parse_base_url(text: object) -> str:
    """Read an absolute http or https URL that paths are appended to; a final slash is dropped."""
    url = parse_http_url(text, "https://media.example.com")
    parts = urlsplit(url)
    if parts.query or parts.fragment or parts.username:
        raise ValueError("must be a bare URL such as https://media.example.com, nothing after it")
    return url.rstrip("/")


def bracketed(host: str) -> str:
    """Return the host as it stands before a port."""
    return f"[{host}]" if ":" in host else host


def is_ip(host: str) -> bool:
    """Tell an IP address from a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def _host_port(text: object, example: str) -> tuple[str, int]:
    host, colon, port = str(text).strip().rpartition(":")
    if not colon and _is_number(port):
        raise ValueError(f"must be an address and a port, as in {example}; not {text!r}")
    if not colon or not _is_number(port) or int(port) > HIGHEST_PORT:
        raise ValueError(f"must end with a port, as in {example}; not {text!r}")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"must have an IPv6 address in brackets, as in {example}; not {text!r}")
    host = "127.0.0.1" if host == "localhost" else host
    if not is_ip(host):
        raise ValueError(f"must name an IP address of this machine, as in {example}; not {text!r}")
    return host, int(port)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5


def _is_name(host: str) -> bool:
    labels = host.removesuffix(".").split(".")
    return len(host) <= 253 and all(
        0 < len(label) <= 63 and label.isascii() and label.replace("-", "").isalnum()
        for label in labels
    )
