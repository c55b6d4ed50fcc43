"""Calls as `GET /api/calling/calls` shows them: one, or a list newest first (contract A4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from aiohttp import web

from mediaserver.calls.resource import CallPage, CallQuery, CallRecord, Status
from mediaserver.errors import PeerError

from .commands.fault import Fault, Unprocessable
from .errors import not_found
from .recordings import is_id, shown
from .views import timestamp

PATH: Final = "/api/calling/calls"

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 100
"""More is asked for in vain: the page is this long."""

MAX_NUMBER: Final = 10
"""Digits of a `page_size`."""

MAX_ADDRESS: Final = 256
"""Characters of `from` and `to`."""

DIRECTIONS: Final = ("inbound", "outbound", "outbound-api")

PARAMETERS: Final = (
    "status", "direction", "from", "to", "created_after", "created_before", "page_size",
    "page_token",
)  # fmt: skip

_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
)


class CallReader(Protocol):
    """What is known of calls, whether they are up or over."""

    async def get(self, call_id: str) -> CallRecord | None:
        """Return a call."""

    async def page(self, query: CallQuery, size: int, token: str | None = None) -> CallPage:
        """Return a page of calls, newest first; `PeerError` 400 for a token of another list."""


class CallRoutes:
    """The handlers. Keys are checked before they run."""

    def __init__(self, calls: CallReader) -> None:
        self._calls = calls

    async def list_calls(self, request: web.Request) -> web.Response:
        """List the calls of the project."""
        query = _Query(request)
        wanted = query.wanted()
        size = query.page_size()
        token = query.get("page_token")
        query.check()
        try:
            page = await self._calls.page(wanted, size, token)
        except PeerError as error:
            raise _fault("page_token", "is not one given for this list") from error
        links = {"self": _link(query.given)}
        first = {name: value for name, value in query.given.items() if name != "page_token"}
        links["first"] = _link(first)
        if page.next_token is not None:
            links["next"] = _link({**first, "page_token": page.next_token})
        return _json({"links": links, "data": [call_view(call) for call in page.calls]})

    async def get_call(self, request: web.Request) -> web.Response:
        """Show one call."""
        query = _Query(request, ())
        query.check()
        call_id = request.match_info["call"]
        call = await self._calls.get(call_id) if is_id(call_id) else None
        if call is None:
            raise not_found("call")
        return _json(call_view(call))


def call_view(call: CallRecord) -> dict[str, Any]:
    """Return the JSON object of a call. Nothing is charged; what is not known is null."""
    lasted = None
    if call.ended_at is not None and call.answered_at is not None:
        lasted = max(0, call.ended_at - call.answered_at) // 1000
    return {
        "id": call.id,
        "from": call.from_,
        "to": call.to,
        "direction": call.direction,
        "source": "realtime_api",
        "url": None,
        "charge": 0,
        "created_at": timestamp(call.created_at),
        "charge_details": [],
        "status": call.status,
        "duration": None if lasted is None else lasted // 1000,
        "duration_ms": lasted,
        "billing_ms": None,
        "type": "relay_sip_call",
        "parent_id": call.parent_id,
    }


class _Query:
    """The query of a request, and all that is wrong with it."""

    def __init__(self, request: web.Request, known: tuple[str, ...] = PARAMETERS) -> None:
        self.given: dict[str, str] = {}
        self._faults: list[Fault] = []
        for name, value in request.query.items():
            if name not in known:
                self._refuse(name, "is not a known parameter")
            elif name in self.given:
                self._refuse(name, "is given twice")
            self.given[name] = value

    def get(self, name: str) -> str | None:
        """Return what a parameter says; None if it is not there, or empty."""
        return self.given.get(name) or None

    def check(self) -> None:
        """Raise `Unprocessable` if anything was wrong."""
        if self._faults:
            raise Unprocessable(tuple(self._faults))

    def wanted(self) -> CallQuery:
        """Return which calls are asked for."""
        status = self._one_of("status", tuple(Status))
        return CallQuery(
            status=None if status is None else Status(status),
            direction=self._one_of("direction", DIRECTIONS),
            from_=self._address("from"),
            to=self._address("to"),
            created_from=self._moment("created_after"),
            created_before=self._moment("created_before"),
        )

    def page_size(self) -> int:
        """Return how many calls a page has."""
        text = self.get("page_size")
        if text is None:
            return DEFAULT_PAGE_SIZE
        if not (text.isascii() and text.isdigit() and len(text) <= MAX_NUMBER and int(text)):
            self._refuse("page_size", f"must be a number from 1 on, not {shown(text)}")
            return DEFAULT_PAGE_SIZE
        return min(int(text), MAX_PAGE_SIZE)

    def _one_of(self, name: str, values: tuple[str, ...]) -> str | None:
        text = self.get(name)
        if text is not None and text not in values:
            self._refuse(name, f"must be one of {', '.join(values)}")
            return None
        return text

    def _address(self, name: str) -> str | None:
        text = self.get(name)
        if text is not None and len(text) > MAX_ADDRESS:
            self._refuse(name, f"must have {MAX_ADDRESS} characters at most")
            return None
        return text

    def _moment(self, name: str) -> int | None:
        """Return microseconds since 1970 UTC."""
        text = self.get(name)
        if text is None:
            return None
        try:
            if not _MOMENT.fullmatch(text):
                raise ValueError
            moment = datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            self._refuse(name, "must be a moment such as 2026-08-21T06:48:42Z")
            return None
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds

    def _refuse(self, name: str, why: str) -> None:
        attribute = name[:MAX_ADDRESS]
        self._faults.append(Fault(f"{attribute} {why}", attribute))


def _fault(name: str, why: str) -> Unprocessable:
    return Unprocessable((Fault(f"{name} {why}", name),))


def _link(query: Mapping[str, str]) -> str:
    return f"{PATH}?{urlencode(query)}" if query else PATH


def _json(body: dict[str, Any]) -> web.Response:
    return web.json_response(body, headers={"Cache-Control": "no-store"})
