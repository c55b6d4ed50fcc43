"""What a document may not grow to, and what an expression may not do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mediaserver.swml.actions import FetchDocument
from mediaserver.swml.document import load
from mediaserver.swml.errors import ScriptError
from mediaserver.swml.interpreter import Interpreter


def script(*steps: Any, **sections: Any) -> str:
    return json.dumps({"sections": {"main": list(steps), **sections}})


def nested(levels: int) -> str:
    """Return a document whose conditions are in one another."""
    step: Any = {"hangup": {}}
    for _ in range(levels):
        step = {"cond": [{"when": "true", "then": [step]}]}
    return script(step)


def bomb(levels: int) -> str:
    """Return YAML of a few lines that spreads out to ten times as much with each."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    return "\n".join([*lines, "sections: {main: [{hangup: {}}]}"])


HUGE = [
    ("ten megabytes of JSON", script({"play": {"url": "say:" + "x" * (10 << 20)}}), "parse_error"),
    ("ten megabytes of steps", script(*[{"hangup": {}}] * 900_000), "parse_error"),
    ("many steps", script(*[{"hangup": {}}] * 20_000), "parse_error"),
    ("a hundred levels of steps", nested(100), "nested_too_deep"),
    ("a hundred levels of data", script({"set": {"a": json.loads("[" * 100 + "]" * 100)}}),
        "nested_too_deep"),
    ("a hundred thousand brackets", "[" * 100_000, "nested_too_deep"),
    ("a bomb of aliases", bomb(9), "parse_error"),
    ("a bomb of aliases in one another", "sections: &s {main: [*s]}", "parse_error"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code"), [row[1:] for row in HUGE], ids=[row[0] for row in HUGE])
def test_what_no_script_needs_is_refused(text: str, code: str) -> None:
    with pytest.raises(ScriptError) as refused:
        load(text)
    assert refused.value.code == f"relay_script_{code}"
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize(
    "text", [nested(7), script(*[{"hangup": {}}] * 5000)], ids=["deep", "long"]
)
def test_what_a_script_may_need_is_accepted(text: str) -> None:
    load(text)


EXPRESSIONS = [
    "while(true){}",
    "for(;;){}",
    "do 1; while(1)",
    "(() => { while (1); })()",
    "'x'.repeat(1 << 30)",
    "'x'.repeat(1e9).length",
    "Array(1e9).fill('aaaa').join('').length",
    "[...Array(1e8).keys()].length",
    "new ArrayBuffer(1e9).byteLength",
    "x".join(["'a'.padEnd(1e9) + '", "'"]),
    "(x = 'a'.repeat(1e5), " + ", ".join(["x = x + x"] * 20) + ", x.length)",
    "[].constructor.constructor('while(1);')()",
    "/(a+)+$/.test('a'.repeat(40) + 'b')",
    "({f() { return this.f() }}).f()",
    "[[[".ljust(340, "[") + "]" * 340,
    "1 + " * 300 + "1",
    "JSON.stringify(Array(1e7).fill(1)).length",
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda text: text[:40])
def test_an_expression_that_takes_too_much_ends_its_script(expression: str) -> None:
    with pytest.raises(ScriptError) as refused:
        Interpreter(load(script({"set": {"a": "${" + expression + "}"}})), {}).next()
    assert refused.value.code == "relay_script_js_eval_error"


def test_a_condition_has_the_same_limits() -> None:
    endless = "[].constructor.constructor('while(1);')()"
    for step in (
        {"cond": [{"when": endless, "then": []}]},
        {"goto": {"label": "a", "when": endless}},
    ):
        with pytest.raises(ScriptError) as refused:
            Interpreter(load(script({"label": "a"}, step)), {}).next()
        assert refused.value.code == "relay_script_js_eval_error"


def test_a_text_does_not_grow_by_filling_it_in_over_and_over() -> None:
    doubling = [{"set": {"a": "x" * 1024}}, {"label": "again"}, {"set": {"a": "${a}${a}"}}]
    with pytest.raises(ScriptError) as refused:
        Interpreter(load(script(*doubling, {"goto": {"label": "again"}})), {}).next()
    assert refused.value.code == "relay_script_method_parameter_invalid_value"
    assert refused.value.path == "sections.main[2].set.a"


def test_a_document_that_transfers_to_itself_is_ended() -> None:
    run = Interpreter(load(script({"transfer": {"dest": "main"}})), {})
    with pytest.raises(ScriptError) as refused:
        run.next()
    assert refused.value.code == "relay_script_too_many_transfers"


def test_a_fetched_document_that_transfers_to_where_it_came_from_is_ended() -> None:
    document = load(script({"transfer": {"dest": "https://h/again"}}), allow_files=False)
    run = Interpreter(document, {})
    for _ in range(32):
        assert isinstance(run.next(), FetchDocument)
        run.arrived(document)
    assert isinstance(run.next(), FetchDocument)
    with pytest.raises(ScriptError) as refused:
        run.arrived(document)
    assert refused.value.code == "relay_script_too_many_transfers"


def test_a_document_that_executes_itself_is_ended() -> None:
    with pytest.raises(ScriptError) as refused:
        Interpreter(load(script({"execute": {"dest": "main"}})), {}).next()
    assert refused.value.code == "relay_script_nested_too_deep"
