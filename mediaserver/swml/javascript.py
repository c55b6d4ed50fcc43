"""Expressions in JavaScript, under limits, with nothing of the host in reach (contract A9).

An expression is one value: what `${...}` holds that is no path, and what `when` holds. It sees the
roots `vars`, `params`, `envs` and `call`, and by their bare names what is in `vars`, `envs` and
`call`, in this order. What it changes is forgotten; functions and loops are refused by name, and
what gets past that meets the limits on time and memory.

The engine (QuickJS) ends an expression in time wherever it looks at the clock, which is nearly
everywhere: some of its functions, given a list said to be endless, go on for ever. A server has
expressions evaluated where that can be ended from outside, by an `Engine` of its own.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

import quickjs

from .errors import Code, ScriptError, quoted
from .limits import MAX_EXPRESSION, MAX_TEXT

if TYPE_CHECKING:
    from .expression import Scope

SECONDS: Final = 0.15
"""Of one expression, in CPU time (contract A9)."""

MEMORY: Final = 16 << 20
"""Bytes of an expression and what it is given."""

STACK: Final = 256 << 10
"""Bytes of stack: an expression of `MAX_EXPRESSION` characters nests no deeper."""

MAX_REMEMBERED: Final = 1024
"""Expressions of which it is remembered whether they are any: a step in turn asks again."""

_EXACT: Final = 1 << 53
"""Numbers below this are exact integers in JavaScript."""

_TEXTS: Final = re.compile(
    r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`""", re.DOTALL
)
_REFUSED: Final = re.compile(
    r"=>|(?<![\w$.])(?:function|class|for|while|do|async|await|yield|import|eval|Function)(?![\w$])"
)

_PLACE: Final = re.compile(r" *at <input>:([0-9]{1,9}):([0-9]{1,9})")
_LINES_BEFORE: Final = 3
"""Lines before the expression in what is compiled: two of the function, one of ours."""


class EngineFault(Exception):
    """An expression has no value; the message says why."""


class Engine(Protocol):
    """Whatever evaluates expressions."""

    def evaluate(self, expression: str, roots: Mapping[str, Any]) -> Any:
        """Return the value of an expression as Python has it; EngineFault when it has none.

        `roots` are the names it sees: `vars`, `params`, `envs`, `call`, all of them maps.
        """


class JavaScript:
    """The expressions of one call."""

    def __init__(self, engine: Engine | None = None) -> None:
        """Without an `engine` they are evaluated here."""
        self._engine = engine or _Here()

    def evaluate(self, expression: str, scope: Scope, path: str) -> Any:
        """Return the value of an expression as Python has it, None for `undefined` and `null`.

        ScriptError with `path` when it is none, or takes too long or too much.
        """
        check(expression, path)
        roots = {
            "vars": scope.vars, "params": scope.params, "envs": scope.envs, "call": scope.call,
        }  # fmt: skip
        try:
            return self._engine.evaluate(expression, roots)
        except EngineFault as fault:
            why = str(fault)
            if why.startswith("SyntaxError"):
                why = _syntax_error(expression) or why
            raise _failed(expression, path, why) from None


class _Here:
    """Evaluates expressions in this thread."""

    def evaluate(self, expression: str, roots: Mapping[str, Any]) -> Any:
        return evaluate(expression, roots)


def evaluate(expression: str, roots: Mapping[str, Any]) -> Any:
    """Return the value of an expression, in a context of its own; see `Engine.evaluate`."""
    context = _context()
    try:
        for name, value in roots.items():
            context.set(name, context.parse_json(json.dumps(dict(value), default=str)))
        bare = {**roots["call"], **roots["envs"], **roots["vars"]}
        context.set("__bare", context.parse_json(json.dumps(bare, default=str)))
        return _plain(context.eval(f"with(__bare){{({expression}\n)}}"))
    except quickjs.JSException as error:
        raise EngineFault(str(error).partition("\n")[0]) from None


def check(expression: str, path: str) -> None:
    """Raise ScriptError for what no expression may be, whatever its variables."""
    if len(expression) > MAX_EXPRESSION:
        message = f"an expression is longer than {MAX_EXPRESSION} characters"
        raise ScriptError(Code.JS_EVAL_ERROR, path, message)
    if not expression.strip():
        raise ScriptError(Code.JS_EVAL_ERROR, path, "there is no expression between the braces")
    found = _REFUSED.search(_TEXTS.sub("''", expression))
    if found:
        raise _failed(expression, path, f"{found[0]} is not allowed here")


def check_syntax(expression: str, path: str) -> None:
    """Raise ScriptError for what no JavaScript can be made of."""
    check(expression, path)
    wrong = _syntax_error(expression)
    if wrong is not None:
        raise _failed(expression, path, wrong)


@lru_cache(MAX_REMEMBERED)
def _syntax_error(expression: str) -> str | None:
    context = _context()
    try:
        # The expression has lines of its own, so that columns are those of whoever wrote it.
        context.set("__text", f"with(Object){{return (\n{expression}\n)}}")
        context.eval("new Function(__text); 0")
    except quickjs.JSException as error:
        return _placed(expression, str(error))
    return None


def _placed(expression: str, told: str) -> str:
    """Return what the engine told of an expression in parentheses, as if there were none."""
    what, _, stack = told.partition("\n")
    found = _PLACE.match(stack)
    if found is None:  # as where the stack was full
        return what
    lines = expression.split("\n")
    line, octets = max(1, int(found[1]) - _LINES_BEFORE), int(found[2]) - 1
    if line <= len(lines):
        before = lines[line - 1].encode("utf-8", "replace")[:octets].decode("utf-8", "ignore")
        return f"{what} at line {line}, column {len(before) + 1}"
    stray = _stray(expression)
    if stray is None:
        return "SyntaxError: it ends where more is expected"
    before = expression[:stray]
    line, column = before.count("\n") + 1, stray - before.rfind("\n")
    return f"SyntaxError: there is no ( for this ) at line {line}, column {column}"


def _stray(expression: str) -> int | None:
    """Return where the first parenthesis is closed that was not opened: ours would have been."""
    depth = 0
    for found in re.finditer(r"[()]", _TEXTS.sub(lambda text: "_" * len(text[0]), expression)):
        depth += 1 if found[0] == "(" else -1
        if depth < 0:
            return found.start()
    return None


def _context() -> quickjs.Context:
    context = quickjs.Context()
    context.set_memory_limit(MEMORY)
    context.set_time_limit(SECONDS)
    context.set_max_stack_size(STACK)
    return context


def _plain(value: Any) -> Any:
    """Return what came out as maps, lists and scalars."""
    if isinstance(value, quickjs.Object):
        text = value.json()
        if text is None:
            raise EngineFault("its value is no data")
        if len(text) > MAX_TEXT:
            raise EngineFault(f"its value is longer than {MAX_TEXT} characters")
        return json.loads(text)
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise EngineFault(f"its value is longer than {MAX_TEXT} characters")
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)  # JavaScript knows no difference
    return value


def _failed(expression: str, path: str, why: str) -> ScriptError:
    clean = ascii(why)[1:-1][:200]
    return ScriptError(Code.JS_EVAL_ERROR, path, f"the expression {quoted(expression)}: {clean}")
