"""Who is called, and who calls."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from mediaserver.calls.dialing import NotDialled, dialled_number
from mediaserver.errors import PeerError
from mediaserver.sip.uri import SipUri

from .part import Line


def is_sip(text: str) -> bool:
    """Tell a SIP URI from a number."""
    return text.lower().startswith(("sip:", "sips:"))


def _sip(text: str) -> str:
    try:
        uri = SipUri.parse(text)
    except PeerError as error:
        raise ValueError(f"must be a SIP URI such as sip:USER@HOST: {error.reason}") from None
    if uri.headers:
        raise ValueError("must be a SIP URI without header fields (?)")
    return text


def callee(text: str) -> str:
    """Return whom to call; ValueError for what is neither a number nor a SIP URI."""
    if is_sip(text):
        return _sip(text)
    try:
        dialled_number(text)
    except NotDialled:
        raise ValueError("must be a number, or a SIP URI such as sip:USER@HOST") from None
    return text


def _caller(text: str) -> str:
    return _sip(text) if is_sip(text) else text


_SIP: Final = "[sS][iI][pP][sS]?:[^ ?]+"

Callee = Annotated[
    Line,
    AfterValidator(callee),
    Field(json_schema_extra={"pattern": f"^(?:\\+?[0-9*# ().-]*[0-9*#][0-9*# ().-]*|{_SIP})$"}),
]
"""A number or a SIP URI."""

Caller = Annotated[Line, AfterValidator(_caller)]
"""A number or a name to call from, or a SIP URI."""

SipAddress = Annotated[
    Line, AfterValidator(_sip), Field(json_schema_extra={"pattern": f"^{_SIP}$"})
]
"""A `sip:` or `sips:` URI."""
