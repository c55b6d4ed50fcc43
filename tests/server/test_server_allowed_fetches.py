"""Every document of a call is fetched from where its route allows, whoever names it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from farend.callee import Callee
from farend.phone import Phone
from farend.receiver import Receiver
from farend.server import Server

HOST = "127.0.0.2"
"""Where the documents are: only routes of `inside` may fetch from there."""
SIDES = ("inside", "outside")
PAGE = {"sections": {"main": [{"play": {"url": "silence:0.6"}}]}}
TO = "${call.headers[0].value}"
STAY: list[object] = [{"answer": {}}, {"sleep": 20_000}]


def steps(kind: str, url: str) -> list[object]:
    match kind:
        case "execute":
            return [{"answer": {}}, {"execute": {"dest": url}}]
        case "transfer":
            return [{"answer": {}}, {"transfer": {"dest": url}}]
        case "wait-url":
            waiting = {"name": url, "start_on_enter": False, "wait_url": url}
            return [{"join_conference": waiting}]
        case "confirm":
            return [{"connect": {"to": TO, "confirm": url}}]
        case "of confirm":
            return [{"connect": {"to": TO, "confirm": f"{url}/first"}}]
    return STAY


KINDS = (
    *("execute", "transfer", "wait-url", "confirm", "of confirm"),
    *("calling.transfer", "update", "calling.transfer of the peer"),
)


@pytest.fixture(scope="module")
def pages() -> Iterator[Receiver]:
    receiver = Receiver(host=HOST).start()
    for side in SIDES:
        for number in range(len(KINDS)):
            path = f"/{side}/{number}"
            first = {"sections": {"main": [{"execute": {"dest": receiver.url(path)}}]}}
            for name, page in ((path, PAGE), (f"{path}/first", first)):
                receiver.pages[name] = ("application/json", json.dumps(page).encode())
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, pages: Receiver) -> Iterator[Server]:
    scripts: dict[str, list[object]] = {}
    routes: list[dict[str, object]] = []
    for side in SIDES:
        for number, kind in enumerate(KINDS):
            route: dict[str, object] = {
                "to": f"{side}{number}",
                "swml": f"script-{len(routes)}.json",
            }
            if side == "inside":
                route["allow"] = [f"{HOST}/32"]
            scripts[f"{side}{number}"] = (
                [{"connect": {"to": TO}}]
                if kind.endswith("of the peer")
                else steps(kind, pages.url(f"/{side}/{number}"))
            )
            routes.append(route)
    settings = {"routes": routes, "outbound": {"allow": ["127.0.0.1/32"]}}
    server = Server(tmp_path_factory.mktemp("allowed"), scripts, settings)
    server.expected = {"document refused"}
    with server:
        yield server


@asynccontextmanager
async def calling(server: Server, user: str) -> AsyncIterator[None]:
    """Call `user`, who may connect the call on to somebody who answers."""
    async with (
        Callee.wait(server.sip) as callee,
        Phone.open(server.sip, user=f"by-{user}") as phone,
    ):
        taking = asyncio.create_task(callee.take())
        asking = asyncio.create_task(phone.invite(user, fields=[f"X-To: {callee.uri}"]))
        try:
            yield
        finally:
            asking.cancel()
            taking.cancel()
            await asyncio.gather(asking, taking, return_exceptions=True)
            if phone.remote_tag and not phone.ended.is_set():
                await phone.hang_up()


async def ask(server: Server, body: dict[str, Any]) -> int:
    answer = await asyncio.to_thread(server.post, "/api/calling/calls", json.dumps(body).encode())
    return answer.status


async def steer(server: Server, kind: str, user: str, url: str) -> None:
    """Have an application name the document, as soon as the call is answered."""
    command, _, peer = kind.partition(" of the ")
    for _ in range(200):
        listed = (await asyncio.to_thread(server.get, "/api/calling/calls")).json
        for call in listed["data"]:
            ours = f"by-{user}@" in call["from"] and (call["direction"] == "outbound") is bool(peer)
            if ours and call["status"] == "answered":
                params = {"dest": url} if command == "calling.transfer" else {"url": url}
                body = {"command": command, "id": call["id"], "params": params}
                if command == "update":
                    body = {"command": command, "params": params | {"id": call["id"]}}
                assert await ask(server, body) == 200
                return
        await asyncio.sleep(0.05)
    raise AssertionError(f"no call of {user} was answered")


async def outcome(server: Server, pages: Receiver, side: str, number: int) -> bool:
    """Tell whether the document was asked for; it is that, or refused, at once."""
    user, path, kind = f"{side}{number}", f"/{side}/{number}", KINDS[number]
    seen = len(server.lines())
    async with calling(server, user):
        if kind.startswith(("calling.", "update")):
            await steer(server, kind, user, pages.url(path))
        for _ in range(200):
            if pages.at(path):
                return True
            if any("not a public one" in json.dumps(line) for line in server.lines()[seen:]):
                return False
            await asyncio.sleep(0.05)
    raise AssertionError(f"{kind}: neither asked for nor refused")


@pytest.mark.parametrize("number", range(len(KINDS)), ids=KINDS)
@pytest.mark.parametrize("side", SIDES)
async def test_the_allow_list_of_the_route_holds_for_every_document(
    server: Server, pages: Receiver, side: str, number: int
) -> None:
    assert await outcome(server, pages, side, number) is (side == "inside")
