"""Stepping through documents: what is to be done next, and what came of it.

The owner asks `next()`, carries the action out, says so with `complete()`, and asks again until
the action is `Finished`. Methods of control, which do nothing to the call, are carried out here.
A step that cannot be carried out raises ScriptError from `next()`; the script is over then, and
its code is in the variable `script_error`.

Where the document has expressions in it, `next()` may take up to 150 ms of CPU time each: the owner
then calls it in the one thread it keeps for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .actions import Action, FetchDocument, Finished, Hangup
from .document import Document, Step
from .errors import Code, ScriptError
from .expression import Scope
from .javascript import Engine
from .limits import MAX_QUIET_STEPS
from .machine import RETURN_VALUE, Machine
from .methods.method import Method
from .methods.registry import METHODS


@dataclass(frozen=True, slots=True)
class _Carrying:
    """A step whose action is being carried out."""

    method: Method
    values: Mapping[str, Any]
    step: Step


class Interpreter:
    """Runs the `main` section of a document for one call, and wherever it leads."""

    def __init__(
        self,
        document: Document,
        call: Mapping[str, Any],
        envs: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        engine: Engine | None = None,
    ) -> None:
        """`call`, `envs` and `params` are the roots of variable paths; they are not changed.

        `engine` evaluates expressions; None: that is done in the thread that asks for `next`.
        """
        self._machine = Machine(document, call, envs or {}, params or {}, engine)
        self._pending: Action | None = None
        self._carrying: _Carrying | None = None
        self._completed: _Carrying | None = None

    @property
    def variables(self) -> Mapping[str, Any]:
        """The script's variables (`vars`) as they are now."""
        return MappingProxyType(self._machine.variables)

    @property
    def scope(self) -> Scope:
        """What variables are looked up in now."""
        return self._machine.scope

    @property
    def scripted(self) -> bool:
        """Whether `next` may have to evaluate JavaScript."""
        return self._machine.scripted

    @property
    def step(self) -> Step | None:
        """The step that is being carried out or comes next; None after the last."""
        return self._machine.step

    def next(self) -> Action:
        """Return the next action; raises ScriptError if its parameters turn out wrong."""
        assert self._pending is None, "complete() the last action first"
        try:
            self._pending = self._advance()
        except ScriptError as error:
            self._fail(error)
            raise
        return self._pending or Finished()

    def complete(self, variables: Mapping[str, Any] | None = None) -> None:
        """Say that the last action was carried out and which variables it set."""
        assert self._pending is not None, "there is no action to complete"
        machine, carrying = self._machine, self._carrying
        machine.variables.update(variables or {})
        pending, self._pending = self._pending, None
        if isinstance(pending, Hangup):
            machine.stop()
        elif carrying is not None:
            outcome = carrying.method.outcome
            if outcome is not None and outcome in machine.variables:
                machine.variables[RETURN_VALUE] = machine.variables[outcome]
            if carrying.method.after is None:
                machine.advance()
            else:
                # It may take JavaScript, and so is left to next().
                self._completed = carrying

    def arrived(self, document: Document) -> None:
        """Say that the document of a `FetchDocument` is there, and go on with it."""
        pending = self._pending
        assert isinstance(pending, FetchDocument)
        self._pending = None
        try:
            pending.arrived(document)
        except ScriptError as error:
            self._fail(error)
            raise

    def _advance(self) -> Action | None:
        """Carry out methods of control up to the next action; None when there is none."""
        machine = self._machine
        self._carrying = None
        completed, self._completed = self._completed, None
        if completed is not None:
            assert completed.method.after is not None
            action = completed.method.after(completed.values, completed.step, machine)
            if action is not None:
                return action
        for _ in range(MAX_QUIET_STEPS):
            step = machine.settle()
            if step is None:
                return None
            method = METHODS[step.method]
            if not method.carried_out:
                message = f"the method {step.method} is not carried out by this server"
                raise ScriptError(Code.METHOD_EXECUTE_FAILED, step.path, message)
            values = method.values(step, machine.scope, allow_files=machine.document.allow_files)
            if method.build is not None:
                self._carrying = _Carrying(method, values, step)
                return method.build(values)
            assert method.control is not None
            action = method.control(values, step, machine)
            if action is not None:
                return action
        message = f"went {MAX_QUIET_STEPS} steps without doing anything to the call"
        raise ScriptError(Code.METHOD_EXECUTE_FAILED, step.path if step else "", message)

    def _fail(self, error: ScriptError) -> None:
        self._machine.variables["script_error"] = str(error.code)
        self._machine.stop()
