"""Taps, streams, conferences, detection, refer, events: from document to action."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mediaserver.swml.actions import (
    Action,
    Answer,
    DetectMachine,
    Finished,
    Hangup,
    JoinConference,
    SipRefer,
    Sleep,
    StopStream,
    StopTap,
    Stream,
    StreamTarget,
    Tap,
    UserEvent,
)
from mediaserver.swml.document import load
from mediaserver.swml.errors import ScriptError
from mediaserver.swml.interpreter import Interpreter
from mediaserver.swml.methods.registry import METHODS
from mediaserver.swml.methods.unsupported import UNSUPPORTED


def run(*steps: Any, **envs: Any) -> Interpreter:
    return Interpreter(load(json.dumps({"sections": {"main": list(steps)}})), {"type": "sip"}, envs)


def action(step: Any, **envs: Any) -> Action:
    return run(step, **envs).next()


def fault(step: Any, **envs: Any) -> tuple[str, str]:
    with pytest.raises(ScriptError) as refused:
        action(step, **envs)
    code = refused.value.code.removeprefix("relay_script_")
    return code, refused.value.path.removeprefix("sections.main[0].")


def test_a_tap_has_the_defaults_of_the_contract() -> None:
    assert action({"tap": {"uri": "rtp://192.0.2.7:5004"}}) == Tap(
        uri="rtp://192.0.2.7:5004",
        control_id=None,
        direction="speak",
        codec="PCMU",
        ptime=20,
        status_url=None,
    )
    assert action({"stop_tap": {}}) == StopTap(control_id=None)


@pytest.mark.parametrize(
    ("uri", "right"),
    [
        ("rtp://192.0.2.7:5004", True),
        ("rtp://[2001:db8::7]:5004", True),
        ("RTP://192.0.2.7:5004", True),
        ("ws://h/", True),
        ("wss://h:8443/a?b", True),
        ("rtp://192.0.2.7", False),
        ("rtp://192.0.2.7:0", False),
        ("rtp://192.0.2.7:70000", False),
        ("rtp://host:5004", False),
        ("rtp://u@192.0.2.7:5004", False),
        ("rtp://192.0.2.7:5004/x", False),
        ("srtp://192.0.2.7:5004", False),
        ("http://h/", False),
        ("", False),
    ],
)
def test_a_tap_goes_to_a_port_or_a_websocket(uri: str, right: bool) -> None:
    if right:
        assert isinstance(action({"tap": {"uri": "${where}"}}, where=uri), Tap)
    else:
        refused = ("method_parameter_invalid_value", "tap.uri")
        assert fault({"tap": {"uri": "${where}"}}, where=uri) == refused


@pytest.mark.parametrize("ptime", [0, 9, 15, 125, 130, "x"])
def test_a_packet_of_a_tap_is_10_to_120_ms_in_tens(ptime: Any) -> None:
    step = {"tap": {"uri": "ws://h/", "rtp_ptime": "${ptime}"}}
    assert fault(step, ptime=ptime) == ("method_parameter_invalid_value", "tap.rtp_ptime")
    good = action(step, ptime="120")
    assert isinstance(good, Tap)
    assert good.ptime == 120


def test_a_stream_takes_all_that_the_contract_has() -> None:
    assert action({"stream": {"url": "wss://h/s"}}) == Stream(
        url="wss://h/s",
        control_id=None,
        name=None,
        track="inbound_track",
        codec=None,
        status_url=None,
        status_url_method="POST",
        authorization_bearer_token=None,
        custom_parameters={},
    )
    given = action(
        {
            "stream": {
                "url": "ws://127.0.0.1:9000/s",
                "control_id": "mine",
                "name": "n",
                "track": "both_tracks",
                "codec": "OPUS",
                "status_url": "https://h/",
                "status_url_method": "GET",
                "authorization_bearer_token": "secret",
                "custom_parameters": {"a": "${call.type}", "b": "${n}"},
            }
        },
        n=5,
    )
    assert isinstance(given, Stream)
    assert (given.track, given.codec, given.status_url_method) == ("both_tracks", "OPUS", "GET")
    assert given.custom_parameters == {"a": "sip", "b": "5"}
    assert "secret" not in repr(given)
    assert action({"stop_stream": {"control_id": "mine"}}) == StopStream(control_id="mine")


def test_a_token_cannot_bring_a_header_with_it() -> None:
    step = {"stream": {"url": "wss://h/", "authorization_bearer_token": "${token}"}}
    refused = ("method_parameter_invalid_value", "stream.authorization_bearer_token")
    assert fault(step, token="a\r\nX-Evil: 1") == refused
    assert isinstance(action(step, token="a" * 4096), Stream)


def test_parameters_of_a_stream_have_a_size() -> None:
    def custom(parameters: dict[str, str], **envs: str) -> tuple[str, str]:
        return fault({"stream": {"url": "wss://h/", "custom_parameters": parameters}}, **envs)

    refused = ("method_parameter_invalid_value", "stream.custom_parameters")
    assert custom({str(n): "x" for n in range(65)}) == refused
    assert custom({"a": "${big}", "b": "${big}"}, big="x" * 40_000) == refused


def test_a_conference_has_the_defaults_of_the_contract() -> None:
    assert action({"join_conference": {"name": "standup"}}) == JoinConference(
        name="standup",
        muted=False,
        beep="true",
        start_on_enter=True,
        end_on_exit=False,
        wait_url=None,
        max_participants=100_000,
        record="do-not-record",
        trim="trim-silence",
        region=None,
        coach=None,
        status_callback=None,
        status_callback_method="POST",
        status_callback_event=frozenset(),
        recording_status_callback=None,
        recording_status_callback_method="POST",
        recording_status_callback_event=frozenset(),
        stream=None,
    )


def test_events_of_a_conference_are_a_list_with_spaces() -> None:
    given = action(
        {
            "join_conference": {
                "name": "a",
                "status_callback_event": " join  leave ",
                "recording_status_callback_event": "completed in-progress",
                "stream": {"url": "wss://h/c", "codec": "G722"},
            }
        }
    )
    assert isinstance(given, JoinConference)
    assert given.status_callback_event == {"join", "leave"}
    assert given.recording_status_callback_event == {"in-progress", "completed"}
    assert given.stream == StreamTarget(url="wss://h/c", codec="G722")


def test_the_result_of_a_conference_is_looked_at_when_it_is_over() -> None:
    result = {"variable": "join_conference_result", "case": {"completed": [{"sleep": 7}]}}
    script = run({"join_conference": {"name": "a", "result": result}}, {"hangup": {}})
    script.next()
    script.complete({"join_conference_result": "completed"})
    assert script.next() == Sleep(seconds=0.007)
    assert script.variables["return_value"] == "completed"
    script.complete()
    assert script.next() == Hangup(reason="hangup")


def test_a_detection_has_the_defaults_of_the_contract() -> None:
    assert action({"detect_machine": {}}) == DetectMachine(
        detectors=frozenset({"amd", "fax"}),
        detect_message_end=False,
        initial_timeout=4.5,
        end_silence_timeout=1.0,
        machine_ready_timeout=1.0,
        machine_voice_threshold=1.25,
        machine_words_threshold=6,
        timeout=30.0,
        tone="CED",
        wait=True,
        status_url=None,
    )


def test_a_machine_is_ready_after_the_silence_that_ends_what_is_said() -> None:
    given = action({"detect_machine": {"detectors": " fax ", "end_silence_timeout": 2}})
    assert isinstance(given, DetectMachine)
    assert (given.machine_ready_timeout, given.detectors) == (2.0, frozenset({"fax"}))
    own = action({"detect_machine": {"end_silence_timeout": 2, "machine_ready_timeout": 0}})
    assert isinstance(own, DetectMachine)
    assert own.machine_ready_timeout == 0.0


def test_a_refer_tells_its_result_as_the_value_returned() -> None:
    script = run({"sip_refer": {"to_uri": "sip:${who}@pbx", "password": "Q"}}, who="bob")
    refer = script.next()
    assert refer == SipRefer(to_uri="sip:bob@pbx", status_url=None, password="Q")
    assert "'Q'" not in repr(refer)
    script.complete({"sip_refer_result": "success", "sip_refer_to": "sip:bob@pbx"})
    assert script.next() == Finished()
    assert script.variables["return_value"] == "success"


def test_a_refer_goes_to_a_sip_uri_alone() -> None:
    step = {"sip_refer": {"to_uri": "${where}"}}
    for where in ("tel:5", "bob", "sip:a@h\r\nVia: x", "sip:a@h?Replaces=1", "https://h/"):
        assert fault(step, where=where) == (
            "method_parameter_invalid_value", "sip_refer.to_uri"
        )  # fmt: skip


def test_an_event_is_a_map_with_variables_in_it_and_has_a_size() -> None:
    step = {"user_event": {"event": {"type": "seen", "caller": ["${call.type}", "${n}"]}}}
    given = action(step, n=3)
    assert given == UserEvent(event={"type": "seen", "caller": ["sip", 3]})
    large = {"user_event": {"event": {"a": "${b}", "c": "${b}"}}}
    assert fault(large, b="x" * 40_000)[1] == "user_event.event"


def test_speech_cannot_be_collected() -> None:
    digits: dict[str, Any] = {"play": "silence:1", "max_digits": 2}
    assert not isinstance(action({"prompt": digits}), Finished)
    for name, value in {
        "speech_timeout": 5,
        "speech_end_timeout": 1,
        "speech_language": "de-DE",
        "speech_hints": ["ja"],
        "speech_engine": "Google",
    }.items():
        with pytest.raises(ScriptError, match="no speech recognition is configured") as refused:
            action({"prompt": {**digits, name: value}})
        assert refused.value.code == "relay_script_method_execute_failed"
        assert refused.value.path == f"sections.main[0].prompt.{name}"


SMALLEST: dict[str, Any] = {
    "ai": {"prompt": {"text": "${never looked at"}},
    "ai_sidecar": {"prompt": "a", "lang": "en"},
    "amazon_bedrock": {"prompt": {}},
    "enter_queue": {"queue_name": "${unset}", "transfer_after_bridge": "a"},
    "join_room": {"name": "a"},
    "live_transcribe": {"action": "stop"},
    "live_translate": {"action": "stop"},
    "pay": {"payment_connector_url": "https://h/"},
    "send_fax": {"document": "https://h/"},
    "send_sms": {"to_number": "1", "from_number": "2", "body": "a"},
}


@pytest.mark.parametrize("method", UNSUPPORTED, ids=lambda method: method.name)
def test_what_is_not_carried_out_fails_at_its_step_and_not_before(method: Any) -> None:
    script = run({"answer": {}}, {method.name: SMALLEST.get(method.name, {})}, {"sleep": 1})
    assert isinstance(script.next(), Answer)
    script.complete()
    with pytest.raises(ScriptError) as refused:
        script.next()
    assert refused.value.code == "relay_script_method_execute_failed"
    assert refused.value.path == f"sections.main[1].{method.name}"
    assert refused.value.message == f"the method {method.name} is not carried out by this server"
    assert script.variables["script_error"] == "relay_script_method_execute_failed"
    assert script.next() == Finished()


def test_what_is_carried_out_and_what_is_not_are_all_there_is() -> None:
    assert {m for m in METHODS.values() if not m.carried_out} == set(UNSUPPORTED)
