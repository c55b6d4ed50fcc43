"""`a=crypto`: keys of SRTP in a session description (RFC 4568).

A line that is wrong, or asks for what is not done here, is as if it were not there (section 5.1.2
has each side take one it can use): what becomes of a stream without one left is the business of
`negotiation`. One key a line is understood, under any lifetime, with or without an MKI. Of session
parameters `WSH` is taken, for a hint (6.3.7), and so are extensions that may be ignored (6.3.8);
all others change what packets look like, and refuse the line.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

SUITES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "AEAD_AES_256_GCM": 32 + 12,
        "AES_CM_128_HMAC_SHA1_80": 16 + 14,
        "AES_CM_128_HMAC_SHA1_32": 16 + 14,
        "AEAD_AES_128_GCM": 16 + 12,
    }
)
"""Octets of a master key and its salt, by the name of the suite (RFC 4568 6.2, RFC 7714 14.2)."""

OFFERED: Final = ("AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80")
"""The suites of our own offers, best first; the last is the one that everybody must have."""

MAX_LIFETIME: Final = 2**48
"""Packets that one key may seal (RFC 3711 section 9.2)."""

MIN_WINDOW: Final = 64
"""The least that `WSH` may ask for (RFC 4568 6.3.7)."""

_LINE: Final = re.compile(
    r"(?P<tag>[0-9]{1,9})[ \t]+(?P<suite>[A-Za-z0-9_]{1,64})[ \t]+"
    r"inline:(?P<key>[A-Za-z0-9+/]{38,59}={0,2})"
    r"(?:\|(?P<lifetime>(?:2\^)?[0-9]{1,15}))?"
    r"(?:\|(?P<mki>[0-9]{1,39}):(?P<mki_length>[0-9]{1,3}))?"
    r"(?P<parameters>(?:[ \t]+[!-~]+)*)",
    re.IGNORECASE,
)
_LONGEST: Final = 1024  # characters of a line that is looked at
_MAX_MKI: Final = 128  # octets (RFC 4568 section 6.1)


class Encryption(StrEnum):
    """Whether a call's media is to be encrypted."""

    OFF = "off"
    """Never."""
    OPTIONAL = "optional"
    """Where the far end wants it, or can do it."""
    REQUIRED = "required"
    """Always: what is not, is refused."""


@dataclass(frozen=True, slots=True)
class MediaKeys:
    """What an offer and its answer agree on: a suite, and a key and salt each way."""

    suite: str
    ours: bytes = field(repr=False)
    """What our packets are sealed with."""
    theirs: bytes = field(repr=False)
    mki: bytes = b""
    """What their packets name that key by; empty: they need not."""


@dataclass(frozen=True, slots=True)
class CryptoLine:
    """One `a=crypto` that can be used here."""

    tag: str
    """As written: an answer repeats it."""
    suite: str
    key: bytes = field(repr=False)
    """Master key and salt of whoever wrote the line."""
    mki: bytes = b""

    @classmethod
    def parse(cls, value: str) -> CryptoLine | None:
        """Read what follows `a=crypto:`; None for what is wrong or not done here."""
        text = value.strip()
        found = _LINE.fullmatch(text) if len(text) <= _LONGEST else None
        if found is None:
            return None
        suite = found["suite"].upper()
        key = _key(found["key"])
        if key is None or len(key) != SUITES.get(suite):
            return None
        mki = b"" if found["mki"] is None else _mki(int(found["mki"]), int(found["mki_length"]))
        if mki is None or not _lasts(found["lifetime"]):
            return None
        if not all(map(_can_be_met, found["parameters"].split())):
            return None
        return cls(found["tag"], suite, key, mki)

    def __str__(self) -> str:
        return f"{self.tag} {self.suite} inline:{b64encode(self.key).decode()}"


def crypto_lines(values: Iterable[str]) -> Iterator[CryptoLine]:
    """Yield the lines that can be used, in order; of those with one tag the first counts."""
    tags: set[str] = set()
    for value in values:
        line = CryptoLine.parse(value)
        if line is not None and line.tag not in tags:
            tags.add(line.tag)
            yield line


def _key(text: str) -> bytes | None:
    """Read base64, its padding there or not (RFC 4568 section 6.1)."""
    bare = text.rstrip("=")
    try:
        return binascii.a2b_base64(bare + "=" * (-len(bare) % 4))
    except ValueError:
        return None


def _mki(value: int, length: int) -> bytes | None:
    """Return an MKI as packets have it; None if it does not fit its length."""
    if not 0 < length <= _MAX_MKI or value.bit_length() > 8 * length:
        return None
    return value.to_bytes(length, "big")


def _lasts(lifetime: str | None) -> bool:
    """Tell whether a lifetime is one. A far end that wants a new key after it brings one."""
    if lifetime is None:
        return True
    number = int(lifetime.removeprefix("2^"))
    if lifetime.startswith("2^"):
        return 1 << min(number, 64) <= MAX_LIFETIME
    return 0 < number <= MAX_LIFETIME


def _can_be_met(parameter: str) -> bool:
    """Tell whether a session parameter is one we know, or need not know."""
    if parameter.startswith("-"):
        return True
    name, _, size = parameter.partition("=")
    digits = size.isascii() and size.isdigit() and len(size) <= 9
    return name.upper() == "WSH" and digits and int(size) >= MIN_WINDOW
