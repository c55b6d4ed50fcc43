"""Where numbers are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, SecretStr

from .section import Secret, Section
from .values import HIGHEST_PORT, bracketed, is_ip, parse_host

MAX_CREDENTIAL: Final = 255
"""Characters of a user name or a password."""

_NUMBERS: Final = re.compile(r"[+]?[0-9*#]{0,32}[*]|[+]?[0-9*#]{1,32}")
_CALLER: Final = re.compile(r"[A-Za-z0-9+*#._-]{1,64}")
_CALLER_URI: Final = re.compile(r"sips?:[!-~]{1,255}", re.IGNORECASE)
_SIP_EXAMPLE: Final = "sip:sbc.example.com or sip:192.0.2.20:5060;transport=tcp"

Named = Literal["udp", "tcp", "tls"]


@dataclass(frozen=True, slots=True)
class SipTarget:
    """A host that calls are sent to; the number that is called becomes the user of its URI."""

    host: str
    """A name, or an IP address without brackets."""
    port: int | None = None
    """None: as RFC 3263 finds it."""
    transport: Named | None = None
    """Likewise; `tls` with `sips:`."""
    scheme: Literal["sip", "sips"] = "sip"

    @classmethod
    def parse(cls, text: object) -> SipTarget:
        """Read `sip:HOST[:PORT][;transport=udp|tcp|tls]` or `sips:HOST[:PORT]`."""
        if isinstance(text, SipTarget):
            return text
        scheme, _, rest = str(text).strip().partition(":")
        secure = scheme.lower() == "sips"
        if scheme.lower() not in ("sip", "sips") or "@" in rest:
            raise ValueError(f"must be a SIP URI without a user, as {_SIP_EXAMPLE}")
        place, *params = rest.split(";")
        host, port = place, None
        if found := re.fullmatch(r"(\[[^\]]*\]|[^:]*):([0-9]{1,5})", place):
            host, port = found[1], int(found[2])
            if not 0 < port <= HIGHEST_PORT:
                raise ValueError(f"must have a port of 1 to {HIGHEST_PORT}, as {_SIP_EXAMPLE}")
        transport = _transport(params)
        if secure and transport == "udp":
            raise ValueError("cannot have transport=udp after sips:, which is TLS")
        name = parse_host(host).lower()
        return cls(name, port, "tls", "sips") if secure else cls(name, port, transport)

    @property
    def is_ip(self) -> bool:
        """Whether the host needs no look-up."""
        return is_ip(self.host)

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        implied = self.transport is None or self.scheme == "sips"
        transport = "" if implied else f";transport={self.transport}"
        return f"{self.scheme}:{bracketed(self.host)}{port}{transport}"


def _transport(params: list[str]) -> Named | None:
    match [param.strip().lower() for param in params]:
        case []:
            return None
        case ["transport=udp"]:
            return "udp"
        case ["transport=tcp"]:
            return "tcp"
        case ["transport=tls"]:
            return "tls"
    raise ValueError(f"can have transport=udp, tcp or tls after it, as {_SIP_EXAMPLE}")


def parse_numbers(text: object) -> str:
    """Read a number, its beginning with `*` after it, or `*` for all."""
    numbers = str(text).strip()
    if not _NUMBERS.fullmatch(numbers):
        raise ValueError(f"must be a number, its beginning as +49*, or * for all, not {text!r}")
    return numbers


def parse_caller(text: object) -> str:
    """Read what a call says it is from: a number, or a whole SIP URI."""
    caller = str(text).strip()
    if _CALLER.fullmatch(caller):
        return caller
    if not _CALLER_URI.fullmatch(caller) or "@" not in caller or set(caller) & set('<>"'):
        raise ValueError("must be a number as +4930123456, or as sip:+4930123456@example.com")
    return caller


def _one_line(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.isprintable():
        raise ValueError("must be one line of text")
    if len(text) > MAX_CREDENTIAL:
        raise ValueError(f"must be {MAX_CREDENTIAL} characters or less")
    return value


class Trunk(Section):
    """Whom calls to numbers are handed to."""

    numbers: Annotated[str, PlainValidator(parse_numbers)]
    """A number, or the beginning of numbers and `*`."""
    uri: Annotated[SipTarget, PlainValidator(SipTarget.parse)]
    username: Annotated[Secret, AfterValidator(_one_line)] | None = None
    """For the trunk's challenge, and nobody else's; None: it does not ask."""
    password: Annotated[Secret, AfterValidator(_one_line)] | None = None
    from_: Annotated[str, PlainValidator(parse_caller)] | None = Field(default=None, alias="from")
    """Who calls, a number or a SIP URI, whatever the script says; None: as that says."""
    encryption: Literal["off", "optional", "required"] | None = None
    """Of the media of calls that go there; None: `rtp.encryption`."""
    tls_ca: Path | None = None
    """PEM file of the authorities its certificate may be from; None: `sip.tls.ca`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def takes(self, number: str) -> bool:
        """Tell whether calls to a number go here."""
        return _covers(self.numbers, number)

    def takes_all_of(self, other: Trunk) -> bool:
        """Tell whether every number that another trunk takes could go here."""
        if other.numbers.endswith("*") and not self.numbers.endswith("*"):
            return False
        return _covers(self.numbers, other.numbers.removesuffix("*"))


def _covers(pattern: str, number: str) -> bool:
    if pattern.endswith("*"):
        return number.startswith(pattern[:-1])
    return number == pattern
