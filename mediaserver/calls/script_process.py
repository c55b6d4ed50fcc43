"""The process that evaluates the expressions of scripts, as the server sees it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from ..swml.javascript import EngineFault
from .script_engine import packed, receive

PATIENCE: Final = 5.0
"""Seconds after which a process that says nothing is ended: it is stopped, or gets no CPU time."""

IN_A_ROW: Final = 1.0
"""Seconds of CPU time that the expressions of one script may take before it does something to its
call: other scripts wait meanwhile."""

REAPING: Final = 5.0
"""Seconds that a killed process is given to end."""

_PROGRAM: Final = "import sys; sys.path[:] = {path!r}; from {module} import main; main()"


class ScriptProcess:
    """An engine for one thread; it starts its process with the first expression after a loss."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._spent = 0.0

    @property
    def pid(self) -> int | None:
        """The process's id, None while there is none."""
        return None if self._process is None else self._process.pid

    def begin(self) -> None:
        """Note that another script is in turn."""
        self._spent = 0.0

    def evaluate(self, expression: str, roots: Mapping[str, Any]) -> Any:
        """Return the value of an expression; see `Engine.evaluate`."""
        if self._spent >= IN_A_ROW:
            raise EngineFault(f"expressions took more than {IN_A_ROW:g} s in a row")
        asked = packed((expression, {name: dict(value) for name, value in roots.items()}))
        engine = self._socket or self._start()
        try:
            engine.sendall(asked)
            answer = receive(engine)
        except (EOFError, OSError):
            self.close()
            self._spent += IN_A_ROW
            raise EngineFault("interrupted") from None
        self._spent += answer["seconds"]
        if "fault" in answer:
            raise EngineFault(answer["fault"])
        return answer["value"]

    def close(self) -> None:
        """End the process, whatever it is doing."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(REAPING)
        self._socket = self._process = None

    def _start(self) -> socket.socket:
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise EngineFault(f"no engine can be started: {error.strerror}") from None
        with theirs:
            self._socket = ours
            ours.settimeout(PATIENCE)
            program = _PROGRAM.format(path=sys.path, module="mediaserver.calls.script_engine")
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", program], stdin=theirs.fileno()
                )
            except OSError as error:
                self.close()
                raise EngineFault(f"no engine can be started: {error.strerror}") from None
        return ours
