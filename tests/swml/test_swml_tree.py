"""From text to trees. Invariant of the fuzz: a tree or a ScriptError, soon."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mediaserver.swml import tree
from mediaserver.swml.document import load
from mediaserver.swml.errors import ScriptError
from mediaserver.swml.limits import MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_NODES
from mediaserver.swml.tree import read_tree


def refused(text: bytes | str, content_type: str | None = None) -> tuple[str, str]:
    with pytest.raises(ScriptError) as error:
        read_tree(text, content_type)
    return error.value.code.removeprefix("relay_script_"), error.value.path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("off", "off"),
        ("12", 12),
        ("-012", -12),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("0x1F", "0x1F"),
        ("1.5", 1.5),
        ("-.5", -0.5),
        ("4.", 4.0),
        ("1e3", 1000.0),
        ("1.0.0", "1.0.0"),
        (".", "."),
        ("2001-01-01", "2001-01-01"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("! 12", "12"),
        ("9" * 65, "9" * 65),
        ("${x}", "${x}"),
        ("<<", "<<"),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("!!seq [a]", ["a"]),
    ],
)
def test_yaml_scalars_are_those_of_json(text: str, value: Any) -> None:
    read = read_tree(f"- {text}")[0]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("loader", [yaml.SafeLoader, tree._LOADER])
def test_both_parsers_of_pyyaml_read_the_same(loader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "_LOADER", loader)
    text = "a: &x {b: [1, 2.5, 'c', \"d\", ~, ! 5]}\nf: *x\n"
    assert read_tree(text) == {
        "a": {"b": [1, 2.5, "c", "d", None, "5"]},
        "f": {"b": [1, 2.5, "c", "d", None, "5"]},
    }
    assert refused("a: \x01")[0] == refused("a: [")[0] == refused("*x")[0] == "parse_error"
    assert refused("? [a]\n: b")[0] == "element_wrong_type"
    assert refused('a: "\\UFFFFFFFF"')[0] == "parse_error"
    assert refused('a: "\\ud800"')[0] in {"parse_error", "element_invalid_value"}


def test_json_is_read_as_json_tabs_and_escapes_included() -> None:
    text = '\ufeff{\t"a":\t"\\ud83d\\ude00\\/", "b": [1, 2.0, null, true]}'
    assert read_tree(text) == {"a": "\U0001f600/", "b": [1, 2.0, None, True]}
    assert read_tree(text.encode(), "application/json; charset=utf-8") == read_tree(text)


def test_the_content_type_decides_between_json_and_yaml() -> None:
    assert read_tree("{a: b}") == read_tree("{a: b}", "text/plain") == {"a": "b"}
    assert read_tree("a: b", "application/yaml") == read_tree("a: b", "text/x-yaml") == {"a": "b"}
    assert refused("a: b", "application/json") == ("parse_error", "")


@pytest.mark.parametrize(
    ("text", "code", "path"),
    [
        ('{"a": {"b": 1, "b": 2}}', "element_duplicated", "a.b"),
        ("a: {b: 1, b: 2}", "element_duplicated", "a.b"),
        ("a: {'b': 1, b: 2}", "element_duplicated", "a.b"),
        ("a: {1: 2}", "element_wrong_type", "a"),
        ("a: {true: 2}", "element_wrong_type", "a"),
        ("a: {~: 2}", "element_wrong_type", "a"),
        ("a: {[b]: 2}", "element_wrong_type", "a"),
        ("a: [.nan]", "element_invalid_value", "a[0]"),
        ("a: [-.inf]", "element_invalid_value", "a[0]"),
        ("a: [1e999]", "element_invalid_value", "a[0]"),
        ('{"a": NaN}', "element_invalid_value", "a"),
        ('{"a": -Infinity}', "element_invalid_value", "a"),
        ('{"a": 1e999}', "element_invalid_value", "a"),
        ('{"a": ' + "9" * 5000 + "}", "element_invalid_value", "a"),
        ('{"a": "\\ud800"}', "element_invalid_value", "a"),
        ('{"a\\ud800": 1}', "element_invalid_value", '["a\\ud800"]'),
        ("a: &x [*x]", "parse_error", "a[0]"),
        ("a: *x", "parse_error", "a"),
        ("a: !x y", "parse_error", "a"),
        ("a: !!binary aGk=", "parse_error", "a"),
        ("a: !!int '5'", "parse_error", "a"),
        ("a: !!set {b}", "parse_error", "a"),
        ("%YAML 9.9\n---\na: b", "parse_error", ""),
        ("a: b\n...\nc: d\n...\n", "parse_error", ""),
        ("a: \ud800", "parse_error", ""),
    ],
)
def test_what_no_script_needs_is_refused_where_it_stands(text: str, code: str, path: str) -> None:
    assert refused(text) == (code, path)


@pytest.mark.parametrize("data", [b"\xff\xfea\0:\0", b"a: \xff", b"\xff"])
def test_only_utf_8_is_read(data: bytes) -> None:
    assert refused(data) == ("parse_error", "")


def nested(opening: str, closing: str, depth: int) -> str:
    return opening * depth + "1" + closing * depth


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ("- ", "")])
def test_nesting_is_limited(opening: str, closing: str) -> None:
    read_tree(nested(opening, closing, MAX_DEPTH))
    for depth in (MAX_DEPTH + 1, 100, 50_000):
        code, path = refused(nested(opening, closing, depth))
        assert code == "nested_too_deep"
        assert len(path) <= 4 * (MAX_DEPTH + 1)
    json_code = refused(nested('{"a":', "}", 50_000), "application/json")[0]
    assert json_code == "nested_too_deep"


def test_aliases_cannot_nest_deeper_than_the_limit() -> None:
    lines = ["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 60))]
    assert refused("\n".join(lines))[0] == "nested_too_deep"


HUNDRED = 0.1
"""Seconds: robustness S11 allows a bomb 100 ms. The tests allow for a busy machine."""


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(
            ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
            + [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
        ),
        "a: &a {b: c}\nd: [" + "*a," * 30_000 + "]",
        "- a\n" * 200_000,
        '{"a":[' + "1," * 400_000 + "1]}",
        "[" + "[]," * 340_000 + "[]]",
        "[" + ("[" * 30 + "]" * 30 + ",") * 17_000 + "1]",
        '{"a":[' + '"' * 1_000_000,
        "\n".join(f"k{i}: &a{i} x" for i in range(60_000)),
        "x" * (MAX_DOCUMENT_BYTES + 1),
        "x" * 10_000_000,
        '"' + "x" * 1_000_000,
        "[" * 1_000_000,
        "{" * 1_000_000,
        "? " * 500_000,
        "!" * 1_000_000,
        "&" * 1_000_000,
        "{" + " " * 1_000_000,
        '{"a":' * 200_000,
    ],
    ids=lambda text: text[:12],
)
def test_bombs_are_refused_at_once(text: str) -> None:
    started = time.process_time()
    refused(text)
    assert time.process_time() - started < 5 * HUNDRED


def test_as_many_values_as_the_limit_are_read() -> None:
    assert len(read_tree("[" + "1," * (MAX_NODES - 1) + "]")) == MAX_NODES - 1
    assert refused("[" + "1," * MAX_NODES + "]") == ("parse_error", "")
    talkative = {"a": ['[{,"\\' * 50_000, {"b": 1}]}
    assert read_tree(json.dumps(talkative), "application/json") == talkative


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(JSON_VALUES)
def test_whatever_json_says_is_read(value: Any) -> None:
    assert read_tree(json.dumps(value), "application/json") == value
    assert read_tree(json.dumps(value, ensure_ascii=False), "application/json") == value


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet="{}[]:,-?&*!|>'\"%#ab1.~ \n\t", max_size=120))
def test_any_text_is_loaded_or_refused(text: bytes | str) -> None:
    _load_or_refuse(text)


SCRIPT = """{"version": "1.0.0", "sections": {"main": [{"answer": {"max_duration": 5}},
 {"play": {"urls": ["silence:0.5", "ring:2:us", "https://h/${call.from}.wav"], "volume": -6.5}},
 {"record": {"beep": true, "terminators": "#*", "max_length": 1e2, "status_url": "http://h/"}},
 {"sleep": -1}, {"hangup": {"reason": "busy"}}]}}"""
PIECES = ("{", "}", "[", "]", '"', ":", ",", "\n", "- ", "&a ", "*a", "!!", "${", "9" * 70, "é", "")


@pytest.mark.parametrize(
    ("content_type", "loader", "times"),
    [
        (None, tree._LOADER, 1_500),
        ("application/json", tree._LOADER, 1_500),
        ("application/yaml", tree._LOADER, 1_500),
        ("application/yaml", yaml.SafeLoader, 150),
    ],
)
def test_a_mutated_script_is_loaded_or_refused(
    content_type: str | None, loader: Any, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "_LOADER", loader)
    random_ = random.Random(100)
    loaded = 0
    for _ in range(times):
        text = SCRIPT
        for _ in range(random_.randint(1, 4)):
            at = random_.randrange(len(text))
            end = at + random_.choice((0, 0, 1, 2, 12))
            text = text[:at] + random_.choice(PIECES) + text[end:]
        loaded += _load_or_refuse(text, content_type)
    assert loaded > 0


def _load_or_refuse(text: bytes | str, content_type: str | None = None) -> bool:
    try:
        load(text, content_type=content_type)
    except ScriptError as error:
        str(error).encode("ascii")  # may go into a header or a log as it is
        return False
    return True
