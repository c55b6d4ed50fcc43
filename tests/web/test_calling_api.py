"""`POST /api/calling/calls`: commands, their faults, and the shape of every error."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from farend.control import Control
from mediaserver.calls.call_state import CallState, StateWatch
from mediaserver.calls.commands import CommandRefused, NotThere
from mediaserver.calls.commands.bridging import DisconnectCall
from mediaserver.calls.commands.dialling import DialCall
from mediaserver.calls.commands.ending import EndCall, EndReason
from mediaserver.calls.commands.recording import (
    PauseRecording,
    ResumeRecording,
    StartRecording,
    StopRecording,
)
from mediaserver.calls.commands.telling import TellEvent
from mediaserver.calls.commands.updating import FinalStatus, UpdateCall
from mediaserver.calls.document_source import DocumentSource
from mediaserver.calls.recording_order import RecordingOrder
from mediaserver.calls.referring import ReferOrder
from mediaserver.calls.source import Source as Source_
from mediaserver.errors import LocalError
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.resource import Direction, Format, PauseBehavior, Source
from mediaserver.sip.digest import Credentials
from mediaserver.web import body
from mediaserver.web.commands import COMMANDS
from mediaserver.web.commands.fault import MAX_FAULTS
from mediaserver.web.commands.unsupported import UNSUPPORTED
from mediaserver.web.connection import ServerLimits

PATH = "/api/calling/calls"
CODES = "https://signalwire.com/docs/apis/error-codes"
PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "calling.md"


@pytest.fixture
def limits() -> ServerLimits:
    return ServerLimits(linger=0.2)


def command(name: str, **params: Any) -> dict[str, Any]:
    return {"id": "call-1", "command": name, "params": params}


def record(**audio: Any) -> dict[str, Any]:
    return command("calling.record", control_id="k", record={"audio": audio})


async def post(api: Any, sent: Any, **options: Any) -> tuple[int, Any]:
    """Return the status and the body of the answer to a command."""
    status, headers, answer = await api.ask(PATH, method="POST", json=sent, **options)
    assert headers["Content-Type"].startswith("application/json")
    assert headers["Cache-Control"] == "no-store"
    return status, answer


async def faults(api: Any, sent: Any) -> dict[str, str]:
    """Return the code of every fault in a command by the parameter it is of."""
    status, answer = await post(api, sent)
    assert status == 422
    assert set(answer) == {"errors"}
    for error in answer["errors"]:
        assert set(error) == {"type", "code", "message", "attribute", "url"}
        assert (error["type"], error["url"]) == ("validation_error", CODES)
        assert error["attribute"] in error["message"]
    return {error["attribute"]: error["code"] for error in answer["errors"]}


# What is asked reaches the call.


async def test_the_defaults_of_a_recording_are_those_of_this_surface(
    api: Any, control: Control
) -> None:
    status, _ = await post(api, record())
    assert status == 200
    assert control.did == [
        (
            "call-1",
            StartRecording(
                order=RecordingOrder(
                    rules=StopRules(
                        terminators="#",
                        initial_timeout=4.0,
                        end_silence_timeout=0.5,
                        max_length=0,
                        input_sensitivity=44.0,
                    ),
                    format=Format.MP3,
                    direction=Direction.SPEAK,
                    stereo=False,
                    status_url=None,
                    source=Source.CALL_RECORDING,
                    control_id="k",
                ),
                beep_first=False,
            ),
        )
    ]


async def test_every_parameter_of_a_recording_is_heeded(api: Any, control: Control) -> None:
    sent = record(
        beep=True,
        format="mp4",
        stereo=True,
        direction="both",
        initial_timeout=0,
        end_silence_timeout=1.25,
        max_length=60,
        terminators="1a*",
        input_sensitivity=100,
    )
    sent["params"]["status_url"] = "HTTPS://user:pass@app.example.com/x?y=1"
    status, _ = await post(api, sent)
    assert status == 200
    ((_, ordered),) = control.did
    assert ordered.beep_first
    order = ordered.order
    assert order.rules == StopRules(
        terminators="1A*",
        initial_timeout=0,
        end_silence_timeout=1.25,
        max_length=60,
        input_sensitivity=100,
    )
    assert (order.format, order.direction, order.stereo) == (Format.MP4, Direction.BOTH, True)
    assert order.status_url == "https://user:pass@app.example.com/x?y=1"


@pytest.mark.parametrize(
    ("sent", "order"),
    [
        (
            command("calling.record.pause", control_id="k"),
            PauseRecording(control_id="k", behavior=PauseBehavior.SKIP),
        ),
        (
            command("calling.record.pause", control_id="k", behavior="silence"),
            PauseRecording(control_id="k", behavior=PauseBehavior.SILENCE),
        ),
        (command("calling.record.resume", control_id="k ü"), ResumeRecording(control_id="k ü")),
        (command("calling.record.stop", control_id="k"), StopRecording(control_id="k")),
        (command("calling.end"), EndCall(reason=EndReason.HANGUP)),
        ({"id": "call-1", "command": "calling.end"}, EndCall(reason=EndReason.HANGUP)),
        (command("calling.end", reason="noAnswer"), EndCall(reason=EndReason.NO_ANSWER)),
    ],
)
async def test_commands_are_passed_on(
    api: Any, control: Control, sent: dict[str, Any], order: Any
) -> None:
    status, _ = await post(api, sent)
    assert status == 200
    assert control.did == [("call-1", order)]


async def test_the_answer_is_the_call(api: Any) -> None:
    status, answer = await post(api, record())
    assert status == 200
    assert answer == {
        "id": "5b0c7d5e-3c55-4c5f-9d0c-0a9a7a4f3f10",
        "from": "sip:+4930123456@trunk.example.com",
        "to": "sip:voicemail@192.0.2.10",
        "direction": "inbound",
        "source": "realtime_api",
        "url": None,
        "charge": 0,
        "created_at": "2023-11-14T22:13:20.000Z",
        "charge_details": [],
        "status": "answered",
        "duration": None,
        "duration_ms": None,
        "billing_ms": None,
        "type": "relay_sip_call",
        "parent_id": None,
    }


async def test_a_call_that_was_ended_says_how_long_it_was_up(api: Any) -> None:
    _, answer = await post(api, command("calling.end"))
    assert answer["status"] == "ended"
    assert (answer["duration"], answer["duration_ms"]) == (12, 12_340)


# What cannot be done.


@pytest.mark.parametrize(
    ("audio", "name"),
    [
        ({"beep": "true"}, "beep"),
        ({"beep": 1}, "beep"),
        ({"format": "ogg"}, "format"),
        ({"format": None}, "format"),
        ({"stereo": "no"}, "stereo"),
        ({"direction": "all"}, "direction"),
        ({"initial_timeout": -0.1}, "initial_timeout"),
        ({"initial_timeout": "4"}, "initial_timeout"),
        ({"initial_timeout": True}, "initial_timeout"),
        ({"end_silence_timeout": 1e10}, "end_silence_timeout"),
        ({"max_length": -1}, "max_length"),
        ({"max_length": 1.5}, "max_length"),
        ({"max_length": 10**30}, "max_length"),
        ({"terminators": "1 2"}, "terminators"),
        ({"terminators": "E"}, "terminators"),
        ({"terminators": "#\n"}, "terminators"),
        ({"terminators": "1" * 65}, "terminators"),
        ({"input_sensitivity": 100.1}, "input_sensitivity"),
        ({"inital_timeout": 4}, "inital_timeout"),
    ],
)
async def test_a_wrong_parameter_of_a_recording_is_named(
    api: Any, control: Control, audio: dict[str, Any], name: str
) -> None:
    assert await faults(api, record(**audio)) == {f"record.audio.{name}": "invalid_parameter"}
    assert control.did == []


MISSING, INVALID = "missing_required_parameter", "invalid_parameter"


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ({}, {"id": MISSING, "command": MISSING}),
        ({"id": 7, "command": "calling.end"}, {"id": INVALID}),
        ({"id": "x", "command": "calling.sing"}, {"command": INVALID}),
        ({"id": "x", "command": ["calling.end"]}, {"command": INVALID}),
        ({"id": "x", "command": "calling.end", "params": []}, {"params": INVALID}),
        ({"id": "x", "command": "calling.end", "more": 1}, {"more": INVALID}),
        (command("calling.end", reason="bored"), {"reason": INVALID}),
        (command("calling.record"), {"control_id": MISSING, "record": MISSING}),
        (command("calling.record", control_id="k", record={}), {"record.audio": MISSING}),
        (
            command("calling.record", control_id="k", record={"audio": []}),
            {"record.audio": INVALID},
        ),
        (command("calling.record.pause"), {"control_id": MISSING}),
        (
            command("calling.record.pause", control_id="k", behavior="mute", pause_behavior=""),
            {"behavior": INVALID, "pause_behavior": INVALID},
        ),
        (command("calling.record.stop", control_id=""), {"control_id": INVALID}),
        (command("calling.record.stop", control_id="k" * 257), {"control_id": INVALID}),
        (command("calling.record.stop", control_id="a\nb"), {"control_id": INVALID}),
    ],
)
async def test_every_fault_is_named_in_one_answer(
    api: Any, control: Control, sent: dict[str, Any], found: dict[str, str]
) -> None:
    assert await faults(api, sent) == found
    assert control.did == []


DIAL = {"from": "+4930123", "to": "sip:bob@example.com", "url": "https://app.example.com/swml"}
SWML = {"version": "1.0.0", "sections": {"main": [{"hangup": {}}]}}


def dial(**changes: Any) -> dict[str, Any]:
    params = {**DIAL, **changes}
    return {"command": "dial", "params": {k: v for k, v in params.items() if v is not None}}


async def test_a_call_is_dialled_with_the_defaults_of_the_contract(
    api: Any, control: Control
) -> None:
    status, answer = await post(api, dial())
    assert status == 200
    assert (answer["status"], answer["direction"]) == ("queued", "outbound-api")
    assert control.did == [
        (
            None,
            DialCall(
                to="sip:bob@example.com",
                from_="+4930123",
                source=Source_(DocumentSource(url="https://app.example.com/swml")),
                timeout=60,
            ),
        )
    ]


async def test_every_parameter_of_a_call_that_is_dialled_is_heeded(
    api: Any, control: Control
) -> None:
    sent = dial(
        caller_id="Our Name",
        username="u",
        password="p",
        url_method="GET",
        fallback_url="https://b.example.com/",
        status_url="https://c.example.com/",
        status_events=["ringing", "ended"],
        codecs="pcma, PCMU",
        timeout=600,
        send_digits="1w2",
        custom_variables={"customer": "17"},
        max_price_per_minute=0.5,
        region="eu",
        to_script="x",
    )
    assert (await post(api, sent))[0] == 200
    ((_, order),) = control.did
    url = "https://app.example.com/swml"
    document = DocumentSource(url=url, method="GET", fallback_url="https://b.example.com/")
    assert order == DialCall(
        to="sip:bob@example.com",
        from_="+4930123",
        from_name="Our Name",
        source=Source_(document, "https://c.example.com/"),
        codecs=("PCMA", "PCMU"),
        credentials=Credentials("u", "p"),
        timeout=600,
        watch=StateWatch("https://c.example.com/", frozenset({"ringing", "ended"})),
        digits="1w2",
        envs={"customer": "17"},
    )
    assert "'p'" not in repr(order)


@pytest.mark.parametrize("caller_id", ["+4940567", "sip:shown@example.com"])
async def test_a_caller_id_that_is_an_address_is_where_the_call_comes_from(
    api: Any, control: Control, caller_id: str
) -> None:
    assert (await post(api, dial(caller_id=caller_id)))[0] == 200
    ((_, order),) = control.did
    assert (order.from_, order.from_name) == (caller_id, "")


@pytest.mark.parametrize("swml", [SWML, json.dumps(SWML), "sections: {main: [hangup: {}]}"])
async def test_a_document_may_stand_in_the_command(api: Any, control: Control, swml: Any) -> None:
    assert (await post(api, dial(url=None, swml=swml)))[0] == 200
    ((_, order),) = control.did
    assert order.source.document.sections["main"][0].method == "hangup"
    assert not order.source.document.allow_files


async def test_a_wrong_type_is_told_as_json_has_it(api: Any) -> None:
    wrong = {"timeout": "30", "region": 5, "max_price_per_minute": "1", "custom_variables": []}
    _, answer = await post(api, dial(**wrong))
    assert {fault["message"] for fault in answer["errors"]} == {
        "timeout must be a whole number, not in quotes",
        "region must be a text, in quotes",
        "max_price_per_minute must be a number, not in quotes",
        "custom_variables must be an object",
    }


async def test_a_parameter_beside_the_command_is_told_where_it_belongs(api: Any) -> None:
    sent = {"command": "dial", "from": "+4930", "colour": "red", "params": dial()["params"]}
    _, answer = await post(api, sent)
    assert {fault["attribute"]: fault["message"] for fault in answer["errors"]} == {
        "from": "from is not a known parameter here; it belongs into params",
        "colour": "colour is not a known parameter",
    }


async def test_a_fault_in_a_document_is_told_as_place_colon_sentence(api: Any) -> None:
    swml = {"sections": {"main": [{"set": {"a": "${n +}"}}]}}
    status, answer = await post(api, dial(url=None, swml=swml))
    assert status == 422
    (fault,) = answer["errors"]
    place = "swml.sections.main[0].set.a"
    assert fault["attribute"] == place
    assert fault["message"] == (
        f'{place}: the expression "n +": SyntaxError: it ends where more is expected'
        " (relay_script_js_eval_error)"
    )


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"from": None, "to": None}, {"from": MISSING}),
        ({"to": None}, {"to": MISSING}),
        ({"to": None, "to_script": "x"}, {"to": MISSING}),
        ({"to": "bob"}, {"to": INVALID}),
        ({"to": "sip:"}, {"to": INVALID}),
        ({"to": "sip:a@b?X=y"}, {"to": INVALID}),
        ({"from": "sip:@"}, {"from": INVALID}),
        ({"from": "a\nb"}, {"from": INVALID}),
        ({"url": None}, {"url": MISSING}),
        ({"swml": SWML}, {"swml": INVALID}),
        ({"url": "file:///etc/passwd"}, {"url": INVALID}),
        ({"url": None, "swml": 7}, {"swml": INVALID}),
        ({"url": None, "swml": "{"}, {"swml": INVALID}),
        ({"url": None, "swml": {"sections": {}}}, {"swml.sections.main": INVALID}),
        (
            {"url": None, "swml": {"sections": {"main": [{"play": {"url": "x.wav"}}]}}},
            {"swml.sections.main[0].play.url": INVALID},
        ),
        ({"username": "u"}, {"password": MISSING}),
        ({"password": "p"}, {"username": MISSING}),
        ({"status_events": ["ending"]}, {"status_events.0": INVALID}),
        ({"status_events": ["ended"] * 9}, {"status_events": INVALID}),
        ({"url_method": "PUT"}, {"url_method": INVALID}),
        ({"codecs": "PCMU,SPEEX"}, {"codecs": INVALID}),
        ({"codecs": []}, {"codecs": INVALID}),
        ({"codecs": ["PCMU"] * 17}, {"codecs": INVALID}),
        ({"codecs": [["PCMU"]]}, {"codecs": INVALID}),
        ({"timeout": 0}, {"timeout": INVALID}),
        ({"timeout": 601}, {"timeout": INVALID}),
        ({"timeout": 1.5}, {"timeout": INVALID}),
        ({"send_digits": "1x"}, {"send_digits": INVALID}),
        ({"send_digits": ""}, {"send_digits": INVALID}),
        ({"send_digits": "1" * 257}, {"send_digits": INVALID}),
        ({"max_price_per_minute": -1}, {"max_price_per_minute": INVALID}),
        ({"custom_variables": {f"v{n}": "" for n in range(21)}}, {"custom_variables": INVALID}),
        ({"custom_variables": {"a": "ü" * 513}}, {"custom_variables": INVALID}),
        ({"custom_variables": {"1a": ""}}, {"custom_variables": INVALID}),
        ({"custom_variables": {"sw_a": ""}}, {"custom_variables": INVALID}),
        ({"custom_variables": {"a\n": ""}}, {"custom_variables": INVALID}),
        ({"custom_variables": {"a": 1}}, {"custom_variables.a": INVALID}),
        ({"color": "red"}, {"color": INVALID}),
    ],
)
async def test_what_cannot_be_dialled_is_named(
    api: Any, control: Control, changes: dict[str, Any], found: dict[str, str]
) -> None:
    assert await faults(api, dial(**changes)) == found
    assert control.did == []


async def test_a_call_to_be_dialled_has_no_id(api: Any, control: Control) -> None:
    assert await faults(api, {"id": "x", **dial()}) == {"id": INVALID}
    assert control.did == []


async def test_an_update_names_its_call_beside_the_command_or_in_its_params(
    api: Any, control: Control
) -> None:
    params = {"status": "canceled"}
    for sent in (
        {"command": "update", "params": {"id": "call-1", **params}},
        {"command": "update", "id": "call-1", "params": params},
        {"command": "update", "id": "call-1", "params": {"id": "call-1", **params}},
    ):
        assert (await post(api, sent))[0] == 200
    order = UpdateCall(status=FinalStatus.CANCELED)
    assert control.did == [("call-1", order)] * 3


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, {"url": MISSING}),
        ({"url": "http://x/", "swml": SWML}, {"swml": INVALID}),
        ({"id": "call-2", "status": "canceled"}, {"id": INVALID}),
        ({"status": "ended"}, {"status": INVALID}),
        ({"swml": {"sections": {"main": []}}}, {"swml.sections.main": INVALID}),
    ],
)
async def test_what_an_update_cannot_change_is_named(
    api: Any, params: dict[str, Any], found: dict[str, str]
) -> None:
    assert await faults(api, command("update", **params)) == found


async def test_an_update_without_any_id_is_refused(api: Any) -> None:
    sent = {"command": "update", "params": {"status": "canceled"}}
    assert await faults(api, sent) == {"id": MISSING}


@pytest.mark.parametrize("dest", ["+49 30 123", "sip:bob@example.com", "sips:bob@example.com"])
async def test_a_transfer_to_an_address_is_a_document_that_connects(
    api: Any, control: Control, dest: str
) -> None:
    assert (await post(api, command("calling.transfer", dest=dest)))[0] == 200
    ((_, order),) = control.did
    (step,) = order.source.document.sections["main"]
    assert step.method == "connect"


async def test_a_transfer_may_be_to_a_document(api: Any, control: Control) -> None:
    for dest in ("http://app/swml", SWML, json.dumps(SWML)):
        assert (await post(api, command("calling.transfer", dest=dest)))[0] == 200
    url, *inline = [order.source.document for _, order in control.did]
    assert url == DocumentSource(url="http://app/swml")
    assert [document.sections["main"][0].method for document in inline] == ["hangup"] * 2


@pytest.mark.parametrize(
    ("dest", "found"),
    [
        (None, {"dest": INVALID}),
        ("", {"dest": INVALID}),
        ("queue:sales", {"dest": INVALID}),
        ("/public/x", {"dest": INVALID}),
        ("stream:wss://x/", {"dest": INVALID}),
        ("sip:a@b?X=y", {"dest": INVALID}),
        ("http://", {"dest": INVALID}),
        (["sip:a@b"], {"dest": INVALID}),
        ({"sections": {"main": [{"dance": {}}]}}, {"dest.sections.main[0].dance": INVALID}),
    ],
)
async def test_what_nothing_can_be_transferred_to_is_named(
    api: Any, dest: Any, found: dict[str, str]
) -> None:
    assert await faults(api, command("calling.transfer", dest=dest)) == found


async def test_a_refer_names_a_sip_device(api: Any, control: Control) -> None:
    params = {"to": "sip:bob@example.com", "username": "u", "password": "p"}
    device = {"type": "sip", "params": params}
    url = "http://app/refer"
    sent = command("calling.refer", device=device, status_url=url)
    assert (await post(api, sent))[0] == 200
    ((_, order),) = control.did
    assert order.order == ReferOrder(
        to="sip:bob@example.com", credentials=Credentials("u", "p"), status_url=url
    )
    for wrong, found in (
        ({"type": "phone", "params": params}, {"device.type": INVALID}),
        ({"type": "sip"}, {"device.params": MISSING}),
        ({"type": "sip", "params": {"to": "+4930"}}, {"device.params.to": INVALID}),
        (
            {"type": "sip", "params": {"to": "sip:a@b", "username": "u"}},
            {"device.params.password": MISSING},
        ),
    ):
        assert await faults(api, command("calling.refer", device=wrong)) == found


async def test_commands_without_much_to_say(api: Any, control: Control) -> None:
    await post(api, command("calling.disconnect"))
    await post(api, command("calling.user_event", event={"a": [1, {"b": None}]}))
    assert control.did == [
        ("call-1", DisconnectCall()),
        ("call-1", TellEvent(event={"a": [1, {"b": None}]})),
    ]
    assert await faults(api, command("calling.user_event")) == {"event": MISSING}
    assert await faults(api, command("calling.user_event", event=[])) == {"event": INVALID}


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
async def test_a_command_that_this_server_lacks_says_what_is_missing(api: Any, name: str) -> None:
    status, answer = await post(api, command(name, whatever=1))
    assert status == 422
    (fault,) = answer["errors"]
    assert (fault["attribute"], fault["code"]) == ("command", INVALID)
    assert fault["message"] == f"command {name} cannot be carried out: {UNSUPPORTED[name]}"


async def test_a_deep_document_is_within_the_bounds_of_a_body(api: Any, control: Control) -> None:
    deep: Any = "end"
    for _ in range(24):
        deep = {"a": deep}
    document = {"sections": {"main": [{"set": {"x": deep}}]}}
    assert (await post(api, dial(url=None, swml=document)))[0] == 200
    assert len(control.did) == 1


@pytest.mark.parametrize("url", ["ftp://x/y", "http://", "app.example.com", "http://a b/", 7])
async def test_a_status_url_must_be_a_web_address(api: Any, url: Any) -> None:
    sent = record()
    sent["params"]["status_url"] = url
    assert await faults(api, sent) == {"status_url": "invalid_parameter"}


async def test_a_thousand_faults_are_not_all_told(api: Any) -> None:
    sent = command("calling.end", **{f"unknown-{number}": 1 for number in range(1000)})
    _, answer = await post(api, sent)
    assert len(answer["errors"]) == MAX_FAULTS


async def test_what_the_call_cannot_do_is_a_fault_too(api: Any, control: Control) -> None:
    control.fault = CommandRefused("recording 'k' is paused already", "control_id")
    status, answer = await post(api, command("calling.record.pause", control_id="k"))
    assert status == 422
    assert answer == {
        "errors": [
            {
                "type": "validation_error",
                "code": "invalid_parameter",
                "message": "recording 'k' is paused already",
                "attribute": "control_id",
                "url": CODES,
            }
        ]
    }


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        (NotThere("call"), 404, "Not Found"),
        (LocalError("/data/journals: no space left"), 503, "Service Unavailable"),
        (ZeroDivisionError(), 500, "Internal Server Error"),
    ],
)
async def test_what_goes_wrong_has_the_shape_of_this_api_and_says_nothing_of_our_inside(
    api: Any, control: Control, fault: Exception, status: int, error: str
) -> None:
    control.fault = fault
    assert await post(api, command("calling.end")) == (status, {"error": error})


# Who may ask.


async def test_without_a_key_it_is_401_before_anything_is_looked_at(
    api: Any, control: Control
) -> None:
    for key in (None, "guessed"):
        status, headers, answer = await api.ask(PATH, key, "POST", data=b"{")
        assert (status, answer) == (401, {"error": "Unauthorized"})
        assert len(headers.getall("WWW-Authenticate")) == 2
    assert control.did == []


async def test_a_key_needs_the_permission_to_control_calls(api: Any, control: Control) -> None:
    status, _, answer = await api.ask(PATH, "key-that-gets", "POST", json=record())
    assert (status, answer) == (403, {"error": "Forbidden"})
    assert control.did == []


async def test_a_project_and_its_key_may_come_as_basic(api: Any, control: Control) -> None:
    token = base64.b64encode(b"some-project:key-for-everything").decode()
    status, answer = await post(
        api, record(), key=None, headers={"Authorization": f"Basic {token}"}
    )
    assert status == 200, answer
    assert len(control.did) == 1


# What comes as a body.


DEEP = "the body has more than 36 objects and lists in one another"


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"", "the body is not JSON: it is empty"),
        (b"{", "the body is not JSON: Expecting property name"),
        (b'{"id": "x",\n "command" 1}', "Expecting ':' delimiter at line 2, column 12"),
        (b"[]", "the body must be a JSON object"),
        (b'"calling.end"', "the body must be a JSON object"),
        (b"\xff{}", "the body is not UTF-8"),
        ('{"id": "x"}'.encode("utf-16"), "the body is not UTF-8"),
        (b'{"id": "x", "id": "y", "command": "calling.end"}', "an object has a name twice"),
        (b'{"id": "\\ud800", "command": "calling.end"}', "the body is not UTF-8"),
        (b'{"id": "x", "command": "calling.end", "params": {"reason": NaN}}', "NaN is no number"),
        (b'{"id": ' + b"1" * 5000 + b"}", "a number that is too long"),
        (b"[" * 60_000, DEEP),
        (b'{"id":' * 10_000, DEEP),
        (b'{"id": ' + b"[" * 36 + b"]" * 36 + b"}", DEEP),
    ],
)
async def test_what_is_no_json_object_is_400_and_a_header_says_why(
    api: Any, control: Control, sent: bytes, why: str
) -> None:
    status, headers, answer = await api.ask(
        PATH, method="POST", data=sent, headers={"Content-Type": "application/json"}
    )
    assert why in headers["X-Mediaserver-Error"]
    assert (status, answer) == (400, {"error": "Bad Request"})
    assert control.did == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_what_is_not_called_json_is_415(
    api: Any, control: Control, headers: dict[str, str]
) -> None:
    sent = json.dumps(command("calling.end")).encode()
    status, said, answer = await api.ask(PATH, method="POST", data=sent, headers=headers)
    assert "with Content-Type: application/json" in said["X-Mediaserver-Error"]
    assert (status, answer) == (415, {"error": "Unsupported Media Type"})
    assert control.did == []


async def test_a_charset_beside_the_type_does_no_harm(api: Any) -> None:
    sent = json.dumps(command("calling.end")).encode()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    status, _, _ = await api.ask(PATH, method="POST", data=sent, headers=headers)
    assert status == 200


def head(*fields: str) -> bytes:
    """Return the head of a request with a key; the connection closes after it."""
    lines = [
        f"POST {PATH} HTTP/1.1",
        "Host: x",
        "Authorization: Bearer key-for-everything",
        "Content-Type: application/json",
        "Connection: close",
        *fields,
    ]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


async def test_a_body_of_more_than_64_kib_is_413_however_it_comes(
    api: Any, control: Control
) -> None:
    answer = await api.raw(head("Content-Length: 65537"))
    assert b" 413 " in answer.splitlines()[0]
    assert b'{"error": "' in answer
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    answer = await api.raw(head("Transfer-Encoding: chunked") + chunk * 17 + b"0\r\n\r\n")
    assert b" 413 " in answer.splitlines()[0]
    assert b'{"error": "' in answer
    assert control.did == []


async def test_a_body_in_chunks_is_read(api: Any, control: Control) -> None:
    sent = json.dumps(command("calling.end")).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % octet for octet in sent)
    answer = await api.raw(head("Transfer-Encoding: chunked") + chunks + b"0\r\n\r\n")
    assert b" 200 " in answer.splitlines()[0]
    assert len(control.did) == 1


async def test_a_body_that_does_not_come_is_408(
    api: Any, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "PATIENCE", 0.2)
    answer = await api.raw(head("Content-Length: 100") + b'{"id":')
    assert b" 408 " in answer.splitlines()[0]
    assert b'{"error": "Request Timeout"}' in answer
    assert control.did == []


async def test_a_body_is_asked_for_when_its_sender_waits_for_that(
    api: Any, control: Control
) -> None:
    sent = json.dumps(command("calling.end")).encode()
    reader, writer = await asyncio.open_connection(*api.server.address)
    writer.write(head(f"Content-Length: {len(sent)}", "Expect: 100-continue"))
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == (
        b"HTTP/1.1 100 Continue\r\n\r\n"
    )
    writer.write(sent)
    assert b" 200 " in (await asyncio.wait_for(reader.read(), 5)).splitlines()[0]
    writer.close()
    assert len(control.did) == 1


async def test_a_body_that_will_be_refused_is_not_asked_for(api: Any) -> None:
    request = head("Content-Length: 10", "Expect: 100-continue")
    answer = await api.raw(request.replace(b"key-for-everything", b"guessed"))
    assert b" 401 " in answer.splitlines()[0]
    assert b"100 Continue" not in answer


async def test_other_methods_and_paths_have_the_same_shape_of_error(api: Any) -> None:
    status, headers, answer = await api.ask(PATH, method="PUT")
    assert (status, answer) == (405, {"error": "Method Not Allowed"})
    assert set(headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}
    status, _, answer = await api.ask("/api/calling/nothing", method="POST")
    assert (status, answer) == (404, {"error": "Not Found"})
    status, _, answer = await api.ask("/api/nothing", method="POST")
    assert (status, answer["error"]["status"]) == (404, "NOT_FOUND")


# What the page says.


def examples() -> list[Any]:
    blocks = re.findall(r"^```json\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [json.loads(block) for block in blocks]


async def test_the_documented_commands_are_carried_out(api: Any, control: Control) -> None:
    documented = [example for example in examples() if "command" in example]
    for example in documented:
        status, answer = await post(api, example)
        assert status == 200, answer
    shown = {example["command"] for example in documented}
    assert len(shown) >= 10
    assert shown <= set(COMMANDS)


async def test_the_documented_answers_are_the_ones_that_are_given(
    api: Any, control: Control
) -> None:
    (call,) = [example for example in examples() if "source" in example]
    control.call = type(control.call)(
        id=call["id"],
        project_id="p",
        direction="inbound",
        from_=call["from"],
        to=call["to"],
        sip_call_id="1",
        created_at=1_787_294_922_001_000,
        answered_at=1_787_294_923_000_000,
        progress=CallState.ANSWERED,
    )
    assert await post(api, record()) == (200, call)
    (refused,) = [example for example in examples() if "errors" in example]
    assert await post(api, record(format="ogg")) == (422, refused)


async def test_the_documented_parameters_and_defaults_are_the_ones_that_hold(
    api: Any, control: Control
) -> None:
    table = PAGE.read_text().partition("\n| `record.audio` |")[2].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table]
    audio = {name: default if name in TEXTS else json.loads(default) for name, default, *_ in rows}
    await post(api, record())
    await post(api, record(**audio))
    assert control.did[0] == control.did[1]
    assert await faults(api, record(**audio, more=1)) == {"record.audio.more": "invalid_parameter"}
    assert len(audio) == 9


TEXTS = {"format", "direction", "terminators"}
