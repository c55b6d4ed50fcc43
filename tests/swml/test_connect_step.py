"""`connect`: whom it calls, with what, and how the script goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mediaserver.swml.actions import (
    Action,
    Confirm,
    Connect,
    Destination,
    FetchDocument,
    Finished,
    Hangup,
    Play,
    Ringing,
    SendDigits,
    Sleep,
    StreamTarget,
    WebAudio,
)
from mediaserver.swml.document import load
from mediaserver.swml.errors import ScriptError
from mediaserver.swml.interpreter import Interpreter

INVALID = "method_parameter_invalid_value"


def run(*steps: Any, **envs: Any) -> Interpreter:
    return Interpreter(load(json.dumps({"sections": {"main": list(steps)}})), {"type": "sip"}, envs)


def connect(params: dict[str, Any], **envs: Any) -> Connect:
    action = run({"connect": params}, **envs).next()
    assert isinstance(action, Connect)
    return action


def fault(params: dict[str, Any], **envs: Any) -> tuple[str, str]:
    with pytest.raises(ScriptError) as refused:
        connect(params, **envs)
    path = refused.value.path.removeprefix("sections.main[0].connect.")
    return refused.value.code.removeprefix("relay_script_"), path


def after(result: dict[str, Any], params: dict[str, Any], *more: Any) -> Action:
    """Return what is done after a connection that had a result."""
    script = run({"connect": {"to": "+49301", **params}}, *more)
    script.next()
    script.complete(result)
    return script.next()


def test_one_destination_has_the_defaults_of_the_contract() -> None:
    assert connect({"to": "+49301"}) == Connect(
        groups=((Destination(kind="phone", address="+49301"),),)
    )
    one = connect({"to": "+49301"}).groups[0][0]
    assert (one.timeout, one.max_duration, one.confirm_timeout) == (60.0, 14_400.0, 60.0)
    assert (one.call_state_events, one.encryption) == (frozenset({"ended"}), "optional")


@pytest.mark.parametrize(
    ("to", "kind", "address"),
    [
        ("+4930123456", "phone", "+4930123456"),
        ("100", "phone", "100"),
        ("sip:alice@pbx.example.com:5070;transport=tcp", "sip", None),
        ("sips:alice@[2001:db8::1]", "sip", None),
        ("SIP:alice@host", "sip", None),
        ("/public/room", "resource", "/public/room"),
        ("queue:support line", "queue", "support line"),
        ("stream:wss://app.example.com/a?b=c", "stream", "wss://app.example.com/a?b=c"),
        ("stream:ws://127.0.0.1:9000/", "stream", "ws://127.0.0.1:9000/"),
    ],
)
def test_a_destination_is_told_by_its_address(to: str, kind: str, address: str | None) -> None:
    action = connect({"to": "${whom}", "transfer_after_bridge": "main"}, whom=to)
    ((one,),) = action.groups
    assert (one.kind, one.address) == (kind, address or to)


@pytest.mark.parametrize(
    "to",
    ["", "alice", "alice@host", "sip:", "sip:a b@h", "sip:a@h?X-Evil=1", "sip:a@h\r\nVia: x",
     "tel:5", "stream:https://h/", "queue:", "/public", "/../x", "http://h/", "+49 30 1", "9" * 33],
)  # fmt: skip
def test_what_is_no_destination_is_refused_as_written_and_as_filled_in(to: str) -> None:
    onward = {"transfer_after_bridge": "main"}
    assert fault({"to": to, **onward}) == (INVALID, "to")
    assert fault({"to": "${whom}", **onward}, whom=to) == (INVALID, "to")


def test_destinations_go_one_after_the_other_or_together() -> None:
    def called(**how: Any) -> list[list[str]]:
        return [[one.address for one in group] for group in connect(how).groups]

    a, b, c = ({"to": to} for to in ("1", "2", "3"))
    assert called(serial=[a, b]) == [["1"], ["2"]]
    assert called(parallel=[a, b]) == [["1", "2"]]
    assert called(serial_parallel=[[a, b], [c]]) == [["1", "2"], ["3"]]


COMMON: dict[str, Any] = {
    "from": "+4930",
    "from_name": "Support",
    "headers": [{"name": "X-Account", "value": "17"}],
    "codecs": "pcmu, OPUS@16000H@20I",
    "timeout": 20,
    "max_duration": 600,
    "session_timeout": 1800,
    "encryption": "forbidden",
    "username": "u",
    "password": "p",
    "confirm": "https://h/confirm",
    "call_state_url": "https://h/state",
    "call_state_events": ["ringing", "answered"],
    "status_url": "https://h/status",
}
INHERITED = Destination(
    kind="phone",
    address="1",
    from_="+4930",
    from_name="Support",
    headers=(("X-Account", "17"),),
    codecs=("PCMU", "OPUS@16000H@20I"),
    timeout=20.0,
    max_duration=600.0,
    session_timeout=1800.0,
    encryption="forbidden",
    username="u",
    password="p",
    confirm=Confirm(url="https://h/confirm"),
    confirm_timeout=20.0,
    call_state_url="https://h/state",
    call_state_events=frozenset({"ringing", "answered"}),
    status_url="https://h/status",
)


def test_what_is_said_for_all_holds_for_a_destination_that_says_nothing_itself() -> None:
    assert connect({"serial": [{"to": "1"}], **COMMON}).groups == ((INHERITED,),)
    assert connect({"to": "1", **COMMON}).groups == ((INHERITED,),)


def test_what_a_destination_says_itself_holds_for_it_alone() -> None:
    own = {
        "to": "1",
        "from": "+4931",
        "headers": [],
        "codecs": "G722",
        "timeout": 5,
        "encryption": "optional",
        "webrtc_media": False,
        "call_state_events": [],
        "confirm_timeout": 7,
    }
    (one, other) = connect({"parallel": [own, {"to": "1"}], **COMMON}).groups[0]
    assert (one.from_, one.headers, one.codecs, one.timeout) == ("+4931", (), ("G722",), 5.0)
    assert (one.encryption, one.call_state_events) == ("optional", frozenset())
    assert (one.confirm_timeout, one.username, one.status_url) == (7.0, "u", "https://h/status")
    assert other == INHERITED


def test_a_confirmation_may_take_as_long_as_it_was_rung() -> None:
    first, second = connect({"parallel": [{"to": "1", "timeout": 5}, {"to": "2"}]}).groups[0]
    assert (first.confirm_timeout, second.confirm_timeout) == (5.0, 60.0)
    both = connect({"serial": [{"to": "1", "timeout": 5}], "confirm_timeout": 9}).groups[0][0]
    assert both.confirm_timeout == 9.0


def test_a_stream_is_a_destination_with_its_own() -> None:
    params = {
        "to": "stream:wss://h/a",
        "name": "n",
        "codec": "L16@24000h@40i",
        "realtime": True,
        "status_url": "https://h/s",
        "status_url_method": "GET",
        "authorization_bearer_token": "secret",
        "custom_parameters": {"caller": "${call.type}"},
    }
    ((one,),) = connect(params).groups
    assert one.stream == StreamTarget(
        url="wss://h/a",
        name="n",
        codec="L16@24000h@40i",
        realtime=True,
        status_url="https://h/s",
        status_url_method="GET",
        authorization_bearer_token="secret",
        custom_parameters={"caller": "sip"},
    )
    assert connect({"serial": [{"to": "1"}]}).groups[0][0].stream is None


def test_what_is_for_the_caller_is_with_the_action() -> None:
    ringback = ["ring:de", "https://h/a.wav"]
    action = connect({"to": "1", "answer_on_bridge": "${wait}", "ringback": ringback}, wait="true")
    assert action.answer_on_bridge is True
    assert action.ringback == (Ringing("de"), WebAudio("https://h/a.wav"))
    assert connect({"to": "1", "ringback": []}).ringback == ()


def test_passwords_and_tokens_are_not_in_the_representation() -> None:
    secrets = {"username": "Bond", "password": "Moneypenny", "authorization_bearer_token": "Q"}
    shown = repr(connect({"to": "stream:wss://h/a", **secrets}))
    assert not any(secret in shown for secret in ("Bond", "Moneypenny", "'Q'"))


@pytest.mark.parametrize("name", ["Via", "contact", "Content-Length", "bad name", "", "f"])
def test_headers_of_the_server_itself_cannot_be_set(name: str) -> None:
    header = {"name": "${name}", "value": "x"}
    assert fault({"to": "1", "headers": [header]}, name=name) == (INVALID, "headers[0]")


def test_a_header_of_two_lines_is_refused_when_a_variable_has_them() -> None:
    headers = [{"name": "X-A", "value": "1"}, {"name": "X-B", "value": "${call_value}"}]
    evil = "a\r\nX-Evil: 1"
    assert fault({"to": "1", "headers": headers}, call_value=evil) == (INVALID, "headers[1]")


def test_a_confirmation_in_steps_is_a_document_of_its_own() -> None:
    steps = [
        {"play": {"url": "ring:us"}},
        {
            "cond": [
                {
                    "when": "digit == '1'",
                    "then": [{"send_digits": {"digits": "1"}}],
                    "else": [{"hangup": {}}],
                }
            ]
        },
    ]
    (one, other) = connect({"parallel": [{"to": "1", "confirm": steps}, {"to": "2"}]}).groups[0]
    assert other.confirm is None
    assert one.confirm is not None
    assert one.confirm.document is not None
    script = Interpreter(one.confirm.document, {}, {"digit": "1"})
    assert isinstance(script.next(), Play)
    assert getattr(script.step, "path", None) == (
        "sections.main[0].connect.parallel[0].confirm[0].play"
    )
    script.complete()
    assert script.next() == SendDigits(digits="1")
    script.complete()
    assert script.next() == Finished()


def test_a_confirmation_may_name_files_where_its_document_may() -> None:
    script = json.dumps(
        {"sections": {"main": [{"connect": {"to": "1", "confirm": [{"play": {"url": "a.wav"}}]}}]}}
    )
    load(script)
    with pytest.raises(ScriptError, match="files are for scripts"):
        load(script, allow_files=False)


# How the script goes on.


def test_the_result_is_looked_at_when_the_peer_has_gone() -> None:
    cases = {"case": {"connected": [{"hangup": {}}]}, "default": [{"sleep": 7}]}
    assert after({"connect_result": "connected"}, {"result": cases}) == Hangup(reason="hangup")
    assert after({"connect_result": "failed"}, {"result": cases}) == Sleep(seconds=0.007)
    by_reason = {"variable": "connect_failed_reason", "case": {"busy": [{"sleep": 8}]}}
    failed = {"connect_result": "failed", "connect_failed_reason": "busy"}
    assert after(failed, {"result": by_reason}) == Sleep(seconds=0.008)


def test_the_result_may_be_conditions_after_which_the_script_goes_on() -> None:
    conditions = [{"when": "return_value == 'failed'", "then": [{"set": {"x": 1}}]}]
    failed = {"connect_result": "failed"}
    assert after(failed, {"result": conditions}, {"sleep": 9}) == Sleep(seconds=0.009)


def test_a_result_without_a_case_is_an_error_at_its_step() -> None:
    with pytest.raises(ScriptError) as refused:
        after({"connect_result": "failed"}, {"result": {"case": {"connected": []}}})
    assert refused.value.code == "relay_script_method_no_matching_condition"
    assert refused.value.path == "sections.main[0].connect"


def test_without_a_result_the_script_goes_on() -> None:
    script = run({"connect": {"to": "1"}}, {"sleep": 3})
    script.next()
    script.complete({"connect_result": "failed", "connect_failed_reason": "busy"})
    assert script.next() == Sleep(seconds=0.003)
    assert script.variables["return_value"] == "failed"


def test_a_bridge_that_was_is_followed_by_the_document_it_names() -> None:
    onward = {"transfer_after_bridge": "https://h/after", "result": {"case": {"failed": []}}}
    fetch = after({"connect_result": "connected"}, onward)
    assert isinstance(fetch, FetchDocument)
    assert (fetch.url, dict(fetch.params)) == ("https://h/after", {})
    assert after({"connect_result": "failed"}, onward) == Finished()
    inline = json.dumps({"sections": {"main": [{"sleep": 4}]}})
    there = after({"connect_result": "connected"}, {"transfer_after_bridge": inline})
    assert there == Sleep(seconds=0.004)
