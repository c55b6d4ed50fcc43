"""`${...}` and `%{...}`: what they are replaced by."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from mediaserver.swml.errors import ScriptError
from mediaserver.swml.expression import Scope, check, has_variable, is_variable, substitute

SCOPE = Scope(
    call={
        "call_id": "c-1",
        "from": "sip:a@x",
        "headers": [{"name": "X-A", "value": "${record_url}"}],
        "type": "sip",
    },
    vars={
        "record_url": "https://h/r",
        "n": 5,
        "f": 2.5,
        "five": 5.0,
        "yes": True,
        "none": None,
        "list": [1, [2, 3]],
        "map": {"a": {"b": "deep"}},
        "both": "from vars",
    },
    envs={"both": "from envs", "type": "from envs", "key": "k"},
    params={"p": 1},
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${record_url}", "https://h/r"),
        ("%{record_url}", "https://h/r"),
        ("${ record_url }", "https://h/r"),
        ("${vars.record_url}", "https://h/r"),
        ("${call.call_id}", "c-1"),
        ("${call_id}", "c-1"),
        ("${call.headers[0].name}", "X-A"),
        ("${headers[0].name}", "X-A"),
        ("${call.headers[1].name}", ""),
        ("${call.headers[999999999]}", ""),
        ("${call.headers.name}", ""),
        ("${call_id[0]}", ""),
        ("${call_id.length}", ""),
        ("${both}", "from vars"),
        ("${envs.both}", "from envs"),
        ("${type}", "from envs"),
        ("${call.type}", "sip"),
        ("${params.p}", 1),
        ("${p}", ""),
        ("${n}", 5),
        ("${f}", 2.5),
        ("${yes}", True),
        ("${none}", ""),
        ("${list}", [1, [2, 3]]),
        ("${list[1][0]}", 2),
        ("${map.a.b}", "deep"),
        ("${map.a.b.c}", ""),
        ("${unset}", ""),
        ("${unset.deeper[3].still}", ""),
        ("n=${n} f=%{f} five=${five}!", "n=5 f=2.5 five=5!"),
        ("${yes}${unset}${none}", "true"),
        ("is ${map}", 'is {"a": {"b": "deep"}}'),
        ("${n}${n}", "55"),
        ("no variable", "no variable"),
        ("", ""),
        ("$n {n} $ {n} ${n", "$n {n} $ {n} ${n"),
        ("${n} and ${open", "5 and ${open"),
    ],
)
def test_a_text_is_filled_in(text: str, value: Any) -> None:
    filled = substitute(text, SCOPE)
    assert (filled, type(filled)) == (value, type(value))


def test_what_was_filled_in_is_not_read_again() -> None:
    assert substitute("${call.headers[0].value}", SCOPE) == "${record_url}"
    assert substitute("x${call.headers[0].value}", SCOPE) == "x${record_url}"


def test_maps_and_lists_are_filled_in_throughout() -> None:
    assert substitute({"a": ["${n}", {"b": "%{f}"}], "c": 7}, SCOPE) == {
        "a": [5, {"b": 2.5}],
        "c": 7,
    }
    with pytest.raises(ScriptError, match=r"x\.a\[1\]"):
        substitute({"a": ["${n}", "${1 +}"]}, SCOPE, "x")


@pytest.mark.parametrize(
    "expression",
    [
        "a + b", "f(x)", "a ? b : c", "", " ", "a.", ".a", "a..b", "a[", "a[]", "a[-1]", "a[x]",
        "a b", "n[0]b", "é", "x" * 1025, "n +", "throw 1", "n) + (", "a; b", "'unclosed",
        "while (true) {}", "(() => 1)()", "(function () { return 1 })()", "eval('1')",
        "new Function('1')", "'x'.repeat(70000)", "[...Array(1e9).keys()]",
        "'x'.repeat(1 << 29)", "(" * 500 + "1" + ")" * 500,
    ],
)  # fmt: skip
def test_what_is_no_expression_is_refused_and_named(expression: str) -> None:
    with pytest.raises(ScriptError) as refused:
        substitute("say: ${" + expression + "}", SCOPE, "here")
    assert (refused.value.code, refused.value.path) == ("relay_script_js_eval_error", "here")
    if expression.strip() and len(expression) < 50 and expression.isascii():
        assert f'"{expression}"' in refused.value.message


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("n +", "it ends where more is expected"),
        ("(n", "it ends where more is expected"),
        ("{a: 1", "it ends where more is expected"),
        ("n ? 1", "it ends where more is expected"),
        ("n)", "there is no ( for this ) at line 1, column 2"),
        ("n == ')' || n)", "there is no ( for this ) at line 1, column 14"),
        ("n\n  )", "there is no ( for this ) at line 2, column 3"),
        ("n m", "Unexpected identifier 'm' at line 1, column 3"),
        ("é ==== n", "unexpected token in expression: '=' at line 1, column 6"),
        ("n +\n 1 2", "Unexpected number at line 2, column 4"),
        ("'abc", "unexpected end of string at line 1, column 1"),
    ],
)
def test_what_is_wrong_with_an_expression_is_told_as_it_was_written(
    expression: str, told: str
) -> None:
    for begun in (check, lambda text, path: substitute(text, SCOPE, path)):
        with pytest.raises(ScriptError) as refused:
            begun("${" + expression + "}", "here")
        assert refused.value.message.endswith(f": SyntaxError: {told}")


def test_a_filled_in_text_has_a_limit() -> None:
    scope = Scope(vars={"x": "y" * 1000})
    assert len(substitute("${x}" * 60, scope)) == 60_000
    with pytest.raises(ScriptError, match="longer than 65536"):
        substitute("${x}" * 70, scope)


def test_a_variable_is_told_from_a_text_with_variables() -> None:
    assert is_variable("${a}")
    assert is_variable("%{a}")
    assert not is_variable("x${a}")
    assert has_variable("x${a}")
    assert not has_variable("x${a")


@pytest.mark.parametrize("text", ["${" * 500_000, "${a}" * 16_000, "$%{" * 300_000, "}" * 10**6])
def test_long_texts_take_linear_time(text: str) -> None:
    started = time.process_time()
    substitute(text, SCOPE)
    assert time.process_time() - started < 0.5


def test_any_text_is_filled_in_or_refused() -> None:
    random_ = random.Random(9)
    filled = 0
    for _ in range(5_000):
        text = "".join(random_.choice("${}%.[]0an call") for _ in range(random_.randrange(30)))
        try:
            substitute(text, SCOPE)
        except ScriptError:
            continue
        filled += 1
    assert filled > 100


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 1", 2),
        ("n + f", 7.5),
        ("(list.length)", 2),
        ("n > 4 ? 'many' : 'few'", "many"),
        ("vars.n + params.p", 6),
        ("call.from.slice(4)", "a@x"),
        ("map['a'].b", "deep"),
        ("[1, 2].concat(list)", [1, 2, 1, [2, 3]]),
        ("({a: n})", {"a": 5}),
        ("'}' + n", "}5"),
        ("`${n}!`", "5!"),
        ("true", True),
        ("null", ""),
        ("undefined", ""),
        ("10 / 4", 2.5),
        ("0 / 0", "NaN"),
        ("both", "from vars"),
        ("type + call.type", "from envssip"),
        ("yes && !none", True),
        ("typeof process + typeof require + typeof os + typeof std", "undefined" * 4),
    ],
)
def test_an_expression_is_javascript(expression: str, value: Any) -> None:
    assert substitute("${" + expression + "}", SCOPE) == value
    assert substitute("%{" + expression + "}", SCOPE) == value


def test_an_expression_changes_nothing() -> None:
    scope = Scope(vars={"n": 1, "list": [1]})
    assert substitute("${vars.n = 5}", scope) == 5
    assert substitute("${list.push(2)}", scope) == 2
    assert substitute("${n} ${list}", scope) == "1 [1]"
    assert substitute("${(list.length)}", scope) == 1


def test_what_takes_too_long_is_ended_and_leaves_the_next_one_alone() -> None:
    scope = Scope(vars={"n": 1})
    began = time.process_time()
    with pytest.raises(ScriptError, match="interrupted"):
        substitute("${[].constructor.constructor('while(1);')()}", scope)
    assert time.process_time() - began < 2
    assert substitute("${n + 1}", scope) == 2
