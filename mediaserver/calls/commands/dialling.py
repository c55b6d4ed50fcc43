"""A call that an application has placed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...sip.digest import Credentials
from ..call_state import StateWatch
from ..dialing import NotDialled, line_to, spoken
from ..encryption import encryption_of
from ..exchange import DialOrder, Exchange
from ..outbound import OutboundCall
from ..services import Services
from ..source import Source
from .refusals import CommandRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class DialCall:
    """Call somebody, and carry a document out once he has answered."""

    to: str
    """A SIP URI or a number."""
    from_: str
    """Likewise."""
    from_name: str = ""
    """Display name of the caller."""
    source: Source
    codecs: tuple[str, ...] = ()
    """Names, best first; none: whatever is spoken."""
    credentials: Credentials | None = field(default=None, repr=False)
    """Instead of those of the trunk."""
    timeout: float
    """Seconds it may ring."""
    watch: StateWatch | None = None
    digits: str = ""
    """Keys pressed once it is answered, before the document; `W`, `w` and a comma are waits."""
    envs: Mapping[str, Any] = field(default_factory=dict)
    """The root `envs` of the document."""


def dial_call(command: DialCall, exchange: Exchange, services: Services) -> OutboundCall:
    """Begin to ring; CommandRefused for who cannot be called, LocalError when nobody can."""
    try:
        line = line_to(command.to, command.from_, "", services.trunk_for)
    except NotDialled as error:
        raise CommandRefused(f"to cannot be called: {error}", "to") from None
    try:
        codecs = spoken(command.codecs, services.codecs)
    except NotDialled as error:
        raise CommandRefused(f"codecs cannot be offered: {error}", "codecs") from None
    order = DialOrder(
        target=line.target,
        from_=line.from_,
        from_name=command.from_name,
        to=command.to,
        codecs=codecs,
        encryption=encryption_of("optional", line.encryption, services.encryption),
        credentials=command.credentials or line.credentials,
        timeout=command.timeout,
        watch=command.watch,
        api=True,
        digits=command.digits,
        envs=command.envs,
    )
    return exchange.place(order, command.source)
