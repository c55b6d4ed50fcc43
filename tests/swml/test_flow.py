"""Branches, jumps, subroutines and variables: the methods that move the script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from mediaserver.swml.actions import FetchDocument, Finished, Hangup, Sleep
from mediaserver.swml.document import load
from mediaserver.swml.errors import ScriptError
from mediaserver.swml.interpreter import Interpreter
from mediaserver.swml.javascript import evaluate

INVALID = "method_parameter_invalid_value"
MISSING = "method_parameter_missing"
NO_METHOD = "method_undefined"


def script(main: list[Any], **sections: list[Any]) -> bytes:
    return json.dumps({"sections": {"main": main, **sections}}).encode()


def run(main: list[Any], **sections: list[Any]) -> Interpreter:
    return Interpreter(
        load(script(main, **sections)), {"type": "sip", "from": "sip:a@x"}, {"e": "1"}
    )


def slept(interpreter: Interpreter, most: int = 1000) -> list[int]:
    """Go through a script that only sleeps; return how long each time, milliseconds."""
    found: list[int] = []
    for _ in range(most):
        action = interpreter.next()
        if isinstance(action, Finished):
            return found
        assert isinstance(action, Sleep)
        assert action.seconds is not None
        found.append(round(action.seconds * 1000))
        interpreter.complete()
    raise AssertionError("it does not end")


def fault(main: list[Any], **sections: list[Any]) -> tuple[str, str]:
    with pytest.raises(ScriptError) as refused:
        slept(run(main, **sections))
    return refused.value.code.removeprefix("relay_script_"), refused.value.path


def loaded_fault(main: list[Any], **sections: list[Any]) -> tuple[str, str]:
    with pytest.raises(ScriptError) as refused:
        load(script(main, **sections))
    return refused.value.code.removeprefix("relay_script_"), refused.value.path


# Variables.


def test_variables_are_set_with_what_others_hold_and_unset() -> None:
    script = run(
        [
            {"set": {"a": 5, "b": {"c": ["${call.type}", "${e}"]}, "vars.d": "x"}},
            {"set": {"f": "${a + 1}", "g": "${b.c[0]}"}},
            {"unset": ["d", "vars.g"]},
            {"unset": "nothing"},
        ]
    )
    assert script.next() == Finished()
    assert dict(script.variables) == {"a": 5, "b": {"c": ["sip", "1"]}, "f": 6}


@pytest.mark.parametrize("name", ["", "a b", "call", "vars", "5", "a.b", "a" * 200])
def test_a_variable_has_a_plain_name(name: str) -> None:
    assert loaded_fault([{"set": {name: 1}}])[0] == INVALID


def test_variables_have_a_number() -> None:
    many = {f"v{n}": n for n in range(1001)}
    assert fault([{"set": many}]) == ("method_execute_failed", "sections.main[0].set")


# Branches.


@pytest.mark.parametrize(("n", "expected"), [(5, [1, 9]), (50, [2, 9]), (500, [3, 9])])
def test_cond_takes_the_first_branch_that_holds(n: int, expected: list[int]) -> None:
    branches = [
        {"when": "n < 10", "then": [{"sleep": 1}]},
        {"when": "n < 100", "then": [{"sleep": 2}]},
        {"else": [{"sleep": 3}]},
    ]
    assert slept(run([{"set": {"n": n}}, {"cond": branches}, {"sleep": 9}])) == expected


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("0", False), ("''", False), ("null", False), ("undefined", False), ("0/0", False),
        ("[]", True), ("({})", True), ("'0'", True), ("-1", True), ("true", True),
        ("call.from == 'sip:a@x'", True), ("e === '1'", True), ("params.x === undefined", True),
    ],
)  # fmt: skip
def test_what_holds_is_what_javascript_takes_for_true(when: str, holds: bool) -> None:
    script = run([{"cond": [{"when": when, "then": [{"sleep": 1}]}]}])
    assert slept(script) == [1] * holds


@pytest.mark.parametrize(("value", "expected"), [("a", [1]), ("5", [2]), (5, [2]), ("z", [3])])
def test_switch_takes_the_case_of_a_variable(value: Any, expected: list[int]) -> None:
    switch = {
        "variable": "v",
        "case": {"a": [{"sleep": 1}], "5": [{"sleep": 2}]},
        "default": [{"sleep": 3}],
    }
    assert slept(run([{"set": {"v": value}}, {"switch": switch}])) == expected


def test_switch_without_a_case_or_a_default_is_an_error() -> None:
    switch = {"variable": "call.type", "case": {"phone": [{"sleep": 1}]}}
    found = fault([{"switch": switch}])
    assert found == ("method_no_matching_condition", "sections.main[0].switch")


# Jumps.


def test_goto_goes_on_behind_its_label_for_as_long_as_it_holds() -> None:
    script = run(
        [
            {"set": {"n": 0}},
            {"label": "again"},
            {"sleep": 7},
            {"set": {"n": "${n + 1}"}},
            {"goto": {"label": "again", "when": "n < 3"}},
            {"sleep": 9},
        ]
    )
    assert slept(script) == [7, 7, 7, 9]


@pytest.mark.parametrize(("most", "times"), [(1, 2), (5, 6), (None, 101)])
def test_goto_jumps_so_often_and_then_goes_on(most: int | None, times: int) -> None:
    goto: dict[str, Any] = {"label": "again"} | ({"max": most} if most else {})
    assert slept(run([{"label": "again"}, {"sleep": 1}, {"goto": goto}])) == [1] * times


def test_goto_leaves_a_block_for_a_label_of_its_section() -> None:
    script = run(
        [
            {"set": {"n": 0}},
            {"label": "top"},
            {"set": {"n": "${n + 1}"}},
            {"cond": [{"when": "n < 3", "then": [{"sleep": 1}, {"goto": {"label": "top"}}]}]},
            {"sleep": 9},
        ]
    )
    assert slept(script) == [1, 1, 9]


def test_goto_does_not_leave_its_section() -> None:
    found = fault(
        [{"label": "top"}, {"execute": {"dest": "sub"}}], sub=[{"goto": {"label": "top"}}]
    )
    assert found == (INVALID, "sections.sub[0].goto")


def test_jumps_alone_do_not_go_on_for_ever() -> None:
    def loop(*within: Any) -> list[Any]:
        return [{"label": "a"}, *within, {"goto": {"label": "a"}}]

    found = fault(loop({"execute": {"dest": "b"}}), b=loop({"execute": {"dest": "c"}}), c=loop())
    assert found[0] == "method_execute_failed"


# Subroutines.


def test_execute_comes_back_with_a_value_and_its_own_parameters() -> None:
    script = run(
        [
            {"execute": {"dest": "double", "params": {"n": "${20 + 1}"}}},
            {"sleep": "${return_value}"},
            {"cond": [{"when": "params.n === undefined", "then": [{"sleep": 1}]}]},
        ],
        double=[{"set": {"x": 3}}, {"return": "${params.n * 2}"}, {"sleep": 1000}],
    )
    assert slept(script) == [42, 1]
    assert script.variables["x"] == 3


def test_a_section_that_ends_comes_back_too() -> None:
    script = run([{"execute": {"dest": "sub"}}, {"sleep": 9}], sub=[{"sleep": 1}])
    assert slept(script) == [1, 9]


def test_what_is_to_follow_a_return_follows_it() -> None:
    script = run(
        [
            {
                "execute": {
                    "dest": "sub",
                    "on_return": [{"sleep": 1}],
                    "result": {"case": {"yes": [{"sleep": 2}]}, "default": [{"sleep": 3}]},
                }
            },
            {"sleep": 9},
        ],
        sub=[{"return": "yes"}],
    )
    assert slept(script) == [1, 2, 9]


def test_a_result_may_be_conditions() -> None:
    result = [
        {"when": "return_value.n > 1", "then": [{"sleep": 2}]},
        {"else": [{"sleep": 3}]},
    ]
    script = run([{"execute": {"dest": "sub", "result": result}}], sub=[{"return": {"n": 2}}])
    assert slept(script) == [2]


def test_return_at_the_top_ends_the_script() -> None:
    script = run([{"return": 5}, {"sleep": 1}])
    assert slept(script) == []
    assert script.variables["return_value"] == 5


def test_return_out_of_a_block_leaves_the_section() -> None:
    script = run(
        [{"execute": {"dest": "sub"}}, {"sleep": 9}],
        sub=[{"cond": [{"when": "true", "then": [{"return": 1}]}]}, {"sleep": 1}],
    )
    assert slept(script) == [9]


def test_sections_within_one_another_have_a_depth() -> None:
    assert fault([{"execute": {"dest": "main"}}])[0] == "nested_too_deep"


# Other documents.


def test_transfer_never_comes_back_and_keeps_the_variables() -> None:
    script = run(
        [{"set": {"a": 1}}, {"transfer": {"dest": "sub", "params": {"p": 2}}}, {"sleep": 1000}],
        sub=[{"sleep": "${a + params.p}"}],
    )
    assert slept(script) == [3]


def test_a_script_that_transfers_to_itself_is_ended() -> None:
    assert fault([{"transfer": {"dest": "main"}}])[0] == "too_many_transfers"


def test_a_document_in_json_is_executed() -> None:
    inner = json.dumps({"sections": {"main": [{"sleep": 5}, {"return": "done"}]}})
    script = run([{"execute": {"dest": inner}}, {"sleep": 9}])
    assert slept(script) == [5, 9]
    assert script.variables["return_value"] == "done"


@pytest.mark.parametrize("method", ["execute", "transfer"])
def test_a_document_at_a_url_is_asked_for(method: str) -> None:
    script = run([{method: {"dest": "https://app/x", "params": {"n": 1}}}, {"sleep": 9}])
    fetch = script.next()
    assert isinstance(fetch, FetchDocument)
    assert (fetch.url, fetch.params) == ("https://app/x", {"n": 1})
    script.arrived(load(b"sections: {main: [sleep: '${params.n + 4}']}"))
    assert slept(script) == [5, 9] if method == "execute" else [5]


def test_a_url_is_one_however_its_scheme_is_written() -> None:
    fetch = run([{"execute": {"dest": "HTTPS://app/X"}}]).next()
    assert isinstance(fetch, FetchDocument)
    assert fetch.url == "https://app/X"
    assert fault([{"execute": {"dest": "http://"}}])[1] == "sections.main[0].execute.dest"


def test_a_fetched_document_names_its_own_sections() -> None:
    script = run([{"execute": {"dest": "https://app/x"}}], sub=[{"sleep": 1000}])
    script.next()
    script.arrived(load(b"sections: {main: [execute: {dest: sub}], sub: [sleep: 5]}"))
    assert slept(script) == [5]


def test_a_destination_that_is_not_there_is_named() -> None:
    assert fault([{"execute": {"dest": "sbu"}}], sub=[{"sleep": 1}]) == (
        INVALID,
        "sections.main[0].execute.dest",
    )


def test_a_hang_up_in_a_section_ends_everything() -> None:
    script = run([{"execute": {"dest": "sub"}}, {"sleep": 9}], sub=[{"hangup": {}}])
    assert isinstance(script.next(), Hangup)
    script.complete()
    assert script.next() == Finished()


# What is wrong before it runs.


@pytest.mark.parametrize(
    ("step", "code", "path"),
    [
        ({"cond": {}}, INVALID, ".cond"),
        ({"cond": []}, INVALID, ".cond"),
        ({"cond": [{"when": "a"}]}, INVALID, ".cond[0]"),
        ({"cond": [{"else": []}, {"when": "a", "then": [], "else": []}]}, INVALID, ".cond[1]"),
        ({"cond": [{"when": "a +", "then": [{"sleep": 1}]}]}, "js_eval_error", ".cond[0].when"),
        ({"cond": [{"when": "a", "then": None}]}, INVALID, ".cond[0].then"),
        ({"cond": [{"when": "a", "then": [{"anser": {}}]}]}, NO_METHOD, ".cond[0].then[0].anser"),
        ({"switch": {"variable": "a"}}, MISSING, ".switch.case"),
        ({"switch": {"variable": "a", "case": {"x": [{"sleep": 0}]}}}, INVALID,
            ".switch.case.x[0].sleep"),
        ({"goto": {"label": "a", "max": 101}}, INVALID, ".goto.max"),
        ({"goto": {}}, MISSING, ".goto.label"),
        ({"label": 5}, INVALID, ".label"),
        ({"execute": {}}, MISSING, ".execute.dest"),
        ({"execute": {"dest": "a", "params": 5}}, INVALID, ".execute.params"),
        ({"execute": {"dest": "a", "on_return": [{"slep": 1}]}}, NO_METHOD,
            ".execute.on_return[0].slep"),
        ({"set": 5}, INVALID, ".set"),
        ({"unset": 5}, INVALID, ".unset"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_step_is_refused_with_its_place(step: Any, code: str, path: str) -> None:
    assert loaded_fault([step]) == (code, f"sections.main[0]{path}")


class Watched:
    """An engine that notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def evaluate(self, expression: str, roots: Mapping[str, Any]) -> Any:
        self.asked.append(expression)
        return evaluate(expression, roots)


