"""Stepping through a document: what is to be done next, and what came of it.

The owner asks `next()`, carries the action out, says so with `complete()`, and asks again until
the action is `Finished`. A step that cannot be carried out raises ScriptError from `next()`; the
script is over then, and its code is in the variable `script_error`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .actions import Action, Finished, Hangup
from .document import MAIN, Document, Step
from .errors import ScriptError
from .expression import Scope
from .methods.registry import METHODS


class Interpreter:
    """Runs the `main` section of one document for one call."""

    def __init__(
        self,
        document: Document,
        call: Mapping[str, Any],
        envs: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        """`call`, `envs` and `params` are the roots of variable paths; they are not changed."""
        self._document = document
        self._steps = document.sections[MAIN]
        self._variables: dict[str, Any] = {}
        self._scope = Scope(call, self._variables, envs or {}, params or {})
        self._position = 0
        self._pending: Action | None = None

    @property
    def variables(self) -> Mapping[str, Any]:
        """The script's variables (`vars`) as they are now."""
        return MappingProxyType(self._variables)

    @property
    def step(self) -> Step | None:
        """The step that is being carried out or comes next; None after the last."""
        return self._steps[self._position] if self._position < len(self._steps) else None

    def next(self) -> Action:
        """Return the next action; raises ScriptError if its parameters turn out wrong."""
        assert self._pending is None, "complete() the last action first"
        step = self.step
        if step is None:
            return Finished()
        try:
            self._pending = METHODS[step.method].action(
                step.params, step.path, self._scope, allow_files=self._document.allow_files
            )
        except ScriptError as error:
            self._variables["script_error"] = str(error.code)
            self._position = len(self._steps)
            raise
        return self._pending

    def complete(self, variables: Mapping[str, Any] | None = None) -> None:
        """Say that the last action was carried out and which variables it set."""
        assert self._pending is not None, "there is no action to complete"
        self._variables.update(variables or {})
        over = isinstance(self._pending, Hangup)
        self._position = len(self._steps) if over else self._position + 1
        self._pending = None
