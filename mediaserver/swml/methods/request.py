"""`request`: an HTTP request whose answer the script may read (contract A8)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from ..actions import HttpRequest
from ..expression import as_text
from ..limits import MAX_REQUEST_BODY
from .kinds import DEFERRED, Anything, Choice, Flag, Number, Place
from .method import Method, Parameter
from .texts import WebUrl

MAX_HEADERS: Final = 32
_ALLOWED: Final = re.compile(
    r"(?:accept|authorization|content-type|range|x-[a-z0-9-]{1,62})", re.IGNORECASE
)
_LINE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


class Headers:
    """A map of header fields, of those the contract allows."""

    def read(self, value: Any, place: Place) -> Any:
        """Return them as texts, by name."""
        names = "Accept, Authorization, Content-Type, Range, X-*"
        must = f"must be a map of at most {MAX_HEADERS} of {names}"
        if not isinstance(value, dict) or len(value) > MAX_HEADERS:
            raise place.refuse(must)
        if not all(isinstance(name, str) and _ALLOWED.fullmatch(name) for name in value):
            raise place.refuse(must)
        filled = Anything().read(value, place)
        if place.scope is None:
            return filled
        lines = {name: as_text(text) for name, text in filled.items()}
        if not all(_LINE.fullmatch(text) and len(text) <= 8192 for text in lines.values()):
            raise place.refuse("has a header field with a control character in it, or too long")
        return lines


class Body:
    """A text, or what is sent as JSON."""

    def read(self, value: Any, place: Place) -> Any:
        """Return (octets, media type)."""
        if not isinstance(value, str | dict | list):
            raise place.refuse("must be a text or a map")
        filled = Anything().read(value, place)
        if place.scope is None:
            return DEFERRED
        text = filled if isinstance(filled, str) else json.dumps(filled)
        octets = text.encode()
        if len(octets) > MAX_REQUEST_BODY:
            raise place.refuse(f"is longer than {MAX_REQUEST_BODY} bytes")
        looks_like_json = text.lstrip()[:1] in {"{", "["}
        return octets, "application/json" if looks_like_json else "text/plain; charset=utf-8"


def _build(values: Mapping[str, Any]) -> HttpRequest:
    headers = dict(values["headers"] or {})
    octets, kind = values["body"] or (None, None)
    if kind is not None and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = kind
    return HttpRequest(
        url=values["url"],
        method=values["method"],
        headers=headers,
        body=octets,
        timeout=values["timeout"],
        save_variables=values["save_variables"],
    )


REQUEST: Final = Method(
    name="request",
    parameters=(
        Parameter("url", WebUrl(), required=True),
        Parameter("method", Choice(("GET", "POST", "PUT", "DELETE")), required=True),
        Parameter("headers", Headers()),
        Parameter("body", Body()),
        Parameter("timeout", Number(), default=0.0),
        Parameter("connect_timeout", Number(), default=0.0, used=False),
        Parameter("save_variables", Flag(), default=False),
    ),
    build=_build,
    outcome="request_result",
)
