"""`cond`, `switch`, `goto`, `label`, `execute`, `return`, `transfer` (contract A8)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..actions import Action, FetchDocument
from ..document_source import inline_document, is_url
from ..errors import Code, ScriptError, member, quoted
from ..source import web_url
from .branches import (
    RESULT,
    Branches,
    JavaScriptText,
    Steps,
    choose,
    follow,
    holds,
    pick,
    selection,
)
from .kinds import DEFERRED, Anything, Place, Whole
from .method import Method, Parameter, suggestion
from .texts import Text

if TYPE_CHECKING:
    from ..document import Document, Step
    from ..machine import Machine

MAX_JUMPS: Final = 100

_SOMEBODY: Final = re.compile(r"sips?:|\+?[0-9]{3,}$")
"""What was meant to be called, not gone to."""


class Label:
    """A name of a place."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the name."""
        if not isinstance(value, str) or not value or len(value) > 256:
            raise place.refuse("must be a text of 1 to 256 characters")
        return value


class Destination:
    """A section, an http(s) URL, or a document in JSON."""

    def read(self, value: Any, place: Place) -> Any:
        """Return it as a text."""
        given = Text().read(value, place)
        if given is not DEFERRED and not given.strip():
            raise place.refuse("must be a section, a URL, or a document in JSON")
        return given


def _cond(values: Mapping[str, Any], step: Step, machine: Machine) -> None:
    machine.advance()
    choose(values["branches"], machine, step.path)


def _switch(values: Mapping[str, Any], step: Step, machine: Machine) -> None:
    machine.advance()
    pick(values, machine, step.path)


def _goto(values: Mapping[str, Any], step: Step, machine: Machine) -> None:
    when = values["when"]
    machine.advance()
    if when is None or holds(when, machine, member(step.path, "when")):
        machine.jump(values["label"], step.path, values["max"])


def _label(_values: Mapping[str, Any], _step: Step, machine: Machine) -> None:
    machine.advance()


def _execute(values: Mapping[str, Any], step: Step, machine: Machine) -> Action | None:
    machine.advance()

    def come_back() -> None:
        # What is entered last is gone through first.
        follow(values["result"], machine, step.path)
        machine.enter(values["on_return"])

    def go(document: Document, section: str) -> None:
        machine.execute(document, section, values["params"], step.path, come_back)

    return _go_to(values["dest"], "dest", values["params"], step, machine, go)


def _transfer(values: Mapping[str, Any], step: Step, machine: Machine) -> Action | None:
    return transfer_to(values["dest"], "dest", values["params"], step, machine)


def transfer_to(
    dest: str, parameter: str, params: Mapping[str, Any], step: Step, machine: Machine
) -> Action | None:
    """Go on where a parameter of a step says, and never come back."""

    def go(document: Document, section: str) -> None:
        machine.transfer(document, section, params, step.path)

    return _go_to(dest, parameter, params, step, machine, go)


def _go_to(
    dest: str,
    parameter: str,
    params: Mapping[str, Any],
    step: Step,
    machine: Machine,
    go: Callable[[Document, str], None],
) -> Action | None:
    """Go where `dest` says, at once or when its document has been fetched."""
    dest = dest.strip()
    path = member(step.path, parameter)
    if is_url(dest):
        url = web_url(dest)
        if url is None:
            message = "must be an http(s) URL, a section, or a document in JSON"
            raise ScriptError(Code.METHOD_PARAMETER_INVALID_VALUE, path, message)
        return FetchDocument(
            url=url, params=params, path=step.path,
            arrived=lambda document: go(document, "main"),
        )  # fmt: skip
    if dest.startswith("{"):
        go(inline_document(dest, allow_files=machine.document.allow_files), "main")
        return None
    if dest not in machine.document.sections:
        message = no_section(dest, list(machine.document.sections))
        raise ScriptError(Code.METHOD_PARAMETER_INVALID_VALUE, path, message)
    go(machine.document, dest)
    return None


def no_section(dest: str, names: list[str]) -> str:
    """Return the sentence for a destination that is none of the sections `names`."""
    hint = suggestion(dest, names)
    if _SOMEBODY.match(dest):
        hint = "; numbers and SIP addresses are called by connect"
    return f"there is no section {quoted(dest)}{hint}"


def _return(values: Mapping[str, Any], _step: Step, machine: Machine) -> None:
    machine.advance()
    machine.leave(values["value"])


PARAMS: Final = (
    Parameter("params", Anything(dict), default={}),
    Parameter("meta", Anything(dict), default={}, used=False),
)

COND: Final = Method(
    name="cond",
    parameters=(Parameter("branches", Branches(), required=True),),
    whole="branches",
    control=_cond,
)
SWITCH: Final = Method(
    name="switch",
    parameters=selection(variable_required=True),
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
        Parameter("on_return", Steps(), default=()),
        RESULT,
    ),
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
