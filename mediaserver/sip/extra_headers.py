"""Header fields that somebody outside wants in our requests: which may, and how they look."""

from __future__ import annotations

from typing import Final

from mediaserver.sip.grammar import has_control, is_token
from mediaserver.sip.headers import header_key

MAX_NAME: Final = 64
"""Characters of the name of a header."""

MAX_VALUE: Final = 1_024
"""Bytes of its value in UTF-8."""

MAX_FIELDS: Final = 32
"""Header fields one request may be given."""

OWNED: Final = frozenset(
    (
        "accept",
        "accept-encoding",
        "allow",
        "allow-events",
        "authentication-info",
        "authorization",
        "call-id",
        "contact",
        "cseq",
        "date",
        "event",
        "expires",
        "from",
        "max-forwards",
        "mime-version",
        "min-expires",
        "min-se",
        "path",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-require",
        "rack",
        "reason",
        "record-route",
        "refer-sub",
        "refer-to",
        "replaces",
        "require",
        "retry-after",
        "route",
        "rseq",
        "security-client",
        "security-server",
        "security-verify",
        "server",
        "service-route",
        "session-expires",
        "subscription-state",
        "supported",
        "timestamp",
        "to",
        "unsupported",
        "user-agent",
        "via",
        "warning",
        "www-authenticate",
    )
)
"""Names, by `header_key`, of what the stack writes itself or means to understand; so is whatever
begins with Content-."""


def check(name: str, value: str) -> None:
    """Return if this may be added to a request; ValueError with a sentence that says why not."""
    if not is_token(name) or len(name) > MAX_NAME:
        raise ValueError(
            f"a SIP header's name must be a token of 1 to {MAX_NAME} characters, not {name[:80]!r}"
        )
    key = header_key(name)
    if key in OWNED or key.startswith("content-"):
        raise ValueError(f"the SIP header {name} is the server's own and cannot be set")
    if has_control(value):
        raise ValueError(
            f"the value of the SIP header {name} must be a line of text, without control characters"
        )
    if len(value.encode()) > MAX_VALUE:
        raise ValueError(f"the value of the SIP header {name} is longer than {MAX_VALUE} bytes")
