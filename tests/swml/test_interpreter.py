"""Stepping through documents: every action with its values resolved and typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mediaserver.swml.actions import (
    Action,
    Answer,
    FileAudio,
    Finished,
    Hangup,
    Play,
    Record,
    RecordCall,
    Ringing,
    Silence,
    Sleep,
    Speech,
    StopRecordCall,
    WebAudio,
)
from mediaserver.swml.document import load
from mediaserver.swml.errors import ScriptError
from mediaserver.swml.interpreter import Interpreter

ROOT = Path(__file__).resolve().parents[2]
CALL = {"call_id": "c-1", "headers": [{"name": "X-Key", "value": "5"}], "from": "sip:a@x"}


def interpreter(*steps: Any, allow_files: bool = True, **envs: Any) -> Interpreter:
    text = json.dumps({"sections": {"main": list(steps)}})
    return Interpreter(load(text, allow_files=allow_files), CALL, envs)


def action(*steps: Any, **envs: Any) -> Action:
    return interpreter(*steps, **envs).next()


def refusal(*steps: Any, **envs: Any) -> tuple[str, str]:
    with pytest.raises(ScriptError) as refused:
        interpreter(*steps, **envs).next()
    return refused.value.code.removeprefix("relay_script_"), refused.value.path


def test_a_document_is_gone_through_to_its_end() -> None:
    run = interpreter({"answer": {}}, {"record": {}}, {"play": {"url": "${record_url}"}})
    assert isinstance(run.next(), Answer)
    run.complete()
    assert isinstance(run.next(), Record)
    assert getattr(run.step, "path", None) == "sections.main[1].record"
    run.complete({"record_url": "https://h/r.wav", "record_result": "success"})
    play = run.next()
    assert isinstance(play, Play)
    assert play.urls == ("https://h/r.wav",)
    run.complete({})
    assert run.next() == run.next() == Finished()
    assert dict(run.variables) == {"record_url": "https://h/r.wav", "record_result": "success"}


def test_nothing_follows_a_hang_up() -> None:
    run = interpreter({"hangup": {}}, {"answer": {}})
    assert run.next() == Hangup(reason="hangup")
    run.complete()
    assert run.next() == Finished()


def test_only_main_is_run() -> None:
    run = Interpreter(load("sections: {a: [hangup: {}], main: [sleep: 1], z: [answer: {}]}"), {})
    assert run.next() == Sleep(seconds=0.001)
    run.complete()
    assert run.step is None
    assert run.next() == Finished()


def test_record_has_the_defaults_of_the_contract() -> None:
    assert action({"record": {}}) == Record(
        stereo=False,
        format="wav",
        direction="speak",
        terminators="#",
        beep=False,
        input_sensitivity=44.0,
        initial_timeout=4.0,
        end_silence_timeout=5.0,
        max_length=None,
        status_url=None,
        post_processing=(),
    )


def test_record_call_has_defaults_of_its_own() -> None:
    assert action({"record_call": {}}) == RecordCall(
        control_id=None,
        stereo=False,
        format="wav",
        direction="both",
        terminators="",
        beep=False,
        input_sensitivity=44.0,
        initial_timeout=0.0,
        end_silence_timeout=0.0,
        max_length=None,
        status_url=None,
        post_processing=(),
    )


def test_stop_record_call_may_name_a_recording_or_none() -> None:
    assert action({"stop_record_call": {}}) == StopRecordCall(control_id=None)
    assert action({"stop_record_call": {"control_id": "a"}}) == StopRecordCall(control_id="a")


def test_record_takes_every_parameter_and_types_it() -> None:
    given = action(
        {
            "record": {
                "stereo": True,
                "format": "mp3",
                "direction": "listen",
                "terminators": "1a#1",
                "beep": True,
                "input_sensitivity": 0,
                "initial_timeout": 1,
                "end_silence_timeout": 0,
                "max_length": 60,
                "status_url": "HTTPS://u:p@h/x",
                "post_processing": "trim_silence",
            }
        }
    )
    assert given == Record(
        stereo=True,
        format="mp3",
        direction="listen",
        terminators="1A#",
        beep=True,
        input_sensitivity=0.0,
        initial_timeout=1.0,
        end_silence_timeout=0.0,
        max_length=60.0,
        status_url="https://u:p@h/x",
        post_processing=("TRIM_SILENCE",),
    )
    assert isinstance(given, Record)
    times = (given.initial_timeout, given.end_silence_timeout, given.max_length)
    assert [type(t) for t in (given.input_sensitivity, *times)] == [float] * 4


@pytest.mark.parametrize(
    ("value", "resolved"),
    [(True, True), (False, False), ("true", True), ("false", False)],
)
def test_a_flag_may_come_from_a_variable(value: Any, resolved: bool) -> None:
    given = action({"record": {"beep": "${b}"}}, b=value)
    assert isinstance(given, Record)
    assert given.beep is resolved


@pytest.mark.parametrize("value", [5, 5.0, "5", " 5.0 "])
def test_a_number_may_come_from_a_variable(value: Any) -> None:
    given = action({"record": {"max_length": "%{n}", "input_sensitivity": "${n}"}}, n=value)
    assert isinstance(given, Record)
    assert (given.max_length, given.input_sensitivity) == (5.0, 5.0)


def test_texts_may_have_variables_in_them() -> None:
    given = action(
        {"record": {"terminators": "#${call.headers[0].value}", "status_url": "${base}/${id}"}},
        base="https://h",
        id=7,
    )
    assert isinstance(given, Record)
    assert (given.terminators, given.status_url) == ("#5", "https://h/7")


@pytest.mark.parametrize(
    ("step", "value", "path"),
    [
        ({"record": {"beep": "${v}"}}, "yes", ".record.beep"),
        ({"record": {"beep": "${v}"}}, "", ".record.beep"),
        ({"record": {"beep": "${v}"}}, 1, ".record.beep"),
        ({"record": {"max_length": "${v}"}}, 0, ".record.max_length"),
        ({"record": {"max_length": "${v}"}}, "nan", ".record.max_length"),
        ({"record": {"max_length": "${v}"}}, "1e999", ".record.max_length"),
        ({"record": {"max_length": "${v}"}}, True, ".record.max_length"),
        ({"record": {"max_length": "${v}"}}, "9" * 5000, ".record.max_length"),
        ({"record": {"max_length": "${v}"}}, 10**40, ".record.max_length"),
        ({"record": {"max_length": "${v}${v}"}}, "x", ".record.max_length"),
        ({"record": {"initial_timeout": "${v}"}}, -1, ".record.initial_timeout"),
        ({"record": {"input_sensitivity": "${v}"}}, 101, ".record.input_sensitivity"),
        ({"record": {"terminators": "${v}"}}, "x", ".record.terminators"),
        ({"record": {"status_url": "${v}"}}, "", ".record.status_url"),
        ({"record": {"status_url": "http://h/${v}"}}, "a\r\nX-Evil: 1", ".record.status_url"),
        ({"answer": {"max_duration": "${v}"}}, 1.5, ".answer.max_duration"),
        ({"sleep": "${v}"}, 0, ".sleep"),
        ({"sleep": {"duration": "${v}"}}, [5], ".sleep.duration"),
        ({"play": {"url": "${v}"}}, "", ".play.url"),
        ({"play": {"url": "${v}"}}, "file:///etc/passwd", ".play.url"),
        ({"play": {"url": "${v}"}}, "/etc/passwd", ".play.url"),
        ({"play": {"url": "/${v}"}}, "etc/passwd", ".play.url"),
        ({"play": {"url": "sounds/${v}"}}, "../../x", ".play.url"),
        ({"play": {"urls": ["ring:us", "${v}"]}}, "ring:x", ".play.urls[1]"),
        ({"play": {"url": "ring:us", "volume": "${v}"}}, 99, ".play.volume"),
    ],
)
def test_a_variable_that_does_not_fit_is_refused_at_its_step(
    step: Any, value: Any, path: str
) -> None:
    code = "method_parameter_invalid_value"
    assert refusal(step, v=value) == (code, f"sections.main[0]{path}")


def test_an_unset_variable_is_named_where_a_value_is_needed() -> None:
    with pytest.raises(ScriptError, match=r'must be true or false, and "\$\{nobody\}" is not set'):
        action({"record": {"beep": "${nobody}"}})


def test_what_a_caller_sent_is_not_repeated_in_an_error() -> None:
    with pytest.raises(ScriptError) as refused:
        action({"record": {"status_url": "${v}"}}, v="secret")
    assert "secret" not in str(refused.value)


def test_an_error_ends_the_script_and_is_kept_as_a_variable() -> None:
    run = interpreter({"sleep": "${v}"}, {"answer": {}})
    with pytest.raises(ScriptError):
        run.next()
    assert run.variables["script_error"] == "relay_script_method_parameter_invalid_value"
    assert run.next() == Finished()


@pytest.mark.parametrize(
    ("url", "text"),
    [("say: hello", "hello"), ("SAY:hello ${text}", "hello say:x"), ("${text}", "x")],
)
def test_speech_is_something_to_play(url: str, text: str) -> None:
    play = {"url": url, "say_language": "${language}"}
    given = action({"play": play}, text="say:x", language="de")
    assert isinstance(given, Play)
    assert given.sources == (Speech(text),)
    assert given.say_language == "de"


def test_play_reads_its_sources() -> None:
    given = action(
        {
            "play": {
                "urls": [
                    "silence: 0.5", "silence:", "ring:US", "ring: 2.50 : gb", "ring::de",
                    "HTTP://u:p@h/a.wav", "a/b.wav", "/srv/c.mp3", "${dir}/d.wav",
                ]
            }
        },
        dir="e",
    )  # fmt: skip
    assert isinstance(given, Play)
    assert given.sources == (
        Silence(0.5),
        Silence(0.0),
        Ringing("us"),
        Ringing("gb", 2.5),
        Ringing("de"),
        WebAudio("http://u:p@h/a.wav"),
        FileAudio("a/b.wav"),
        FileAudio("/srv/c.mp3"),
        FileAudio("e/d.wav"),
    )
    assert given.urls == (
        "silence:0.5", "silence:0", "ring:us", "ring:2.5:gb", "ring:de",
        "http://u:p@h/a.wav", "a/b.wav", "/srv/c.mp3", "e/d.wav",
    )  # fmt: skip
    assert (given.volume, given.auto_answer, given.status_url) == (0.0, True, None)
    assert (given.say_voice, given.say_language, given.say_gender) == (None, None, None)


def test_a_variable_cannot_bring_a_file_into_a_fetched_document() -> None:
    run = interpreter({"play": {"url": "${v}"}}, allow_files=False, v="a.wav")
    with pytest.raises(ScriptError, match="files are for scripts"):
        run.next()


def test_answer_has_its_defaults_and_hides_its_password() -> None:
    assert action({"answer": None}) == Answer(max_duration=14_400)
    given = action({"answer": {"codecs": "pcma,PCMU,pcma", "password": "${p}"}}, p="hush")
    assert given == Answer(max_duration=14_400, codecs=("PCMA", "PCMU"), password="hush")
    assert "hush" not in repr(given)


@pytest.mark.parametrize(
    ("step", "seconds"),
    [(1500, 1.5), (-1, None), ({"duration": 1}, 0.001), ("${ms}", 2.0), ({"duration": -1}, None)],
)
def test_sleep_is_in_milliseconds_or_for_ever(step: Any, seconds: float | None) -> None:
    assert action({"sleep": step}, ms="2000") == Sleep(seconds=seconds)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("voicemail.yaml", [Answer, Play, Record, Hangup]),
        ("announce.yaml", [Answer, Play, Hangup]),
    ],
)
def test_the_examples_run_to_their_end(name: str, kinds: list[type]) -> None:
    run = Interpreter(load((ROOT / "config" / name).read_bytes()), CALL, {})
    seen: list[type] = []
    while not isinstance(done := run.next(), Finished):
        seen.append(type(done))
        run.complete({})
    assert seen == kinds
