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
from mediaserver.calls.commands import CommandRefused, EndReason, NotThere
from mediaserver.calls.recording import RecordingOrder
from mediaserver.errors import LocalError
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.resource import Direction, Format, PauseBehavior, Source
from mediaserver.web import body
from mediaserver.web.command import MAX_FAULTS
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
            "record",
            "call-1",
            RecordingOrder(
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
            False,
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
    ((_, _, order, beep_first),) = control.did
    assert beep_first
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
    ("sent", "done"),
    [
        (
            command("calling.record.pause", control_id="k"),
            ("pause", "call-1", "k", PauseBehavior.SKIP),
        ),
        (
            command("calling.record.pause", control_id="k", behavior="silence"),
            ("pause", "call-1", "k", PauseBehavior.SILENCE),
        ),
        (command("calling.record.resume", control_id="k ü"), ("resume", "call-1", "k ü")),
        (command("calling.record.stop", control_id="k"), ("stop", "call-1", "k")),
        (command("calling.end"), ("end", "call-1", EndReason.HANGUP)),
        ({"id": "call-1", "command": "calling.end"}, ("end", "call-1", EndReason.HANGUP)),
        (
            command("calling.end", reason="noAnswer"),
            ("end", "call-1", EndReason.NO_ANSWER),
        ),
    ],
)
async def test_commands_are_passed_on(
    api: Any, control: Control, sent: dict[str, Any], done: tuple[Any, ...]
) -> None:
    status, _ = await post(api, sent)
    assert status == 200
    assert control.did == [done]


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
        ({"id": "x", "command": "dial"}, {"command": INVALID}),
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


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"{",
        b"[]",
        b'"calling.end"',
        b"\xff{}",
        '{"id": "x"}'.encode("utf-16"),
        b'{"id": "x", "id": "y", "command": "calling.end"}',
        b'{"id": "\\ud800", "command": "calling.end"}',
        b'{"id": "x", "command": "calling.end", "params": {"reason": NaN}}',
        b'{"id": ' + b"1" * 5000 + b"}",
        b"[" * 60_000,
        b'{"id":' * 10_000,
        b'{"id": ' + b"[" * 17 + b"]" * 17 + b"}",
    ],
)
async def test_what_is_no_json_object_is_400(api: Any, control: Control, sent: bytes) -> None:
    status, _, answer = await api.ask(
        PATH, method="POST", data=sent, headers={"Content-Type": "application/json"}
    )
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
    status, _, answer = await api.ask(PATH, method="POST", data=sent, headers=headers)
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
    status, headers, answer = await api.ask(PATH)
    assert (status, answer) == (405, {"error": "Method Not Allowed"})
    assert headers["Allow"] == "POST"
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
    assert {done[0] for done in control.did} == {"record", "pause", "resume", "stop", "end"}


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
