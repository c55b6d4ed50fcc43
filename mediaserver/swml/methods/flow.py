"""`cond`, `switch`, `goto`, `label`, `execute`, `return`, `transfer` (contract A8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..actions import Action, FetchDocument
from ..document_source import inline_document, is_url
from ..errors import Code, ScriptError, item, member, quoted
from ..expression import as_text, read_path
from ..javascript import check_syntax
from ..source import web_url
from .kinds import DEFERRED, Anything, Place, Text, Whole
from .method import Method, Parameter, suggestion

if TYPE_CHECKING:
    from ..document import Document, Step
    from ..machine import Machine

MAX_JUMPS: Final = 100


class JavaScriptText:
    """An expression as it is, without braces."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the expression."""
        if not isinstance(value, str):
            raise place.refuse("must be a JavaScript expression, in quotes")
        if place.scope is None:
            check_syntax(value, place.path)
        return value


class Label:
    """A name of a place."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the name."""
        if not isinstance(value, str) or not value or len(value) > 256:
            raise place.refuse("must be a text of 1 to 256 characters")
        return value


class Branches:
    """The branches of `cond`: maps of `when` and `then`, and at most one of `else`, the last."""

    def read(self, value: Any, place: Place) -> Any:
        """Return (expression or None, index of its block) of each."""
        if not isinstance(value, list) or not value:
            raise place.refuse("must be a list of when and then")
        found: list[tuple[str | None, int]] = []
        for index, branch in enumerate(value):
            path = item(place.path, index)
            keys = set(branch) if isinstance(branch, dict) else set()
            if keys == {"else"} and index == len(value) - 1:
                found.append((None, index))
            elif keys == {"when", "then"}:
                inner = Place(member(path, "when"), place.allow_files, place.scope)
                found.append((JavaScriptText().read(branch["when"], inner), index))
            else:
                message = "must have when and then, or as the last one else"
                raise ScriptError(Code.METHOD_PARAMETER_INVALID_VALUE, path, message)
        return tuple(found)


class Cases:
    """The branches of `switch`: a map of steps."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the values, in the order of their blocks."""
        if not isinstance(value, dict):
            raise place.refuse("must be a map of values, each with a list of steps")
        return tuple(value)


class Blocks:
    """A list of steps, which is read with the document."""

    def read(self, value: Any, place: Place) -> Any:
        """Return whether there are any."""
        if not isinstance(value, list):
            raise place.refuse("must be a list of steps")
        return True


class Result:
    """What `execute` does when it has come back: a `switch`, or the branches of a `cond`."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the values of the one or the other."""
        if isinstance(value, list):
            return Branches().read(value, place)
        if not isinstance(value, dict) or not set(value) <= {"variable", "case", "default"}:
            raise place.refuse("must be a switch (variable, case, default) or a list of when, then")
        inner = Place(member(place.path, "case"), place.allow_files, place.scope)
        Cases().read(value.get("case", {}), inner)
        return value


class Destination:
    """A section, an http(s) URL, or a document in JSON."""

    def read(self, value: Any, place: Place) -> Any:
        """Return it as a text."""
        given = Text().read(value, place)
        if given is not DEFERRED and not given.strip():
            raise place.refuse("must be a section, a URL, or a document in JSON")
        return given


def _cond_blocks(params: Any, path: str) -> Iterator[tuple[str, Any]]:
    for index, branch in enumerate(params):
        key = "else" if "else" in branch else "then"
        yield member(item(path, index), key), branch[key]


def _switch_blocks(params: Any, path: str) -> Iterator[tuple[str, Any]]:
    where = member(path, "case")
    for name, steps in params.get("case", {}).items():
        yield member(where, name), steps
    if params.get("default") is not None:
        yield member(path, "default"), params["default"]


def _execute_blocks(params: Any, path: str) -> Iterator[tuple[str, Any]]:
    if params.get("on_return") is not None:
        yield member(path, "on_return"), params["on_return"]
    result = params.get("result")
    if isinstance(result, list):
        yield from _cond_blocks(result, member(path, "result"))
    elif isinstance(result, dict):
        yield from _switch_blocks(result, member(path, "result"))


def _cond(values: Mapping[str, Any], step: Step, machine: Machine) -> None:
    machine.advance()
    _choose(values["branches"], step.blocks, machine, step.path)


def _choose(
    branches: tuple[tuple[str | None, int], ...], blocks: Any, machine: Machine, path: str
) -> None:
    for when, index in branches:
        if when is None or _true(machine.scope.javascript.evaluate(when, machine.scope, path)):
            machine.enter(blocks[index])
            return


def _true(value: Any) -> bool:
    """Return what JavaScript takes for true: anything but 0, NaN, an empty text and nothing."""
    return isinstance(value, dict | list) or (bool(value) and value != "NaN")


def _switch(values: Mapping[str, Any], step: Step, machine: Machine) -> None:
    machine.advance()
    _pick(values, step.blocks, machine, step.path)


