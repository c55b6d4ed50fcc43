"""The process that evaluates expressions: what cannot be interrupted is ended with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from mediaserver.calls.script_process import ScriptProcess
from mediaserver.calls.script_thread import ScriptThread
from mediaserver.swml.document import load
from mediaserver.swml.errors import ScriptError
from mediaserver.swml.interpreter import Interpreter
from mediaserver.swml.javascript import EngineFault

ROOTS: dict[str, Any] = {
    "vars": {"a": 1, "text": "\u00fc \u2028"},
    "params": {},
    "envs": {"a": 2, "b": 3},
    "call": {"from": "sip:a@x"},
}

ENDLESS = [
    "'a'.repeat(4e6).indexOf('a'.repeat(2e6) + 'b')",
    "[].sort.call({length: 1e9})",
]
"""The engine does not look at the clock in these."""


@pytest.fixture(scope="module")
def shared() -> Iterator[ScriptProcess]:
    process = ScriptProcess()
    yield process
    process.close()


@pytest.fixture
def engine(shared: ScriptProcess) -> ScriptProcess:
    shared.begin()
    return shared


def test_an_expression_has_its_value_and_leaves_nothing_behind(engine: ScriptProcess) -> None:
    assert engine.evaluate("[a + b, text, call.from, typeof left]", ROOTS) == [
        4, "\u00fc \u2028", "sip:a@x", "undefined"
    ]  # fmt: skip
    assert engine.evaluate("left = Array.prototype.left = 5", ROOTS) == 5
    assert engine.evaluate("typeof left + typeof [].left", ROOTS) == "undefinedundefined"
    assert engine.evaluate("undefined", ROOTS) is None


def test_a_fault_is_told_and_the_process_stays(engine: ScriptProcess) -> None:
    engine.evaluate("1", ROOTS)
    pid = engine.pid
    for expression, why in (("nothing", "not defined"), ("'x'.repeat(1 << 30)", "invalid string")):
        with pytest.raises(EngineFault, match=why):
            engine.evaluate(expression, ROOTS)
    assert engine.evaluate("a", ROOTS) == 1
    assert engine.pid == pid


@pytest.mark.parametrize("expression", ENDLESS)
def test_what_cannot_be_interrupted_is_ended_and_the_next_one_has_its_value(
    expression: str, engine: ScriptProcess
) -> None:
    engine.evaluate("1", ROOTS)
    pid = engine.pid
    with pytest.raises(EngineFault, match="interrupted"):
        engine.evaluate(expression, ROOTS)
    engine.begin()
    assert engine.evaluate("a", ROOTS) == 1
    assert engine.pid != pid


def test_a_script_that_takes_its_time_again_and_again_is_ended(engine: ScriptProcess) -> None:
    with pytest.raises(EngineFault):
        engine.evaluate(ENDLESS[0], ROOTS)
    with pytest.raises(EngineFault, match="in a row"):
        engine.evaluate("1", ROOTS)


def test_a_process_that_was_killed_is_replaced(engine: ScriptProcess) -> None:
    engine.evaluate("1", ROOTS)
    assert engine.pid is not None
    os.kill(engine.pid, 9)
    with pytest.raises(EngineFault):
        engine.evaluate("1", ROOTS)
    engine.begin()
    assert engine.evaluate("1", ROOTS) == 1


async def test_scripts_are_stepped_through_with_the_process() -> None:
    threads = ScriptThread()
    try:
        text = "sections: {main: [{cond: [{when: 'a == 1', then: [{sleep: 5}]}]}]}"
        run = Interpreter(load(text), {}, {"a": 1}, engine=threads.engine)
        assert getattr(await threads.run(run.next), "seconds", None) == 0.005
        bad = load("sections: {main: [{sleep: '${" + ENDLESS[1] + "}'}]}")
        with pytest.raises(ScriptError, match="interrupted"):
            await threads.run(Interpreter(bad, {}, engine=threads.engine).next)
    finally:
        threads.close()
