"""Documents, good and bad, each with the code and the path it must be refused with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mediaserver.swml.document import load
from mediaserver.swml.errors import ScriptError
from mediaserver.swml.methods.registry import METHODS

ROOT = Path(__file__).resolve().parents[2]
PARAMETER = "method_parameter_"
INVALID = "method_parameter_invalid_value"
HERE = "sections.main[0]"


def script(*steps: Any) -> str:
    return json.dumps({"version": "1.0.0", "sections": {"main": list(steps)}})


GOOD_STEPS: list[Any] = [
    {"answer": {}},
    {"answer": None},
    {"answer": {"max_duration": 30, "codecs": "pcma, PCMU"}},
    {"answer": {"max_duration": 30.0, "username": "u", "password": "${envs.password}"}},
    {"answer": {"max_duration": "${longest}"}},
    {"hangup": {}},
    {"hangup": {"reason": "busy"}},
    {"sleep": 5000},
    {"sleep": -1},
    {"sleep": "${pause}"},
    {"sleep": {"duration": 1}},
    {"sleep": {"duration": "%{vars.pause}"}},
    {"play": {"url": "https://user:pass@example.com/a.wav?x=${call.call_id}"}},
    {"play": {"url": "HTTP://example.com:8080/"}},
    {"play": {"url": "ring:us"}},
    {"play": {"url": "ring: 2.5:GB"}},
    {"play": {"url": "ring: 2. : de"}},
    {"play": {"url": "ring::de"}},
    {"play": {"url": "silence:0.5"}},
    {"play": {"url": "silence: 10"}},
    {"play": {"url": "silence:"}},
    {"play": {"url": "say: Hello, ${call.from}!"}},
    {"play": {"url": "say:"}},
    {"play": {"url": "${record_url}"}},
    {"play": {"url": "greeting.wav"}},
    {"play": {"url": "sounds/greeting one.mp3"}},
    {"play": {"url": "/usr/share/sounds/greeting.wav"}},
    {"play": {"urls": ["silence:1", "%{x}", "a.wav"], "volume": -40, "auto_answer": False}},
    {"play": {"url": "ring:us", "volume": 40.0, "auto_answer": "${x}"}},
    {
        "play": {
            "url": "silence:1",
            "status_url": "https://h/",
            "say_voice": "x",
            "say_language": "de-DE",
            "say_gender": "male",
        }
    },
    {"record": {}},
    {"record": None},
    {
        "record": {
            "stereo": True,
            "format": "mp4",
            "direction": "listen",
            "terminators": "0123456789ABCD*#",
            "beep": True,
            "input_sensitivity": 100,
            "initial_timeout": 0,
            "end_silence_timeout": 0.0,
            "max_length": 0.02,
            "status_url": "http://user:pw@127.0.0.1:8080/x?y=z",
        }
    },
    {"record": {"terminators": ""}},
    {"record": {"terminators": "abcd##"}},
    {"record": {"stereo": "${s}", "beep": "%{b}", "max_length": "${m}", "terminators": "1${t}"}},
    {"record": {"status_url": "${envs.base}/done"}},
    {"record": {"post_processing": "trim_silence"}},
    {"record_call": {}},
    {"record_call": {"direction": "both", "control_id": "mine", "stereo": True}},
    {"stop_record_call": {}},
    {"stop_record_call": {"control_id": "${record_control_id}"}},
]


@pytest.mark.parametrize("step", GOOD_STEPS, ids=str)
def test_a_right_step_is_accepted(step: dict[str, Any]) -> None:
    (read,) = load(script(step)).sections["main"]
    (method,) = step
    assert (read.method, read.path) == (method, f"{HERE}.{method}")
    assert load(yaml.safe_dump(json.loads(script(step)))) == load(script(step))


BAD_STEPS: list[tuple[Any, str, str]] = [
    ("hangup", "element_wrong_type", ""),
    (["hangup"], "element_wrong_type", ""),
    (None, "element_wrong_type", ""),
    ({}, "method_missing_name", ""),
    ({"answer": {}, "hangup": {}}, "element_invalid_value", ""),
    ({"anser": {}}, "method_undefined", ".anser"),
    ({"Answer": {}}, "method_undefined", ".Answer"),
    ({"": {}}, "method_undefined", '[""]'),
    ({"a b\n": {}}, "method_undefined", '["a b\\n"]'),
    ({"transcribe": {"x": 1}}, PARAMETER + "undefined", ".transcribe.x"),
    ({"request": {"url": "http://h/"}}, PARAMETER + "missing", ".request.method"),
    ({"request": {"method": "GET"}}, PARAMETER + "missing", ".request.url"),
    ({"request": {"url": "ftp://h/", "method": "GET"}}, INVALID, ".request.url"),
    ({"request": {"url": "http://h/", "method": "PATCH"}}, INVALID, ".request.method"),
    (
        {"request": {"url": "http://h/", "method": "GET", "headers": {"Host": "x"}}},
        INVALID,
        ".request.headers",
    ),
    ({"request": {"url": "http://h/", "method": "GET", "body": 5}}, INVALID, ".request.body"),
    ({"prompt": {"max_digits": 2}}, PARAMETER + "missing", ".prompt.play"),
    ({"prompt": {"play": "ring:us", "max_digits": 0}}, INVALID, ".prompt.max_digits"),
    ({"send_digits": {"digits": "1e"}}, INVALID, ".send_digits.digits"),
    ({"send_digits": {}}, PARAMETER + "missing", ".send_digits.digits"),
    ({"record_call": {"direction": "up"}}, INVALID, ".record_call.direction"),
    ({"record_call": {"control_id": 5}}, INVALID, ".record_call.control_id"),
    ({"record_call": {"post_processing": "NONE"}}, INVALID, ".record_call.post_processing"),
    ({"stop_record_call": {"id": "x"}}, PARAMETER + "undefined", ".stop_record_call.id"),
    ({"record": {"control_id": "x"}}, PARAMETER + "undefined", ".record.control_id"),
    ({"record": {"direction": "both"}}, INVALID, ".record.direction"),
    ({"answer": []}, "element_wrong_type", ".answer"),
    ({"answer": "x"}, "element_wrong_type", ".answer"),
    ({"hangup": "busy"}, "element_wrong_type", ".hangup"),
    ({"record": True}, "element_wrong_type", ".record"),
    ({"play": "ring:us"}, "element_wrong_type", ".play"),
    # answer
    ({"answer": {"max_duration": 0}}, INVALID, ".answer.max_duration"),
    ({"answer": {"max_duration": "30"}}, INVALID, ".answer.max_duration"),
    ({"answer": {"max_duration": 1.5}}, INVALID, ".answer.max_duration"),
    ({"answer": {"max_duration": True}}, INVALID, ".answer.max_duration"),
    ({"answer": {"codecs": "PCMU,G711"}}, INVALID, ".answer.codecs"),
    ({"answer": {"codecs": ""}}, INVALID, ".answer.codecs"),
    ({"answer": {"codecs": ["PCMU"]}}, INVALID, ".answer.codecs"),
    ({"answer": {"username": 5}}, INVALID, ".answer.username"),
    ({"answer": {"max_duraton": 5}}, PARAMETER + "undefined", ".answer.max_duraton"),
    # hangup
    ({"hangup": {"reason": "rude"}}, INVALID, ".hangup.reason"),
    ({"hangup": {"reason": "${why}"}}, INVALID, ".hangup.reason"),
    ({"hangup": {"reason": None}}, INVALID, ".hangup.reason"),
    ({"hangup": {"status_url": "http://h/"}}, PARAMETER + "undefined", ".hangup.status_url"),
    # sleep
    ({"sleep": None}, PARAMETER + "missing", ".sleep.duration"),
    ({"sleep": {}}, PARAMETER + "missing", ".sleep.duration"),
    ({"sleep": 0}, INVALID, ".sleep"),
    ({"sleep": -2}, INVALID, ".sleep"),
    ({"sleep": 1.5}, INVALID, ".sleep"),
    ({"sleep": "1000"}, INVALID, ".sleep"),
    ({"sleep": "x ${pause}"}, INVALID, ".sleep"),
    ({"sleep": False}, INVALID, ".sleep"),
    ({"sleep": [5]}, INVALID, ".sleep"),
    ({"sleep": 10**13}, INVALID, ".sleep"),
    ({"sleep": {"duration": 0}}, INVALID, ".sleep.duration"),
    ({"sleep": {"seconds": 1}}, PARAMETER + "undefined", ".sleep.seconds"),
    # play
    ({"play": None}, PARAMETER + "missing", ".play.url"),
    ({"play": {"volume": 3}}, PARAMETER + "missing", ".play.url"),
    ({"play": {"url": "ring:us", "urls": ["ring:us"]}}, PARAMETER + "conflict", ".play"),
    ({"play": {"url": ["ring:us"]}}, INVALID, ".play.url"),
    ({"play": {"url": None}}, INVALID, ".play.url"),
    ({"play": {"url": ""}}, INVALID, ".play.url"),
    ({"play": {"url": " "}}, INVALID, ".play.url"),
    ({"play": {"url": "https://"}}, INVALID, ".play.url"),
    ({"play": {"url": "http://h:99999/"}}, INVALID, ".play.url"),
    ({"play": {"url": "http://[::1/"}}, INVALID, ".play.url"),
    ({"play": {"url": "http://h/a b"}}, INVALID, ".play.url"),
    ({"play": {"url": "http://h/\r\nX: y"}}, INVALID, ".play.url"),
    ({"play": {"url": "http:/h"}}, INVALID, ".play.url"),
    ({"play": {"url": "ftp://h/a.wav"}}, INVALID, ".play.url"),
    ({"play": {"url": "file:///etc/passwd"}}, INVALID, ".play.url"),
    ({"play": {"url": "gopher://h"}}, INVALID, ".play.url"),
    ({"play": {"url": "ring:usa"}}, INVALID, ".play.url"),
    ({"play": {"url": "ring:"}}, INVALID, ".play.url"),
    ({"play": {"url": "ring:x:us"}}, INVALID, ".play.url"),
    ({"play": {"url": "ring:1:2:us"}}, INVALID, ".play.url"),
    ({"play": {"url": "silence:1.2.3"}}, INVALID, ".play.url"),
    ({"play": {"url": "silence:."}}, INVALID, ".play.url"),
    ({"play": {"url": "silence:-1"}}, INVALID, ".play.url"),
    ({"play": {"url": "silence:1e3"}}, INVALID, ".play.url"),
    ({"play": {"url": "silence:3601"}}, INVALID, ".play.url"),
    ({"play": {"url": "../secret.wav"}}, INVALID, ".play.url"),
    ({"play": {"url": "a/../../b.wav"}}, INVALID, ".play.url"),
    ({"play": {"url": "a\0.wav"}}, INVALID, ".play.url"),
    ({"play": {"url": "a\\b.wav"}}, INVALID, ".play.url"),
    ({"play": {"url": "x" * 3000}}, INVALID, ".play.url"),
    ({"play": {"urls": []}}, INVALID, ".play.urls"),
    ({"play": {"urls": "ring:us"}}, INVALID, ".play.urls"),
    ({"play": {"urls": "${list}"}}, INVALID, ".play.urls"),
    ({"play": {"urls": ["ring:us", "ring:x"]}}, INVALID, ".play.urls[1]"),
    ({"play": {"urls": ["ring:us", 5]}}, INVALID, ".play.urls[1]"),
    ({"play": {"urls": ["ring:us"] * 300}}, INVALID, ".play.urls"),
    ({"play": {"url": "ring:us", "volume": 41}}, INVALID, ".play.volume"),
    ({"play": {"url": "ring:us", "volume": -40.1}}, INVALID, ".play.volume"),
    ({"play": {"url": "ring:us", "volume": "3"}}, INVALID, ".play.volume"),
    ({"play": {"url": "ring:us", "auto_answer": "yes"}}, INVALID, ".play.auto_answer"),
    ({"play": {"url": "ring:us", "status_url": "h"}}, INVALID, ".play.status_url"),
    ({"play": {"url": "ring:us", "loop": 2}}, PARAMETER + "undefined", ".play.loop"),
    # record
    ({"record": {"control_id": "x"}}, PARAMETER + "undefined", ".record.control_id"),
    ({"record": {"max_lenght": 5}}, PARAMETER + "undefined", ".record.max_lenght"),
    ({"record": {"stereo": "true"}}, INVALID, ".record.stereo"),
    ({"record": {"beep": 1}}, INVALID, ".record.beep"),
    ({"record": {"beep": None}}, INVALID, ".record.beep"),
    ({"record": {"beep": "a${b}"}}, INVALID, ".record.beep"),
    ({"record": {"format": "ogg"}}, INVALID, ".record.format"),
    ({"record": {"format": "WAV"}}, INVALID, ".record.format"),
    ({"record": {"format": "${f}"}}, INVALID, ".record.format"),
    ({"record": {"format": ["wav"]}}, INVALID, ".record.format"),
    ({"record": {"direction": "both"}}, INVALID, ".record.direction"),
    ({"record": {"direction": "${d}"}}, INVALID, ".record.direction"),
    ({"record": {"terminators": "x"}}, INVALID, ".record.terminators"),
    ({"record": {"terminators": "1 2"}}, INVALID, ".record.terminators"),
    ({"record": {"terminators": "\u0661"}}, INVALID, ".record.terminators"),
    ({"record": {"terminators": "1" * 65}}, INVALID, ".record.terminators"),
    ({"record": {"terminators": 1}}, INVALID, ".record.terminators"),
    ({"record": {"terminators": ["#"]}}, INVALID, ".record.terminators"),
    ({"record": {"input_sensitivity": -0.1}}, INVALID, ".record.input_sensitivity"),
    ({"record": {"input_sensitivity": 100.5}}, INVALID, ".record.input_sensitivity"),
    ({"record": {"initial_timeout": -1}}, INVALID, ".record.initial_timeout"),
    ({"record": {"initial_timeout": "4"}}, INVALID, ".record.initial_timeout"),
    ({"record": {"initial_timeout": 1e300}}, INVALID, ".record.initial_timeout"),
    ({"record": {"end_silence_timeout": -0.5}}, INVALID, ".record.end_silence_timeout"),
    ({"record": {"max_length": 0}}, INVALID, ".record.max_length"),
    ({"record": {"max_length": -5}}, INVALID, ".record.max_length"),
    ({"record": {"status_url": "ftp://h/"}}, INVALID, ".record.status_url"),
    ({"record": {"status_url": ""}}, INVALID, ".record.status_url"),
    ({"record": {"status_url": "https://h/" + "x" * 3000}}, INVALID, ".record.status_url"),
    ({"record": {"status_url": 5}}, INVALID, ".record.status_url"),
    # expressions
    ({"sleep": "${1000 *}"}, "js_eval_error", ".sleep"),
    ({"record": {"beep": "${!}"}}, "js_eval_error", ".record.beep"),
    ({"record": {"terminators": "${(keys.length}"}}, "js_eval_error", ".record.terminators"),
    ({"play": {"urls": ["ring:us", "say:${a+}"]}}, "js_eval_error", ".play.urls[1]"),
]


@pytest.mark.parametrize(("step", "code", "path"), BAD_STEPS, ids=lambda v: str(v)[:60])
def test_a_wrong_step_is_refused_with_its_code_and_path(step: Any, code: str, path: str) -> None:
    with pytest.raises(ScriptError) as refused:
        load(script(step))
    error = refused.value
    assert (error.code, error.path) == (f"relay_script_{code}", HERE + path)
    assert error.status == 400
    assert "\n" not in str(error)


DOCUMENTS: list[tuple[str, str, str]] = [
    ("", "parse_error", ""),
    (" \n\t\n", "parse_error", ""),
    ("---\n", "element_wrong_type", ""),
    ("# nothing\n", "parse_error", ""),
    ("hello", "element_wrong_type", ""),
    ("[]", "element_wrong_type", ""),
    ("null", "element_wrong_type", ""),
    ("{", "parse_error", ""),
    ("sections: [unclosed", "parse_error", ""),
    ("a: b\n---\nc: d\n", "parse_error", ""),
    ("sections: !!python/object/apply:os.system [x]", "parse_error", "sections"),
    ("{}", "sections_missing", "sections"),
    ("version: 1.0.0", "sections_missing", "sections"),
    ("version: 1.0.0\nsections:", "sections_missing", "sections"),
    ("version: 1.0\nsections: {main: [hangup: {}]}", "version_invalid", "version"),
    ("version: 2.0.0\nsections: {main: [hangup: {}]}", "version_invalid", "version"),
    ("version:\nsections: {main: [hangup: {}]}", "version_invalid", "version"),
    ("sections: []", "element_wrong_type", "sections"),
    ("sections: {}", "main_section_missing", "sections.main"),
    ("sections: {Main: [hangup: {}]}", "main_section_missing", "sections.main"),
    ("sections: {main: }", "section_code_missing", "sections.main"),
    ("sections: {main: []}", "section_code_missing", "sections.main"),
    ("sections: {main: {hangup: {}}}", "element_wrong_type", "sections.main"),
    ("sections: {main: hangup}", "element_wrong_type", "sections.main"),
    ("name: x\nsections: {main: [hangup: {}]}", "element_undefined", "name"),
    (
        "sections: {main: [hangup: {}], 'a b': [sleep: 0]}",
        "method_parameter_invalid_value",
        'sections["a b"][0].sleep',
    ),
    ("sections: {main: [hangup: {}], other: }", "section_code_missing", "sections.other"),
    ("sections: {main: [hangup: {}], 5: [hangup: {}]}", "element_wrong_type", "sections"),
    ("sections: {main: [{record: {beep: on}}]}", INVALID, "sections.main[0].record.beep"),
    (
        "sections: {main: [{record: {beep: true, beep: false}}]}",
        "element_duplicated",
        "sections.main[0].record.beep",
    ),
    (
        '{"sections": {"main": [{"record": {"beep": true, "beep": false}}]}}',
        "element_duplicated",
        "sections.main[0].record.beep",
    ),
    (
        "sections: {main: [{record: {max_length: .nan}}]}",
        "element_invalid_value",
        "sections.main[0].record.max_length",
    ),
    (
        '{"sections": {"main": [{"record": {"max_length": Infinity}}]}}',
        "element_invalid_value",
        "sections.main[0].record.max_length",
    ),
]


@pytest.mark.parametrize(("text", "code", "path"), DOCUMENTS)
def test_a_wrong_document_is_refused_with_its_code_and_path(
    text: str, code: str, path: str
) -> None:
    with pytest.raises(ScriptError) as refused:
        load(text)
    assert (refused.value.code, refused.value.path) == (f"relay_script_{code}", path)


def test_an_error_reads_as_a_sentence_with_its_place_and_code() -> None:
    with pytest.raises(ScriptError) as refused:
        load(script({"answer": {}}, {"sleep": 1}, {"record": {"beep": "yes"}}))
    assert str(refused.value) == (
        "sections.main[2].record.beep: must be true or false"
        " (relay_script_method_parameter_invalid_value)"
    )


def test_a_misspelled_name_is_answered_with_the_right_one() -> None:
    with pytest.raises(ScriptError, match="did you mean max_length"):
        load(script({"record": {"max_lenght": 5}}))
    with pytest.raises(ScriptError, match="did you mean hangup"):
        load(script({"hang_up": {}}))


def test_every_method_of_the_contract_is_known() -> None:
    assert len(METHODS) == 43


def test_a_fetched_document_may_not_name_files() -> None:
    text = script({"play": {"url": "greeting.wav"}})
    assert load(text).allow_files
    with pytest.raises(ScriptError, match="files are for scripts") as refused:
        load(text, allow_files=False)
    assert refused.value.path == "sections.main[0].play.url"
    assert not load(script({"play": {"url": "ring:us"}}), allow_files=False).allow_files


def test_a_document_needs_no_version() -> None:
    assert load("sections: {main: [hangup: {}]}").version == "1.0.0"


def test_every_section_is_checked_and_kept_in_order() -> None:
    document = load("sections: {a: [sleep: 5, answer: ], main: [hangup: {}]}")
    assert [step.path for step in document.sections["a"]] == [
        "sections.a[0].sleep",
        "sections.a[1].answer",
    ]


@pytest.mark.parametrize("name", ["voicemail.yaml", "announce.yaml"])
def test_the_examples_can_be_run(name: str) -> None:
    load((ROOT / "config" / name).read_bytes())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sections:\n\tmain: []", "a tab; indent with spaces"),
        ("sections: {main: [{play: {url: *a}}]}", "begins with * must be in quotes"),
        ("sections: {main: [{switch: {variable: a, case: {1: []}}}]}", 'and "1" is one in quotes'),
        ("sections: {main: [{play: a.wav}]}", "a map of url, urls, "),
        (
            "sections: {main: [{goto: again}]}",
            "the parameters of goto must be a map of label, when,",
        ),
        ("sections: {main: [{play: , url: a}]}", 'not "play" and "url"; parameters are indented'),
        ("sections: {main: {answer: {}}}", "a list of steps, each after a dash"),
        ("sections: {Main: [{answer: {}}]}", 'must be given, and is not "Main"'),
        ("sectoins: {main: [{answer: {}}]}", "did you mean sections?"),
        ("main: [{answer: {}}]", "sections are in sections"),
        ("sections: {main: [{say: hello}]}", 'no method "say"; play with say:TEXT does that'),
        ("sections: {main: [{Dial: {}}]}", 'no method "Dial"; connect does that'),
    ],
)
def test_what_newcomers_write_is_told_with_what_they_meant(text: str, told: str) -> None:
    with pytest.raises(ScriptError) as refused:
        load(text)
    assert told in refused.value.message