def _pick(values: Mapping[str, Any], blocks: Any, machine: Machine, path: str) -> None:
    name = values.get("variable") or "return_value"
    found = as_text(machine.scope.value(_path_of(name, path), path))
    cases = list(values.get("case") or ())
    if found in cases:
        machine.enter(blocks[cases.index(found)])
    elif values.get("default"):
        machine.enter(blocks[len(cases)])
    else:
        message = f"{name} is {quoted(found)}, for which there is no case and no default"
        raise ScriptError(Code.METHOD_NO_MATCHING_CONDITION, path, message)


def _path_of(name: str, path: str) -> Any:
    found = read_path(name, path)
    if found is None:
        message = f"{quoted(name)} is not the name of a variable"
        raise ScriptError(Code.METHOD_PARAMETER_INVALID_VALUE, member(path, "variable"), message)
    return found


def _goto(values: Mapping[str, Any], step: Step, machine: Machine) -> None:
    when = values["when"]
    machine.advance()
    if when is None or _true(
        machine.scope.javascript.evaluate(when, machine.scope, member(step.path, "when"))
    ):
        machine.jump(values["label"], step.path, values["max"])


def _label(_values: Mapping[str, Any], _step: Step, machine: Machine) -> None:
    machine.advance()


def _execute(values: Mapping[str, Any], step: Step, machine: Machine) -> Action | None:
    machine.advance()

    def come_back() -> None:
        blocks = step.blocks[1:] if values["on_return"] else step.blocks
        result = values["result"]
        # What is entered last is gone through first.
        if isinstance(result, tuple):
            _choose(result, blocks, machine, step.path)
        elif result is not None:
            _pick(result, blocks, machine, step.path)
        if values["on_return"]:
            machine.enter(step.blocks[0])

    def go(document: Document, section: str) -> None:
        machine.execute(document, section, values["params"], step.path, come_back)

    return _go_to(values, step, machine, go)


def _transfer(values: Mapping[str, Any], step: Step, machine: Machine) -> Action | None:
    def go(document: Document, section: str) -> None:
        machine.transfer(document, section, values["params"], step.path)

    return _go_to(values, step, machine, go)


def _go_to(
    values: Mapping[str, Any], step: Step, machine: Machine, go: Callable[[Document, str], None]
) -> Action | None:
    """Go where `dest` says, at once or when its document has been fetched."""
    dest = values["dest"].strip()
    if is_url(dest):
        url = web_url(dest)
        if url is None:
            raise ScriptError(
                Code.METHOD_PARAMETER_INVALID_VALUE,
                member(step.path, "dest"),
                "must be an http(s) URL, a section, or a document in JSON",
            )
        return FetchDocument(
            url=url, params=values["params"], path=step.path,
            arrived=lambda document: go(document, "main"),
        )  # fmt: skip
    if dest.startswith("{"):
        go(inline_document(dest, allow_files=machine.document.allow_files), "main")
        return None
    if dest not in machine.document.sections:
        names = list(machine.document.sections)
        message = f"there is no section {quoted(dest)}{suggestion(dest, names)}"
        path = member(step.path, "dest")
        raise ScriptError(Code.METHOD_PARAMETER_INVALID_VALUE, path, message)
    go(machine.document, dest)
    return None


def _return(values: Mapping[str, Any], _step: Step, machine: Machine) -> None:
    machine.advance()
    machine.leave(values["value"])


PARAMS: Final = (
    Parameter("params", Anything(dict), default={}),
    Parameter("meta", Anything(dict), default={}),
)

COND: Final = Method(
    name="cond",
    parameters=(Parameter("branches", Branches(), required=True),),
    whole="branches",
    nested=_cond_blocks,
    control=_cond,
)
SWITCH: Final = Method(
    name="switch",
    parameters=(
        Parameter("variable", Text(), required=True),
        Parameter("case", Cases(), required=True),
        Parameter("default", Blocks()),
    ),
    nested=_switch_blocks,
    control=_switch,
)
GOTO: Final = Method(
    name="goto",
    parameters=(
        Parameter("label", Label(), required=True),
        Parameter("when", JavaScriptText()),
        Parameter("max", Whole(minimum=1, maximum=MAX_JUMPS), default=MAX_JUMPS),
    ),
    control=_goto,
)
LABEL: Final = Method(
    name="label",
    parameters=(Parameter("label", Label(), required=True),),
    whole="label",
    control=_label,
)
EXECUTE: Final = Method(
    name="execute",
    parameters=(
        Parameter("dest", Destination(), required=True),
        *PARAMS,
        Parameter("on_return", Blocks()),
        Parameter("result", Result()),
    ),
    nested=_execute_blocks,
    control=_execute,
)
TRANSFER: Final = Method(
    name="transfer",
    parameters=(Parameter("dest", Destination(), required=True), *PARAMS),
    control=_transfer,
)
RETURN: Final = Method(
    name="return",
    parameters=(Parameter("value", Anything()),),
    whole="value",
    control=_return,
)
