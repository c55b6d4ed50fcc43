"""Calls that an application places and steers over HTTP, with real phones at their other ends."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import numpy as np
import pytest

from farend.callee import Callee
from farend.phone import Phone
from farend.receiver import Receiver, signatures
from farend.server import KEY, SIGNING_KEY, Server
from farend.talker import Talker
from farend.wire import SipMessage

STATES = ["created", "ringing", "answered", "ended"]
STAY: dict[str, Any] = {"sections": {"main": [{"sleep": 20_000}]}}
BYE: dict[str, Any] = {"sections": {"main": [{"hangup": {}}]}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Server]:
    header = "${call.headers[0].value}"
    note = {"request": {"url": receiver.url("/dial/after/${connect_result}"), "method": "GET"}}
    scripts: dict[str, list[object]] = {
        "stay": [{"answer": {}}, {"sleep": 20_000}],
        "ring": [{"sleep": 20_000}],
        "bridge": [{"connect": {"to": header}}, note, {"sleep": 20_000}],
    }
    for name, document in (("stay", STAY), ("bye", BYE)):
        receiver.pages[f"/dial/{name}"] = ("application/json", json.dumps(document).encode())
    with Server(tmp_path_factory.mktemp("dial"), scripts) as server:
        yield server


_names = itertools.count()


class Application:
    """Places calls, steers them, and is told of them at a path of its own."""

    def __init__(self, server: Server, receiver: Receiver, name: str) -> None:
        self.receiver = receiver
        self.path = f"/dial/{name}/state"
        self.url = receiver.url(self.path)
        self._base = f"http://{server.host}:{server.http_port}/api/calling/calls"

    async def ask(self, sent: dict[str, Any]) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as client,
            client.post(self._base, json=sent) as response,
        ):
            return response.status, await response.json()

    async def get(self, path: str = "") -> Any:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as client,
            client.get(self._base + path) as response,
        ):
            assert response.status == 200
            return await response.json()

    async def dial(self, to: str, **params: Any) -> str:
        """Place a call that tells all its states; return its id."""
        given = {"from": "sip:us@example.com", "to": to, "swml": STAY}
        if "url" in params:
            del given["swml"]
        told = {"status_url": self.url, "status_events": STATES}
        status, call = await self.ask({"command": "dial", "params": {**given, **told, **params}})
        assert status == 200, call
        assert (call["direction"], call["status"]) == ("outbound-api", "queued")
        assert call["to"] == to
        return str(call["id"])

    async def say(self, call_id: str, command: str, **params: Any) -> dict[str, Any]:
        status, call = await self.ask({"id": call_id, "command": command, "params": params})
        assert status == 200, call
        assert isinstance(call, dict)
        return call

    async def refused(self, call_id: str, command: str, **params: Any) -> str:
        status, answer = await self.ask({"id": call_id, "command": command, "params": params})
        assert status == 422, answer
        return str(answer["errors"][0]["attribute"])

    async def told(self, state: str) -> dict[str, Any]:
        """Wait until a state is told; return what is said of it."""
        await self.receiver.until(lambda: state in self.states, otherwise=f"no {state}")
        return next(c.params for c in self.callbacks if c.params.get("call_state") == state)

    @property
    def callbacks(self) -> list[Any]:
        return self.receiver.accepted(self.path)

    @property
    def states(self) -> list[str]:
        return [c.params["call_state"] for c in self.callbacks if "call_state" in c.params]


@pytest.fixture
def application(server: Server, receiver: Receiver) -> Application:
    return Application(server, receiver, str(next(_names)))


async def test_a_call_that_is_dialled_tells_its_states_and_carries_its_document_out(
    application: Application, server: Server, receiver: Receiver
) -> None:
    script = receiver.url(f"{application.path}/script")
    receiver.pages[f"{application.path}/script"] = ("application/json", json.dumps(STAY).encode())
    async with Callee.wait(server.sip) as callee:
        call_id = await application.dial(
            callee.uri,
            **{"from": "sip:us@example.com"},
            caller_id="Our Name",
            url=script,
            custom_variables={"customer": "17"},
        )
        invite = await callee.rung()
        assert invite.get("from").startswith('"Our Name" <sip:us@example.com>')
        await callee.reply(180, "Ringing")
        await application.told("ringing")
        assert (await application.get(f"/{call_id}"))["status"] == "ringing"
        await callee.answer()
        answered = await application.told("answered")
        assert answered["end_reason"] is None
        await receiver.until(lambda: bool(receiver.at(f"{application.path}/script")))
        (asked,) = receiver.at(f"{application.path}/script")
        assert asked.event["envs"] == {"customer": "17"}
        assert (asked.event["call"]["direction"], asked.event["call"]["call_id"]) == (
            "outbound",
            call_id,
        )
        expected = signatures(SIGNING_KEY, script, asked.body)
        assert {name: asked.headers[name] for name in expected} == expected
        (listed,) = (await application.get("?status=answered"))["data"]
        assert (listed["id"], listed["status"]) == (call_id, "answered")
        await callee.hang_up()
    ended = await application.told("ended")
    assert application.states == STATES
    assert ended == {
        "call_id": call_id,
        "node_id": ended["node_id"],
        "call_state": "ended",
        "direction": "outbound",
        "device": {
            "type": "sip",
            "params": {"from": "sip:us@example.com", "to": callee.uri},
        },
        "end_reason": "hangup",
    }
    assert {c.event["event_type"] for c in application.callbacks} == {"calling.call.state"}
    call = await application.get(f"/{call_id}")
    assert (call["status"], call["parent_id"]) == ("ended", None)
    assert call["duration_ms"] >= 0


@pytest.mark.parametrize(
    ("status", "reason", "told"), [(486, "Busy Here", "busy"), (603, "Decline", "declined"),
                                   (500, "Broken", "error")]
)  # fmt: skip
async def test_a_call_that_is_refused_has_failed_and_says_why(
    application: Application, server: Server, status: int, reason: str, told: str
) -> None:
    async with Callee.wait(server.sip) as callee:
        call_id = await application.dial(callee.uri)
        await callee.rung()
        await callee.reply(status, reason, fields=[f'Warning: 399 there "as told {status}"'])
        assert (await application.told("ended"))["end_reason"] == told
    assert f"as told {status}" in [line.get("why") for line in server.lines()]
    assert application.states == ["created", "ended"]
    call = await application.get(f"/{call_id}")
    assert (call["status"], call["duration"]) == ("failed", None)


async def test_nobody_is_rung_for_longer_than_the_timeout(
    application: Application, server: Server
) -> None:
    async with Callee.wait(server.sip) as callee:
        await application.dial(callee.uri, timeout=1)
        await callee.rung()
        await callee.reply(180, "Ringing")
        await asyncio.wait_for(callee.cancelled.wait(), 5)
    assert (await application.told("ended"))["end_reason"] == "no_answer"


@pytest.mark.parametrize(
    ("command", "params"),
    [("calling.end", {"reason": "cancel"}), ("update", {"status": "canceled"})],
)
async def test_a_call_that_rings_is_cancelled(
    application: Application, server: Server, command: str, params: dict[str, str]
) -> None:
    async with Callee.wait(server.sip) as callee:
        call_id = await application.dial(callee.uri)
        await callee.rung()
        await callee.reply(180, "Ringing")
        await application.told("ringing")
        assert await application.refused(call_id, "update", status="completed") == "id"
        assert await application.refused(call_id, "update", swml=BYE) == "id"
        assert await application.refused(call_id, "calling.transfer", dest=BYE) == "id"
        assert await application.refused(call_id, "calling.disconnect") == "id"
        call = await application.say(call_id, command, **params)
        assert call["status"] == "canceled"
        await asyncio.wait_for(callee.cancelled.wait(), 5)
    assert (await application.told("ended"))["end_reason"] == "cancel"


async def test_keys_are_pressed_once_the_call_is_answered_and_before_its_document(
    application: Application, server: Server
) -> None:
    async with Callee.wait(server.sip) as callee:
        await application.dial(callee.uri, send_digits="1w2", swml=BYE)
        await callee.take()
        await callee.until_ended()
        events = [h for h in callee.heard if len(h.data) == 16]
        assert list(dict.fromkeys(h.data[12] for h in events)) == [1, 2]
        second = next(h for h in events if h.data[12] == 2)
        assert second.at - events[0].at > 0.4


async def test_a_challenge_is_answered_with_what_was_given_for_it(
    application: Application, server: Server
) -> None:
    async with Callee.wait(server.sip) as callee:
        await application.dial(callee.uri, username="us", password="secret", swml=BYE)
        await callee.rung()
        challenge = 'WWW-Authenticate: Digest realm="pbx", nonce="n", algorithm=MD5, qop="auth"'
        await callee.reply(401, "Unauthorized", fields=[challenge])
        again = await callee.rung()
        assert 'username="us"' in again.get("authorization")
        await callee.answer()
        await callee.until_ended()


async def test_another_document_takes_a_call_that_is_up(
    application: Application, server: Server, receiver: Receiver
) -> None:
    async with Callee.wait(server.sip) as callee:
        call_id = await application.dial(callee.uri)
        await callee.take()
        await application.told("answered")
        assert await application.refused(call_id, "update", status="canceled") == "id"
        elsewhere = f"{application.path}/elsewhere"
        status, _ = await application.ask(
            {
                "command": "update",
                "params": {
                    "id": call_id,
                    "url": receiver.url("/dial/bye"),
                    "status_url": receiver.url(elsewhere),
                },
            }
        )
        assert status == 200
        await callee.until_ended()
        await receiver.until(lambda: bool(receiver.accepted(elsewhere)))
    assert [c.params["call_state"] for c in receiver.accepted(elsewhere)] == ["ended"]
    assert "ended" not in application.states


async def test_a_call_that_is_up_is_completed(application: Application, server: Server) -> None:
    async with Callee.wait(server.sip) as callee:
        call_id = await application.dial(callee.uri)
        await callee.take()
        await application.told("answered")
        call = await application.say(call_id, "update", status="completed")
        assert call["status"] == "ended"
        await callee.until_ended()


async def test_those_who_follow_a_call_are_told_of_an_event_of_the_applications_own(
    application: Application, server: Server
) -> None:
    async with Callee.wait(server.sip) as callee:
        call_id = await application.dial(callee.uri)
        await callee.take()
        await application.told("answered")
        await application.say(call_id, "calling.user_event", event={"slot": "thu-14"})
        await application.say(call_id, "calling.end")
        await callee.until_ended()
    await application.told("ended")
    kinds = [c.event["event_type"] for c in application.callbacks]
    assert kinds == [*["calling.call.state"] * 2, "calling.user_event", "calling.call.state"]
    assert application.callbacks[2].params["event"] == {"slot": "thu-14"}


async def call_in(server: Server, application: Application, phone: Phone, user: str) -> str:
    """Call a script; return the id of the call."""
    known = {call["id"] for call in (await application.get("?direction=inbound"))["data"]}
    await phone.call(user)
    listed = (await application.get("?direction=inbound"))["data"]
    (found,) = [call["id"] for call in listed if call["id"] not in known]
    return str(found)


async def hears(listener: Phone, talker: Phone, octet: int) -> None:
    """Let one say something until the other hears it."""
    payload = np.full(160, octet, np.uint8).tobytes()
    voice = Talker(ssrc=octet)
    async with asyncio.timeout(5):
        while not any(h.data[12:] == payload for h in listener.heard):
            await talker.say(voice.say(payload))
            await asyncio.sleep(0.02)


async def test_a_caller_is_transferred_to_somebody_else(
    application: Application, server: Server
) -> None:
    async with Callee.wait(server.sip) as callee, Phone.open(server.sip) as phone:
        call_id = await call_in(server, application, phone, "stay")
        await application.say(call_id, "calling.transfer", dest=callee.uri)
        await callee.take()
        await hears(callee, phone, 0x55)
        (leg,) = [
            call
            for call in (await application.get("?direction=outbound"))["data"]
            if call["to"] == callee.uri
        ]
        assert leg["parent_id"] == call_id
        await callee.hang_up()
        await phone.until_ended()


async def bridged(server: Server, application: Application, phone: Phone, callee: Callee) -> str:
    """Connect a caller on; return the id of the call that was placed for him."""
    fields = [f"X-To: {callee.uri}"]
    calling = asyncio.create_task(phone.invite("bridge", fields=fields))
    await callee.take()
    assert (await calling).status == 200
    await hears(callee, phone, 0x55)
    listed = (await application.get("?direction=outbound&status=answered"))["data"]
    (leg,) = [call for call in listed if call["to"] == callee.uri]
    return str(leg["id"])


async def test_two_that_are_parted_both_stay_up(
    application: Application, server: Server, receiver: Receiver
) -> None:
    before = len(receiver.at("/dial/after/connected"))
    async with Callee.wait(server.sip) as callee, Phone.open(server.sip) as phone:
        leg = await bridged(server, application, phone, callee)
        await application.say(leg, "calling.disconnect")
        # The caller's script goes on; the other one waits for whatever comes.
        await receiver.until(lambda: len(receiver.at("/dial/after/connected")) > before)
        assert await application.refused(leg, "calling.disconnect") == "id"
        payload = np.full(160, 0x33, np.uint8).tobytes()
        await phone.say(Talker(ssrc=9).say(payload))
        await asyncio.sleep(0.1)
        assert not any(h.data[12:] == payload for h in callee.heard)
        assert not callee.ended.is_set()
        await application.say(leg, "calling.end")
        await callee.until_ended()
        assert not phone.ended.is_set()
        await phone.hang_up()


async def test_one_of_two_is_transferred_and_the_other_goes_on_with_its_document(
    application: Application, server: Server, receiver: Receiver
) -> None:
    before = len(receiver.at("/dial/after/connected"))
    async with (
        Callee.wait(server.sip) as first,
        Callee.wait(server.sip) as second,
        Phone.open(server.sip) as phone,
    ):
        leg = await bridged(server, application, phone, first)
        await application.say(leg, "calling.transfer", dest=second.uri)
        await second.take()
        await receiver.until(lambda: len(receiver.at("/dial/after/connected")) > before)
        await hears(second, first, 0x44)
        await phone.hang_up()
        assert not first.ended.is_set()
        await first.hang_up()
        await second.until_ended()


async def test_a_caller_who_is_transferred_leaves_whoever_was_called_for_him(
    application: Application, server: Server
) -> None:
    async with (
        Callee.wait(server.sip) as first,
        Callee.wait(server.sip) as second,
        Phone.open(server.sip) as phone,
    ):
        leg = await bridged(server, application, phone, first)
        caller = (await application.get(f"/{leg}"))["parent_id"]
        await application.say(caller, "calling.transfer", dest=second.uri)
        await first.until_ended()
        await second.take()
        await hears(second, phone, 0x44)
        await phone.hang_up()
        await second.until_ended()


async def test_faults_in_a_document_that_takes_a_call_are_told_to_who_follows_it(
    application: Application, server: Server, receiver: Receiver
) -> None:
    receiver.pages["/dial/wrong"] = ("application/json", b'{"sections": {}}')
    server.expected.add("document refused")
    async with Callee.wait(server.sip) as callee:
        call_id = await application.dial(callee.uri)
        await callee.take()
        await application.told("answered")
        await application.say(call_id, "update", url=receiver.url("/dial/wrong"))
        await callee.until_ended()
    await application.told("ended")
    (fault,) = [c for c in application.callbacks if c.event["event_type"].endswith("warning")]
    assert fault.params["error"]["code"] == "relay_script_main_section_missing"


async def test_the_far_end_is_sent_elsewhere_by_refer(
    application: Application, server: Server, receiver: Receiver
) -> None:
    path = f"{application.path}/refer"
    async with Phone.open(server.sip) as phone:
        call_id = await call_in(server, application, phone, "stay")
        device = {"type": "sip", "params": {"to": "sip:other@example.com"}}
        asked = {"device": device, "status_url": receiver.url(path)}
        await application.say(call_id, "calling.refer", **asked)
        refer = await until_asked(phone, "REFER")
        assert refer.get("refer-to") == "<sip:other@example.com>"
        assert await application.refused(call_id, "calling.refer", **asked) == "id"
        phone.number += 1
        await phone.ask(
            phone.compose(
                "NOTIFY",
                body=b"SIP/2.0 200 OK\r\n",
                fields=[
                    "Event: refer",
                    "Subscription-State: terminated;reason=noresource",
                    "Content-Type: message/sipfrag",
                ],
            )
        )
        await receiver.until(lambda: len(receiver.accepted(path)) == 2)
        await phone.hang_up()
    first, last = receiver.accepted(path)
    assert first.event["event_type"] == "calling.call.refer"
    assert (first.state, first.params["sip_refer_response_code"]) == ("inProgress", "200")
    assert last.params["call_id"] == call_id
    assert last.params["sip_refer_to"] == "sip:other@example.com"
    assert (last.state, last.params["sip_notify_response_code"]) == ("success", "200")


async def until_asked(phone: Phone, method: str) -> SipMessage:
    async with asyncio.timeout(5):
        while not any(m.method == method for m in phone.requests):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return next(m for m in phone.requests if m.method == method)


async def test_a_number_without_a_trunk_is_a_fault_and_no_call(
    application: Application, server: Server
) -> None:
    params = {"from": "+4930123", "to": "+4930456", "swml": STAY}
    status, answer = await application.ask({"command": "dial", "params": params})
    assert (status, answer["errors"][0]["attribute"]) == (422, "to")
    assert "trunks" in answer["errors"][0]["message"]


async def test_the_document_of_the_api_is_served_to_everybody(server: Server) -> None:
    answer = server.get("/openapi.json", key=None)
    assert answer.status == 200
    assert answer.json["openapi"] == "3.1.0"
    assert KEY not in answer.body.decode()
