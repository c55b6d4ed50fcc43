"""What a script that runs consists of: frames, and the moves that methods of control make.

A frame is a list of steps and the place in it. `cond` and `switch` enter a *block*, which belongs
to the section around it: labels are sought in the whole section, from the inside out. `execute`
begins a section of its own, with parameters of its own, to which `return` comes back; `transfer`
leaves everything behind but the variables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .document import MAIN, Document, Step
from .errors import Code, ScriptError, quoted
from .expression import Scope
from .javascript import Engine, JavaScript
from .limits import MAX_FRAMES, MAX_TRANSFERS

Steps = tuple[Step, ...]

RETURN_VALUE: Final = "return_value"


@dataclass(slots=True)
class Frame:
    """Steps that are being gone through."""

    document: Document
    steps: Steps
    position: int = 0
    params: Mapping[str, Any] | None = None
    """Of a section: what `params` is in it. None: a block."""
    on_return: Callable[[], None] | None = None
    """Called when a section has come back to whoever executed it."""
    jumps: Counter[str] = field(default_factory=Counter)
    """How often each `goto` of a section has jumped."""

    @property
    def is_section(self) -> bool:
        """Whether it is no block."""
        return self.params is not None


class Machine:
    """The state of one script."""

    def __init__(
        self,
        document: Document,
        call: Mapping[str, Any],
        envs: Mapping[str, Any],
        params: Mapping[str, Any],
        engine: Engine | None,
    ) -> None:
        self.variables: dict[str, Any] = {}
        self._call = call
        self._envs = envs
        self._transfers = 0
        self._scope = Scope(call, self.variables, envs, params, JavaScript(engine))
        self._frames = [Frame(document, document.sections[MAIN], params=params)]

    @property
    def scope(self) -> Scope:
        """What variables are looked up in now."""
        return self._scope

    @property
    def step(self) -> Step | None:
        """The step that is in turn, or will be when what is at its end has been left."""
        for frame in reversed(self._frames):
            if frame.position < len(frame.steps):
                return frame.steps[frame.position]
        return None

    def settle(self) -> Step | None:
        """Leave what is at its end; return the step that comes next, None after the last.

        What leaving a section sets off may be JavaScript.
        """
        while self._frames:
            frame = self._frames[-1]
            if frame.position < len(frame.steps):
                return frame.steps[frame.position]
            self._frames.pop()
            self._left(frame)
        return None

    @property
    def document(self) -> Document:
        """The document whose step comes next."""
        return self._frames[-1].document

    @property
    def scripted(self) -> bool:
        """Whether there may be JavaScript in what is being gone through."""
        return any(frame.document.scripted for frame in self._frames)

    def advance(self) -> None:
        """Go on to the step after this one."""
        self._frames[-1].position += 1

    def stop(self) -> None:
        """Carry nothing out any more."""
        self._frames.clear()

    def enter(self, steps: Steps) -> None:
        """Go through a block, then on with what follows here."""
        if steps:
            self._push(Frame(self.document, steps))

    def execute(
        self,
        document: Document,
        section: str,
        params: Mapping[str, Any],
        path: str,
        on_return: Callable[[], None],
    ) -> None:
        """Go through a section and come back."""
        steps = self._section(document, section, path)
        self._push(Frame(document, steps, params=params, on_return=on_return), path)
        self._set_scope()

    def leave(self, value: Any) -> None:
        """Come back from the section that is executed, or end the script."""
        self.variables[RETURN_VALUE] = value
        while self._frames:
            frame = self._frames.pop()
            if frame.is_section:
                self._left(frame)
                return

    def transfer(
        self, document: Document, section: str, params: Mapping[str, Any], path: str
    ) -> None:
        """Go on elsewhere and never come back."""
        steps = self._section(document, section, path)
        self._transfers += 1
        if self._transfers > MAX_TRANSFERS:
            message = f"the call was transferred more than {MAX_TRANSFERS} times"
            raise ScriptError(Code.TOO_MANY_TRANSFERS, path, message)
        self._frames = [Frame(document, steps, params=params)]
        self._set_scope()

    def jump(self, label: str, path: str, most: int) -> None:
        """Go on behind a label of this section, unless this `goto` did so `most` times before."""
        depth = len(self._frames) - 1
        while (place := _place_of(label, self._frames[depth].steps)) is None:
            if self._frames[depth].is_section:
                message = f"there is no label {quoted(label)} in this section"
                raise ScriptError(Code.METHOD_PARAMETER_INVALID_VALUE, path, message)
            depth -= 1
        section = next(f for f in reversed(self._frames) if f.is_section)
        if section.jumps[path] >= most:
            return
        section.jumps[path] += 1
        del self._frames[depth + 1 :]
        self._frames[depth].position = place + 1

    def _push(self, frame: Frame, path: str = "") -> None:
        if len(self._frames) >= MAX_FRAMES:
            message = f"more than {MAX_FRAMES} sections and blocks are within one another"
            raise ScriptError(Code.NESTED_TOO_DEEP, path, message)
        self._frames.append(frame)

    def _left(self, frame: Frame) -> None:
        """Go back to the parameters of the section around one that has ended."""
        if frame.is_section:
            self._set_scope()
            if frame.on_return is not None and self._frames:
                frame.on_return()

    def _set_scope(self) -> None:
        params = next((f.params for f in reversed(self._frames) if f.params is not None), {})
        javascript = self._scope.javascript
        self._scope = Scope(self._call, self.variables, self._envs, params, javascript)

    @staticmethod
    def _section(document: Document, name: str, path: str) -> Steps:
        steps = document.sections.get(name)
        if steps is None:
            message = f"there is no section {quoted(name)}"
            raise ScriptError(Code.METHOD_PARAMETER_INVALID_VALUE, path, message)
        return steps


def _place_of(label: str, steps: Steps) -> int | None:
    """Return which of some steps a label is."""
    for index, step in enumerate(steps):
        if step.method == "label" and step.params == label:
            return index
    return None
