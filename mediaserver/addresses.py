"""Which addresses are somebody's public server, and which are inside: ours, or a cloud's own.

Whatever others name, a web application or a phone, is reached at a public address alone, or in a
network that the operator allows (`AddressRule`).

A list of what is refused (the IANA registries of special-purpose addresses, RFC 6890) for IPv4. Of
IPv6 only global unicast is ever public, less what in it is special. Addresses that carry another
one inside (v4-mapped, v4-compatible, NAT64, 6to4, Teredo) are refused whatever they carry.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

REMEMBERED: Final = 256
"""Hosts of which it is remembered what they are: callbacks go to the same few again and again."""

_INSIDE_4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this host; Linux connects 0.0.0.0 to loopback
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host agent, on a public address
        "169.254.0.0/16",  # link-local, and cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocols
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)

_GLOBAL_6: Final = IPv6Network("2000::/3")
_INSIDE_6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # IETF protocols, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)


class AddressRule:
    """The rule: public addresses, and the networks in `allow`."""

    def __init__(self, allow: Sequence[Network] = ()) -> None:
        self._allow = tuple(allow)

    def permits(self, address: str) -> bool:
        """Tell whether we may connect to an address. What is none is refused."""
        parsed = parse_address(address)
        if parsed is None:
            return False
        return is_public(parsed) or any(
            parsed in network for network in self._allow if network.version == parsed.version
        )


@lru_cache(REMEMBERED)
def is_public(address: Address) -> bool:
    """Tell whether the address is one of the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _INSIDE_4)
    return address in _GLOBAL_6 and not any(address in network for network in _INSIDE_6)


@lru_cache(REMEMBERED)
def parse_address(text: str) -> Address | None:
    """Return the address `text` spells in the one canonical way of its kind, else None.

    A zone (`%eth0`) makes no difference to what the address is.
    """
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def is_disguised(host: str) -> bool:
    """Tell whether a host is an IPv4 address in a spelling no honest URL has.

    Resolvers read `2130706433`, `0x7f.1` and `0177.0.0.1` as addresses: whatever ends in a number
    is no name (WHATWG URL, "ends in a number"), and is an address only if written in full.
    """
    if ":" in host or parse_address(host) is not None:
        return False
    last = host.rstrip(".").rpartition(".")[2].lower()
    return last.isdigit() or (last.startswith("0x") and all(c in "0123456789abcdefx" for c in last))