def test_expressions_are_evaluated_by_next_and_nothing_else() -> None:
    engine = Watched()
    result = [{"when": "return_value == 5", "then": [{"sleep": 2}]}]
    main = [{"execute": {"dest": "other", "result": result}}]
    text = script(main, other=[{"connect": {"to": "1", "result": result}}])
    run = Interpreter(load(text), {}, engine=engine)
    run.next()
    run.complete({"connect_result": "5"})
    assert run.scripted
    assert getattr(run.step, "method", None) == "connect"
    assert engine.asked == []
    assert run.next() == Sleep(seconds=0.002)
    run.complete()
    assert run.scripted
    assert run.step is None
    assert engine.asked == ["return_value == 5"]
    assert run.next() == Sleep(seconds=0.002)
    assert engine.asked == ["return_value == 5"] * 2


def test_a_result_that_cannot_be_evaluated_ends_the_script_as_any_step_does() -> None:
    result = [{"when": "nothing.at.all", "then": []}]
    run = Interpreter(
        load(script([{"execute": {"dest": "other", "result": result}}], other=[{"sleep": 1}])), {}
    )
    run.next()
    run.complete()
    assert run.step is None
    with pytest.raises(ScriptError) as refused:
        run.next()
    assert refused.value.path == "sections.main[0].execute"
    assert run.variables["script_error"] == "relay_script_js_eval_error"
    assert run.next() == Finished()


def test_else_may_stand_with_a_condition_or_before_it() -> None:
    def steps(n: int, *branches: Any) -> list[int]:
        return slept(run([{"set": {"n": n}}, {"cond": list(branches)}]))

    both = {"when": "n == 1", "then": [{"sleep": 1}], "else": [{"sleep": 9}]}
    second = {"when": "n == 2", "then": [{"sleep": 2}]}
    assert [steps(n, both, second) for n in (1, 2, 3)] == [[1], [2], [9]]
    first = {"else": [{"sleep": 8}]}
    assert [steps(n, first, second) for n in (2, 3)] == [[2], [8]]


def test_a_branch_may_have_nothing_in_it() -> None:
    assert slept(run([{"cond": [{"when": "true", "then": []}]}, {"sleep": 1}])) == [1]
    switch = {"switch": {"variable": "e", "case": {}, "default": []}}
    assert slept(run([switch, {"sleep": 1}])) == [1]
