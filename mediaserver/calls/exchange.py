"""Placing calls: what is dialled, and whoever sees to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..sdp.crypto import Encryption
from ..sip.digest import Credentials
from ..sip.uri import SipUri
from .call_state import StateWatch
from .recording_order import DEFAULT_POLICY, RecordingPolicy
from .resource import CallRecord

if TYPE_CHECKING:
    from .call import Call
    from .outbound import OutboundCall
    from .source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class DialOrder:
    """A call to be placed."""

    target: SipUri
    """Where the INVITE goes."""
    from_: SipUri
    """Who calls."""
    from_name: str = ""
    """Display name of the caller."""
    to: str
    """Who is called, as applications are told: a SIP address or a number."""
    headers: tuple[tuple[str, str], ...] = ()
    codecs: tuple[str, ...] = ()
    """Names in order of preference; none: whatever is spoken."""
    encryption: Encryption = Encryption.OFF
    """Of its media: offered where it is optional."""
    credentials: Credentials | None = field(default=None, repr=False)
    session_interval: int | None = None
    """Seconds of a session (RFC 4028); None: as always."""
    timeout: float = 60.0
    """Seconds it may ring."""
    watch: StateWatch | None = None
    digits: str = ""
    """Keys pressed once it is answered, before its document; `W`, `w` and a comma are waits."""
    api: bool = False
    """Whether an application dialled, rather than a document that connects its call."""
    parent: Call | None = field(default=None, repr=False)
    """The call it is placed for."""
    policy: RecordingPolicy = DEFAULT_POLICY
    envs: Mapping[str, Any] = field(default_factory=dict)
    """The root `envs` of its document."""


class Exchange(Protocol):
    """Knows every call, and places new ones."""

    def place(self, order: DialOrder, script: Source | None = None) -> OutboundCall:
        """Begin to ring; `script` is carried out once it is answered.

        Without one the call stays up until somebody ends it. LocalError when no more calls are
        taken on.
        """

    def began(self, call: Call) -> None:
        """Note that a call has got its session: from now on it is told of what happens to it."""

    def find(self, call_id: str) -> Call | None:
        """Return the call of an id, while it is up."""

    def records(self) -> Sequence[CallRecord]:
        """Return what is known of the calls that are up."""
