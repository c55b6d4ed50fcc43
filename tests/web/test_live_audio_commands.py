"""`calling.tap` and `calling.stream`: what is asked, in the words of the calls, and its faults."""

from __future__ import annotations

from typing import Any

import pytest

from farend.control import Control
from mediaserver.calls.commands.streaming import StartStream, StopStream
from mediaserver.calls.commands.tapping import StartTap, StopTap
from mediaserver.calls.streaming import StreamOrder
from mediaserver.calls.tapping import TapOrder
from mediaserver.recording.resource import Direction

PATH = "/api/calling/calls"
MISSING, INVALID = "missing_required_parameter", "invalid_parameter"

TAP = {"type": "audio", "params": {"direction": "both"}}
RTP = {"addr": "198.51.100.42", "port": 5060}
URL = "wss://example.com/audio"


def rtp(**params: Any) -> dict[str, Any]:
    return {"type": "rtp", "params": {**RTP, **params}}


def ws(**params: Any) -> dict[str, Any]:
    return {"type": "ws", "params": {"uri": URL, **params}}


async def ask(api: Any, command: str, **params: Any) -> tuple[int, dict[str, str]]:
    """Send a command; return the status, and of every fault the code by its attribute."""
    sent = {"id": "call-1", "command": command, "params": params}
    status, _, answer = await api.ask(PATH, method="POST", json=sent)
    for error in answer.get("errors", ()):
        assert error["attribute"] in error["message"]
    return status, {error["attribute"]: error["code"] for error in answer.get("errors", ())}


async def ordered(api: Any, control: Control, command: str, **params: Any) -> Any:
    assert await ask(api, command, **params) == (200, {})
    ((call_id, order),) = control.did
    assert call_id == "call-1"
    control.did.clear()
    return order


async def test_a_tap_is_as_the_call_is_unless_it_says_otherwise(api: Any, control: Control) -> None:
    order = await ordered(api, control, "calling.tap", control_id="t", tap=TAP, device=rtp())
    uri = "rtp://198.51.100.42:5060"
    assert order == StartTap(
        order=TapOrder(uri=uri, control_id="t", direction=Direction.BOTH), codec=None, ptime=None
    )
    order = await ordered(
        api, control, "calling.tap", control_id="t", tap=TAP,
        device=rtp(addr="2001:db8::7", codec="pcma", ptime=120), status_url="https://a.example/x",
    )  # fmt: skip
    assert order.order.uri == "rtp://[2001:db8::7]:5060"
    assert (order.codec, order.ptime) == ("PCMA", 120)
    assert order.order.status_url == "https://a.example/x"
    order = await ordered(
        api, control, "calling.tap", control_id="t", tap=TAP, device=ws(uri="WS://h/", codec="PCMU")
    )
    assert (order.order.uri, order.codec, order.ptime) == ("ws://h/", "PCMU", None)
    order = await ordered(
        api, control, "calling.tap", control_id="t", tap=TAP, device=ws(codec="opus")
    )
    assert order.codec == "OPUS"
    stopped = await ordered(api, control, "calling.tap.stop", control_id="t")
    assert stopped == StopTap(control_id="t")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"control_id": ""}, {"control_id": INVALID}),
        ({"tap": {"type": "video", "params": {"direction": "both"}}}, {"tap.type": INVALID}),
        ({"tap": {"type": "audio", "params": {}}}, {"tap.params.direction": MISSING}),
        (
            {"tap": {"type": "audio", "params": {"direction": "all"}}},
            {"tap.params.direction": INVALID},
        ),
        ({"device": {"type": "fax", "params": {}}}, {"device.type": INVALID}),
        ({"device": rtp(addr="example.com")}, {"device.params.addr": INVALID}),
        ({"device": rtp(port=0)}, {"device.params.port": INVALID}),
        ({"device": rtp(port="5060")}, {"device.params.port": INVALID}),
        ({"device": rtp(codec="G722")}, {"device.params.codec": INVALID}),
        ({"device": rtp(ptime=25)}, {"device.params.ptime": INVALID}),
        ({"device": rtp(ptime=130)}, {"device.params.ptime": INVALID}),
        ({"device": ws(uri="https://h/")}, {"device.params.uri": INVALID}),
        ({"device": ws(ptime=20)}, {"device.params.ptime": INVALID}),
        ({"status_url": "ftp://h/"}, {"status_url": INVALID}),
        ({"more": 1}, {"more": INVALID}),
    ],
)
async def test_what_is_wrong_with_a_tap_is_named(
    api: Any, control: Control, changes: dict[str, Any], found: dict[str, str]
) -> None:
    params = {"control_id": "t", "tap": TAP, "device": rtp(), **changes}
    assert await ask(api, "calling.tap", **params) == (422, found)
    assert control.did == []


async def test_a_stream_has_its_defaults_and_everything_it_is_told(
    api: Any, control: Control
) -> None:
    order = await ordered(api, control, "calling.stream", control_id="s", url=URL)
    assert order == StartStream(order=StreamOrder(url=URL, control_id="s"))
    told: dict[str, Any] = {
        "name": "n",
        "codec": "L16@16000h",
        "track": "both_tracks",
        "authorization_bearer_token": "hidden",
        "custom_parameters": {"a": {"b": [1, None]}},
        "status_url": "https://a.example/x",
        "status_url_method": "GET",
    }
    order = await ordered(api, control, "calling.stream", control_id="s", url=URL, **told)
    assert order == StartStream(order=StreamOrder(url=URL, control_id="s", **told))
    assert "hidden" not in repr(order)
    stopped = await ordered(api, control, "calling.stream.stop", control_id="s")
    assert stopped == StopStream(control_id="s")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"url": "https://h/"}, {"url": INVALID}),
        ({"url": None}, {"url": INVALID}),
        ({"track": "all"}, {"track": INVALID}),
        ({"custom_parameters": []}, {"custom_parameters": INVALID}),
        ({"authorization_bearer_token": ""}, {"authorization_bearer_token": INVALID}),
        ({"status_url_method": "PUT"}, {"status_url_method": INVALID}),
        ({"realtime": True}, {"realtime": INVALID}),
    ],
)
async def test_what_is_wrong_with_a_stream_is_named(
    api: Any, control: Control, changes: dict[str, Any], found: dict[str, str]
) -> None:
    params = {"control_id": "s", "url": URL, **changes}
    assert await ask(api, "calling.stream", **params) == (422, found)
    assert await ask(api, "calling.stream") == (422, {"control_id": MISSING, "url": MISSING})
    assert await ask(api, "calling.stream.stop") == (422, {"control_id": MISSING})
    assert control.did == []
