"""`GET /api/calling/calls`: one call, the list, and what is wrong with a query."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from mediaserver.calls.call_state import CallState
from mediaserver.calls.resource import CallRecord
from mediaserver.store.calls import Calls
from mediaserver.store.database import Database
from mediaserver.web.calls import MAX_PAGE_SIZE

PATH = "/api/calling/calls"
PROJECT = "00000000-0000-4000-8000-000000000001"
DAWN = 1_700_000_000_000_000
"""2023-11-14T22:13:20Z"""
SECOND = 1_000_000


def made(number: int, **changes: Any) -> CallRecord:
    """Return a call that is over, `number` seconds younger than the first."""
    fields: dict[str, Any] = {
        "id": f"call-{number}",
        "project_id": PROJECT,
        "direction": "inbound",
        "from_": "sip:alice@example.com",
        "to": "sip:bob@example.com",
        "sip_call_id": "1",
        "created_at": DAWN + number * SECOND,
        "answered_at": DAWN + (number + 1) * SECOND,
        "ended_at": DAWN + (number + 3) * SECOND + 500_000,
        "end_reason": "hangup",
    }
    return CallRecord(**fields | changes)


async def ids(api: Any, query: str = "") -> list[str]:
    status, headers, answer = await api.ask(PATH + query)
    assert status == 200, answer
    assert headers["Cache-Control"] == "no-store"
    return [call["id"] for call in answer["data"]]


async def test_a_call_is_shown_whether_it_is_up_or_over(
    api: Any, database: Database, exchange: Any
) -> None:
    await Calls(database).add(made(1, parent_id="call-0"))
    up = made(2, ended_at=None, end_reason=None, progress=CallState.ANSWERED)
    exchange.up[up.id] = up
    status, _, over = await api.ask(f"{PATH}/call-1")
    assert status == 200
    assert (over["status"], over["duration"], over["duration_ms"]) == ("ended", 2, 2500)
    assert (over["parent_id"], over["created_at"]) == ("call-0", "2023-11-14T22:13:21.000Z")
    _, _, shown = await api.ask(f"{PATH}/call-2")
    assert (shown["status"], shown["duration"]) == ("answered", None)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"ended_at": None, "progress": CallState.CREATED, "sip_call_id": ""}, "queued"),
        ({"ended_at": None, "progress": CallState.CREATED}, "created"),
        ({"ended_at": None, "progress": CallState.RINGING}, "ringing"),
        ({"ended_at": None, "progress": CallState.ANSWERED}, "answered"),
        ({"ended_at": None}, None),
        ({}, "ended"),
        ({"end_reason": "error"}, "ended"),
        ({"answered_at": None, "end_reason": "cancel"}, "canceled"),
        ({"answered_at": None, "end_reason": "busy"}, "failed"),
        ({"answered_at": None, "end_reason": None}, "failed"),
    ],
)
async def test_the_status_says_how_far_a_call_is_or_what_it_came_to(
    api: Any, exchange: Any, changes: dict[str, Any], status: str | None
) -> None:
    call = made(1, **changes)
    exchange.up[call.id] = call
    _, _, answer = await api.ask(f"{PATH}/call-1")
    assert answer["status"] == status


async def test_what_is_no_call_of_ours_is_404(api: Any, database: Database) -> None:
    await Calls(database).add(made(1, project_id="another"))
    for name in ("call-1", "nothing", "a" * 100, "%00", "%ED%A0%80"):
        status, _, answer = await api.ask(f"{PATH}/{name}")
        assert (status, answer) == (404, {"error": "Not Found"})


async def test_the_list_is_followed_by_its_links(
    api: Any, database: Database, exchange: Any
) -> None:
    calls = Calls(database)
    for number in range(1, 5):
        await calls.add(made(number))
    exchange.up["call-5"] = made(5, ended_at=None, progress=CallState.RINGING)
    found: list[str] = []
    path = f"{PATH}?page_size=2&direction=inbound"
    first = path
    while path:
        status, _, answer = await api.ask(path)
        assert status == 200
        assert (answer["links"]["self"], answer["links"]["first"]) == (path, first)
        found += [call["id"] for call in answer["data"]]
        path = answer["links"].get("next", "")
    assert found == ["call-5", "call-4", "call-3", "call-2", "call-1"]


async def test_the_list_has_what_is_asked_for(api: Any, database: Database, exchange: Any) -> None:
    calls = Calls(database)
    await calls.add(made(1, from_="+4930 1"))
    await calls.add(made(2, direction="outbound-api", answered_at=None, end_reason="busy"))
    exchange.up["call-3"] = made(3, ended_at=None, progress=CallState.ANSWERED, to="sip:c@d")
    for query, found in (
        ("", [3, 2, 1]),
        ("?status=answered", [3]),
        ("?status=failed", [2]),
        ("?status=ended", [1]),
        ("?status=queued", []),
        ("?direction=outbound-api", [2]),
        (f"?from={quote('+4930 1')}", [1]),
        ("?to=sip:c@d", [3]),
        ("?created_after=2023-11-14T22:13:22Z", [3, 2]),
        ("?created_before=2023-11-14T23:13:22.000001%2B01:00", [2, 1]),
        ("?status=&direction=&page_size=&page_token=", [3, 2, 1]),
        ("?page_size=1", [3]),
    ):
        assert await ids(api, query) == [f"call-{number}" for number in found], query


async def test_a_page_is_no_longer_than_it_may_be(api: Any, exchange: Any) -> None:
    for number in range(MAX_PAGE_SIZE + 5):
        call = made(number)
        exchange.up[call.id] = call
    assert len(await ids(api, "?page_size=1000")) == MAX_PAGE_SIZE
    assert len(await ids(api)) == 50


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("status=busy", ["status"]),
        ("direction=in", ["direction"]),
        ("created_after=yesterday", ["created_after"]),
        ("created_after=2023-11-14", ["created_after"]),
        ("created_before=0000-01-01T00:00:00Z", ["created_before"]),
        ("created_before=9999-12-31T23:59:59-10:00", ["created_before"]),
        ("created_after=2023-02-30T00:00:00Z", ["created_after"]),
        ("page_size=0", ["page_size"]),
        ("page_size=ten", ["page_size"]),
        ("page_size=%C2%B2", ["page_size"]),
        ("page_size=99999999999", ["page_size"]),
        ("page_token=x", ["page_token"]),
        ("from=" + "a" * 257, ["from"]),
        ("color=red&status=busy", ["color", "status"]),
        ("status=ended&status=ended", ["status"]),
    ],
)
async def test_what_is_wrong_with_a_query_is_named(api: Any, query: str, names: list[str]) -> None:
    status, _, answer = await api.ask(f"{PATH}?{query}")
    assert status == 422
    assert [error["attribute"] for error in answer["errors"]] == names
    for error in answer["errors"]:
        assert (error["type"], error["code"]) == ("validation_error", "invalid_parameter")
        assert error["message"].startswith(error["attribute"])


async def test_one_call_is_asked_for_without_parameters(api: Any) -> None:
    status, _, answer = await api.ask(f"{PATH}/call-1?view=FULL")
    assert (status, answer["errors"][0]["attribute"]) == (422, "view")


async def test_calls_need_their_own_permission(api: Any) -> None:
    for path in (PATH, f"{PATH}/call-1"):
        assert (await api.ask(path, key="key-that-lists"))[0] == 403
        assert (await api.ask(path, key="key-that-reads-calls"))[0] in {200, 404}
    sent = {"id": "x", "command": "calling.end"}
    assert (await api.ask(PATH, "key-that-reads-calls", "POST", json=sent))[0] == 403
